//! The reader study that is open: its cases come one at a time, and what is shown of them tells no more than the study lets.

use std::collections::BTreeSet;
use std::path::Path;
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
use crate::job::Monitor;
use crate::study::{Answer, Clock, FirstSlice, Mark, Pane, Reading, Study};

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
            (Act::Next, Some(reading)) => reading.next(now).map(|()| self.open_case(worker)),
            (Act::Again, Some(_)) => {
                self.open_case(worker);
                Ok(())
            }
            (Act::Leave, _) => {
                (self.reading, self.marking) = (None, None);
                self.case.clear();
                Ok(())
            }
            (Act::Begin { .. }, Some(_)) => Err(anyhow!("a study is going on; leave it first")),
            (Act::Turn(_) | Act::Marking(_) | Act::Drawn(..) | Act::Answer(..) | Act::Next | Act::Again, None) => {
                Ok(())
            }
        };
        self.error = done.err();
    }

    fn begin(&mut self, reader: &str, seed: u64, worker: &Worker) -> Result<()> {
        let checked = self.checked.ready().context("open a study first")?;
        let study = Arc::clone(&checked.study);
        self.reading = Some(Reading::begin(study, reader, seed, &checked.unreadable)?);
        self.open_case(worker);
        Ok(())
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
        if let Some(case) = self.reading.as_ref().and_then(Reading::case) {
            let path = case.session.clone();
            self.case.follow(worker.spawn("open", move |monitor| Ok(Arc::new(document::open(path, monitor)?))));
        }
    }

    /// Takes what has come.
    pub(super) fn poll(&mut self, worker: &Worker) {
        self.checked.poll();
        let is_new = self.case.poll();
        let Some(reading) = &mut self.reading else { return };
        if let Some(restored) = self.case.ready().filter(|_| is_new) {
            if let (Some(scan), Some(run)) = (&restored.scan, &restored.run) {
                show(&mut self.viewer, scan, run, reading.study.first_slice);
                reading.show(self.clock.now());
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
