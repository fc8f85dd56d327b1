//! How sure a result is: the same run from perturbed starts, behind it.

use std::sync::Arc;

use crate::job::Latest;
use crate::pipeline::Request;
use crate::session::explained::Explained;
use crate::session::stage::Stage;
use crate::session::worker::Worker;
use crate::stability::stability;

/// Repetitions of the result that is shown.
#[derive(Default)]
pub struct Repeating {
    /// The result with what came again of it.
    pub repeated: Stage<Explained>,
    /// How many repetitions the run that goes on is to have, and what it is asked for, once its worker knows.
    wanted: usize,
    request: Latest<Request>,
    /// What is repeated.
    of: Option<Arc<Explained>>,
}

impl Repeating {
    /// A run begins that is to be repeated so often; what is repeated of another one stops. Gives where its worker leaves the request.
    pub fn expect(&mut self, wanted: usize) -> Latest<Request> {
        *self = Self { wanted, ..Self::default() };
        self.request.clone()
    }

    /// A run has ended: where it is whole, its repetitions begin.
    pub fn begin(&mut self, run: &Arc<Explained>, worker: &Worker) {
        // Its networks are kept no longer than they are needed.
        let request = std::mem::take(&mut self.request).get();
        let Some(request) = request.filter(|_| self.wanted > 0 && run.result().complete) else { return };
        self.of = Some(Arc::clone(run));
        let (run, runs) = (Arc::clone(run), self.wanted);
        let job = worker.spawn_in_turn("stability", move |monitor| {
            let regions = &run.report.regions;
            let stability = stability(&run.scan.input, &request, run.result(), regions, runs, monitor)?;
            Ok(Arc::new(run.repeated(stability)))
        });
        self.repeated.follow(job);
    }

    /// A result that has been repeated, once.
    pub fn poll(&mut self) -> Option<Arc<Explained>> {
        if !self.repeated.poll() {
            return None;
        }
        self.of = None;
        let mut repeated = None;
        self.repeated.swap(&mut repeated);
        repeated
    }

    /// Whether a result is being repeated now.
    pub fn is_of(&self, run: &Explained) -> bool {
        self.repeated.running().is_some() && self.of.as_ref().is_some_and(|of| of.is_of(run))
    }
}
