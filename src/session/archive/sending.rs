//! Results on their way to an archive: the objects are made anew of the result that is shown, and each has its answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result};

use super::act::{Act, Send};
use super::object::Object;
use super::passwords::Passwords;
use super::question::Question;
use super::told::told;
use crate::export::write::{self, make_private_folder};
use crate::export::{self, Kind, Patient};
use crate::job::{Latest, Monitor};
use crate::pacs::{self, Secret, Sent, Source};
use crate::session::exporting::Scene;
use crate::session::model::Model;
use crate::session::worker::Worker;

/// What a source said to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What it is, and which of several it is.
    pub name: String,
    /// SOP Instance UID.
    pub uid: String,
    pub stored: bool,
    pub words: String,
}

/// The choices, and what came of sending.
pub struct Sending {
    /// The log of all that was sent; `None` where the system names no folder for data.
    pub log: Option<PathBuf>,
    pub objects: BTreeSet<Object>,
    /// What the objects tell of the patient in this visit: it is no lasting choice.
    pub patient: Patient,
    pub sent: Question<Vec<Answered>>,
    so_far: Latest<Vec<Answered>>,
}

impl Sending {
    pub(super) fn new(log: Option<PathBuf>) -> Self {
        Self {
            log,
            objects: BTreeSet::from(Object::USUAL),
            patient: Patient::LeftOut,
            sent: Question::default(),
            so_far: Latest::default(),
        }
    }

    /// Another visit begins: what was answered in the one before does not come back, nor does the choice to name the patient.
    pub(in crate::session) fn begin(&mut self) {
        self.patient = Patient::LeftOut;
        if self.sent.running().is_none() {
            self.sent.clear();
        }
    }

    pub(super) fn act(
        &mut self,
        act: Send,
        scene: Option<Scene>,
        to: Option<&Source>,
        (worker, passwords): (&Worker, &Passwords),
    ) {
        match act {
            Send::Tick(object, true) => _ = self.objects.insert(object),
            Send::Tick(object, false) => _ = self.objects.remove(&object),
            Send::Tell(patient) => self.patient = patient,
            Send::Again => self.sent.clear(),
            Send::Cancel => self.sent.cancel(),
            Send::Start => {
                let (Some(scene), Some(to), Some(log)) = (scene, to, self.log.clone()) else { return };
                if self.objects.is_empty() || self.sent.running().is_some() {
                    return;
                }
                let (objects, so_far) = (self.objects.clone(), Latest::default());
                self.so_far = so_far.clone();
                self.sent.clear();
                let again = Act::Send(Send::Start);
                self.sent.ask((worker, passwords), to, again, move |source, secret, monitor| {
                    send(&scene, &objects, (source, secret), (&log, &so_far), monitor)
                });
            }
        }
    }

    /// The answers that have come.
    pub fn answers(&self) -> Vec<Answered> {
        if let Some(all) = self.sent.ready() {
            return all.to_vec();
        }
        self.so_far.get().filter(|_| self.sent.running().is_some()).map(|some| some.to_vec()).unwrap_or_default()
    }

    /// Why nothing can be sent now, in words.
    pub fn hindrance(&self, has_result: bool, to: Option<&Source>) -> Option<&'static str> {
        if !has_result {
            return Some("There is no result yet");
        }
        if self.log.is_none() {
            return Some("This system names no folder for data, where the log of what is sent lies");
        }
        if to.is_none() {
            return Some("Choose to whom");
        }
        self.objects.is_empty().then_some("Tick what to send")
    }

    pub fn error(&self) -> Option<&Error> {
        self.sent.error()
    }
}

/// Makes the objects in a folder of this user's alone, sends them, and deletes the folder.
fn send(
    scene: &Scene,
    objects: &BTreeSet<Object>,
    (source, secret): (&Source, Option<&Secret>),
    (log, so_far): (&Path, &Latest<Vec<Answered>>),
    monitor: &Monitor,
) -> Result<Vec<Answered>> {
    let kinds: Vec<Kind> =
        [Kind::Dicom, Kind::DicomCt].into_iter().filter(|kind| objects.iter().any(|one| one.kind() == *kind)).collect();
    let folder = tempfile::Builder::new().prefix(".tmp-parallax-").tempdir().context("the objects cannot be made")?;
    scene.files(&kinds, monitor, &mut |file| {
        let path = folder.path().join(&file.name);
        if !Object::of_file(&file.name).is_some_and(|object| objects.contains(&object)) {
            return Ok(());
        }
        make_private_folder(path.parent().unwrap_or(folder.path()))?;
        write::save(&path, &file.bytes, true)
    })?;
    let answered = |one: &Sent| answered(one, folder.path());
    let mut all = Vec::new();
    let mut tell = |one: &Sent| {
        all.push(answered(one));
        so_far.put(all.clone());
    };
    let paths = [folder.path().to_owned()];
    let sent = pacs::send_and_tell(source, secret, &paths, (log, &mut tell), monitor).map_err(told)?;
    Ok(sent.iter().map(answered).collect())
}

fn answered(one: &Sent, folder: &Path) -> Answered {
    let inside = one.path.strip_prefix(folder).unwrap_or(&one.path);
    let inside = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
    let name = match Object::of_file(&inside) {
        Some(Object::Ct) => format!("Counterfactual, {}", inside.rsplit('/').next().unwrap_or_default()),
        Some(object) => object.title().to_owned(),
        None => inside,
    };
    Answered { name, uid: one.uid.clone(), stored: one.answer.is_stored(), words: one.answer.words() }
}

/// Whether the objects of the result that is shown can say whose they are.
pub fn can_tell_patient(model: &Model) -> bool {
    model.run.ready().is_some_and(|run| run.scan.input.scan.as_ref().is_some_and(|scan| scan.study.is_some()))
}

/// What to know of the objects of the result that is shown, in words.
pub fn note(model: &Model) -> Option<&'static str> {
    export::note(&model.run.ready()?.scan.input, &[Kind::Dicom])
}
