//! The work behind the page of published networks: a look at what is on the disk, and a download, each a job of its own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Error};

use super::model::Model;
use super::stage::Stage;
use crate::catalogue::{self, Asked, Entry, Got, Kept, Origin};
use crate::job::Monitor;
use crate::settings::{Fetching, absolute};

/// What is published, and what is fetched of it.
pub struct PublishedPage {
    pub entries: Vec<Entry>,
    /// The entry that is shown.
    pub chosen: usize,
    pub accepted: bool,
    /// A download, and the entry that it is of.
    pub got: Stage<Got>,
    pub getting: usize,
    /// How much of each entry is on the disk.
    pub kept: Stage<Vec<Kept>>,
    /// In which folder it was looked.
    looked: Option<PathBuf>,
    shown: Stage<()>,
}

impl PublishedPage {
    pub fn new(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            chosen: 0,
            accepted: false,
            got: Stage::default(),
            getting: 0,
            kept: Stage::default(),
            looked: None,
            shown: Stage::default(),
        }
    }

    /// The page has come, or has gone. A download goes on without it.
    pub fn turn(&mut self) {
        (self.looked, self.accepted) = (None, false);
    }

    pub fn poll(&mut self) {
        let before = self.got.running().is_some();
        self.got.poll();
        if before && self.got.running().is_none() {
            self.looked = None; // also what a cancelled download leaves
        }
        self.kept.poll();
        self.shown.poll();
    }

    /// Looks at the disk anew, after a download or when another folder was chosen.
    pub fn follow(&mut self, model: &Model) {
        let root = root(&model.settings.fetching).unwrap_or_default();
        if self.looked.as_ref() == Some(&root) {
            return;
        }
        self.looked = Some(root.clone());
        let entries = self.entries.clone();
        let job = model.worker.spawn("look", move |_| {
            let caches = catalogue::hub_caches();
            let look = |entry: &Entry| catalogue::kept(entry, &root.join(&entry.name), &caches);
            Ok(Arc::new(entries.iter().map(look).collect()))
        });
        self.kept.follow(job);
    }

    /// Shows another entry, by its place in the catalogue.
    pub fn choose(&mut self, at: usize) {
        (self.chosen, self.accepted) = (at, false);
    }

    /// Shows the files of the shown entry in the system's file manager.
    pub fn show_folder(&mut self, model: &Model) {
        let folder = self.kept_of(self.chosen).and_then(|_| self.folder(model));
        self.show(model, folder.unwrap_or_default().into_os_string());
    }

    /// Shows the page of the shown entry's authors in the system's browser.
    pub fn show_source(&mut self, model: &Model) {
        let page = self.entry().map(|entry| entry.page.clone()).unwrap_or_default();
        self.show(model, page.into());
    }

    /// Opens a folder or an address of the catalogue with the program that the system has for it.
    fn show(&mut self, model: &Model, what: std::ffi::OsString) {
        let job = model.worker.spawn("show", move |_| {
            let said = what.display().to_string();
            open::that_detached(&what)
                .with_context(|| format!("no program shows this here; open it yourself: {said}"))?;
            Ok(Arc::new(()))
        });
        self.shown.follow(job);
    }

    /// Fetches the shown entry, if nothing stands in the way.
    pub fn get(&mut self, model: &Model) {
        if self.hindrance(&model.settings.fetching).is_some() {
            return;
        }
        let (Some(entry), Some(folder)) = (self.entry().cloned(), self.folder(model)) else { return };
        let from = model.settings.fetching.from.trim();
        let from = (!from.is_empty()).then(|| match Origin::of(from) {
            Origin::Folder(folder) => Origin::Folder(absolute(&folder)),
            address @ Origin::Address(_) => address,
        });
        let asked = Asked { from, folder, caches: catalogue::hub_caches(), licence_accepted: self.accepted };
        let job = model
            .worker
            .spawn("fetch", move |monitor| Ok(Arc::new(catalogue::get(&entry, &asked, monitor).map_err(told)?)));
        self.getting = self.chosen;
        self.got.clear();
        self.got.follow(job);
    }

    /// The entry that is shown.
    pub fn entry(&self) -> Option<&Entry> {
        self.entries.get(self.chosen)
    }

    /// How much of an entry is on the disk, once that was looked at.
    pub fn kept_of(&self, at: usize) -> Option<&Kept> {
        self.kept.ready()?.get(at)
    }

    /// The folder of the shown entry's files.
    fn folder(&self, model: &Model) -> Option<PathBuf> {
        Some(root(&model.settings.fetching)?.join(&self.entry()?.name))
    }

    /// The download of one entry, while it goes on.
    pub fn fetching(&self, at: usize) -> Option<&Monitor> {
        self.got.running().filter(|_| self.getting == at)
    }

    /// What the last download brought, if it was one of the shown entry.
    pub fn brought(&self) -> Option<&Got> {
        self.got.ready().filter(|_| self.getting == self.chosen).map(Arc::as_ref)
    }

    /// Why the shown entry cannot be fetched now, in words.
    pub fn hindrance(&self, fetching: &Fetching) -> Option<String> {
        let entry = self.entry()?;
        if entry.files.is_empty() {
            return Some("No one says where its files lie; its source tells how to get them".to_owned());
        }
        if self.got.running().is_some() {
            let other = self.entries.get(self.getting).map_or("", |entry| &entry.name);
            return Some(format!("{other} is being fetched; one at a time"));
        }
        if entry.licence.limits.is_some() && !self.accepted {
            return Some("Tick that its licence's limits suit you, above".to_owned());
        }
        let from = fetching.from.trim();
        if !catalogue::HAS_NETWORK && (from.is_empty() || matches!(Origin::of(from), Origin::Address(_))) {
            return Some("Name a folder that holds its files, at From".to_owned());
        }
        root(fetching).is_none().then(|| "This system names no folder for data; name one at Into".to_owned())
    }

    pub fn error(&self) -> Option<&Error> {
        self.got.error().or(self.shown.error())
    }

    pub fn dismiss(&mut self) {
        self.got.dismiss();
        self.shown.dismiss();
    }
}

/// The folder of all fetched networks.
pub fn root(fetching: &Fetching) -> Option<PathBuf> {
    if fetching.into.as_os_str().is_empty() { catalogue::models_folder() } else { Some(absolute(&fetching.into)) }
}

/// A cancelled download is no failure.
fn told(error: catalogue::Error) -> Error {
    match error {
        catalogue::Error::Cancelled(cancelled) => cancelled.into(),
        error => error.into(),
    }
}
