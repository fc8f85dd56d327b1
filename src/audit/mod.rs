//! How true explanations are: latent shift and saliency methods, on phantoms whose truth is known.
//!
//! Each finding of each phantom is a case. The search lowers its score to `TARGET`; what it changed is held against the exact
//! mask of the finding, and what it drew against the same phantom drawn without the finding.

mod against;
mod case;
pub mod metrics;
mod report;
mod words;

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

pub use against::Against;
pub use case::{Case, Change, HuError, Method, Scores};
pub use report::{Report, Settings, Summary, csv};
pub use words::table;

use crate::job::Monitor;
use crate::latent_shift::{Options, Outside, SearchWay};
use crate::models::{Autoencoder, Classifier, label_index};
use crate::pipeline::{BadInput, Model, Request, Target};
use crate::volume::phantom::{Dials, Finding, Version};

/// Where a search is to bring the score: what a classifier calls "no" without doubt.
pub const TARGET: f64 = 0.1;
/// Images on each sweep: enough to see whether the score follows lambda, and cheap.
const STEPS: usize = 5;
/// More phantoms than this would take weeks.
const MOST_SEEDS: u64 = 100_000;

/// Everything an audit is told.
pub struct Plan {
    pub autoencoder: Arc<Model<dyn Autoencoder>>,
    /// Has a label of each finding's name.
    pub classifier: Arc<Model<Classifier>>,
    /// Of the phantoms: none that the networks were trained on.
    pub seeds: Range<u64>,
    /// The generator that draws them.
    pub version: Version,
    pub findings: Vec<Finding>,
    pub search: SearchWay,
    pub max_change: f64,
    /// How many slices may change, those that hold most of the finding; only they are measured. `None` = all.
    pub slices: Option<usize>,
    /// What the others are; `None` = as published.
    pub outside: Option<Outside>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Audit {
    pub cases: Vec<Case>,
    /// Findings whose reconstruction scores at the target already: there is nothing to lower, and nothing to explain.
    pub missed: Vec<(u64, Finding)>,
}

impl Plan {
    /// Refuses what cannot be audited, and gives the number of positive cases.
    pub fn check(&self) -> Result<usize> {
        let labels = self.classifier.network.labels();
        for finding in &self.findings {
            label_index(labels, finding.name())
                .with_context(|| format!("{} cannot be audited for {}", self.classifier.name, finding.name()))
                .map_err(BadInput::new)?;
        }
        let target = Target::Classes { classifier: Arc::clone(&self.classifier), terms: Vec::new(), offset: 0.0 };
        let options = self.options();
        Request { autoencoder: Arc::clone(&self.autoencoder), target, slab: None, options }.recipe()?;
        let Range { start, end } = self.seeds;
        if end.saturating_sub(start) > MOST_SEEDS {
            return Err(BadInput::new(anyhow!("{start}:{end} is more than {MOST_SEEDS} phantoms; choose fewer")).into());
        }
        let positive = self.seeds.clone().map(|seed| self.positive(Dials::random(seed)).count()).sum();
        if positive == 0 {
            let names = self.findings.iter().map(|f| f.name()).collect::<Vec<_>>().join(" or ");
            return Err(BadInput::new(anyhow!("no phantom of {start}:{end} has {names}; choose more seeds")).into());
        }
        Ok(positive)
    }

    fn positive(&self, dials: Dials) -> impl Iterator<Item = Finding> {
        self.findings.iter().copied().filter(move |finding| dials.of(*finding) > 0.0)
    }

    /// Where the classifier has the score of a finding.
    fn label(&self, finding: Finding) -> Option<usize> {
        self.classifier.network.labels().iter().position(|label| label == finding.name())
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

/// Explains every case of the plan. Cancelling gives nothing.
pub fn run(plan: &Plan, monitor: &Monitor) -> Result<Audit> {
    let total = plan.check()?;
    let mut audit = Audit::default();
    let mut done = 0;
    monitor.step("auditing", done, total)?;
    for seed in plan.seeds.clone() {
        let here = plan.positive(Dials::random(seed)).count();
        if here > 0 {
            let report = |explained: usize| monitor.step("auditing", done + explained, total);
            case::examine(plan, seed, &mut audit, report, &monitor.quiet())
                .with_context(|| format!("phantom {seed}"))?;
        }
        done += here;
        monitor.step("auditing", done, total)?;
    }
    Ok(audit)
}
