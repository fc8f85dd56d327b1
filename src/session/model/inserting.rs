//! A finding that is drawn into the open scan: what is asked for, the work on it, and the way back. It is always drawn into the scan as it
//! was opened, never on top of another one.

use std::str::FromStr as _;
use std::sync::Arc;

use glam::DVec3;

use super::{Arrived, Model, Waiting};
use crate::frame::Layers;
use crate::insertion::{Chest, Lying};
use crate::job::Latest;
use crate::pipeline::{self, Inserted, Insertion};
use crate::session::open_scan::OpenScan;
use crate::session::stage::Stage;
use crate::settings::ScoredBy;
use crate::volume::phantom::Finding;

/// What is chosen in the panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    pub finding: Finding,
    /// 0 (none) to 1 (severe).
    pub dial: f32,
    /// Where it lies and how it looks.
    pub seed: u64,
    /// How the patient lies; none where it is as the scan's files say.
    pub position: Option<Lying>,
}

impl Default for Drawing {
    fn default() -> Self {
        Self { finding: Finding::Nodule, dial: 0.5, seed: 1, position: None }
    }
}

/// The panel, and the work behind it.
#[derive(Default)]
pub struct Inserting {
    pub drawing: Drawing,
    /// Whether the panel is unfolded.
    pub is_open: bool,
    /// How often the panel was asked for: each time the focus goes to it.
    pub asked_for: usize,
    pub drawn: Stage<OpenScan>,
    /// The lungs that were found last.
    chest: Latest<Known>,
}

/// The lungs of a scan, and the scan by its pictures.
struct Known {
    of: Arc<Layers>,
    lying: Lying,
    chest: Arc<Chest>,
}

/// Which scan has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Came {
    Other,
    /// The one before, with another finding or without; where to look, if anywhere else.
    Same(Option<DVec3>),
}

impl Inserting {
    /// Unfolds the panel, and has the focus go there.
    pub fn show(&mut self) {
        self.is_open = true;
        self.asked_for += 1;
    }

    /// Another scan is open: what was drawn, or known of the one before, goes.
    pub(super) fn begin(&mut self, inserted: Option<&Inserted>) {
        self.drawn.clear();
        self.chest = Latest::default();
        self.drawing.position = None;
        if let Some(Inserted { asked: Insertion { finding, dial, seed, position }, .. }) = inserted {
            self.drawing = Drawing { finding: *finding, dial: *dial, seed: *seed, position: Some(*position) };
            self.is_open = true;
        }
    }
}

impl Model {
    /// What was drawn into the scan that is open.
    pub fn inserted(&self) -> Option<&Inserted> {
        self.scan.ready()?.inserted()
    }

    /// How the patient of the open scan lies, as far as its files say.
    pub fn lies(&self) -> Lying {
        let original = self.scan.ready().map(|scan| scan.undrawn());
        let study = original.and_then(|scan| scan.input.scan.as_ref()?.study.as_ref());
        Lying::of_position(study.and_then(|study| study.position.as_deref()))
    }

    /// What would be drawn.
    pub fn insertion(&self) -> Insertion {
        let Drawing { finding, dial, seed, position } = self.inserting.drawing;
        Insertion { finding, dial, seed, position: position.unwrap_or_else(|| self.lies()) }
    }

    /// Why nothing can be drawn now, in words; none where it can.
    pub fn cannot_insert(&self) -> Option<&'static str> {
        let Some(scan) = self.scan.ready() else { return Some("Open a scan first") };
        if scan.input.scan.is_none() {
            return Some("A stack of slices has no HU to draw into: open the scan that it was made from");
        }
        if self.run.running().is_some() {
            return Some("A run is going on: cancel it, or let it end");
        }
        if self.scan.running().is_some() || self.restored.running().is_some() {
            return Some("A scan is still opening");
        }
        if self.inserting.drawing.dial <= 0.0 {
            return Some("At a dial of 0 nothing is drawn");
        }
        let is_there = self.inserted().is_some_and(|inserted| inserted.asked == self.insertion());
        (is_there && self.inserting.drawn.running().is_none()).then_some("This is what is drawn")
    }

    /// Draws what is chosen into the scan as it was opened.
    pub fn insert(&mut self) {
        let Some(scan) = self.scan.ready().filter(|_| self.cannot_insert().is_none()).cloned() else { return };
        let (asked, chest) = (self.insertion(), self.inserting.chest.clone());
        let job = self.worker.spawn("insert", move |monitor| {
            let original = OpenScan::original(&scan);
            let known =
                chest.get().filter(|known| Arc::ptr_eq(&known.of, &original.layers) && known.lying == asked.position);
            let lungs = if let Some(known) = known {
                Arc::clone(&known.chest)
            } else {
                let found = Arc::new(pipeline::chest(pipeline::scan_of(&original.input)?, asked.position, monitor)?);
                let of = Arc::clone(&original.layers);
                chest.put(Known { of, lying: asked.position, chest: Arc::clone(&found) });
                found
            };
            Ok(Arc::new(OpenScan::with_finding(&original, &lungs, asked, monitor)?))
        });
        self.inserting.drawn.follow(job);
    }

    /// Takes a scan that was drawn. Like any other it waits where a result would go unasked.
    pub(super) fn poll_inserting(&mut self) -> Option<Came> {
        let drawn = self.inserting.drawn.poll().then(|| self.inserting.drawn.take()).flatten()?;
        self.show_or_wait(drawn)
    }

    /// Shows the scan as it was opened.
    pub fn remove_finding(&mut self) -> Arrived {
        let original = self.scan.ready().filter(|scan| scan.drawn.is_some()).map(OpenScan::original);
        self.inserting.drawn.cancel();
        let came = original.filter(|_| self.run.running().is_none()).and_then(|original| self.show_or_wait(original));
        Arrived { scan: came, ..Arrived::default() }
    }

    fn show_or_wait(&mut self, scan: Arc<OpenScan>) -> Option<Came> {
        if self.run.ready().is_some() && !self.result_is_safe {
            self.waiting = Some(Waiting::Scan(scan));
            return None;
        }
        Some(self.exchange(scan))
    }

    /// Shows a scan in the place of the one before.
    pub(super) fn exchange(&mut self, scan: Arc<OpenScan>) -> Came {
        let before =
            self.scan.ready().cloned().filter(|before| Arc::ptr_eq(&before.undrawn().layers, &scan.undrawn().layers));
        let Some(before) = before else {
            self.scan.swap(&mut Some(scan));
            self.slab = None; // it is another scan's
            self.inserting.begin(None);
            self.scan_changed();
            return Came::Other;
        };
        self.waiting = None;
        let [old, new] = [&before, &scan].map(|scan| scan.inserted().map(|inserted| inserted.asked));
        let is_elsewhere = old.map(|asked| (asked.finding, asked.seed)) != new.map(|asked| (asked.finding, asked.seed));
        let place = scan.drawn.as_ref().filter(|_| is_elsewhere).map(|drawn| drawn.middle);
        self.scan.put(scan);
        self.scan_changed();
        if let Some(asked) = new.filter(|asked| old.is_none_or(|old| old.finding != asked.finding)) {
            self.choose_class(asked.finding);
        }
        Came::Same(place)
    }

    /// Chooses the class of the classifier that has the finding's name.
    fn choose_class(&mut self, finding: Finding) {
        if self.settings.scored_by != ScoredBy::Classifier {
            return;
        }
        let is_of = |label: &&String| Finding::from_str(&label.to_lowercase()).is_ok_and(|of| of == finding);
        let label =
            self.classifier.ready().and_then(|loaded| loaded.model.network.labels().iter().find(is_of).cloned());
        if label.is_some() {
            self.settings.target = label;
        }
    }
}
