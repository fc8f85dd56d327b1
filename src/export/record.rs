//! A `result.json` read back: what a run is repeated by, and what its numbers are held against.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

use super::report::{ChosenReport, FORMAT, OptionsReport, Report, ScoresReport, Term, VERSION};
use crate::files;
use crate::io::Choice;
use crate::latent_shift::Options;
use crate::pipeline::{Asked, ComparedWith, Inserted};
use crate::preprocess::Recipe;

/// A record of thousands of steps and of every class takes a hundredth of this.
const MAX_BYTES: u64 = 64 << 20;
/// Numbers as near as this are the same: processors round sums of f32 in their own ways. Lambdas beyond 1 by their size.
const SAME: f64 = 1e-6;
/// The oldest version whose runs can be repeated: it only lacks which series was opened.
const OLDEST: u32 = 3;

/// What every version holds.
#[derive(Deserialize)]
struct Heading {
    format: String,
    version: u32,
}

#[derive(Debug, Deserialize)]
pub struct Record {
    input: RecordedInput,
    autoencoder: Network,
    scored_by: Network,
    terms: Vec<Term>,
    pub offset: f64,
    #[serde(default)]
    toward: Option<ComparedWith>,
    slab: [usize; 2],
    options: OptionsReport,
    scores: ScoresReport,
    lambda: f64,
    lambdas: Vec<f64>,
    sweep_scores: Vec<f64>,
    complete: bool,
}

#[derive(Debug, Deserialize)]
struct RecordedInput {
    sha256: String,
    #[serde(default)]
    inserted: Option<Inserted>,
    #[serde(flatten)]
    choice: ChosenReport,
}

#[derive(Debug, Deserialize)]
struct Network {
    sha256: String,
    /// None before version 8.
    #[serde(default)]
    recipe: Option<Recipe>,
}

impl Record {
    pub fn open(path: &Path) -> Result<Self> {
        let text = files::read_text(path, MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("no run can be repeated by {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let heading: Heading = serde_json::from_str(text).context("it is no result.json")?;
        if heading.format != FORMAT {
            bail!("its format is {:?}, and {FORMAT:?} is wanted", heading.format);
        }
        if !(OLDEST..=VERSION).contains(&heading.version) {
            bail!("it is of version {}, and this Parallax reads versions {OLDEST} to {VERSION}", heading.version);
        }
        let record: Self = serde_json::from_str(text).context("it is damaged")?;
        if !record.complete {
            bail!("the run was cancelled: where it would have ended was never known");
        }
        Ok(record)
    }

    /// Which of the volumes of its path the run was of.
    pub fn choice(&self) -> Choice {
        let ChosenReport { series, volume } = &self.input.choice;
        Choice { series: series.clone(), volume: *volume }
    }

    /// The finding that was drawn into the scan first.
    pub fn inserted(&self) -> Option<&Inserted> {
        self.input.inserted.as_ref()
    }

    pub fn slab(&self) -> std::ops::Range<usize> {
        self.slab[0]..self.slab[1]
    }

    pub fn options(&self) -> Result<Options> {
        self.options.options()
    }

    pub fn is_scored_by(&self, sha256: &str) -> bool {
        self.scored_by.sha256 == sha256
    }

    /// What was scored, among these labels.
    pub fn terms(&self, labels: &[String]) -> Result<Vec<(usize, f64)>> {
        if self.terms.is_empty() {
            bail!("the record names no class of the classifier");
        }
        let index = |term: &Term| {
            let label = labels.iter().position(|label| *label == term.label);
            Ok((
                label.ok_or_else(|| anyhow!("the classifier has no class {:?}, which was scored", term.label))?,
                term.weight,
            ))
        };
        self.terms.iter().map(index).collect()
    }

    /// Refuses another input, other networks, networks that are fed otherwise, and another scan to compare with than the run's: each that
    /// differs is named.
    pub fn check(&self, input: &str, asked: &Asked) -> Result<()> {
        let compared =
            |toward: &Option<ComparedWith>| toward.as_ref().map_or("none".to_owned(), |of| of.sha256.clone());
        let pairs = [
            ("the scan's voxels", self.input.sha256.clone(), input.to_owned()),
            ("the autoencoder", self.autoencoder.sha256.clone(), asked.autoencoder.sha256.clone()),
            ("the network that gives the score", self.scored_by.sha256.clone(), asked.scored_by.sha256.clone()),
            ("what the scan is compared with", compared(&self.toward), compared(&asked.toward)),
        ];
        let recipes = [
            ("the autoencoder", &self.autoencoder, &asked.autoencoder),
            ("the network that gives the score", &self.scored_by, &asked.scored_by),
        ];
        let others = pairs.into_iter().filter(|(_, then, now)| then != now);
        let others = others.map(|(what, then, now)| format!("{what}: SHA-256 was {then}, is {now}"));
        let fed = recipes.into_iter().filter_map(|(what, then, now)| {
            let differs = recipe_differs(then.recipe.as_ref()?, now.recipe.as_ref()?)?;
            Some(format!("the recipe of {what}: {differs}"))
        });
        let others: Vec<String> = others.chain(fed).collect();
        if others.is_empty() { Ok(()) } else { Err(anyhow!("not what the record is of. {}", others.join("; "))) }
    }

    /// Every number that is not what it was, in words.
    pub fn differences(&self, report: &Report) -> Vec<String> {
        let [then, now] = [&self.scores, &report.scores];
        let singles = [
            ("score of the scan", then.scan, now.scan),
            ("score of the reconstruction", then.reconstruction, now.reconstruction),
            ("score of the counterfactual", then.counterfactual, now.counterfactual),
            ("lambda", self.lambda, report.lambda),
        ];
        let lists = [
            ("lambdas", &self.lambdas, &report.lambdas),
            ("scores along lambda", &self.sweep_scores, &report.sweep_scores),
        ];
        let singles = singles.into_iter().filter(|(_, then, now)| !same(*then, *now));
        let singles = singles.map(|(what, then, now)| format!("{what}: was {then}, is {now}"));
        let lists =
            lists.into_iter().filter_map(|(what, then, now)| Some(format!("{what}: {}", list_differs(then, now)?)));
        singles.chain(lists).collect()
    }
}

/// What another recipe says otherwise, key by key as cards have it.
fn recipe_differs(then: &Recipe, now: &Recipe) -> Option<String> {
    if then == now {
        return None;
    }
    let [then, now] = [then, now].map(|recipe| serde_json::to_value(recipe).unwrap_or_default());
    let keys: BTreeSet<&String> =
        [&then, &now].into_iter().filter_map(|of| of.as_object()).flat_map(|of| of.keys()).collect();
    let said = |of: &Value, key: &str| of.get(key).map_or("left out".to_owned(), Value::to_string);
    let differs = keys.into_iter().filter(|key| then.get(*key) != now.get(*key));
    let words: Vec<String> =
        differs.map(|key| format!("{key} was {}, is {}", said(&then, key), said(&now, key))).collect();
    Some(words.join(", "))
}

fn same(then: f64, now: f64) -> bool {
    (then - now).abs() <= SAME * then.abs().max(1.0)
}

fn list_differs(then: &[f64], now: &[f64]) -> Option<String> {
    if then.len() != now.len() {
        return Some(format!("were {}, are {}", then.len(), now.len()));
    }
    let at = then.iter().zip(now).position(|(then, now)| !same(*then, *now))?;
    Some(format!("the first to differ is number {at}, was {}, is {}", then[at], now[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_to_a_millionth_of_their_size_or_of_one() {
        assert!(same(0.5, 0.5 + 9e-7) && !same(0.5, 0.5 + 2e-6));
        assert!(same(-500.0, -500.0004) && !same(-500.0, -500.001));
        assert_eq!(list_differs(&[1.0, 2.0], &[1.0, 2.0]), None);
        assert!(list_differs(&[1.0, 2.0], &[1.0, 3.0]).is_some_and(|words| words.contains("number 1, was 2, is 3")));
        assert!(list_differs(&[1.0], &[]).is_some());
    }
}
