//! What a session does on the pages of archives and of a cohort, and with what they lead to.

use std::time::Instant;

use super::action::{Action, Run, Setting, Sheet};
use super::apply::Session;
use super::archive::act::Act as Archive;
use super::cohort::act::Act as Cohort;
use super::cohort::found::IsCohort;
use super::cohort::opened::{Asked, Opened};
use super::document::Restored;
use super::exporting::Scene;
use crate::io::Choice;
use crate::settings::ScoredBy;

impl Session {
    pub(super) fn act_on_archive(&mut self, act: Archive) {
        let scene = match act {
            Archive::Send(_) | Archive::Password { .. } => {
                Scene::of(&self.model, &self.view, self.archive.sending.patient)
            }
            _ => None,
        };
        self.archive.act(act, scene, &self.model.worker);
    }

    pub(super) fn act_on_cohort(&mut self, act: Cohort) {
        if let Cohort::Read(folder) = &act {
            self.model.settings.remember(folder);
            self.sheet = Some(Sheet::Cohort);
        }
        self.cohort.act(act, &self.model.worker);
    }

    /// A page of archives has come, or has gone.
    pub(super) fn turn_page(&mut self, sheet: Sheet) {
        if self.sheet != Some(sheet) {
            self.archive.leave();
            return;
        }
        self.archive.come(&self.model.worker);
        if sheet == Sheet::Send {
            self.archive.sending.begin();
        }
    }

    /// Takes what has come for the pages, and opens what they lead to.
    pub(super) fn follow_pages(&mut self) {
        if let Some(why) = self.archive.passwords.poll() {
            self.toasts.tell(&why, Instant::now());
        }
        if let Some(fetched) = self.archive.poll(&self.model.worker) {
            for note in &fetched.notes {
                self.toasts.say(note, None, Instant::now());
            }
            let opens: Action = Run::Open(fetched.folder.clone()).into();
            if self.sheet == Some(Sheet::Archive) {
                self.sheet = None;
                self.turn_page(Sheet::Archive);
                self.apply(opens);
            } else {
                let text = format!("{} is fetched", self.archive.fetching);
                self.toasts.say(&text, Some(opens), Instant::now());
            }
        }
        let found = self.model.scan.error().and_then(|error| error.downcast_ref::<IsCohort>());
        if let Some(folder) = found.map(|IsCohort(folder)| folder.clone()) {
            self.model.scan.dismiss();
            self.act_on_cohort(Cohort::Read(folder));
        }
        if let Some(opened) = self.cohort.poll(&self.model.worker) {
            self.open_case(&opened);
        }
    }

    /// Opens what a case leads to. The table gives way to it, and is not closed.
    fn open_case(&mut self, opened: &Opened) {
        self.sheet.take_if(|sheet| *sheet == Sheet::Cohort);
        match opened {
            Opened::Session(path) => self.model.open(path.clone(), Choice::default()),
            Opened::Scan(asked) => {
                self.model.open(asked.scan.clone(), asked.choice.clone());
                self.cohort.asked = self.model.run.running().is_none().then(|| asked.as_ref().clone());
            }
        }
    }

    /// A scan has come: where it is of the case that was opened, it is asked what the case was asked.
    pub(super) fn ask_as_case(&mut self) {
        let Some(asked) = self.cohort.asked.take() else { return };
        let Some(scan) = self.model.scan.ready().filter(|scan| scan.path.as_ref() == Some(&asked.scan)) else { return };
        let slices = scan.stack_slices();
        if let Some(target) = &asked.target {
            self.apply(Setting::ScoreBy(ScoredBy::Classifier).into());
            self.apply(Setting::Target(target.clone()).into());
        }
        if let Some(options) = &asked.options {
            self.apply(Setting::Options(options.clone()).into());
        }
        // A record names all slices where all may change.
        let slab = asked.slab.clone().filter(|slab| *slab != (0..slices) && slab.end <= slices);
        self.apply(Setting::Slab(slab).into());
        let text = self.words_of_case(&asked);
        self.toasts.say(&text, None, Instant::now());
    }

    /// A session has come: where it is of a case of the cohort that is open, the case is named.
    pub(super) fn tell_of_case(&mut self, restored: &Restored) {
        let folder = restored.path.parent().filter(|folder| folder.parent() == self.cohort.cases_folder().as_deref());
        let Some(id) = folder.and_then(|folder| folder.file_name()).filter(|_| restored.run.is_some()) else { return };
        let text = format!("Case {} is open with its result", id.display());
        self.toasts.say(&text, None, Instant::now());
    }

    /// What to know of a case that is open, in words.
    fn words_of_case(&self, asked: &Asked) -> String {
        let Asked { id, networks, options, .. } = asked;
        if options.is_none() {
            return format!("Case {id} is open; it has no result");
        }
        let autoencoder = self.model.autoencoder.ready().map(|loaded| &loaded.model.sha256);
        let classifier = self.model.classifier.ready().map(|loaded| &loaded.model.sha256);
        let lacking: Vec<&str> = networks
            .iter()
            .filter(|(_, sha256)| ![autoencoder, classifier].into_iter().flatten().any(|loaded| loaded == sha256))
            .map(|(name, _)| name.as_str())
            .collect();
        if lacking.is_empty() {
            return format!("Case {id} is open as it was asked; a run with these networks gives its result again");
        }
        format!("Case {id} is open as it was asked; its result is of {}, which is not loaded", lacking.join(" and "))
    }
}
