//! The changed regions of a result at another threshold, found in the background.

use std::sync::Arc;

use super::Model;
use crate::session::explained::Explained;
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// A result whose regions are found again.
#[derive(Default)]
pub struct Regrouping {
    pub regrouped: Stage<Explained>,
    /// The threshold that was asked for last, HU.
    wanted_hu: Option<f32>,
}

impl Regrouping {
    /// Finds the regions of a result that changed by more than this, HU; what was being found before stops.
    pub fn begin(&mut self, run: &Arc<Explained>, above_hu: f32, worker: &Worker) {
        self.wanted_hu = Some(above_hu);
        let run = Arc::clone(run);
        let job = worker.spawn("regions", move |monitor| Ok(Arc::new(run.with_regions_above(above_hu, monitor)?)));
        self.regrouped.follow(job);
    }

    /// A result with its regions found, once.
    pub fn poll(&mut self) -> Option<Arc<Explained>> {
        if self.regrouped.poll() { self.regrouped.take() } else { None }
    }

    /// The threshold whose regions are on their way, HU.
    pub fn coming_hu(&self) -> Option<f32> {
        self.wanted_hu.filter(|_| self.regrouped.running().is_some())
    }
}

impl Model {
    /// Finds the changed regions of the result at another threshold, HU. Those that repeats tell of stay as they are.
    pub fn regions_above(&mut self, above_hu: f32) {
        if let Some(run) = self.run.ready().filter(|run| run.report.stability.is_none() && !self.repeating.is_of(run)) {
            self.regrouping.begin(run, above_hu, &self.worker);
        }
    }
}
