//! What other methods than the counterfactual say of the open scan: each computed when it is asked for, and kept while scan, classifier
//! and class stay.

use std::sync::Arc;

use super::Model;
use crate::frame::{Layers, SizeMap};
use crate::latent_shift::saliency::Method;
use crate::models::Classifier;
use crate::pipeline::{self, Model as Network};
use crate::session::open_scan::OpenScan;
use crate::session::stage::Stage;
use crate::session::worker::Worker;
use crate::settings::ScoredBy;
use crate::volume::Volume;

/// A map that is there.
pub struct Computed {
    pub method: Method,
    /// On the classifier's own grid, sizes of 0 or more.
    pub sizes: Volume,
    pub map: SizeMap,
}

/// What is explained.
#[derive(Clone)]
pub struct Subject {
    scan: Arc<OpenScan>,
    classifier: Arc<Network<Classifier>>,
    label: usize,
}

impl Subject {
    /// Whether both are of the scan that is shown, whichever network it is prepared for, and of one class.
    fn same(&self, other: &Self) -> bool {
        let layers = |subject: &Self| -> *const Layers { Arc::as_ptr(&subject.scan.layers) };
        layers(self) == layers(other) && Arc::ptr_eq(&self.classifier, &other.classifier) && self.label == other.label
    }
}

/// Maps that came out of a session.
pub struct KeptMaps {
    pub scan: Arc<OpenScan>,
    pub classifier_sha256: String,
    pub label: usize,
    /// By method, sizes on the classifier's own grid.
    pub maps: Vec<(Method, Volume)>,
}

impl KeptMaps {
    fn is_of(&self, subject: &Subject) -> bool {
        let Subject { scan, classifier, label } = subject;
        Arc::ptr_eq(&self.scan.layers, &scan.layers)
            && self.label == *label
            && self.classifier_sha256 == classifier.sha256
    }
}

/// The maps of one subject.
#[derive(Default)]
pub struct Methods {
    pub coming: Stage<Computed>,
    known: Vec<Arc<Computed>>,
    of: Option<Subject>,
    /// Maps out of a session, until the classifier that they are of is there.
    kept: Option<KeptMaps>,
    /// What was begun last: once begun it is begun no second time while it stays chosen, however it ended.
    begun: Option<Method>,
}

impl Methods {
    /// Takes a map that has come.
    pub fn poll(&mut self) {
        if self.coming.poll() {
            self.known.extend(self.coming.ready().cloned());
        }
    }

    /// Computes a map that is wanted and not known; those of another subject go.
    pub fn follow(&mut self, wanted: Option<Method>, subject: Option<Subject>, worker: &Worker) {
        let same = match (&self.of, &subject) {
            (Some(before), Some(now)) => before.same(now),
            (None, None) => true,
            _ => false,
        };
        if !same {
            *self = Self { of: subject.clone(), kept: self.kept.take(), ..Self::default() };
        }
        if let Some(of) = &self.of
            && let Some(kept) = self.kept.take_if(|kept| kept.is_of(of))
        {
            let known = |(method, sizes): (Method, Volume)| {
                let map = map(method, &sizes);
                Arc::new(Computed { method, sizes, map })
            };
            self.known = kept.maps.into_iter().map(known).collect();
        }
        let Some((method, subject)) = wanted.zip(subject) else {
            self.begun = None;
            return;
        };
        if self.begun == Some(method) || self.known(method).is_some() {
            return;
        }
        self.begun = Some(method);
        let job = worker.spawn_in_turn("method", move |monitor| {
            let Subject { scan, classifier, label } = subject;
            let sizes = pipeline::method(&scan.input, &classifier, label, method, monitor)?;
            let map = map(method, &sizes);
            Ok(Arc::new(Computed { method, sizes, map }))
        });
        self.coming.follow(job);
    }

    pub fn known(&self, method: Method) -> Option<&Arc<Computed>> {
        self.known.iter().find(|computed| computed.method == method)
    }

    /// All that are there.
    pub fn all(&self) -> &[Arc<Computed>] {
        &self.known
    }

    /// Takes up maps that came out of a session, as soon as the classifier that they are of is there.
    pub fn restore(&mut self, kept: Option<KeptMaps>) {
        *self = Self { kept, ..Self::default() };
    }

    /// What the maps are of: the classifier's SHA-256, and the class.
    pub fn told(&self) -> Option<(&str, usize)> {
        self.of.as_ref().map(|of| (of.classifier.sha256.as_str(), of.label))
    }

    /// Gives way to a run; what was not finished is computed behind it.
    pub fn pause(&mut self) {
        self.coming.cancel();
        self.begun = None;
    }
}

/// A map for the eye: colours saturate where 99.9 % of all voxels lie below, or at the largest where fewer are above 0.
fn map(method: Method, sizes: &Volume) -> SizeMap {
    const SHARE: f64 = 0.999;
    let mut sorted: Vec<f32> = sizes.voxels.iter().collect();
    let last = sorted.len().saturating_sub(1);
    let largest = sorted.iter().copied().fold(0.0, f32::max);
    let most = if sorted.is_empty() {
        0.0
    } else {
        *sorted.select_nth_unstable_by((last as f64 * SHARE) as usize, f32::total_cmp).1
    };
    let scale = if most > 0.0 { most } else { largest };
    SizeMap::new(sizes.grid, sizes.voxels.iter(), scale, method.size_text(scale))
}

impl Model {
    /// What methods explain: the class of the result that is shown, or else the one that is chosen.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn subject(&self) -> Result<Subject, &'static str> {
        const ONE_CLASS: &str = "Gradients, occlusion, RISE and Grad-CAM++ explain one class of a classifier";
        let scan = self.scan.ready().ok_or("Open a scan first")?;
        if self.settings.scored_by != ScoredBy::Classifier {
            return Err(ONE_CLASS);
        }
        if let Some(why) = self.classifier.wanting("The classifier is still loading", "Choose a classifier first") {
            return Err(why);
        }
        let classifier = &self.classifier.ready().ok_or("Choose a classifier first")?.model;
        let label = match self.run.ready().map(|run| run.asked()) {
            Some(asked) if asked.scored_by.sha256 != classifier.sha256 => {
                return Err("The result is of another classifier than the one that is loaded");
            }
            Some(asked) => match asked.terms[..] {
                [(label, weight)] if weight > 0.0 => label,
                _ => return Err(ONE_CLASS),
            },
            None => match self.target() {
                Some(Ok(label)) => label,
                _ => return Err("Choose a target class first"),
            },
        };
        if label >= classifier.network.labels().len() {
            return Err("The result is of a class that the classifier does not have");
        }
        Ok(Subject { scan: Arc::clone(scan), classifier: Arc::clone(classifier), label })
    }

    /// Computes what is wanted. A run goes first, and what is opening.
    pub fn follow_methods(&mut self, wanted: Option<Method>) {
        self.methods.poll();
        if self.run.running().is_some() || self.scan.running().is_some() {
            return;
        }
        let subject = self.subject().ok();
        self.methods.follow(wanted, subject, &self.worker);
    }
}
