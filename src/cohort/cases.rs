//! All cases of a cohort as a person looks through them: how far each has come, its numbers, and where its picture lies.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::case::{Failure, MOST_BYTES};
use super::manifest::Row;
use super::place::CohortFolder;
use super::record;
use super::sound;
use crate::export::{Kind, REPORT};
use crate::files;
use crate::io::Choice;
use crate::job::Monitor;

/// How often what has been read so far is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// The cases of the newest manifest of a cohort, by ascending id.
#[derive(Debug, Clone, Default)]
pub struct Cases {
    /// The names of the manifest's further columns.
    pub columns: Vec<String>,
    pub all: Vec<Arc<Case>>,
}

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub row: Row,
    pub progress: Progress,
}

/// How far a case has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It was not looked at yet.
    Unread,
    /// It has neither a result nor a failure.
    Missing,
    /// A living process computes it.
    Computing,
    Done(Box<Numbers>),
    Failed(Failure),
    /// Its result cannot be read; why, in words.
    Damaged(String),
}

/// What a table shows of a result.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Numbers {
    pub target: String,
    pub scores: Scores,
    pub lambda: f64,
    pub stop: String,
    pub goal_reached: Option<bool>,
    pub score_change: f64,
    pub reconstruction_gap: f64,
    pub largest_change_hu: Option<f64>,
    pub autoencoder: Network,
    pub scored_by: Network,
    input: Input,
    terms: Vec<Term>,
}

/// The scores of a result.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Scores {
    pub scan: f64,
    pub reconstruction: f64,
    pub counterfactual: f64,
}

/// A network that a result was made by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Network {
    pub name: String,
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Input {
    warnings: Vec<String>,
}

/// A class that was scored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Term {
    label: String,
}

impl Numbers {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(REPORT);
        let text = files::read_text(&path, MOST_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("damaged, or of another version: {}", path.display()))
    }

    /// Whether one class of a classifier was explained, and nothing was added to it or weighed.
    pub fn is_of_a_class(&self) -> bool {
        matches!(self.terms.as_slice(), [term] if term.label == self.target)
    }

    /// What the input check warned of.
    pub fn warnings(&self) -> &[String] {
        &self.input.warnings
    }
}

impl Case {
    /// The volume of its scan that the case is of, as its manifest names it.
    pub fn choice(&self) -> Choice {
        Choice { series: self.row.series.clone(), volume: None }
    }
}

/// The pictures that tell cases from each other, the one that is looked for first first.
fn pictures() -> impl Iterator<Item = &'static str> {
    [Kind::Png, Kind::Ladder].into_iter().flat_map(Kind::names).copied()
}

/// The picture of a case, where its folder holds one.
pub fn picture(folder: &Path) -> Option<PathBuf> {
    pictures().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Whether `parallax cohort` has written into a folder.
pub fn is_cohort(folder: &Path) -> bool {
    let place = CohortFolder::at(folder);
    [place.cases(), place.shards(), place.manifests()].iter().all(|folder| folder.is_dir())
}

/// Reads all cases. `show` is given them at once as the manifest names them, and then again and again with what has been read of them.
pub fn cases(place: &CohortFolder, monitor: &Monitor, show: &dyn Fn(Cases)) -> Result<Cases> {
    monitor.step("reading the manifest", 0, 0)?;
    let (_, manifest) = record::open(place)?;
    ensure!(!manifest.rows.is_empty(), "its manifest names no case: {}", place.root().display());
    let unread = |row| Arc::new(Case { row, progress: Progress::Unread });
    let mut cases = Cases { columns: manifest.columns, all: manifest.rows.into_iter().map(unread).collect() };
    let total = cases.all.len();
    show(cases.clone());
    let mut shown = Instant::now();
    for at in 0..total {
        monitor.step("reading cases", at, total)?;
        let row = cases.all[at].row.clone();
        cases.all[at] = Arc::new(Case { progress: progress(place, &row.id), row });
        if shown.elapsed() > SHOWN_EVERY {
            show(cases.clone());
            shown = Instant::now();
        }
    }
    Ok(cases)
}

fn progress(place: &CohortFolder, id: &str) -> Progress {
    let folder = place.case(id);
    if place.is_claimed(id) {
        return Progress::Computing;
    }
    if let Some(failure) = Failure::open(&folder) {
        return Progress::Failed(failure);
    }
    match sound::read(&folder) {
        Ok(None) => return Progress::Missing,
        Ok(Some(_)) => {}
        Err(unsound) => return Progress::Damaged(unsound.words()),
    }
    match Numbers::open(&folder) {
        Ok(numbers) => Progress::Done(Box::new(numbers)),
        Err(error) => Progress::Damaged(format!("{error:#}")),
    }
}
