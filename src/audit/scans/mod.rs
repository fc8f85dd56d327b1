//! The audit of real scans: findings are drawn into them, or their own masks are taken, and the classifier and each method are asked.
//!
//! One scan stands in memory at a time. What has no place, or cannot be opened, is left out with its reason.

mod detection;
mod report;
pub mod words;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::detection::{AtDial, Detection, auroc};
pub use self::report::{ScansReport, scores_csv};
pub use self::words::table;
use super::case::{self, Marked, Patient};
use super::{Audit, Setup};
use crate::insertion::{Chest, Drawn, Lying, NoPlace};
use crate::io::{Choice, Mask, Note, Scan};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Outside;
use crate::models::Classifier;
use crate::pipeline::{self, BadInput, Input};
use crate::preprocess::Recipe;
use crate::quality;
use crate::volume::phantom::Finding;
use crate::volume::{Grid, Volume};

/// More insertions of one finding into one scan than this tell nothing new.
const MOST_SEEDS: u64 = 1000;

/// A scan of the audit.
#[derive(Debug, Clone)]
pub struct Asked {
    /// It is told by this, never by a patient's.
    pub name: String,
    pub scan: PathBuf,
    pub choice: Choice,
    /// What a person has marked in it, by finding.
    pub masks: Vec<(String, PathBuf)>,
}

/// A finding that the classifier is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub name: String,
    /// Where the classifier has its score.
    pub label: usize,
    /// What is drawn; nothing where masks are given.
    pub drawn: Option<Finding>,
}

/// Everything an audit of scans is told.
pub struct Plan {
    pub setup: Setup,
    pub scans: Vec<Asked>,
    pub findings: Vec<Wanted>,
    /// At which the classifier is asked for its score; 0 is the scan itself, and is asked anyway.
    pub dials: Vec<f32>,
    /// Of these, the dials at which the methods are asked as well.
    pub explained: Vec<f32>,
    /// Of the insertions.
    pub seeds: Range<u64>,
    /// How all patients lie; nothing where each scan says it, or not.
    pub lying: Option<Lying>,
}

/// What the classifier says of one scan, with a finding or without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub scan: String,
    pub finding: String,
    /// Of the insertion; null where nothing is drawn.
    pub seed: Option<u64>,
    /// How severe it was drawn, 0 of the scan itself; null of a mask.
    pub dial: Option<f32>,
    /// Whether it is there, by what was drawn or by a mask.
    pub present: bool,
    pub score: f64,
    /// What was drawn adds this to the scan within its mask, HU; null where nothing is drawn.
    pub strength_hu: Option<f64>,
    pub volume_ml: Option<f64>,
}

/// What was left out, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    pub scan: String,
    /// Null of a whole scan.
    pub finding: Option<String>,
    pub seed: Option<u64>,
    pub dial: Option<f32>,
    pub reason: String,
}

/// What has to be known of a scan or of a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub scan: String,
    pub note: String,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The cases that were explained.
    pub audit: Audit,
    pub scores: Vec<Score>,
    pub skipped: Vec<Skipped>,
    pub said: Vec<Said>,
}

/// Keeps what was found of each scan, so that it is not asked again.
pub trait Keeps {
    /// What was found of a scan before; nothing where it was not asked, or is another one now.
    fn known(&self, asked: &Asked) -> Option<Outcome>;
    /// Keeps what was found of a scan that was asked all.
    fn keep(&self, asked: &Asked, outcome: &Outcome) -> Result<()>;
}

impl Outcome {
    fn extend(&mut self, more: Self) {
        let Self { audit, scores, skipped, said } = more;
        self.audit.extend(audit);
        self.scores.extend(scores);
        self.skipped.extend(skipped);
        self.said.extend(said);
    }
}

impl Plan {
    /// All that the numbers rest on but the scans: what is kept under another is not gone on from.
    pub fn identity(&self) -> Value {
        let Setup { autoencoder, classifier, methods, curves, watched, search, max_change, slices, outside } =
            &self.setup;
        let network = |sha256: &str, recipe: &Recipe| json!({ "sha256": sha256, "recipe": recipe });
        let finding = |wanted: &Wanted| json!({ "name": wanted.name, "label": wanted.label, "drawn": wanted.drawn.map(Finding::name) });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "autoencoder": network(&autoencoder.sha256, &autoencoder.recipe),
            "classifier": network(&classifier.sha256, &classifier.recipe),
            "labels": classifier.network.labels(),
            "methods": methods,
            "curves": curves,
            "watched": watched,
            "search": search.name(),
            "max_change": max_change,
            "slices": slices,
            "outside": outside.map(Outside::name),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "dials": self.dials,
            "explained_dials": self.explained,
            "seeds": [self.seeds.start, self.seeds.end],
            "position": self.lying,
        })
    }

    fn check(&self) -> Result<()> {
        self.setup.check()?;
        let Range { start, end } = self.seeds;
        if end.saturating_sub(start) > MOST_SEEDS {
            return Err(BadInput::new(anyhow!(
                "{start}:{end} is more than {MOST_SEEDS} insertions a scan; choose fewer"
            ))
            .into());
        }
        Ok(())
    }
}

/// Asks all of the plan, but for what is kept. Cancelling gives nothing; what was asked of whole scans is kept.
///
/// # Errors
/// Where the networks do not fit together, where not one scan could be asked, and where nothing can be kept.
pub fn run(plan: &Plan, keeps: Option<&dyn Keeps>, monitor: &Monitor) -> Result<Outcome> {
    plan.check()?;
    let mut outcome = Outcome::default();
    let total = plan.scans.len();
    for (done, asked) in plan.scans.iter().enumerate() {
        monitor.step("auditing scans", done, total)?;
        if let Some(known) = keeps.and_then(|keeps| keeps.known(asked)) {
            outcome.extend(known);
            continue;
        }
        let mut one = Outcome::default();
        let quiet = monitor.quiet();
        match One::open(plan, asked, &quiet).and_then(|of| of.ask(&mut one, &quiet)) {
            Ok(()) => keeps.map_or(Ok(()), |keeps| keeps.keep(asked, &one))?,
            Err(error) if error.chain().any(<dyn std::error::Error + 'static>::is::<Cancelled>) => return Err(error),
            // It is tried again the next time.
            Err(error) => one.skipped.push(asked.skipped(&pipeline::in_words(&error))),
        }
        outcome.extend(one);
    }
    monitor.step("auditing scans", total, total)?;
    if outcome.scores.is_empty() {
        let why = outcome
            .skipped
            .first()
            .map_or("there is none".to_owned(), |first| format!("{}: {}", first.scan, first.reason));
        return Err(BadInput::new(anyhow!("no scan could be audited; the first: {why}")).into());
    }
    Ok(outcome)
}

impl Asked {
    /// The whole scan left out.
    fn skipped(&self, reason: &str) -> Skipped {
        Skipped { scan: self.name.clone(), finding: None, seed: None, dial: None, reason: self.unnamed(reason) }
    }

    /// Words without the names of files, which may hold a patient's: messages have them last.
    fn unnamed(&self, words: &str) -> String {
        let paths = std::iter::once(&self.scan).chain(self.masks.iter().map(|(_, path)| path));
        let first = paths.filter_map(|path| words.find(&path.display().to_string())).min();
        match first.map(|at| words[..at].trim_end_matches([' ', ':'])) {
            None => words.to_owned(),
            Some("") => "its file cannot be read".to_owned(),
            Some(before) => before.to_owned(),
        }
    }
}

/// One scan as the networks see it, and what the classifier says of it as it is.
struct One<'a> {
    plan: &'a Plan,
    asked: &'a Asked,
    scan: Arc<Scan>,
    input: Input,
    classifier: Arc<Classifier>,
    base: Vec<f64>,
    body: Vec<bool>,
}

impl<'a> One<'a> {
    fn open(plan: &'a Plan, asked: &'a Asked, monitor: &Monitor) -> Result<Self> {
        let recipe = &plan.setup.autoencoder.recipe;
        let input = pipeline::open_chosen(&asked.scan, &asked.choice, recipe, monitor)?;
        let scan = input
            .scan
            .clone()
            .context("a stack of slices is no scan: it has no HU to draw into, and no grid of a mask")?;
        let classifier = pipeline::classifier_for(&plan.setup.classifier, &input, monitor)?;
        let base = pipeline::probabilities(&input.prepared.volume, &classifier, monitor)?;
        let [slope, offset] = recipe.hu_from_unit();
        let hu: Vec<f32> = input.prepared.volume.voxels.iter().map(|unit| slope * unit + offset).collect();
        let body = quality::body(&Volume::from_f32(input.prepared.volume.grid, hu));
        Ok(Self { plan, asked, scan, input, classifier, base, body })
    }

    fn ask(&self, outcome: &mut Outcome, monitor: &Monitor) -> Result<()> {
        for note in self.scan.notes.iter().filter(|note| note.weight != crate::io::Weight::Fact) {
            outcome.said.push(Said { scan: self.asked.name.clone(), note: self.asked.unnamed(&note.text) });
        }
        if self.plan.findings.iter().any(|wanted| wanted.drawn.is_some()) {
            self.insert(outcome, monitor)?;
        }
        self.masked(outcome, monitor)
    }

    /// Draws each finding at each dial, and asks.
    fn insert(&self, outcome: &mut Outcome, monitor: &Monitor) -> Result<()> {
        let said = self.scan.study.as_ref().and_then(|study| study.position.as_deref());
        let lying = self.plan.lying.unwrap_or_else(|| Lying::of_position(said));
        let chest = match Chest::of(&self.scan.volume, lying, None, monitor) {
            Ok(chest) => chest,
            Err(NoPlace::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(why) => {
                outcome.skipped.push(self.asked.skipped(&why.to_string()));
                return Ok(());
            }
        };
        for wanted in &self.plan.findings {
            let Some(finding) = wanted.drawn else { continue };
            let is_before = outcome.scores.len();
            for seed in self.plan.seeds.clone() {
                for dial in self.plan.dials.iter().copied().filter(|dial| *dial > 0.0) {
                    match chest.draw(finding, dial, seed, monitor) {
                        Ok(drawn) => self.drawn(wanted, &drawn, outcome, monitor)?,
                        Err(NoPlace::Cancelled(cancelled)) => return Err(cancelled.into()),
                        Err(why) => outcome.skipped.push(self.left_out(wanted, Some((seed, dial)), &why.to_string())),
                    }
                }
            }
            // A scan in which the finding has no place is none of those without it either.
            if outcome.scores.len() > is_before {
                outcome.scores.push(self.score(wanted, Some(0.0), false, self.base[wanted.label]));
            }
        }
        Ok(())
    }

    /// Asks of a scan with a finding drawn into it.
    fn drawn(&self, wanted: &Wanted, drawn: &Drawn, outcome: &mut Outcome, monitor: &Monitor) -> Result<()> {
        let (setup, at) = (&self.plan.setup, Some((drawn.seed, drawn.dial)));
        let scan = Scan {
            volume: drawn.volume.clone(),
            notes: vec![Note::caution(format!("SYNTHETIC: {} was drawn into it", drawn.finding.name()))],
            study: None,
            ..(*self.scan).clone()
        };
        let ill = pipeline::prepare(&Arc::new(scan), &setup.autoencoder.recipe, monitor)?;
        let score = pipeline::probabilities(&ill.prepared.volume, &self.classifier, monitor)?[wanted.label];
        outcome.scores.push(Score {
            seed: Some(drawn.seed),
            strength_hu: Some(drawn.strength_hu),
            volume_ml: Some(drawn.volume_ml()),
            ..self.score(wanted, Some(drawn.dial), true, score)
        });
        if !self.plan.explained.contains(&drawn.dial) {
            return Ok(());
        }
        let mask = on_networks_grid(&drawn.mask, &drawn.volume.grid, &ill.prepared.volume.grid, monitor)?;
        if !mask.contains(&true) {
            let reason = "nothing of it is left on the networks' grid: it is not explained";
            outcome.skipped.push(self.left_out(wanted, at, reason));
            return Ok(());
        }
        let marked = Marked { finding: wanted.name.clone(), label: wanted.label, dial: Some(drawn.dial), mask };
        let patient = Patient {
            name: self.asked.name.clone(),
            seed: Some(drawn.seed),
            input: ill,
            body: self.body.clone(),
            findings: vec![marked],
            without: Box::new(|_, _| Ok(Some(self.input.clone()))),
        };
        case::examine(setup, &patient, &mut outcome.audit, &|_| monitor.check(), monitor)
    }

    /// Asks of what a person has marked.
    fn masked(&self, outcome: &mut Outcome, monitor: &Monitor) -> Result<()> {
        let grid = self.input.prepared.volume.grid;
        let mut findings = Vec::new();
        for wanted in self.plan.findings.iter().filter(|wanted| wanted.drawn.is_none()) {
            let Some((_, path)) = self.asked.masks.iter().find(|(finding, _)| *finding == wanted.name) else {
                outcome.scores.push(self.score(wanted, None, false, self.base[wanted.label]));
                continue;
            };
            let mask = match Mask::open(path, &self.scan.volume.grid, monitor) {
                Ok(mask) => mask,
                Err(crate::io::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(why) => {
                    outcome.skipped.push(self.left_out(wanted, None, &why.to_string()));
                    continue;
                }
            };
            let note = |note: &Note| Said { scan: self.asked.name.clone(), note: self.asked.unnamed(&note.text) };
            outcome.said.extend(mask.notes.iter().map(note));
            let marked = mask.on(&grid, monitor)?;
            outcome.scores.push(Score {
                volume_ml: Some(mask.volume_ml()),
                ..self.score(wanted, None, true, self.base[wanted.label])
            });
            if marked.contains(&true) {
                findings.push(Marked { finding: wanted.name.clone(), label: wanted.label, dial: None, mask: marked });
            } else {
                let reason = "no marked voxel is left on the networks' grid: it is not explained";
                outcome.skipped.push(self.left_out(wanted, None, reason));
            }
        }
        let patient = Patient {
            name: self.asked.name.clone(),
            seed: None,
            input: self.input.clone(),
            body: self.body.clone(),
            findings,
            without: Box::new(|_, _| Ok(None)),
        };
        case::examine(&self.plan.setup, &patient, &mut outcome.audit, &|_| monitor.check(), monitor)
    }

    fn score(&self, wanted: &Wanted, dial: Option<f32>, present: bool, score: f64) -> Score {
        let (scan, finding) = (self.asked.name.clone(), wanted.name.clone());
        Score { scan, finding, seed: None, dial, present, score, strength_hu: None, volume_ml: None }
    }

    fn left_out(&self, wanted: &Wanted, at: Option<(u64, f32)>, reason: &str) -> Skipped {
        let (seed, dial) = (at.map(|(seed, _)| seed), at.map(|(_, dial)| dial));
        Skipped { finding: Some(wanted.name.clone()), seed, dial, ..self.asked.skipped(reason) }
    }
}

/// A mask of a scan on the networks' grid: each voxel takes the scan's that it lies in.
fn on_networks_grid(mask: &[bool], scan: &Grid, networks: &Grid, monitor: &Monitor) -> Result<Vec<bool>> {
    let whole = scan.shape.map(|n| 0..n);
    let mask = Mask::kept(*scan, &whole, mask, "drawn".to_owned(), Vec::new())
        .map_err(|why| BadInput::new(anyhow!("{why}")))?;
    Ok(mask.on(networks, monitor)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_scan_names_no_file() {
        let [scan, mask] = ["/cases/Doe^Jane/ct.nii.gz", "/cases/Doe^Jane/nodule.nii.gz"].map(PathBuf::from);
        let masks = vec![("nodule".to_owned(), mask)];
        let asked = Asked { name: "p1".to_owned(), scan, choice: Choice::default(), masks };
        let said = asked.unnamed("cannot read: no such file: /cases/Doe^Jane/ct.nii.gz");
        assert_eq!(said, "cannot read: no such file");
        assert_eq!(asked.unnamed("no voxel is marked: /cases/Doe^Jane/nodule.nii.gz"), "no voxel is marked");
        assert_eq!(asked.unnamed("/cases/Doe^Jane/ct.nii.gz/Doe.dcm: broken"), "its file cannot be read");
        assert_eq!(asked.unnamed("no lung in view"), "no lung in view");
    }
}
