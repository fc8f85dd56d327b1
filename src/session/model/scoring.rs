//! What the classifier says of the open scan, before anything is explained: scored by itself whenever scan or classifier has changed.

use std::sync::Arc;

use crate::frame::Layers;
use crate::models::Classifier;
use crate::pipeline::{self, Model};
use crate::session::open_scan::OpenScan;
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// The score of every class, as `parallax predict` gives it.
#[derive(Default)]
pub struct Scoring {
    /// `(label, score)` by label index, of the scan and the classifier that were scored last.
    pub scores: Stage<Vec<(String, f64)>>,
    /// What was scored last: a scan by its picture, which stays while it is prepared for other networks.
    looked: Option<(Arc<Layers>, Arc<Model<Classifier>>)>,
}

impl Scoring {
    /// Scores a scan, unless these scores are known or on their way.
    pub fn follow(&mut self, scan: &Arc<OpenScan>, classifier: &Arc<Model<Classifier>>, worker: &Worker) {
        if self.are_of(&scan.layers, classifier) {
            return;
        }
        let (scan, classifier) = (Arc::clone(scan), Arc::clone(classifier));
        *self = Self { scores: Stage::default(), looked: Some((Arc::clone(&scan.layers), Arc::clone(&classifier))) };
        let job = worker
            .spawn_in_turn("score", move |monitor| Ok(Arc::new(pipeline::predict(&scan.input, &classifier, monitor)?)));
        self.scores.follow(job);
    }

    fn are_of(&self, layers: &Arc<Layers>, classifier: &Arc<Model<Classifier>>) -> bool {
        let Some((of, by)) = &self.looked else { return false };
        Arc::ptr_eq(of, layers) && Arc::ptr_eq(by, classifier)
    }

    /// The scores of a scan by a classifier, once they are there.
    pub fn of(&self, scan: &OpenScan, classifier: &Arc<Model<Classifier>>) -> Option<&[(String, f64)]> {
        let known = self.are_of(&scan.layers, classifier).then(|| self.scores.ready())??;
        Some(known)
    }

    /// Gives way to a run; what was not finished is scored again behind it.
    pub fn pause(&mut self) {
        if self.scores.running().is_some() {
            self.scores.cancel();
            self.looked = None;
        }
    }
}
