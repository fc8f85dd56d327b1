//! The reader study that is open: its cases come one at a time, and what is shown of them tells no more than the study lets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, anyhow, ensure};

use super::action;
use super::document::{self, Restored, document_of};
use super::explained::Explained;
use super::open_scan::OpenScan;
use super::stage::Stage;
use super::view::Viewer;
use super::view::arrange::Picture;
use super::view::measurements::Tool;
use super::worker::Worker;
use crate::frame::Generated;
use crate::frame::display::Shown;
use crate::job::{Job, Monitor};
use crate::machine;
use crate::study::{Answer, Clock, FirstSlice, Mark, Pane, Reading, Study, Written};

/// A study whose results were looked at: it can begin.
pub struct Checked {
    pub study: Arc<Study>,
    /// Results that cannot be read, by their places in the study, which says that they are passed by.
    pub unreadable: BTreeSet<usize>,
}

/// The way into a study, and the study itself while someone reads.
#[derive(Default)]
pub struct StudyPage {
    pub checked: Stage<Checked>,
    pub reading: Option<Reading>,
    /// The case that is shown, or being opened.
    case: Stage<Restored>,
    /// A case that was opened ahead, and is to be looked at as soon as it is there.
    fresh: bool,
    /// The case that comes behind it, with its file.
    ahead: Option<(PathBuf, Stage<Restored>)>,
    /// Answers on their way to the disk.
    writing: Option<Job<Written>>,
    /// A reader who left before the last answers were on the disk.
    left: Option<Reading>,
    /// Who is to begin once they are.
    waits: Option<(String, u64)>,
    /// How the case is looked at; the window's own view waits meanwhile.
    pub viewer: Viewer,
    /// The question that is answered by a mark, while one is to be drawn.
    pub marking: Option<usize>,
    error: Option<Error>,
    clock: Clock,
}

impl StudyPage {
    pub(super) fn act(&mut self, act: action::Study, worker: &Worker) {
        use action::Study as Act;
        self.error = None;
        let now = self.clock.now();
        let done = match (act, &mut self.reading) {
            (Act::Open(path), _) => {
                self.checked.follow(worker.spawn("study", move |monitor| Ok(Arc::new(check(&path, monitor)?))));
                Ok(())
            }
            (Act::Begin { reader, seed }, None) => self.begin(&reader, seed, worker),
            (Act::Turn(pane), Some(reading)) => reading.turn(pane, now),
            (Act::Marking(question), Some(_)) => {
                self.mark(question);
                Ok(())
            }
            (Act::Drawn(pane, drawn), Some(reading)) => {
                let drawn = self.marking.zip(Mark::of(pane, &drawn));
                let done = drawn.map_or(Ok(()), |(at, mark)| reading.answer(at, Answer::Region(mark), now));
                self.mark(None);
                done
            }
            (Act::Answer(question, answer), Some(reading)) => reading.answer(question, answer, now),
            (Act::Next, Some(reading)) => reading.next(now),
            (Act::Again, Some(_)) => {
                self.open_case(worker);
                Ok(())
            }
            (Act::Leave, _) => {
                self.left = self.reading.take().or(self.left.take());
                (self.marking, self.ahead) = (None, None);
                self.case.clear();
                Ok(())
            }
            (Act::Begin { .. }, Some(_)) => Err(anyhow!("a study is going on; leave it first")),
            (Act::Turn(_) | Act::Marking(_) | Act::Drawn(..) | Act::Answer(..) | Act::Next | Act::Again, None) => {
                Ok(())
            }
        };
        self.error = done.err();
        self.settle(worker);
    }

    fn begin(&mut self, reader: &str, seed: u64, worker: &Worker) -> Result<()> {
        let checked = self.checked.ready().context("open a study first")?;
        if self.left.is_some() {
            self.waits = Some((reader.to_owned(), seed)); // the file is this window's until all is in it
            return Ok(());
        }
        let study = Arc::clone(&checked.study);
        self.reading = Some(Reading::begin(study, reader, seed, &checked.unreadable)?.write_later());
        self.open_case(worker);
        Ok(())
    }

    /// Sends answers to the disk, one after the other, on another thread.
    fn write(&mut self, worker: &Worker) {
        if self.writing.is_some() {
            return;
        }
        let reading = self.left.as_mut().or(self.reading.as_mut());
        let Some(rows) = reading.and_then(Reading::take_rows) else { return };
        match worker.spawn("answers", move |_| Ok(rows.write())) {
            Ok(job) => self.writing = Some(job),
            Err(error) => self.lose(Error::from(error).context("no thread can be started")),
        }
    }

    /// The file of answers is lost to this window; all that was written is in it, and a reader goes on from there.
    fn lose(&mut self, error: Error) {
        self.error = Some(error.context("the last answers may not be written; open the study again to go on"));
        (self.reading, self.left, self.marking, self.ahead) = (None, None, None, None);
        self.case.clear();
    }

    /// Takes what was written; the next case comes once all answers of the one before are on the disk.
    fn follow_answers(&mut self, worker: &Worker) {
        let Some(answer) = self.writing.as_ref().and_then(Job::poll) else { return };
        self.writing = None;
        let written = match answer {
            Ok(written) => written,
            Err(error) => return self.lose(error),
        };
        let reading = self.left.as_mut().or(self.reading.as_mut());
        match reading.map_or(Ok(false), |reading| reading.take_back(written)) {
            Ok(true) if self.left.is_none() => self.open_case(worker),
            Ok(_) => {}
            Err(error) => self.error = Some(error),
        }
        self.settle(worker);
    }

    /// Sends off what waits; a reader who has left is let go once all answers are on the disk, and the next one begins.
    fn settle(&mut self, worker: &Worker) {
        self.write(worker);
        if self.left.take_if(|left| left.is_written()).is_some()
            && let Some((reader, seed)) = self.waits.take()
            && let Err(error) = self.begin(&reader, seed, worker)
        {
            self.error = Some(error);
        }
    }

    /// What a left drag draws while a question awaits a mark.
    fn mark(&mut self, question: Option<usize>) {
        self.marking = question;
        let measurements = &mut self.viewer.measurements;
        (measurements.tool, measurements.draft) = (question.map(|_| Tool::Region), None);
    }

    /// Opens the case that comes, if one does; the one before is seen no more.
    fn open_case(&mut self, worker: &Worker) {
        self.case.clear();
        self.mark(None);
        let Some(path) = self.reading.as_ref().and_then(Reading::case).map(|case| case.session.clone()) else { return };
        match self.ahead.take() {
            Some((of, stage)) if of == path && stage.error().is_none() => (self.case, self.fresh) = (stage, true),
            _ => self.case.follow(open(path, worker)),
        }
    }

    /// Opens the case behind the one that is shown, where there is memory for both.
    fn open_ahead(&mut self, worker: &Worker) {
        /// A scan and its result in memory may take one part in so many of what is free.
        const SHARE: u64 = 4;
        let Some(behind) = self.reading.as_ref().and_then(Reading::case_behind).map(|case| case.session.clone()) else {
            return;
        };
        let Some((scan, run)) = self.case() else { return };
        let voxels =
            scan.layers.scan.voxels.len() + run.result().steps.iter().map(|step| step.slab.len()).sum::<usize>();
        let bytes = 4 * voxels as u64;
        if self.ahead.is_some() || machine::left_bytes().is_some_and(|left| left / SHARE < bytes) {
            return;
        }
        let mut stage = Stage::default();
        stage.follow(open(behind.clone(), worker));
        self.ahead = Some((behind, stage));
    }

    /// Takes what has come.
    pub(super) fn poll(&mut self, worker: &Worker) {
        self.checked.poll();
        self.follow_answers(worker);
        if let Some((_, stage)) = &mut self.ahead {
            stage.poll();
        }
        let came = self.case.poll();
        let is_new = came || (self.case.ready().is_some() && self.fresh);
        self.fresh &= self.case.running().is_some();
        let Some(reading) = &mut self.reading else { return };
        let mut is_shown = false;
        if let Some(restored) = self.case.ready().filter(|_| is_new) {
            if let (Some(scan), Some(run)) = (&restored.scan, &restored.run) {
                show(&mut self.viewer, scan, run, reading.study.first_slice);
                reading.show(self.clock.now());
                is_shown = true;
            } else {
                let why = restored.trouble.clone().unwrap_or_else(|| "the session holds no result".to_owned());
                self.case.clear();
                self.case.fail(anyhow!(why));
            }
        }
        if self.case.error().is_some() && reading.study.skip_unreadable {
            reading.pass();
            self.open_case(worker);
        }
        if is_shown {
            self.open_ahead(worker);
        }
    }

    /// The case's scan, once it is there, and how it is looked at; none while no one reads.
    pub(super) fn looked_at(&mut self) -> Option<(Option<Arc<OpenScan>>, &mut Viewer)> {
        self.reading.as_ref()?;
        let scan = self.case.ready().and_then(|case| case.scan.clone());
        Some((scan, &mut self.viewer))
    }

    /// The case that is shown.
    pub fn case(&self) -> Option<(&Arc<OpenScan>, &Arc<Explained>)> {
        let case = self.case.ready()?;
        Some((case.scan.as_ref()?, case.run.as_ref()?))
    }

    /// The work on the case that is being opened.
    pub fn opening(&self) -> Option<&Monitor> {
        self.case.running()
    }

    /// Whether the case behind the one that is shown is open already.
    pub fn is_ahead(&self) -> bool {
        self.ahead.as_ref().is_some_and(|(_, stage)| stage.ready().is_some())
    }

    /// The pictures that the reader sees, without anything that the study does not tell.
    pub fn pictures(&self) -> Vec<(Pane, Picture)> {
        let (Some(reading), Some((scan, run))) = (&self.reading, self.case()) else { return Vec::new() };
        let seen = Pane::ALL.into_iter().filter(|pane| reading.sees(*pane));
        let picture = |pane| {
            let shown = match pane {
                Pane::Original => Shown::Original,
                Pane::Counterfactual => Shown::Counterfactual,
                Pane::Difference => Shown::Difference,
            };
            let mut picture = self.viewer.picture(scan, run, (self.viewer.plane, shown), self.viewer.step);
            if !reading.study.show_score {
                // The sign of lambda tells which way the score went.
                (picture.score, picture.synthetic) = (None, picture.synthetic.map(|_| Generated::Untold));
            }
            (pane, picture)
        };
        seen.map(picture).collect()
    }

    /// What the network was asked about, where the study tells it.
    pub fn target(&self) -> Option<&str> {
        let tells = self.reading.as_ref().is_some_and(|reading| reading.study.show_target);
        self.case().filter(|_| tells).map(|(_, run)| run.asked().target.as_str())
    }

    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref().or(self.checked.error())
    }

    /// Why the case cannot be opened.
    pub fn case_error(&self) -> Option<&Error> {
        self.case.error()
    }

    pub(super) fn dismiss(&mut self) {
        self.error = None;
        self.checked.dismiss();
    }
}

/// Starts to open a result.
fn open(path: PathBuf, worker: &Worker) -> std::io::Result<Job<Arc<Restored>>> {
    worker.spawn("open", move |monitor| Ok(Arc::new(document::open(path, monitor)?)))
}

/// Looks at a case as at a new result, at the place that the study chose.
fn show(viewer: &mut Viewer, scan: &OpenScan, run: &Explained, first: FirstSlice) {
    viewer.show_scan(scan);
    match first {
        FirstSlice::MostChanged => viewer.show_run(run),
        FirstSlice::Middle => viewer.step = run.result().chosen as f32,
    }
}

/// Reads a study and all of its sessions. Each scan is there, or the study does not begin.
fn check(path: &Path, monitor: &Monitor) -> Result<Checked> {
    let study = Study::open(path)?;
    let mut unreadable = BTreeSet::new();
    let count = study.cases.len();
    for (at, case) in study.cases.iter().enumerate() {
        monitor.step("checking the results", at, count)?;
        match check_case(&case.session) {
            Ok(()) => {}
            Err(_) if study.skip_unreadable => _ = unreadable.insert(at),
            Err(error) => {
                let name = &case.name;
                return Err(error.context(format!("the study's result {name} cannot be read; mend it, take it out of the study, or write `skip_unreadable = true` in the study file")));
            }
        }
    }
    ensure!(unreadable.len() < count, "none of the study's results can be read: {}", path.display());
    Ok(Checked { study: Arc::new(study), unreadable })
}

fn check_case(session: &Path) -> Result<()> {
    let document = document_of(session)?;
    let path = session.display();
    ensure!(document.result.is_some(), "the session holds no result; compute one and save it again: {path}");
    if let Some(scan) = &document.scan.path {
        ensure!(scan.exists(), "the session's scan is not there any more: {}", scan.display());
    }
    Ok(())
}
