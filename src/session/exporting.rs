//! The work behind the export dialog, each piece a job of its own: a look into the folder, the preview, the export.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use image::{RgbaImage, imageops};

use super::explained::Explained;
use super::model::Model;
use super::model::methods::Computed;
use super::stage::Stage;
use super::view::Viewer;
use crate::export::compared::{MaskReport, MethodMap, MethodReport};
use crate::export::report::Report;
use crate::export::{self, Kind, Patient, Spot, Style, Subject, write};
use crate::job::Monitor;
use crate::settings::{ExportChoices, absolute};

/// The preview is no larger, physical pixels: twice the points that it is shown in, for screens that have them.
const PREVIEW_PX: [u32; 2] = [760, 400];

/// What an export wrote.
pub struct Written {
    pub folder: PathBuf,
    pub names: Vec<String>,
}

/// What is in the folder before an export.
pub struct Found {
    pub has_folder: bool,
    /// Files of the names that the export would write.
    pub names: Vec<&'static str>,
}

/// A result, and how pictures of it are made.
#[derive(Clone)]
pub(super) struct Scene {
    run: Arc<Explained>,
    style: Style,
    spot: Option<Spot>,
    patient: Patient,
    /// Other methods' maps of the same class, and what a mask says of all.
    maps: Vec<Arc<Computed>>,
    mask: Option<Arc<MaskReport>>,
}

impl Scene {
    /// `None` without a result.
    pub(super) fn of(model: &Model, viewer: &Viewer, patient: Patient) -> Option<Self> {
        let choices = &model.settings.export;
        let spot = choices.as_shown.then_some(Spot { place: viewer.cursor, window: viewer.window });
        let (maps, mask) = (model.methods.all().to_vec(), model.masking.report().cloned());
        Some(Self { run: Arc::clone(model.run.ready()?), style: choices.style, spot, patient, maps, mask })
    }

    /// The run's numbers, with those of what it was compared with.
    fn report(&self) -> Report {
        let mut report = self.run.report.clone();
        let of = |computed: &Arc<Computed>| {
            MethodReport::of(&MethodMap { method: computed.method, sizes: computed.sizes.clone() })
        };
        report.methods = (!self.maps.is_empty()).then(|| self.maps.iter().map(of).collect());
        report.mask = self.mask.as_deref().cloned();
        report
    }

    fn subject<'a>(&'a self, report: &'a Report) -> Subject<'a> {
        let Explained { run, layers, .. } = &*self.run;
        let (style, spot, patient) = (self.style, self.spot, self.patient);
        Subject { run, report, layers: (**layers).clone(), style, spot, patient }
    }

    /// Makes the files of `kinds` with the numbers of the run.
    pub(super) fn files(
        &self,
        kinds: &[Kind],
        monitor: &Monitor,
        put: &mut dyn FnMut(export::File) -> Result<()>,
    ) -> Result<()> {
        export::check(&self.run.scan.input, kinds, self.patient)?;
        let report = self.report();
        export::files(&self.subject(&report), kinds, monitor, put)
    }

    fn looks_like(&self, other: &Self) -> bool {
        let looks = |scene: &Self| (scene.style.layout, scene.style.left_out, scene.style.size_px, scene.spot);
        Arc::ptr_eq(&self.run, &other.run) && looks(self) == looks(other)
    }
}

#[derive(Default)]
pub struct Exporting {
    pub written: Stage<Written>,
    pub found: Stage<Found>,
    /// Where it was looked, for files of which kinds.
    looked: Option<(PathBuf, Vec<Kind>)>,
    pub may_replace: bool,
    /// What DICOM files tell of the patient in this visit: it is no lasting choice.
    pub patient: Patient,
    pub preview: Stage<RgbaImage>,
    previewed: Option<Scene>,
    shown: Stage<()>,
}

impl Exporting {
    /// The dialog has come, or has gone. Work goes on without it; what it showed does not come back.
    pub fn turn(&mut self, comes: bool) {
        (self.looked, self.patient) = (None, Patient::LeftOut);
        if !comes {
            self.previewed = None;
            self.preview.clear();
            self.forget_written();
        }
    }

    /// Takes what has come.
    pub fn poll(&mut self) {
        if self.written.poll() {
            self.looked = None;
        }
        self.found.poll();
        self.shown.poll();
        self.preview.poll();
    }

    /// Looks anew at what was changed by a choice or by a new result.
    pub fn follow(&mut self, model: &Model, viewer: &Viewer) {
        let ExportChoices { folder, kinds, .. } = &model.settings.export;
        let asked = (folder.clone(), kinds.clone());
        if self.looked.as_ref() != Some(&asked) {
            (self.looked, self.may_replace) = (Some(asked.clone()), false);
            self.found.clear();
            self.found.follow(model.worker.spawn("look", move |_| Ok(Arc::new(found(asked)))));
        }
        self.follow_preview(Scene::of(model, viewer, Patient::LeftOut), model);
    }

    /// Draws one preview at a time, the latest that is wanted; what no longer holds is not shown.
    fn follow_preview(&mut self, scene: Option<Scene>, model: &Model) {
        let Some(scene) = scene else { return };
        if self.previewed.as_ref().is_some_and(|before| before.looks_like(&scene)) {
            return;
        }
        if self.preview.running().is_some() {
            self.preview.cancel(); // the next look begins the new one, once this has stopped
            return;
        }
        self.previewed = Some(scene.clone());
        self.preview.clear();
        let job = model.worker.spawn("preview", move |monitor| Ok(Arc::new(preview(&scene, monitor)?)));
        self.preview.follow(job);
    }

    /// Back to the choices, after an export.
    pub fn forget_written(&mut self) {
        if self.written.ready().is_some() && self.written.running().is_none() {
            self.written.clear();
        }
    }

    /// Shows what was written in the system's file manager.
    pub fn show_folder(&mut self, model: &Model) {
        let Some(folder) = self.written.ready().map(|written| written.folder.clone()) else { return };
        let job = model.worker.spawn("show", move |_| {
            open::that_detached(&folder).context("no program shows folders here; open it yourself")?;
            Ok(Arc::new(()))
        });
        self.shown.follow(job);
    }

    /// Writes the files, if nothing stands in the way.
    pub fn start(&mut self, model: &Model, viewer: &Viewer) {
        if self.hindrance(model).is_some() {
            return;
        }
        let Some(scene) = Scene::of(model, viewer, self.patient) else { return };
        let ExportChoices { kinds, folder, .. } = model.settings.export.clone();
        let may_go = self.found.ready().map_or(Vec::new(), |found| found.names.clone());
        let job = model
            .worker
            .spawn("export", move |monitor| Ok(Arc::new(write(&scene, &kinds, &absolute(&folder), &may_go, monitor)?)));
        self.written.follow(job);
    }

    /// Why nothing can be exported now, in words.
    pub fn hindrance(&self, model: &Model) -> Option<&'static str> {
        let choices = &model.settings.export;
        if model.run.ready().is_none() {
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

    pub fn error(&self) -> Option<&anyhow::Error> {
        self.written.error().or(self.shown.error()).or(self.preview.error())
    }

    pub fn dismiss(&mut self) {
        self.written.dismiss();
        self.shown.dismiss();
        self.preview.dismiss();
    }
}

/// Whether the files that are chosen can say whose they are.
pub fn can_tell_patient(model: &Model) -> bool {
    let is_study = |run: &Arc<Explained>| run.scan.input.scan.as_ref().is_some_and(|scan| scan.study.is_some());
    model.settings.export.kinds.iter().any(|kind| kind.is_dicom()) && model.run.ready().is_some_and(is_study)
}

/// What to know of the files that are chosen, in words.
pub fn note(model: &Model) -> Option<&'static str> {
    export::note(&model.run.ready()?.scan.input, &model.settings.export.kinds)
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
    let report = scene.report();
    export::files(&scene.subject(&report), kinds, monitor, &mut |file| set.put(&file))?;
    Ok(Written { folder: folder.to_owned(), names: set.finish()? })
}

/// The pictures side by side, no larger than they are shown.
fn preview(scene: &Scene, monitor: &Monitor) -> Result<RgbaImage> {
    const GAP: u32 = 8;
    let pictures = export::preview(&scene.subject(&scene.run.report), monitor)?;
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
