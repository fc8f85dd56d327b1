//! The work behind the page of published networks: a look at what is on the disk, and a download, each a job of its own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Error};

use crate::catalogue::{self, Asked, Entry, Got, Kept, Origin};
use crate::job::{Monitor, Turn};
use crate::settings::{Fetching, absolute};
use crate::ui::session::Session;
use crate::ui::stage::Stage;

/// What a person did on the page.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ui) enum Act {
    /// Shows another entry, by its place in the catalogue.
    Choose(usize),
    /// Where files come from and go to.
    Places(Fetching),
    /// Whether the limits that the shown entry's licence sets suit the person.
    Accept(bool),
    Get,
    Cancel,
    /// Shows the files of the shown entry in the system's file manager.
    ShowFolder,
    /// Shows its authors' page in the system's browser.
    ShowSource,
}

pub(in crate::ui) struct PublishedPage {
    pub(super) entries: Vec<Entry>,
    /// The entry that is shown.
    pub(super) chosen: usize,
    pub(super) accepted: bool,
    /// A download, and the entry that it is of.
    pub(super) got: Stage<Got>,
    pub(super) getting: usize,
    /// How much of each entry is on the disk.
    pub(super) kept: Stage<Vec<Kept>>,
    /// In which folder it was looked.
    looked: Option<PathBuf>,
    shown: Stage<()>,
}

impl PublishedPage {
    pub(in crate::ui) fn new(entries: Vec<Entry>) -> Self {
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
    pub(in crate::ui) fn turn(&mut self) {
        (self.looked, self.accepted) = (None, false);
    }

    pub(in crate::ui) fn poll(&mut self) {
        let before = self.got.running().is_some();
        self.got.poll();
        if before && self.got.running().is_none() {
            self.looked = None; // also what a cancelled download leaves
        }
        self.kept.poll();
        self.shown.poll();
    }

    /// Looks at the disk anew, after a download or when another folder was chosen.
    pub(in crate::ui) fn follow(&mut self, session: &Session) {
        let root = root(&session.settings.fetching).unwrap_or_default();
        if self.looked.as_ref() == Some(&root) {
            return;
        }
        self.looked = Some(root.clone());
        let entries = self.entries.clone();
        let job = session.spawn("look", &Turn::default(), move |_| {
            let caches = catalogue::hub_caches();
            let look = |entry: &Entry| catalogue::kept(entry, &root.join(&entry.name), &caches);
            Ok(Arc::new(entries.iter().map(look).collect()))
        });
        self.kept.follow(job);
    }

    pub(in crate::ui) fn act(&mut self, act: Act, session: &mut Session) {
        match act {
            Act::Choose(at) => (self.chosen, self.accepted) = (at, false),
            Act::Places(places) => session.settings.fetching = places,
            Act::Accept(accepted) => self.accepted = accepted,
            Act::Get => self.get(session),
            Act::Cancel => self.got.cancel(),
            Act::ShowFolder => {
                let folder = self.kept_of(self.chosen).and_then(|_| self.folder(session));
                self.show(session, folder.unwrap_or_default().into_os_string());
            }
            Act::ShowSource => {
                let page = self.entry().map(|entry| entry.page.clone()).unwrap_or_default();
                self.show(session, page.into());
            }
        }
    }

    /// Opens a folder or an address of the catalogue with the program that the system has for it.
    fn show(&mut self, session: &Session, what: std::ffi::OsString) {
        let job = session.spawn("show", &Turn::default(), move |_| {
            let said = what.display().to_string();
            open::that_detached(&what)
                .with_context(|| format!("no program shows this here; open it yourself: {said}"))?;
            Ok(Arc::new(()))
        });
        self.shown.follow(job);
    }

    fn get(&mut self, session: &Session) {
        if self.hindrance(&session.settings.fetching).is_some() {
            return;
        }
        let (Some(entry), Some(folder)) = (self.entry().cloned(), self.folder(session)) else { return };
        let from = session.settings.fetching.from.trim();
        let from = (!from.is_empty()).then(|| match Origin::of(from) {
            Origin::Folder(folder) => Origin::Folder(absolute(&folder)),
            address @ Origin::Address(_) => address,
        });
        let asked = Asked { from, folder, caches: catalogue::hub_caches(), licence_accepted: self.accepted };
        let job = session.spawn("fetch", &Turn::default(), move |monitor| {
            Ok(Arc::new(catalogue::get(&entry, &asked, monitor).map_err(told)?))
        });
        self.getting = self.chosen;
        self.got.clear();
        self.got.follow(job);
    }

    /// The entry that is shown.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.entries.get(self.chosen)
    }

    /// How much of an entry is on the disk, once that was looked at.
    pub(super) fn kept_of(&self, at: usize) -> Option<&Kept> {
        self.kept.ready()?.get(at)
    }

    /// The folder of the shown entry's files.
    fn folder(&self, session: &Session) -> Option<PathBuf> {
        Some(root(&session.settings.fetching)?.join(&self.entry()?.name))
    }

    /// The download of one entry, while it goes on.
    pub(super) fn fetching(&self, at: usize) -> Option<&Monitor> {
        self.got.running().filter(|_| self.getting == at)
    }

    /// What the last download brought, if it was one of the shown entry.
    pub(super) fn brought(&self) -> Option<&Got> {
        self.got.ready().filter(|_| self.getting == self.chosen).map(Arc::as_ref)
    }

    /// Why the shown entry cannot be fetched now, in words.
    pub(super) fn hindrance(&self, fetching: &Fetching) -> Option<String> {
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

    pub(super) fn error(&self) -> Option<&Error> {
        self.got.error().or(self.shown.error())
    }

    pub(in crate::ui) fn dismiss(&mut self) {
        self.got.dismiss();
        self.shown.dismiss();
    }
}

/// The folder of all fetched networks.
pub(super) fn root(fetching: &Fetching) -> Option<PathBuf> {
    if fetching.into.as_os_str().is_empty() { catalogue::models_folder() } else { Some(absolute(&fetching.into)) }
}

/// A cancelled download is no failure.
fn told(error: catalogue::Error) -> Error {
    match error {
        catalogue::Error::Cancelled(cancelled) => cancelled.into(),
        error => error.into(),
    }
}
