//! Whether the open scan and networks fit: looked at by itself whenever one of them has changed, on a thread of its own.

use std::sync::Arc;

use super::{OpenScan, Session};
use crate::fit::{self, Asked, Fit, Kept, words};
use crate::io::Note;
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
        let by_class = self.settings.scored_by == ScoredBy::Classifier;
        let scores = if by_class { self.classifier.running() } else { self.segmenter.running() };
        if scores.is_some() || self.autoencoder.running().is_some() {
            return None;
        }
        let asked = Asked {
            autoencoder: self.autoencoder.ready().map(|loaded| Arc::clone(&loaded.model)),
            classifier: self.classifier.ready().filter(|_| by_class).map(|loaded| Arc::clone(&loaded.model)),
            segmenter: self.segmenter.ready().filter(|_| !by_class).map(|loaded| Arc::clone(&loaded.model)),
            slab: None,
            options: self.settings.options.clone(),
        };
        let any = asked.autoencoder.is_some() || asked.classifier.is_some() || asked.segmenter.is_some();
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
    pub(in crate::ui) fn fit_notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if let Some(fit) = self.fitting.fit.ready() {
            let slab = self.slab.as_ref().map_or(fit.cost.stack[2], ExactSizeIterator::len);
            let cost = fit.cost.of_run(slab, &self.settings.options);
            notes.extend(words::notes(&Fit { cost, ..Fit::clone(fit) }));
        }
        notes.extend(self.fitting.kept.ready().iter().flat_map(|kept| words::kept_notes(kept)));
        notes.sort_by_key(|note| note.weight);
        notes
    }
}
