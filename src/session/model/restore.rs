//! Takes up a session that was saved: at once, or after a word where a result would go.

use std::sync::Arc;

use anyhow::anyhow;

use super::methods::KeptMaps;
use super::{Arrived, Model, Waiting};
use crate::session::arriving::Arriving;
use crate::session::document::Restored;
use crate::session::open_scan::OpenScan;

impl Model {
    /// Shows what waits: the results of the scan before go.
    pub fn show_waiting(&mut self) -> Arrived {
        match self.waiting.take() {
            Some(Waiting::Scan(scan)) => {
                let came = self.exchange(scan);
                Arrived { scan: Some(came), ..Arrived::default() }
            }
            Some(Waiting::Session(restored)) => {
                Arrived { restored: Some(self.restore(restored)), ..Arrived::default() }
            }
            None => Arrived::default(),
        }
    }

    /// A session that was opened is taken up at once, unless that would drop a result unasked.
    pub fn poll_restored(&mut self) -> Option<Arc<Restored>> {
        if !self.restored.poll() {
            return None;
        }
        let mut restored = None;
        self.restored.swap(&mut restored);
        if self.run.ready().is_some()
            && !self.result_is_safe
            && restored.as_ref().is_some_and(|restored| restored.scan.is_some())
        {
            self.waiting = restored.map(Waiting::Session);
            return None;
        }
        restored.map(|restored| self.restore(restored))
    }

    /// Whether a scan is the one whose result is shown, opened again: then a mask of it stays.
    fn is_open(&self, scan: &OpenScan) -> bool {
        let before = self.run.ready().map(|run| &run.scan); // that of a result has its hash already
        let same = |of: &OpenScan| of.input.sha256() == scan.input.sha256();
        before.is_some_and(|of| of.layers.scan.grid == scan.layers.scan.grid && same(of))
    }

    /// Everything as it was saved; networks load anew.
    fn restore(&mut self, restored: Arc<Restored>) -> Arc<Restored> {
        let saved = &restored.document;
        if restored.of_demo() {
            self.set_choices_aside();
        } else {
            self.before_demo = None;
        }
        let is_demo = self.take_demo(&restored);
        self.settings.scored_by = saved.scored_by;
        self.settings.target.clone_from(&saved.target);
        if saved.toward.is_some() {
            self.settings.toward.clone_from(&saved.toward);
        }
        self.settings.options = saved.options.clone();
        if !is_demo {
            self.settings.remember(&restored.path);
        }
        for (role, network) in saved.networks() {
            self.load(role, network.card.clone());
            self.saved_with.push((role, network.sha256.clone()));
        }
        self.scan.dismiss();
        self.arriving = Arriving::default();
        if let Some(scan) = &restored.scan {
            let stays = self.is_open(scan);
            self.scan.swap(&mut restored.scan.clone());
            self.run.clear(); // its pictures are those of another scan
            self.repeating = super::Repeating::default();
            self.run.swap(&mut restored.run.clone());
            self.aside = None;
            self.beside.clear();
            self.inserting.begin(scan.inserted());
            let is_given = self.masking.waits.is_some();
            if !stays {
                self.mask_of_new_scan();
            }
            if let Some(mask) = &restored.mask {
                self.forget_mask();
                self.masking.mask.put(Arc::clone(mask));
            } else if scan.drawn.is_some() && !is_given {
                self.forget_mask(); // it was put away before the session was saved
            }
            let of = saved.maps.as_ref().filter(|_| !restored.maps.is_empty());
            self.methods.restore(of.map(|of| KeptMaps {
                scan: Arc::clone(scan),
                classifier_sha256: of.classifier_sha256.clone(),
                label: of.label,
                maps: restored.maps.clone(),
            }));
            self.slab.clone_from(&saved.slab);
            self.fit_slab();
        }
        if let Some(trouble) = restored.trouble.as_ref().filter(|_| !is_demo) {
            self.scan.fail(anyhow!("{trouble}"));
        }
        restored
    }
}
