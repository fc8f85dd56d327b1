//! What a study is: its results, its questions, and what it lets a reader know. Read from a folder, a table, or a study file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::case::Case;
use super::lists::{cases_at, listed};
use super::question::{self, Question};
use crate::files;

/// The study file of a folder, where it has one.
pub const STUDY_FILE: &str = "study.toml";
/// A study file that lists ten thousand results takes a quarter of this.
const MOST_BYTES: u64 = 4 << 20;
/// More than any reader answers of one case.
const MOST_QUESTIONS: usize = 50;
/// Letters of the mark by which answers know their study.
const MARK_LETTERS: usize = 16;
/// The seed of a study that names none.
const SEED: u64 = 1;

/// Where a case opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstSlice {
    /// Where the largest region changed most.
    #[default]
    MostChanged,
    /// In the middle of the scan: the place of the change is not told.
    Middle,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    pub name: String,
    pub cases: Vec<Case>,
    pub questions: Vec<Question>,
    /// The seed of the order, unless another is given at the start.
    pub seed: u64,
    /// Whether a result that cannot be read is passed by; else the study does not begin.
    pub skip_unreadable: bool,
    pub show_target: bool,
    pub show_score: bool,
    pub first_slice: FirstSlice,
    /// The folder that answers are written to.
    pub answers: PathBuf,
    /// How the files of answers begin.
    pub stem: String,
    /// Tells this study from any other: hex digits of a SHA-256 over the study file and the names of its cases.
    pub mark: String,
}

/// The study file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    name: Option<String>,
    cases: Option<Cases>,
    seed: Option<u64>,
    #[serde(default)]
    skip_unreadable: bool,
    #[serde(default)]
    show_target: bool,
    #[serde(default)]
    show_score: bool,
    #[serde(default)]
    first_slice: FirstSlice,
    answers: Option<PathBuf>,
    #[serde(default)]
    question: Vec<question::Lines>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "cases is the path of a folder or a table, or a list of sessions in square brackets")]
enum Cases {
    At(PathBuf),
    List(Vec<PathBuf>),
}

impl Study {
    /// Reads a study: a `.toml`, a `.csv` with a column `session`, or a folder of sessions with or without a `study.toml`. The sessions
    /// are named, and not opened.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("cannot open the study {}", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|ext| ext.to_string_lossy().to_lowercase()).unwrap_or_default();
        if path.is_dir() {
            let file = path.join(STUDY_FILE);
            return if file.is_file() { Self::of_file(&file) } else { Self::of_cases(path, path, "study") };
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match extension.as_str() {
            "toml" => Self::of_file(path),
            "csv" => Self::of_cases(path, path.parent().unwrap_or(Path::new("")), &stem),
            _ if !path.exists() => bail!("there is no such file or folder"),
            _ => bail!("it ends in neither .toml nor .csv; choose a study file, a table of results, or a folder"),
        }
    }

    /// Results alone, with the usual questions.
    fn of_cases(path: &Path, folder: &Path, stem: &str) -> Result<Self> {
        let lines: Lines = toml::from_str("").context("an empty study file is one")?;
        let cases = cases_at(path)?;
        Self::of_lines(lines, "", cases, Question::usual(), folder, stem)
    }

    fn of_file(path: &Path) -> Result<Self> {
        let text = files::read_text(path, MOST_BYTES)?;
        let mut lines: Lines = toml::from_str(&text).map_err(|error| anyhow!(in_line(&error, &text)))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let cases = match lines.cases.take() {
            None => cases_at(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?,
            Some(Cases::At(at)) => cases_at(&folder.join(at))?,
            Some(Cases::List(paths)) => listed(folder, paths)?,
        };
        let asked = std::mem::take(&mut lines.question);
        let questions = asked.into_iter().map(question::Lines::question).collect::<Result<Vec<_>>>()?;
        ensure!(!questions.is_empty(), "it asks nothing; add a [[question]] with name, ask and kind");
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::of_lines(lines, &text, cases, questions, folder, &stem)
    }

    fn of_lines(
        lines: Lines,
        text: &str,
        cases: Vec<Case>,
        questions: Vec<Question>,
        folder: &Path,
        stem: &str,
    ) -> Result<Self> {
        let count = questions.len();
        ensure!(
            count <= MOST_QUESTIONS,
            "it asks {count} questions; {MOST_QUESTIONS} are the most that a study may ask"
        );
        let mut names = BTreeSet::new();
        for Question { name, .. } in &questions {
            ensure!(names.insert(name), "two questions have the name {name:?}; give each a name of its own");
        }
        let mark = mark(text, &cases);
        Ok(Self {
            name: lines.name.unwrap_or_else(|| "Reader study".to_owned()),
            cases,
            questions,
            seed: lines.seed.unwrap_or(SEED),
            skip_unreadable: lines.skip_unreadable,
            show_target: lines.show_target,
            show_score: lines.show_score,
            first_slice: lines.first_slice,
            answers: lines.answers.map_or_else(|| folder.to_owned(), |answers| folder.join(answers)),
            stem: stem.to_owned(),
            mark,
        })
    }

    /// Where the answers of a reader lie.
    pub fn answers_of(&self, reader: &str) -> PathBuf {
        self.answers.join(format!("{}-answers-{reader}.csv", self.stem))
    }
}

fn mark(text: &str, cases: &[Case]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(text);
    for case in cases {
        hasher.update([0]); // no text and no name holds it
        hasher.update(&case.name);
    }
    let mut mark = hex::encode(hasher.finalize());
    mark.truncate(MARK_LETTERS);
    mark
}

/// What a toml reader says, with the line of the text that it speaks of.
fn in_line(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    format!("{}{}", line.unwrap_or_default(), error.message())
}
