//! One reader's way through a study: which case is shown, which of its pictures, what is answered, and where it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};

use super::answers::{Answers, Event, Found, Key, Past, Row};
use super::case::Case;
use super::definition::Study;
use super::moment::Moment;
use super::order::order;
use super::question::{Answer, Pane, Question};
use super::rows::{Paper, Rows, Undo, Written};
use crate::export::as_text;
use crate::io::counted;

/// Letters of a reader's code.
const MOST_CODE: usize = 32;

/// A case on the screen.
#[derive(Debug, Clone, Copy)]
struct Looked {
    shown_at: Moment,
    /// Up to here the seconds of each picture are counted.
    counted_at: Moment,
    seen_ms: [u64; 3],
}

/// A reader at work. Each change is on the disk before it counts, or where rows are written later before the next case comes.
pub struct Reading {
    pub study: Arc<Study>,
    order: Vec<usize>,
    /// The place in the order; the length of the order at the end.
    at: usize,
    /// Cases that are read, or cannot be.
    passed: BTreeSet<usize>,
    /// The answers to the case that is shown, by question.
    answered: BTreeMap<usize, Answer>,
    panes: [bool; 3],
    looked: Option<Looked>,
    paper: Paper,
    path: PathBuf,
    /// The case is read, and its rows are on their way to the disk.
    leaves: bool,
    /// What a reader should know of how it goes on.
    pub notes: Vec<String>,
}

/// The pictures that a case begins with.
const FIRST_PANES: [bool; 3] = [true, true, false];

impl Reading {
    /// Begins, or goes on where the reader stopped. `reader` is a code; cases of `unreadable` are passed by.
    pub fn begin(study: Arc<Study>, reader: &str, seed: u64, unreadable: &BTreeSet<usize>) -> Result<Self> {
        let letters = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
        ensure!(
            (1..=MOST_CODE).contains(&reader.len()) && letters(reader) && !reader.starts_with(['-', '_']),
            "the reader's code is {reader:?}; give 1 to {MOST_CODE} letters and digits, with - and _ between, and no name"
        );
        ensure!(
            study.answers.is_dir(),
            "answers: there is no such folder; make it, or name another in the study file: {}",
            study.answers.display()
        );
        let key = Key { study: study.mark.clone(), seed, reader: reader.to_owned() };
        let path = study.answers_of(reader);
        let Found { answers, past, cut_bytes } = Answers::open(&path, key)?;
        let order = order(study.cases.len(), seed);
        let mut reading = Self {
            order,
            at: 0,
            passed: unreadable.clone(),
            answered: BTreeMap::new(),
            panes: FIRST_PANES,
            looked: None,
            paper: Paper::Here(answers),
            path,
            leaves: false,
            notes: Vec::new(),
            study,
        };
        reading.go_on(&past)?;
        if cut_bytes > 0 {
            reading.notes.push(format!(
                "The last row of the answers was cut short ({}): it was taken away, and what it answered is asked again",
                counted(cut_bytes, "byte")
            ));
        }
        Ok(reading)
    }

    /// Takes up what was answered before.
    fn go_on(&mut self, past: &[Past]) -> Result<()> {
        let study = Arc::clone(&self.study);
        // The file holds names as a table shows them.
        let names: BTreeMap<String, usize> = study.cases.iter().map(|case| as_text(&case.name)).zip(0..).collect();
        let mut read = 0;
        for Past { event, case, .. } in past {
            let case = names.get(case).with_context(|| format!("the answers speak of {case:?}, which is no case"))?;
            read += usize::from(*event == Event::Done && self.passed.insert(*case));
        }
        self.seek();
        let here = self.case().map(|case| as_text(&case.name));
        for Past { case, question, answer, .. } in past.iter().filter(|row| row.event == Event::Answer) {
            let at = study.questions.iter().position(|asked| as_text(&asked.name) == *question);
            let at = at.with_context(|| format!("the answers speak of {question:?}, which is no question"))?;
            let Some(answer) = study.questions[at].parsed(answer) else {
                bail!("the answer {answer:?} is none to {question:?}; put the file back as it was");
            };
            if here.as_ref() == Some(case) {
                self.answered.insert(at, answer);
            }
        }
        if read > 0 || !self.answered.is_empty() {
            self.notes.push(format!(
                "Going on where you stopped: {} of {} read",
                read,
                counted(self.order.len(), "case")
            ));
        }
        Ok(())
    }

    /// Goes to the first case that is neither read nor passed by.
    fn seek(&mut self) {
        let left = self.order.iter().position(|case| !self.passed.contains(case));
        self.at = left.unwrap_or(self.order.len());
        (self.looked, self.panes, self.leaves) = (None, FIRST_PANES, false);
        self.answered.clear();
    }

    /// The case that is to be shown; none at the end.
    pub fn case(&self) -> Option<&Case> {
        self.order.get(self.at).and_then(|case| self.study.cases.get(*case))
    }

    /// The place of the case in this reader's order, counted from 1, and how many there are.
    pub fn position(&self) -> [usize; 2] {
        [self.at + 1, self.order.len()]
    }

    /// Where the answers lie.
    pub fn answers_path(&self) -> &Path {
        &self.path
    }

    /// From here on rows wait until someone takes them to be written.
    #[must_use]
    pub fn write_later(self) -> Self {
        let paper = match self.paper {
            Paper::Here(file) => Paper::Later { file: Some(file), waiting: Vec::new() },
            later @ Paper::Later { .. } => later,
        };
        Self { paper, ..self }
    }

    /// Rows that wait to be written, with their file; none while it is away.
    pub fn take_rows(&mut self) -> Option<Rows> {
        let Paper::Later { file, waiting } = &mut self.paper else { return None };
        let file = file.take_if(|_| !waiting.is_empty())?;
        Some(Rows { file, rows: std::mem::take(waiting) })
    }

    /// Whether no row is on its way to the disk.
    pub fn is_written(&self) -> bool {
        match &self.paper {
            Paper::Here(_) => true,
            Paper::Later { file, waiting } => file.is_some() && waiting.is_empty(),
        }
    }

    /// Takes up what came of rows that were taken: true where the next case may come now. Where one could not be written, it and all that was
    /// done since is as if it had not been.
    ///
    /// # Errors
    /// Why a row could not be written.
    pub fn take_back(&mut self, written: Written) -> Result<bool> {
        let Paper::Later { file, waiting } = &mut self.paper else { return Ok(false) };
        *file = Some(written.file);
        if let Some((error, mut undone)) = written.failed {
            undone.extend(waiting.drain(..).map(|(_, undo)| undo));
            undone.into_iter().rev().for_each(|undo| self.undo(undo));
            return Err(error);
        }
        if !waiting.is_empty() || !self.leaves {
            return Ok(false);
        }
        self.pass();
        self.notes.clear();
        Ok(true)
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Answer(question, Some(before)) => _ = self.answered.insert(question, before),
            Undo::Answer(question, None) => _ = self.answered.remove(&question),
            Undo::Panes(panes) => self.panes = panes,
            Undo::Done => self.leaves = false,
        }
    }

    /// Whether the case is read, and only its rows are still on their way.
    pub fn is_leaving(&self) -> bool {
        self.leaves
    }

    /// The case that comes behind the one that is shown, as far as is known.
    pub fn case_behind(&self) -> Option<&Case> {
        let behind = self.order.iter().skip(self.at + 1).find(|case| !self.passed.contains(case));
        behind.and_then(|case| self.study.cases.get(*case))
    }

    /// The case is on the screen from now on.
    pub fn show(&mut self, now: Moment) {
        self.looked.get_or_insert(Looked { shown_at: now, counted_at: now, seen_ms: [0; 3] });
    }

    pub fn is_shown(&self) -> bool {
        self.looked.is_some()
    }

    /// Whether a picture of the case is seen.
    pub fn sees(&self, pane: Pane) -> bool {
        self.panes[pane as usize]
    }

    /// Shows a picture, or puts it away; one always stays. Each request for the difference is a row.
    pub fn turn(&mut self, pane: Pane, now: Moment) -> Result<()> {
        let mut panes = self.panes;
        panes[pane as usize] = !panes[pane as usize];
        if panes == [false; 3] {
            return Ok(());
        }
        self.count(now)?;
        if pane == Pane::Difference {
            let word = if panes[pane as usize] { "shown" } else { "put away" };
            self.write(Event::Difference, "", word, now, Undo::Panes(self.panes))?;
        }
        self.panes = panes;
        Ok(())
    }

    /// What was answered of the case that is shown, last.
    pub fn answer_to(&self, question: usize) -> Option<&Answer> {
        self.answered.get(&question)
    }

    /// Answers a question, perhaps again.
    pub fn answer(&mut self, question: usize, answer: Answer, now: Moment) -> Result<()> {
        let study = Arc::clone(&self.study);
        let asked = study.questions.get(question).context("there is no such question")?;
        let answer = asked.kept(answer)?;
        self.count(now)?;
        let before = self.answered.get(&question).cloned();
        self.write(Event::Answer, &asked.name, &answer.text(), now, Undo::Answer(question, before))?;
        self.answered.insert(question, answer);
        Ok(())
    }

    /// The first question that must be answered still.
    pub fn missing(&self) -> Option<&Question> {
        let questions = self.study.questions.iter().enumerate();
        let is_open = |(at, question): &(usize, &Question)| !question.optional && !self.answered.contains_key(at);
        questions.into_iter().find(is_open).map(|(_, question)| question)
    }

    /// Goes to the next case; where rows are written later, as soon as they are on the disk.
    pub fn next(&mut self, now: Moment) -> Result<()> {
        if let Some(question) = self.missing() {
            bail!("question {:?} is not answered; answer it first", question.name);
        }
        self.count(now)?;
        self.write(Event::Done, "", "", now, Undo::Done)?;
        if matches!(self.paper, Paper::Later { .. }) {
            self.leaves = true;
            return Ok(());
        }
        self.pass();
        self.notes.clear();
        Ok(())
    }

    /// Goes on without a case that cannot be opened.
    pub fn pass(&mut self) {
        self.passed.extend(self.order.get(self.at));
        self.seek();
    }

    /// Counts how long each picture has been seen.
    fn count(&mut self, now: Moment) -> Result<()> {
        let looked = self.looked.as_mut().context("the case is not on the screen yet; wait until it is")?;
        let passed_ms = now.ms_since(looked.counted_at);
        for (seen_ms, _) in looked.seen_ms.iter_mut().zip(self.panes).filter(|(_, is_seen)| *is_seen) {
            *seen_ms += passed_ms;
        }
        looked.counted_at = now;
        Ok(())
    }

    fn write(&mut self, event: Event, question: &str, answer: &str, now: Moment, undo: Undo) -> Result<()> {
        ensure!(!self.leaves, "the case is read; the next one comes");
        let Looked { shown_at, seen_ms, .. } = self.looked.context("the case is not on the screen yet")?;
        let case = self.order.get(self.at).and_then(|case| self.study.cases.get(*case)).context("there is no case")?;
        let [case, question, answer] = [&case.name, question, answer].map(str::to_owned);
        let row = Row { event, position: self.at + 1, case, question, answer, shown_at, at: now, seen_ms };
        self.paper.write(row, undo)
    }
}
