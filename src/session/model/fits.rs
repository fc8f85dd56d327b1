//! What is looked at by itself of the open scan and networks: whether they fit, and how the classifier scores the scan.

use std::sync::Arc;

use super::Model;
use super::fitting::Looked;
use crate::fit::Asked;
use crate::fit::words::Told;
use crate::settings::ScoredBy;

impl Model {
    /// Looks at what is open if it has changed, and takes what came of it. A run goes first.
    pub fn follow_fit(&mut self) {
        self.fitting.poll();
        if self.run.running().is_some() {
            return;
        }
        if let Some(now) = self.lookable() {
            self.fitting.follow(now, &self.worker);
        }
    }

    /// Scores the open scan by the classifier, once both are there, and takes the scores. A run goes first.
    pub fn follow_scores(&mut self) {
        self.scoring.scores.poll();
        let busy = [self.run.running(), self.scan.running(), self.classifier.running()];
        if busy.iter().any(Option::is_some) || self.settings.scored_by != ScoredBy::Classifier {
            return;
        }
        if let Some((scan, loaded)) = self.scan.ready().zip(self.classifier.ready()) {
            self.scoring.follow(scan, &loaded.model, &self.worker);
        }
    }

    /// The score of every class of the loaded classifier for the open scan, `(label, score)` by label index.
    pub fn scores(&self) -> Option<&[(String, f64)]> {
        self.scoring.of(self.scan.ready()?, &self.classifier.ready()?.model)
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

    /// Sends the scan through the autoencoder, and both through what gives the score.
    pub fn check_reconstruction(&mut self) {
        if self.run.running().is_none() {
            let target = self.target().and_then(Result::ok);
            self.fitting.check_reconstruction(target, &self.worker);
        }
    }

    /// All that is known, the weightiest first, for the slices that may change and the options as they are chosen now.
    pub fn fit_told(&self) -> Vec<Told> {
        self.fitting.told(self.slab_slices(), &self.settings.options)
    }

    /// How long a run takes, as far as that is known, seconds.
    pub fn run_secs(&self) -> Option<f64> {
        self.fitting.run_secs(self.slab_slices(), &self.settings.options)
    }

    /// How long a repetition of it takes, from and to, as far as that is known, seconds.
    pub fn repeat_secs(&self) -> Option<[f64; 2]> {
        self.fitting.repeat_secs(self.slab_slices(), &self.settings.options)
    }

    fn slab_slices(&self) -> Option<usize> {
        self.slab.as_ref().map(ExactSizeIterator::len)
    }

    /// Whether there is something to do, to wait for or to read in the steps: no result yet, work that goes on, or what failed.
    pub fn awaits_steps(&self) -> bool {
        let works = [self.run.running(), self.opening(), self.repeating.repeated.running()];
        let failed = [
            self.scan.error(),
            self.restored.error(),
            self.run.error(),
            self.autoencoder.error(),
            self.classifier.error(),
            self.segmenter.error(),
            self.embedder.error(),
        ];
        let stops = self.waiting.is_some() || failed.iter().any(Option::is_some);
        self.run.ready().is_none() || stops || works.iter().any(Option::is_some)
    }

    /// Why nothing is known of what fits while nothing looks at it, in words.
    pub fn fit_waits(&self) -> &'static str {
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
