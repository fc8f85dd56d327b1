//! The work behind the export dialog, each piece a job of its own: a look into the folder, the preview, the export.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use eframe::egui::{ColorImage, Context, TextureHandle, TextureOptions};
use image::{RgbaImage, imageops};

use crate::export::{self, Kind, Patient, Run, Spot, Style, write};
use crate::job::{Monitor, Turn};
use crate::settings::{ExportChoices, absolute};
use crate::ui::session::{Explained, Session};
use crate::ui::stage::Stage;
use crate::ui::viewer::Viewer;

/// The preview is no larger, physical pixels: twice the points that it is shown in, for screens that have them.
const PREVIEW_PX: [u32; 2] = [760, 400];

#[derive(Debug, Clone, PartialEq)]
pub(in crate::ui) enum Act {
    Choose(ExportChoices),
    /// Whether the files that are there may go.
    Replace(bool),
    /// Whether DICOM files say whose they are.
    Tell(Patient),
    Start,
    Cancel,
    /// Back to the choices, after an export.
    Again,
    ShowFolder,
}

/// What an export wrote.
pub(super) struct Written {
    pub(super) folder: PathBuf,
    pub(super) names: Vec<String>,
}

/// What is in the folder before an export.
pub(super) struct Found {
    pub(super) has_folder: bool,
    /// Files of the names that the export would write.
    pub(super) names: Vec<&'static str>,
}

/// A result, and how pictures of it are made.
#[derive(Clone)]
struct Scene {
    run: Arc<Explained>,
    style: Style,
    spot: Option<Spot>,
    patient: Patient,
}

impl Scene {
    /// `None` without a result.
    fn of(session: &Session, viewer: &Viewer, patient: Patient) -> Option<Self> {
        let choices = &session.settings.export;
        let spot = choices.as_shown.then_some(Spot { place: viewer.cursor, window: viewer.window });
        Some(Self { run: Arc::clone(session.run.ready()?), style: choices.style, spot, patient })
    }

    fn run(&self) -> Run<'_> {
        let Explained { scan, result, report, layers, .. } = &*self.run;
        let (style, spot, patient) = (self.style, self.spot, self.patient);
        Run { input: &scan.input, result, report, layers: (**layers).clone(), style, spot, patient }
    }

    fn looks_like(&self, other: &Self) -> bool {
        let looks = |scene: &Self| (scene.style.layout, scene.style.left_out, scene.style.size_px, scene.spot);
        Arc::ptr_eq(&self.run, &other.run) && looks(self) == looks(other)
    }
}

#[derive(Default)]
pub(in crate::ui) struct ExportDialog {
    pub(super) written: Stage<Written>,
    pub(super) found: Stage<Found>,
    /// Where it was looked, for files of which kinds.
    looked: Option<(PathBuf, Vec<Kind>)>,
    pub(super) may_replace: bool,
    /// For the exports of this visit: what is told of a patient is no lasting choice.
    pub(super) patient: Patient,
    pub(super) preview: Stage<RgbaImage>,
    previewed: Option<Scene>,
    pub(super) texture: Option<TextureHandle>,
    shown: Stage<()>,
}

impl ExportDialog {
    /// The dialog has come, or has gone. Work goes on without it; what it showed does not come back.
    pub(in crate::ui) fn turn(&mut self, comes: bool) {
        (self.looked, self.patient) = (None, Patient::LeftOut);
        if !comes {
            (self.previewed, self.texture) = (None, None);
            self.preview.clear();
            self.forget_written();
        }
    }

    fn forget_written(&mut self) {
        if self.written.ready().is_some() && self.written.running().is_none() {
            self.written.clear();
        }
    }

    pub(in crate::ui) fn poll(&mut self, ctx: &Context) {
        if self.written.poll() {
            self.looked = None;
        }
        self.found.poll();
        self.shown.poll();
        if self.preview.poll()
            && let Some(picture) = self.preview.ready()
        {
            let size = [picture.width() as usize, picture.height() as usize];
            let pixels = ColorImage::from_rgba_unmultiplied(size, picture.as_raw());
            self.texture = Some(ctx.load_texture("export preview", pixels, TextureOptions::LINEAR));
        }
    }

    /// Looks anew at what was changed by a choice or by a new result.
    pub(in crate::ui) fn follow(&mut self, session: &Session, viewer: &Viewer) {
        let ExportChoices { folder, kinds, .. } = &session.settings.export;
        let asked = (folder.clone(), kinds.clone());
        if self.looked.as_ref() != Some(&asked) {
            (self.looked, self.may_replace) = (Some(asked.clone()), false);
            self.found.clear();
            self.found.follow(session.spawn("look", &Turn::default(), move |_| Ok(Arc::new(found(asked)))));
        }
        let Some(scene) = Scene::of(session, viewer, Patient::LeftOut) else { return };
        if self.previewed.as_ref().is_none_or(|before| !before.looks_like(&scene)) {
            // What no longer holds is not shown.
            (self.previewed, self.texture) = (Some(scene.clone()), None);
            let job = session.spawn("preview", &Turn::default(), move |_| Ok(Arc::new(preview(&scene)?)));
            self.preview.follow(job);
        }
    }

    pub(in crate::ui) fn act(&mut self, act: Act, session: &mut Session, viewer: &Viewer) {
        match act {
            Act::Choose(choices) => {
                session.settings.export = choices;
                self.forget_written();
            }
            Act::Replace(may) => self.may_replace = may,
            Act::Tell(patient) => self.patient = patient,
            Act::Start => self.start(session, viewer),
            Act::Cancel => self.written.cancel(),
            Act::Again => self.forget_written(),
            Act::ShowFolder => {
                let Some(folder) = self.written.ready().map(|written| written.folder.clone()) else { return };
                let job = session.spawn("show", &Turn::default(), move |_| {
                    open::that_detached(&folder).context("no program shows folders here; open it yourself")?;
                    Ok(Arc::new(()))
                });
                self.shown.follow(job);
            }
        }
    }

    fn start(&mut self, session: &Session, viewer: &Viewer) {
        if self.hindrance(session).is_some() {
            return;
        }
        let Some(scene) = Scene::of(session, viewer, self.patient) else { return };
        let ExportChoices { kinds, folder, .. } = session.settings.export.clone();
        let may_go = self.found.ready().map_or(Vec::new(), |found| found.names.clone());
        let job = session.spawn("export", &Turn::default(), move |monitor| {
            Ok(Arc::new(write(&scene, &kinds, &absolute(&folder), &may_go, monitor)?))
        });
        self.written.follow(job);
    }

    /// Why nothing can be exported now, in words.
    pub(super) fn hindrance(&self, session: &Session) -> Option<&'static str> {
        let choices = &session.settings.export;
        if session.run.ready().is_none() {
            return Some("There is no result yet");
        }
        if choices.kinds.is_empty() {
            return Some("Tick what to export");
        }
        if choices.folder.as_os_str().is_empty() {
            return Some("Name a folder");
        }
        let Some(found) = self.found.ready() else { return Some("Looking into the folder") };
        (!found.names.is_empty() && !self.may_replace).then_some("Tick Replace, or name another folder")
    }

    pub(super) fn error(&self) -> Option<&anyhow::Error> {
        self.written.error().or(self.shown.error()).or(self.preview.error())
    }

    pub(in crate::ui) fn dismiss(&mut self) {
        self.written.dismiss();
        self.shown.dismiss();
        self.preview.dismiss();
    }
}

/// Whether the files that are chosen can say whose they are.
pub(super) fn can_tell_patient(session: &Session) -> bool {
    let is_study = |run: &Arc<Explained>| run.scan.input.scan.as_ref().is_some_and(|scan| scan.study.is_some());
    session.settings.export.kinds.iter().any(|kind| kind.is_dicom()) && session.run.ready().is_some_and(is_study)
}

/// What to know of the files that are chosen, in words.
pub(super) fn note(session: &Session) -> Option<&'static str> {
    export::note(&session.run.ready()?.scan.input, &session.settings.export.kinds)
}

fn found((folder, kinds): (PathBuf, Vec<Kind>)) -> Found {
    let folder = absolute(&folder);
    let names = export::names(&kinds).filter(|name| folder.join(name).exists()).collect();
    Found { has_folder: folder.is_dir(), names }
}

fn write(scene: &Scene, kinds: &[Kind], folder: &Path, may_go: &[&str], monitor: &Monitor) -> Result<Written> {
    let may_go = |name: &str| may_go.contains(&name);
    export::check(&scene.run.scan.input, kinds, scene.patient)?;
    let mut set = write::Set::open(folder, export::names(kinds), may_go)?;
    export::files(&scene.run(), kinds, monitor, &mut |file| set.put(&file))?;
    Ok(Written { folder: folder.to_owned(), names: set.finish()? })
}

/// The pictures side by side, no larger than they are shown.
fn preview(scene: &Scene) -> Result<RgbaImage> {
    const GAP: u32 = 8;
    let pictures = export::preview(&scene.run())?;
    let width = pictures.iter().map(|picture| picture.width() + GAP).sum::<u32>().saturating_sub(GAP);
    let height = pictures.iter().map(RgbaImage::height).max().unwrap_or(0);
    let (mut all, mut at) = (RgbaImage::new(width, height), 0);
    for picture in &pictures {
        imageops::replace(&mut all, picture, at, 0);
        at += i64::from(picture.width() + GAP);
    }
    let share = f64::min(f64::from(PREVIEW_PX[0]) / f64::from(width), f64::from(PREVIEW_PX[1]) / f64::from(height));
    if share >= 1.0 {
        return Ok(all);
    }
    let [width, height] = [width, height].map(|px| (f64::from(px) * share).round().max(1.0) as u32);
    Ok(imageops::resize(&all, width, height, imageops::FilterType::Triangle))
}
