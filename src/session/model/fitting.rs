//! Whether the open scan and networks fit: looked at by itself whenever one of them has changed, on a thread of its own.

use std::sync::Arc;

use crate::fit::words::{self, Told};
use crate::fit::{self, Asked, Cost, Fit, Kept};
use crate::latent_shift::Options;
use crate::session::open_scan::OpenScan;
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// What is known of how the scan and the networks fit.
#[derive(Default)]
pub struct Fitting {
    pub fit: Stage<Fit>,
    /// What the autoencoder makes of the scan: only where it is asked for.
    pub kept: Stage<Kept>,
    /// What was looked at last.
    looked: Option<Looked>,
}

/// A scan and networks.
pub struct Looked {
    pub scan: Arc<OpenScan>,
    pub asked: Asked,
}

impl Looked {
    /// Whether both are of one scan and the same networks; what may change of the scan, and how far, is reckoned anew at no cost.
    fn same(&self, other: &Self) -> bool {
        fn alike<T: ?Sized>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
            a.map(|a| Arc::as_ptr(a).cast::<()>()) == b.map(|b| Arc::as_ptr(b).cast::<()>())
        }
        let (a, b) = (&self.asked, &other.asked);
        Arc::ptr_eq(&self.scan, &other.scan)
            && alike(a.autoencoder.as_ref(), b.autoencoder.as_ref())
            && alike(a.classifier.as_ref(), b.classifier.as_ref())
            && alike(a.segmenter.as_ref(), b.segmenter.as_ref())
            && alike(a.embedder.as_ref(), b.embedder.as_ref())
    }
}

impl Fitting {
    /// Takes what has come.
    pub fn poll(&mut self) {
        self.fit.poll();
        self.kept.poll();
    }

    /// Looks at a scan and networks, unless it has looked at these already.
    pub fn follow(&mut self, now: Looked, worker: &Worker) {
        if self.looked.as_ref().is_some_and(|before| before.same(&now)) {
            return;
        }
        let (scan, asked) = (Arc::clone(&now.scan), now.asked.clone());
        *self = Self { looked: Some(now), ..Self::default() };
        let job = worker.spawn_in_turn("fit", move |monitor| Ok(Arc::new(fit::fit(&scan.input, &asked, monitor)?)));
        self.fit.follow(job);
    }

    /// Gives way to a run; what was not finished is looked at again behind it.
    pub fn pause(&mut self) {
        if self.fit.running().is_some() {
            self.looked = None;
        }
        self.fit.cancel();
        self.kept.cancel();
    }

    /// Sends the scan through the autoencoder, and both through what gives the score.
    pub fn check_reconstruction(&mut self, target: Option<usize>, worker: &Worker) {
        let Some(Looked { scan, asked }) = &self.looked else { return };
        if self.kept.running().is_some() {
            return;
        }
        let (scan, asked) = (Arc::clone(scan), asked.clone());
        let job = worker.spawn_in_turn("reconstruct", move |monitor| {
            Ok(Arc::new(fit::kept(&scan.input, &asked, target, monitor)?))
        });
        self.kept.follow(job);
    }

    pub fn dismiss(&mut self) {
        self.fit.dismiss();
        self.kept.dismiss();
    }

    /// All that is known, the weightiest first, for so many slices that may change and these options.
    pub fn told(&self, slab: Option<usize>, options: &Options) -> Vec<Told> {
        let mut all = Vec::new();
        if let Some((fit, cost)) = self.fit.ready().zip(self.cost(slab, options)) {
            all.extend(words::told(&Fit { cost, ..Fit::clone(fit) }));
        }
        all.extend(self.kept.ready().iter().flat_map(|kept| words::kept_told(kept)));
        all.sort_by_key(|told| told.note.weight);
        all
    }

    /// How long a run takes, as far as that is known, seconds.
    pub fn run_secs(&self, slab: Option<usize>, options: &Options) -> Option<f64> {
        let run = self.cost(slab, options)?.run?;
        (run.gradients > 0).then_some(run.secs)
    }

    /// How long a repetition from a perturbed start takes, from and to, as far as that is known, seconds.
    pub fn repeat_secs(&self, slab: Option<usize>, options: &Options) -> Option<[f64; 2]> {
        let run = self.cost(slab, options)?.run?;
        (run.gradients > 0).then_some(run.repeat_secs)
    }

    fn cost(&self, slab: Option<usize>, options: &Options) -> Option<Cost> {
        let fit = self.fit.ready()?;
        Some(fit.cost.of_run(slab.unwrap_or(fit.cost.stack[2]), options))
    }

    pub fn error(&self) -> Option<&anyhow::Error> {
        self.fit.error().or(self.kept.error())
    }
}
