//! The cohort that is open: its cases as a table, the one that is chosen, and the one that is being opened.
//!
//! Folders are read on threads of their own; here they are only sorted and shown.

pub mod act;
pub mod found;
pub mod opened;
mod pictures;
pub mod table;

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Error};
use image::RgbaImage;

use self::act::Act;
use self::opened::{Asked, Opened};
use self::pictures::Pictures;
use self::table::{Column, Only, Sorted, order};
use super::stage::Stage;
use super::worker::Worker;
use crate::cohort::{self, Case, Cases, CohortFolder};
use crate::job::{Latest, Monitor};

/// The table's state.
pub struct CohortTable {
    /// The folder of the cohort; `None` while none is open.
    root: Option<PathBuf>,
    read: Stage<Cases>,
    so_far: Latest<Cases>,
    /// What has been read.
    pub cases: Arc<Cases>,
    pub sorted: Sorted,
    pub find: String,
    pub only: Only,
    /// The places of the cases that are shown, in their order.
    pub order: Vec<usize>,
    seen: Range<usize>,
    pub pictures: Pictures,
    /// The id of the case that is chosen.
    pub chosen: Option<String>,
    /// The picture of the chosen case.
    pub large: Stage<RgbaImage>,
    opened: Stage<Opened>,
    /// What the scan of the case is to be asked, until it is there.
    pub(super) asked: Option<Asked>,
    shown: Stage<()>,
}

impl Default for CohortTable {
    fn default() -> Self {
        Self {
            root: None,
            read: Stage::default(),
            so_far: Latest::default(),
            cases: Arc::default(),
            sorted: Sorted { by: Column::Id, descends: false },
            find: String::new(),
            only: Only::All,
            order: Vec::new(),
            seen: 0..0,
            pictures: Pictures::default(),
            chosen: None,
            large: Stage::default(),
            opened: Stage::default(),
            asked: None,
            shown: Stage::default(),
        }
    }
}

impl CohortTable {
    /// The folder of the cohort.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Where the folders of its cases lie.
    pub(super) fn cases_folder(&self) -> Option<PathBuf> {
        self.root().map(|root| CohortFolder::at(root).cases())
    }

    pub(super) fn act(&mut self, act: Act, worker: &Worker) {
        match act {
            Act::Read(folder) => {
                *self = Self { root: Some(folder), ..Self::default() };
                self.read_again(worker);
            }
            Act::Again => {
                self.pictures.clear();
                self.read_again(worker);
            }
            Act::Stop => self.read.cancel(),
            Act::Sort(by) => {
                let descends = self.sorted.by == by && !self.sorted.descends;
                self.sorted = Sorted { by, descends };
                self.arrange();
            }
            Act::Find(find) => {
                self.find = find;
                self.arrange();
            }
            Act::Only(only) => {
                self.only = only;
                self.arrange();
            }
            Act::Seen(seen) => self.seen = seen,
            Act::Choose(id) => self.choose(id, worker),
            Act::Step(rows) => self.step(rows, worker),
            Act::Open(id) => self.open(&id, worker),
            Act::ShowFolder(id) => self.show(self.folder_of(&id).into_os_string(), worker),
        }
    }

    fn read_again(&mut self, worker: &Worker) {
        let Some(root) = self.root.clone() else { return };
        self.so_far = Latest::default();
        let so_far = self.so_far.clone();
        self.read.follow(worker.spawn("cohort", move |monitor| {
            let place = CohortFolder::at(&root);
            Ok(Arc::new(cohort::cases(&place, monitor, &|cases| so_far.put(cases))?))
        }));
    }

    /// Sorts what is shown anew.
    fn arrange(&mut self) {
        self.order = order(&self.cases, self.sorted, &self.find, self.only);
    }

    fn choose(&mut self, id: String, worker: &Worker) {
        let folder = self.folder_of(&id);
        self.large.clear();
        self.large.follow(worker.spawn("picture", move |_| Ok(Arc::new(pictures::large(&folder)?))));
        self.chosen = Some(id);
    }

    fn step(&mut self, rows: isize, worker: &Worker) {
        let at = self.chosen_row();
        let next = at.map_or(0, |at| at.saturating_add_signed(rows)).min(self.order.len().saturating_sub(1));
        let case = self.order.get(next).and_then(|at| self.cases.all.get(*at));
        if let Some(id) = case.map(|case| case.row.id.clone()).filter(|id| self.chosen.as_ref() != Some(id)) {
            self.choose(id, worker);
        }
    }

    /// The row of the chosen case, where it is shown.
    pub fn chosen_row(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.order.iter().position(|at| self.cases.all.get(*at).is_some_and(|case| case.row.id == *chosen))
    }

    /// The case of an id.
    pub fn case(&self, id: &str) -> Option<&Arc<Case>> {
        let at = self.cases.all.binary_search_by(|case| case.row.id.as_str().cmp(id)).ok()?; // by ascending id
        self.cases.all.get(at)
    }

    /// The case that is chosen.
    pub fn chosen_case(&self) -> Option<&Arc<Case>> {
        self.case(self.chosen.as_ref()?)
    }

    fn open(&mut self, id: &str, worker: &Worker) {
        let (Some(root), Some(case)) = (self.root.clone(), self.case(id).cloned()) else { return };
        self.opened.clear();
        self.opened.follow(worker.spawn("case", move |_| Ok(Arc::new(opened::open(&CohortFolder::at(&root), &case)?))));
    }

    fn show(&mut self, what: OsString, worker: &Worker) {
        self.shown.follow(worker.spawn("show", move |_| {
            open::that_detached(&what).context("no program shows folders here; open it yourself")?;
            Ok(Arc::new(()))
        }));
    }

    fn folder_of(&self, id: &str) -> PathBuf {
        CohortFolder::at(self.root.as_deref().unwrap_or(Path::new(""))).case(id)
    }

    /// Takes what has come; gives what a case leads to, once.
    pub(super) fn poll(&mut self, worker: &Worker) -> Option<Arc<Opened>> {
        let is_read = self.read.poll();
        let latest = if is_read { self.read.ready().cloned() } else { self.so_far.get() };
        if let Some(latest) =
            latest.filter(|latest| (is_read || self.reading().is_some()) && !Arc::ptr_eq(latest, &self.cases))
        {
            self.cases = latest;
            self.arrange();
        }
        self.large.poll();
        self.shown.poll();
        let shown = self.seen.start.min(self.order.len())..self.seen.end.min(self.order.len());
        if !shown.is_empty() {
            let cases = Arc::clone(&self.cases);
            let seen: Vec<&str> = self.order[shown]
                .iter()
                .filter_map(|at| cases.all.get(*at))
                .filter(|case| matches!(case.progress, cohort::Progress::Done(_)))
                .map(|case| case.row.id.as_str())
                .collect();
            let place = CohortFolder::at(self.root.as_deref().unwrap_or(Path::new("")));
            self.pictures.follow(&seen, |id| place.case(id), worker);
        }
        if self.opened.poll() { self.opened.take() } else { None }
    }

    /// Which rows were seen last, by their places in the table.
    pub fn seen(&self) -> &Range<usize> {
        &self.seen
    }

    /// The work on the cases that are being read.
    pub fn reading(&self) -> Option<&Monitor> {
        self.read.running()
    }

    pub fn error(&self) -> Option<&Error> {
        self.read.error().or(self.opened.error()).or(self.shown.error())
    }

    pub(super) fn dismiss(&mut self) {
        self.read.dismiss();
        self.opened.dismiss();
        self.shown.dismiss();
    }
}
