//! The list of sources: read, changed and tried, on threads of its own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, ensure};

use super::act::{Act, Sources as Does};
use super::draft::Draft;
use super::passwords::Passwords;
use super::question::Question;
use super::told::told;
use crate::pacs::{self, Source, Sources};
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// The list as it was read last.
pub struct Kept {
    pub all: Sources,
    /// What to know of the last change, in words.
    pub note: Option<String>,
}

/// The list, and what is done with it.
#[derive(Default)]
pub struct SourceList {
    /// The file of the list; `None` where the system names no folder for data.
    file: Option<PathBuf>,
    pub kept: Stage<Kept>,
    /// Whether the list is shown in the place of the search.
    pub shown: bool,
    /// A source as it is typed.
    pub draft: Option<Draft>,
    /// The name of the source that is changed; none where it is new.
    before: Option<String>,
    /// Whether what was typed is being written.
    writes: bool,
    /// The source that is about to be removed.
    pub removing: Option<String>,
    /// What the source said that was tried last.
    pub tested: Question<String>,
    error: Option<Error>,
}

impl SourceList {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, ..Self::default() }
    }

    /// Reads the list anew.
    pub(super) fn read(&mut self, worker: &Worker) {
        let Some(file) = self.file.clone() else { return };
        let job = worker.spawn("sources", move |_| Ok(Arc::new(Kept { all: pacs::load(&file)?, note: None })));
        self.kept.follow(job);
    }

    /// All sources that are known.
    pub fn all(&self) -> &[Source] {
        self.kept.ready().map_or(&[], |kept| &kept.all.sources)
    }

    /// The source of a name.
    pub fn named(&self, name: &str) -> Option<&Source> {
        self.all().iter().find(|source| source.name == name)
    }

    pub(super) fn act(&mut self, act: Does, worker: &Worker, passwords: &mut Passwords) {
        self.error = None;
        match act {
            Does::Show(shown) => {
                (self.shown, self.draft, self.removing) = (shown, None, None);
                self.tested.clear();
            }
            Does::New => (self.draft, self.before) = (Some(Draft::default()), None),
            Does::Edit(name) => {
                self.draft = self.named(&name).map(Draft::of);
                self.before = Some(name);
            }
            Does::Change(draft) => self.draft = Some(*draft),
            Does::Keep => self.error = self.keep(worker).err(),
            Does::Leave => (self.draft, self.removing) = (None, None),
            Does::Test(name) => self.test(&name, worker, passwords),
            Does::AskRemove(name) => self.removing = Some(name),
            Does::Remove(name) => self.remove(&name, worker, passwords),
        }
    }

    /// Writes what was typed in the place of the source that is changed.
    fn keep(&mut self, worker: &Worker) -> Result<()> {
        let Some(draft) = &self.draft else { return Ok(()) };
        let source = draft.source()?;
        let before = self.before.clone();
        self.change(worker, move |sources| {
            let certificates = match &source.kind {
                pacs::Access::DicomWeb(web) => &web.certificates,
                pacs::Access::Dimse(peer) => &peer.certificates,
            };
            for path in [&certificates.authority, &certificates.certificate, &certificates.key].into_iter().flatten() {
                ensure!(path.is_file(), "there is no such file: {}", path.display());
            }
            let is_same = |other: &Source| before.as_ref() == Some(&other.name);
            let taken = sources.sources.iter().any(|other| other.name == source.name && !is_same(other));
            ensure!(!taken, "a source is called {} already; take another name, or change that one", source.name);
            match sources.sources.iter_mut().find(|other| is_same(other)) {
                Some(other) => *other = source,
                None => sources.sources.push(source),
            }
            Ok(None)
        })?;
        self.writes = true;
        Ok(())
    }

    fn remove(&mut self, name: &str, worker: &Worker, passwords: &mut Passwords) {
        self.removing = None;
        let Some(source) = self.named(name).cloned() else { return };
        passwords.forget(&source);
        let changed = self.change(worker, move |sources| {
            sources.sources.retain(|other| other.name != source.name);
            let forgets = source.secret_kind().is_some();
            let why = forgets.then(|| pacs::forget(&source).err()).flatten();
            Ok(why.map(|why| format!("{why}: a password that is kept there stays")))
        });
        self.error = changed.err();
    }

    /// Changes the list as it is on the disk at that moment: the command line may have changed it since.
    fn change(
        &mut self,
        worker: &Worker,
        change: impl FnOnce(&mut Sources) -> Result<Option<String>> + Send + 'static,
    ) -> Result<()> {
        let file = self.file.clone().context("this system names no folder for data, where sources are kept")?;
        self.kept.follow(worker.spawn("sources", move |_| {
            let mut all = pacs::load(&file)?;
            let note = change(&mut all)?;
            pacs::save(&file, &all)?;
            Ok(Arc::new(Kept { all, note }))
        }));
        Ok(())
    }

    fn test(&mut self, name: &str, worker: &Worker, passwords: &Passwords) {
        let Some(source) = self.named(name).cloned() else { return };
        self.tested.clear();
        let again = Act::Sources(Does::Test(name.to_owned()));
        self.tested.ask((worker, passwords), &source, again, |source, secret, monitor| {
            pacs::test(source, secret, monitor).map_err(told)
        });
    }

    /// Takes what has come; what was typed and is written now is typed no more.
    pub(super) fn poll(&mut self, worker: &Worker, passwords: &mut Passwords) {
        self.tested.poll(passwords, worker);
        let ran = self.kept.running().is_some();
        let is_new = self.kept.poll();
        if ran && self.kept.running().is_none() && std::mem::take(&mut self.writes) && is_new {
            (self.draft, self.before) = (None, None);
        }
    }

    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref().or(self.kept.error()).or(self.tested.error())
    }

    pub(super) fn dismiss(&mut self) {
        self.error = None;
        self.kept.dismiss();
        self.tested.dismiss();
    }
}
