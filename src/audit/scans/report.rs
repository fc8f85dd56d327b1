//! What an audit of scans comes to, as JSON and, score by score, as CSV.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Detection, Outcome, Plan, Said, Skipped};
use crate::audit::Report;

/// The JSON file.
#[derive(Debug, Serialize)]
pub struct ScansReport {
    #[serde(flatten)]
    pub report: Report,
    pub scans: usize,
    /// The last one is not included; null where nothing is drawn.
    pub insertion_seeds: Option<[u64; 2]>,
    /// At which the methods were asked; empty of masks.
    pub explained_dials: Vec<f32>,
    /// Whether the classifier sees each finding.
    pub detection: BTreeMap<String, Detection>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    /// What has to be known of the scans and the masks.
    pub notes: Vec<Said>,
}

impl ScansReport {
    /// `search` is how it is spelt on the command line.
    pub fn new(plan: &Plan, outcome: &Outcome, search: &str, notice: &'static str) -> Self {
        let names: Vec<&str> = plan.findings.iter().map(|wanted| wanted.name.as_str()).collect();
        let is_drawn = plan.findings.iter().any(|wanted| wanted.drawn.is_some());
        let labels = plan.setup.classifier.network.labels();
        let detection = |wanted: &super::Wanted| {
            (wanted.name.clone(), Detection::of(&wanted.name, labels[wanted.label].clone(), &outcome.scores))
        };
        Self {
            report: Report::new(&plan.setup, &names, &outcome.audit, search, notice),
            scans: plan.scans.len(),
            insertion_seeds: is_drawn.then_some([plan.seeds.start, plan.seeds.end]),
            explained_dials: if is_drawn { plan.explained.clone() } else { Vec::new() },
            detection: plan.findings.iter().map(detection).collect(),
            skipped: outcome.skipped.clone(),
            notes: outcome.said.clone(),
        }
    }
}

const COLUMNS: [&str; 9] =
    ["scan", "finding", "seed", "dial", "present", "score", "strength_hu", "volume_ml", "skipped"];

/// One line for each score, and for all that was left out, quoted by RFC 4180.
pub fn scores_csv(outcome: &Outcome) -> Vec<u8> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let mut lines = csv::Writer::from_writer(Vec::new());
    lines.write_record(COLUMNS).ok(); // a Vec takes all
    for score in &outcome.scores {
        let present = u8::from(score.present).to_string();
        let known = [score.scan.clone(), score.finding.clone(), text(score.seed), text(score.dial), present];
        let numbers = [score.score.to_string(), text(score.strength_hu), text(score.volume_ml), String::new()];
        lines.write_record(known.iter().chain(&numbers)).ok();
    }
    for skipped in &outcome.skipped {
        let known = [skipped.scan.clone(), text(skipped.finding.clone()), text(skipped.seed), text(skipped.dial)];
        let empty = [(); 4].map(|()| String::new());
        lines.write_record(known.iter().chain(&empty).chain([&skipped.reason])).ok();
    }
    lines.into_inner().unwrap_or_default()
}
