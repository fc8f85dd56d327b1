//! How true explanations are: latent shift and saliency methods, where the place of a finding is known.
//!
//! A case is one finding of one scan. The search lowers its score to `TARGET`; what it changed is held against the exact mask of the
//! finding, and what it drew against the same scan without the finding, where that is known. `case` knows of no phantoms: it takes any
//! [`Patient`] with what is [`Marked`] in it. [`phantoms`] draws patients whose truth is known.

mod against;
mod case;
pub mod curves;
mod method;
pub mod metrics;
pub mod phantoms;
pub mod realism;
pub mod scans;
pub mod summary;

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use against::Against;
pub use case::{Case, Change, Features, HuError, Marked, Patient, Scores, examine};
pub use method::Method;
pub use summary::{Report, Summary, csv, table};

use crate::latent_shift::{Options, Outside, SearchWay};
use crate::models::{Autoencoder, Classifier, label_index};
use crate::pipeline::{BadInput, Model, Request, Target};

/// Where a search is to bring the score: what a classifier calls "no" without doubt.
pub const TARGET: f64 = 0.1;
/// Images on each sweep: enough to see whether the score follows lambda, and cheap.
const STEPS: usize = 5;

/// What all cases of an audit have in common.
pub struct Setup {
    pub autoencoder: Arc<Model<dyn Autoencoder>>,
    /// Has a label of each finding's name.
    pub classifier: Arc<Model<Classifier>>,
    pub methods: Vec<Method>,
    /// Whether the score is followed along deletion and insertion, by each method.
    pub curves: bool,
    /// Labels whose drift is counted, besides the one that is explained.
    pub watched: Vec<usize>,
    pub search: SearchWay,
    pub max_change: f64,
    /// How many slices may change, those that hold most of the finding; only they are measured. `None` = all.
    pub slices: Option<usize>,
    /// What the others are; `None` = as published.
    pub outside: Option<Outside>,
}

/// A finding for which there is nothing to explain: the reconstruction scores at the target already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The name of the patient.
    pub name: String,
    pub finding: String,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Audit {
    pub cases: Vec<Case>,
    pub missed: Vec<Missed>,
    /// Methods that this classifier has no map for, and why.
    pub absent: Vec<(Method, String)>,
    /// Why the classifier has no features to hold images against each other by, where it has none.
    pub without_features: Option<String>,
}

impl Audit {
    /// Adds what was found elsewhere; why a method or the features are absent is said once.
    pub fn extend(&mut self, more: Self) {
        let Self { cases, missed, absent, without_features } = more;
        self.cases.extend(cases);
        self.missed.extend(missed);
        for (method, why) in absent {
            if !self.absent.iter().any(|(other, _)| *other == method) {
                self.absent.push((method, why));
            }
        }
        self.without_features = without_features.or(self.without_features.take());
    }
}

impl Setup {
    /// Refuses networks that cannot be audited together.
    pub fn check(&self) -> Result<()> {
        let target = Target::Classes { classifier: Arc::clone(&self.classifier), terms: Vec::new(), offset: 0.0 };
        let options = self.options();
        Request { autoencoder: Arc::clone(&self.autoencoder), target, slab: None, options }.recipe()?;
        Ok(())
    }

    /// Where the classifier has the score of a finding.
    pub fn label(&self, finding: &str) -> Result<usize> {
        label_index(self.classifier.network.labels(), finding)
            .with_context(|| format!("{} cannot be audited for {finding}", self.classifier.name))
            .map_err(|error| BadInput::new(error).into())
    }

    /// The search's options: from any score above the target down to it, and no farther.
    fn options(&self) -> Options {
        Options {
            search: self.search,
            steps: STEPS,
            drop: 1.0 - TARGET,
            floor: TARGET,
            max_change: self.max_change,
            outside: self.outside,
            ..Options::default()
        }
    }
}
