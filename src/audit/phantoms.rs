//! The audit of phantoms: each is drawn with its findings and their exact masks, and without each of them.

use std::ops::Range;

use anyhow::{Context, Result, anyhow};

use super::case::{self, Marked, Patient};
use super::{Audit, Setup};
use crate::job::Monitor;
use crate::pipeline::{self, BadInput};
use crate::volume::phantom::{Dials, Finding, Mask, Version};

/// More phantoms than this would take weeks.
const MOST_SEEDS: u64 = 100_000;

/// Everything an audit of phantoms is told.
pub struct Plan {
    pub setup: Setup,
    /// The seeds of the phantoms: none that the networks were trained on.
    pub seeds: Range<u64>,
    /// The generator that draws them.
    pub version: Version,
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Refuses what cannot be audited, and gives the number of positive cases.
    pub fn check(&self) -> Result<usize> {
        for finding in &self.findings {
            self.setup.label(finding.name())?;
        }
        self.setup.check()?;
        let Range { start, end } = self.seeds;
        if end.saturating_sub(start) > MOST_SEEDS {
            return Err(BadInput::new(anyhow!("{start}:{end} is more than {MOST_SEEDS} phantoms; choose fewer")).into());
        }
        let positive = self.seeds.clone().map(|seed| self.positive(Dials::random(seed)).count()).sum();
        if positive == 0 {
            let names = self.names().collect::<Vec<_>>().join(" or ");
            return Err(BadInput::new(anyhow!("no phantom of {start}:{end} has {names}; choose more seeds")).into());
        }
        Ok(positive)
    }

    /// The names of the findings.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.findings.iter().map(|finding| finding.name())
    }

    fn positive(&self, dials: Dials) -> impl Iterator<Item = Finding> {
        self.findings.iter().copied().filter(move |finding| dials.of(*finding) > 0.0)
    }

    /// A phantom as the networks see it, with those of its findings that they can see.
    fn patient(&self, seed: u64, monitor: &Monitor) -> Result<Patient<'_>> {
        let (dials, recipe) = (Dials::random(seed), &self.setup.autoencoder.recipe);
        let (phantom, input) = pipeline::draw_version(self.version, seed, dials, recipe, monitor)?;
        let masks = phantom.masks_on(&input.prepared.volume.grid);
        let marked = |mask: Mask| masks.iter().map(|masks| masks & mask as u8 != 0).collect::<Vec<bool>>();
        let mut findings = Vec::new();
        for finding in self.positive(dials) {
            let mask = marked(finding.mask());
            if mask.contains(&true) {
                let (label, dial) = (self.setup.label(finding.name())?, Some(dials.of(finding)));
                findings.push(Marked { finding: finding.name().to_owned(), label, dial, mask });
            }
        }
        let without = move |marked: &Marked, monitor: &Monitor| {
            let finding = marked.finding.parse::<Finding>()?;
            let (_, healthy) = pipeline::draw_version(self.version, seed, dials.with(finding, 0.0), recipe, monitor)?;
            Ok(Some(healthy))
        };
        let body = marked(Mask::Body);
        Ok(Patient { name: seed.to_string(), seed: Some(seed), input, body, findings, without: Box::new(without) })
    }
}

/// The labels that a classifier of phantoms has for their findings.
pub fn watched(labels: &[String]) -> Vec<usize> {
    let is_finding = |label: &usize| Finding::ALL.iter().any(|finding| finding.name() == labels[*label]);
    (0..labels.len()).filter(is_finding).collect()
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
            let quiet = monitor.quiet();
            let examined = plan
                .patient(seed, &quiet)
                .and_then(|patient| case::examine(&plan.setup, &patient, &mut audit, &report, &quiet));
            examined.with_context(|| format!("phantom {seed}"))?;
        }
        done += here;
        monitor.step("auditing", done, total)?;
    }
    Ok(audit)
}
