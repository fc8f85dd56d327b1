//! Takes up a session that was saved: at once, or after a word where a result would go.

use std::sync::Arc;

use anyhow::anyhow;

use super::super::session_file::Restored;
use super::super::stage::Stage;
use super::{Arrived, Arriving, Loaded, Role, Session, Waiting};

impl Session {
    /// Shows what waits: the results of the scan before go.
    pub(in crate::ui) fn show_waiting(&mut self) -> Arrived {
        match self.waiting.take() {
            Some(Waiting::Scan(scan)) => {
                self.scan.swap(&mut Some(scan));
                self.scan_changed();
                Arrived { scan: true, ..Arrived::default() }
            }
            Some(Waiting::Session(restored)) => {
                Arrived { restored: Some(self.restore(restored)), ..Arrived::default() }
            }
            None => Arrived::default(),
        }
    }

    /// A session that was opened is taken up at once, unless that would drop a result unasked.
    pub(super) fn poll_restored(&mut self) -> Option<Arc<Restored>> {
        if !self.restored.poll() {
            return None;
        }
        let mut restored = None;
        self.restored.swap(&mut restored);
        if self.run.ready().is_some() && restored.as_ref().is_some_and(|restored| restored.scan.is_some()) {
            self.waiting = restored.map(Waiting::Session);
            return None;
        }
        restored.map(|restored| self.restore(restored))
    }

    /// Everything as it was saved; networks load anew.
    fn restore(&mut self, restored: Arc<Restored>) -> Arc<Restored> {
        let saved = &restored.document;
        self.settings.scored_by = saved.scored_by;
        self.settings.target.clone_from(&saved.target);
        if saved.toward.is_some() {
            self.settings.toward.clone_from(&saved.toward);
        }
        self.settings.options = saved.options.clone();
        self.settings.remember(&restored.path);
        for (role, network) in saved.networks() {
            self.load(role, network.card.clone());
            self.saved_with.push((role, network.sha256.clone()));
        }
        self.scan.dismiss();
        self.arriving = Arriving::default();
        if restored.scan.is_some() {
            self.scan.swap(&mut restored.scan.clone());
            self.run.clear(); // its pictures are those of another scan
            self.run.swap(&mut restored.run.clone());
            self.aside = None;
            self.slab.clone_from(&saved.slab);
            self.fit_slab();
        }
        if let Some(trouble) = &restored.trouble {
            self.scan.fail(anyhow!("{trouble}"));
        }
        restored
    }
}

/// A network that has loaded in the place of another one of the same name is said to be another.
pub(super) fn hold_against<N: ?Sized>(saved_with: &mut Vec<(Role, String)>, role: Role, stage: &mut Stage<Loaded<N>>)
where
    Loaded<N>: Send + Sync + 'static,
{
    let Some(at) = saved_with.iter().position(|(other, _)| *other == role) else { return };
    let (_, sha256) = saved_with.swap_remove(at);
    let changed = stage.ready().filter(|loaded| loaded.model.sha256 != sha256).map(|loaded| loaded.model.name.clone());
    if let Some(name) = changed {
        stage.fail(anyhow!(
            "{name} is not the network that the session was saved with: its weights have another SHA-256; a result that is shown is of the one before"
        ));
    }
}
