//! Whether the open scan and networks fit: looked at by itself whenever one of them has changed, on a thread of its own.

use std::sync::Arc;

use super::{OpenScan, Session};
use crate::fit::words::{self, Told};
use crate::fit::{self, Asked, Cost, Fit, Kept};
use crate::settings::ScoredBy;
use crate::ui::stage::Stage;

/// What is known of how the scan and the networks fit.
#[derive(Default)]
pub(in crate::ui) struct Fitting {
    pub(in crate::ui) fit: Stage<Fit>,
    /// What the autoencoder makes of the scan: only where it is asked for.
    pub(in crate::ui) kept: Stage<Kept>,
    /// What was looked at last.
    looked: Option<Looked>,
}

/// A scan and networks.
struct Looked {
    scan: Arc<OpenScan>,
    asked: Asked,
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

impl Session {
    /// Looks at what is open if it has changed, and takes what came of it. A run goes first.
    pub(in crate::ui) fn follow_fit(&mut self) {
        self.fitting.fit.poll();
        self.fitting.kept.poll();
        if self.run.running().is_some() {
            return;
        }
        let Some(now) = self.lookable() else { return };
        if self.fitting.looked.as_ref().is_some_and(|before| before.same(&now)) {
            return;
        }
        let (scan, asked) = (Arc::clone(&now.scan), now.asked.clone());
        self.fitting = Fitting { looked: Some(now), ..Fitting::default() };
        let job = self.spawn("fit", &self.turn, move |monitor| Ok(Arc::new(fit::fit(&scan.input, &asked, monitor)?)));
        self.fitting.fit.follow(job);
    }

    /// The scan and its networks, once all that is opening is there.
    fn lookable(&self) -> Option<Looked> {
        let scan = self.scan.ready().filter(|_| self.scan.running().is_none())?;
        let by = self.settings.scored_by;
        let scores = match by {
            ScoredBy::Classifier => self.classifier.running(),
            ScoredBy::Segmenter => self.segmenter.running(),
            ScoredBy::Embedder => self.embedder.running(),
        };
        if scores.is_some() || self.autoencoder.running().is_some() {
            return None;
        }
        let is = |wanted: ScoredBy| by == wanted;
        let asked = Asked {
            autoencoder: self.autoencoder.ready().map(|loaded| Arc::clone(&loaded.model)),
            classifier: self
                .classifier
                .ready()
                .filter(|_| is(ScoredBy::Classifier))
                .map(|loaded| Arc::clone(&loaded.model)),
            segmenter: self
                .segmenter
                .ready()
                .filter(|_| is(ScoredBy::Segmenter))
                .map(|loaded| Arc::clone(&loaded.model)),
            embedder: self.embedder.ready().filter(|_| is(ScoredBy::Embedder)).map(|loaded| Arc::clone(&loaded.model)),
            slab: None,
            options: self.settings.options.clone(),
        };
        let scored = asked.classifier.is_some() || asked.segmenter.is_some() || asked.embedder.is_some();
        let any = scored || asked.autoencoder.is_some();
        any.then(|| Looked { scan: Arc::clone(scan), asked })
    }

    /// Gives way to a run; what was not finished is looked at again behind it.
    pub(super) fn pause_fit(&mut self) {
        if self.fitting.fit.running().is_some() {
            self.fitting.looked = None;
        }
        self.fitting.fit.cancel();
        self.fitting.kept.cancel();
    }

    pub(in crate::ui) fn dismiss_fit(&mut self) {
        self.fitting.fit.dismiss();
        self.fitting.kept.dismiss();
    }

    /// Sends the scan through the autoencoder, and both through the classifier.
    pub(in crate::ui) fn check_reconstruction(&mut self) {
        let Some(Looked { scan, asked }) = &self.fitting.looked else { return };
        if self.run.running().is_some() || self.fitting.kept.running().is_some() {
            return;
        }
        let (scan, asked) = (Arc::clone(scan), asked.clone());
        let target = self.target().and_then(Result::ok);
        let job = self.spawn("reconstruct", &self.turn, move |monitor| {
            Ok(Arc::new(fit::kept(&scan.input, &asked, target, monitor)?))
        });
        self.fitting.kept.follow(job);
    }

    /// All that is known, the weightiest first, for the slices that may change and the options as they are chosen now.
    pub(in crate::ui) fn fit_told(&self) -> Vec<Told> {
        let mut all = Vec::new();
        if let Some((fit, cost)) = self.fitting.fit.ready().zip(self.cost()) {
            all.extend(words::told(&Fit { cost, ..Fit::clone(fit) }));
        }
        all.extend(self.fitting.kept.ready().iter().flat_map(|kept| words::kept_told(kept)));
        all.sort_by_key(|told| told.note.weight);
        all
    }

    /// How long a run takes, as far as that is known, seconds.
    pub(in crate::ui) fn run_secs(&self) -> Option<f64> {
        let run = self.cost()?.run?;
        (run.gradients > 0).then_some(run.secs)
    }

    fn cost(&self) -> Option<Cost> {
        let fit = self.fitting.fit.ready()?;
        let slab = self.slab.as_ref().map_or(fit.cost.stack[2], ExactSizeIterator::len);
        Some(fit.cost.of_run(slab, &self.settings.options))
    }

    pub(in crate::ui) fn fit_error(&self) -> Option<&anyhow::Error> {
        self.fitting.fit.error().or(self.fitting.kept.error())
    }

    /// Why nothing is known of what fits while nothing looks at it, in words.
    pub(in crate::ui) fn fit_waits(&self) -> &'static str {
        let loading =
            [self.autoencoder.running(), self.classifier.running(), self.segmenter.running(), self.embedder.running()];
        if self.scan.running().is_some() {
            "Fit: once the scan is open"
        } else if loading.iter().any(Option::is_some) {
            "Fit: once the networks are loaded"
        } else if self.run.running().is_some() {
            "Fit: once the run has ended"
        } else if self.lookable().is_none() {
            "Fit: needs a scan and a network"
        } else {
            "Fit: not known"
        }
    }
}
