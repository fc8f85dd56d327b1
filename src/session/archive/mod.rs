//! The pages of archives (PACS): sources, a search, the series of a study, a series on its way here, and results on their way there.
//!
//! Every question to an archive and to the keyring is a job of its own; nothing here waits. Patients' names live in memory alone.

pub mod act;
pub mod draft;
pub mod form;
pub mod object;
pub mod passwords;
mod question;
pub mod sending;
pub mod sources;
pub mod thumbnails;
mod told;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Error;

use self::act::Act;
use self::form::{Form, MOST_STUDIES};
use self::passwords::Passwords;
use self::question::Question;
use self::sending::Sending;
use self::sources::SourceList;
use self::thumbnails::Thumbnails;
use self::told::told;
use super::exporting::Scene;
use super::worker::Worker;
use crate::pacs::{self, Fetched, Found, Query, Series, Source, Study, Where};

/// The pages' state.
pub struct Archive {
    /// The folder for fetched series; `None` is the cache.
    folder: Option<PathBuf>,
    pub sources: SourceList,
    pub passwords: Passwords,
    /// The source that is searched, and that results go to.
    chosen: Option<String>,
    pub form: Form,
    /// The studies that were found, the latest first.
    pub studies: Question<Found<Study>>,
    /// The study whose series are shown, by its place among those found.
    pub study: Option<usize>,
    pub series: Question<Found<Series>>,
    seen: Range<usize>,
    pub thumbnails: Thumbnails,
    pub fetched: Question<Fetched>,
    /// What is being fetched, in words.
    pub fetching: String,
    pub sending: Sending,
    error: Option<Error>,
}

impl Archive {
    /// Keeps sources, fetched series and the log in `folder`, or where the command line keeps them.
    pub fn new(folder: Option<PathBuf>) -> Self {
        let file = folder.as_ref().map(|folder| folder.join("pacs.json")).or_else(pacs::sources_file);
        let log = folder.as_ref().map(|folder| folder.join("pacs-sent.jsonl")).or_else(pacs::sent_log);
        Self {
            folder: folder.map(|folder| folder.join("pacs")),
            sources: SourceList::new(file),
            passwords: Passwords::default(),
            chosen: None,
            form: Form::default(),
            studies: Question::default(),
            study: None,
            series: Question::default(),
            seen: 0..0,
            thumbnails: Thumbnails::default(),
            fetched: Question::default(),
            fetching: String::new(),
            sending: Sending::new(log),
            error: None,
        }
    }

    /// A page has come. What was asked for a page before is asked no more.
    pub(super) fn come(&mut self, worker: &Worker) {
        self.passwords.asked = None;
        self.sources.read(worker);
    }

    /// A page has gone. What goes on in the background goes on, but for pictures that no one sees.
    pub(super) fn leave(&mut self) {
        self.passwords.asked = None;
        self.thumbnails.pause();
        self.seen = 0..0;
    }

    /// Which of the series' cards were seen last, by their places.
    pub fn seen(&self) -> &Range<usize> {
        &self.seen
    }

    /// The source that is searched, and that results go to.
    pub fn source(&self) -> Option<&Source> {
        self.sources.named(self.chosen.as_ref()?)
    }

    /// Acts; `scene` is the result that is shown, to be sent.
    pub(super) fn act(&mut self, act: Act, scene: Option<Scene>, worker: &Worker) {
        self.error = None;
        match act {
            Act::Choose(name) => self.choose(name),
            Act::Form(form) => self.form = form,
            Act::Search => self.search(worker),
            Act::Study(at) => self.show_study(at, worker),
            Act::Seen(seen) => self.seen = seen,
            Act::Fetch(at) => self.fetch(at, worker),
            Act::Cancel => {
                self.studies.cancel();
                self.series.cancel();
                self.fetched.cancel();
                self.sources.tested.cancel();
            }
            Act::Password { secret, keep } => {
                if let Some(again) = self.passwords.give(secret, keep) {
                    self.act(again, scene, worker);
                }
            }
            Act::NoPassword => self.passwords.asked = None,
            Act::AskPassword(name) => {
                if let Some(source) = self.sources.named(&name).cloned() {
                    // What is typed is tried at once.
                    let again = if self.sources.shown { Act::Sources(act::Sources::Test(name)) } else { Act::Search };
                    self.passwords.ask(&source, String::new(), again);
                }
            }
            Act::Sources(act) => self.sources.act(act, worker, &mut self.passwords),
            Act::Send(act) => {
                let to = self.source().cloned();
                self.sending.act(act, scene, to.as_ref(), (worker, &self.passwords));
            }
        }
    }

    /// Another source is searched: what was found in the one before is not its.
    fn choose(&mut self, name: String) {
        if self.chosen.as_ref() == Some(&name) {
            return;
        }
        self.chosen = Some(name);
        self.forget_found();
    }

    fn forget_found(&mut self) {
        self.studies.clear();
        self.series.clear();
        self.fetched.dismiss();
        self.thumbnails.clear();
        self.study = None;
    }

    fn search(&mut self, worker: &Worker) {
        let query = match self.form.query() {
            Ok(query) => query,
            Err(error) => {
                self.error = Some(error);
                return;
            }
        };
        let Some(source) = self.source().cloned() else { return };
        self.forget_found();
        self.studies.ask((worker, &self.passwords), &source, Act::Search, move |source, secret, monitor| {
            let mut found = pacs::studies(source, secret, &query, monitor).map_err(told)?;
            found.all.sort_by(|a, b| (&b.date, &b.time).cmp(&(&a.date, &a.time)));
            Ok(found)
        });
    }

    fn show_study(&mut self, at: usize, worker: &Worker) {
        let study = self.studies.ready().and_then(|found| found.all.get(at));
        let (Some(study_uid), Some(source)) = (study.map(|study| study.study_uid.clone()), self.source().cloned())
        else {
            return;
        };
        self.series.clear();
        self.thumbnails.pause();
        self.study = Some(at);
        let query = Query { study_uid: Some(study_uid), limit: MOST_STUDIES, ..Query::default() };
        self.series.ask((worker, &self.passwords), &source, Act::Study(at), move |source, secret, monitor| {
            let mut found = pacs::series(source, secret, &query, monitor).map_err(told)?;
            found.all.sort_by_key(|series| series.number.parse::<i64>().unwrap_or(i64::MAX));
            Ok(found)
        });
    }

    fn fetch(&mut self, at: usize, worker: &Worker) {
        let series = self.series.ready().and_then(|found| found.all.get(at)).cloned();
        let (Some(series), Some(source)) = (series, self.source().cloned()) else { return };
        if self.fetched.running().is_some() {
            return;
        }
        self.thumbnails.pause(); // where the archive delivers to a port, there is one alone
        let to = match (&self.folder, self.sources.kept.ready()) {
            (Some(folder), _) => Where::Folder(folder.clone()),
            (None, kept) => {
                Where::Cache { most_bytes: kept.map_or_else(Default::default, |kept| kept.all.clone()).cache_bytes() }
            }
        };
        self.fetching = name_of(&series);
        self.fetched.clear();
        self.fetched.ask((worker, &self.passwords), &source, Act::Fetch(at), move |source, secret, monitor| {
            pacs::fetch(source, secret, (&series.study_uid, &series.series_uid), &to, monitor).map_err(told)
        });
    }

    /// Takes what has come; gives a series that is here now, once.
    pub(super) fn poll(&mut self, worker: &Worker) -> Option<Arc<Fetched>> {
        self.sources.poll(worker, &mut self.passwords);
        if self.chosen.as_ref().is_none_or(|name| self.sources.named(name).is_none())
            && self.sources.kept.running().is_none()
        {
            self.chosen = self.sources.all().first().map(|source| source.name.clone());
        }
        // A source that was led elsewhere, or is gone, holds other studies.
        if self.studies.ready().is_some() && self.studies.source() != self.source() {
            self.forget_found();
        }
        self.studies.poll(&mut self.passwords, worker);
        self.series.poll(&mut self.passwords, worker);
        self.sending.sent.poll(&mut self.passwords, worker);
        let came = self.fetched.poll(&mut self.passwords, worker);
        if let (Some(source), Some(found), None) = (self.source(), self.series.ready(), self.fetched.running()) {
            let (source, found) = (source.clone(), Arc::clone(found));
            self.thumbnails.follow(&source, (&found.all, &self.seen), (worker, &self.passwords));
        }
        came.then(|| self.fetched.take()).flatten()
    }

    pub fn error(&self) -> Option<&Error> {
        let asked = [self.studies.error(), self.series.error(), self.fetched.error()];
        self.error.as_ref().or_else(|| asked.into_iter().flatten().next())
    }

    /// All errors are put away.
    pub(super) fn dismiss(&mut self) {
        self.error = None;
        self.studies.dismiss();
        self.series.dismiss();
        self.fetched.dismiss();
        self.sources.dismiss();
        self.sending.sent.dismiss();
    }
}

/// "Series 4, Lung 2 mm": what tells a series from the others of its study.
pub fn name_of(series: &Series) -> String {
    let number = if series.number.is_empty() { "Series".to_owned() } else { format!("Series {}", series.number) };
    if series.description.is_empty() { number } else { format!("{number}, {}", series.description) }
}
