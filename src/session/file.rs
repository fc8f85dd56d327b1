//! Saves the session to a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::document::{Document, EXTENSION, SavedMap, SavedMaps, SavedMask, SavedNetwork, SavedResult};
use super::explained::Explained;
use super::model::Model;
use super::model::methods::Computed;
use super::open_mask::Opened;
use super::open_scan::OpenScan;
use super::picture::{free_name, named};
use super::saved_scan::{SavedInserted, SavedScan};
use super::stage::Stage;
use super::view::Viewer;
use crate::export::session::{Beside, Outline, has_room, write_session};
use crate::export::write;
use crate::job::Job;
use crate::settings::absolute;

/// The session saved last, and where the next one may go.
pub struct SessionFile {
    pub saved: Stage<PathBuf>,
    /// The result in it, until someone takes up that it lies there.
    of: Option<Arc<Explained>>,
    /// A name that is free.
    pub suggested: PathBuf,
}

impl Default for SessionFile {
    fn default() -> Self {
        Self { saved: Stage::default(), of: None, suggested: free_name("session", EXTENSION) }
    }
}

impl SessionFile {
    pub fn poll(&mut self) {
        if self.saved.poll() {
            self.suggested = free_name("session", EXTENSION);
        }
    }

    pub fn save(&mut self, model: &Model, viewer: &Viewer, path: PathBuf, replace: bool) {
        self.saved.follow(save(model, viewer, path, replace));
        self.of = model.run.ready().cloned();
    }

    /// A result that has been saved, and its file, once.
    pub(super) fn take_saved(&mut self) -> Option<(Arc<Explained>, PathBuf)> {
        let went_wrong = self.saved.running().is_none() && self.saved.error().is_some();
        let of = self.of.take_if(|_| self.saved.running().is_none())?;
        let path = self.saved.ready().filter(|_| !went_wrong)?;
        Some((of, absolute(path)))
    }
}

/// Starts the work; the answer is where the session lies.
fn save(model: &Model, viewer: &Viewer, path: PathBuf, replace: bool) -> std::io::Result<Job<Arc<PathBuf>>> {
    let write = writing(model, viewer);
    let (path, replace) = named(path, replace, EXTENSION);
    model.worker.spawn("save", move |_| {
        write::check(&path, replace)?;
        write(&path, replace)?;
        Ok(Arc::new(path))
    })
}

/// The work that writes the session as it is now to a path, for a worker: it hashes the scan. The flag says whether a file there may go.
pub fn writing(model: &Model, viewer: &Viewer) -> impl FnOnce(&Path, bool) -> Result<()> + Send + use<> {
    let (document, scan) = (document(model, viewer), scan_of(model).cloned());
    let (run, maps, mask) = (model.run.ready().cloned(), maps_of(model), mask_of(model).cloned());
    move |path, replace| {
        let mut document = document.context("there is no session yet; open a scan first")?;
        document.scan.sha256 = scan.map(|scan| scan.input.sha256().to_owned()).unwrap_or_default();
        let result = run.as_deref().map(Explained::result);
        let beside = Beside {
            stability: run.as_deref().and_then(|run| run.report.stability.as_ref()),
            maps: maps.iter().map(|computed| (computed.method, &computed.sizes)).collect(),
            mask: mask.as_deref().map(|opened| &opened.mask),
        };
        write::save_by(path, replace, |out| write_session(out, &document, result, &beside))
    }
}

/// `None` while no scan is open. The scan's hash is still to come.
fn document(model: &Model, viewer: &Viewer) -> Option<Document> {
    let scan = scan_of(model)?;
    let Model { settings, run, .. } = model;
    let result = run.ready().map(|run| SavedResult {
        outline: Outline::of(run.result()),
        asked: run.asked().clone(),
        timing: run.run.timing.clone(),
        stability: run.report.stability.clone(),
        regions_above_hu: Some(run.report.regions.threshold_hu),
    });
    let recipe = scan.input.prepared.recipe.clone();
    Some(Document {
        scan: SavedScan {
            path: scan.path.as_deref().map(absolute),
            choice: scan.input.choice(),
            sha256: String::new(),
            recipe,
            inserted: saved_inserted(model, scan),
        },
        autoencoder: SavedNetwork::of(&model.autoencoder),
        classifier: SavedNetwork::of(&model.classifier),
        segmenter: SavedNetwork::of(&model.segmenter),
        embedder: SavedNetwork::of(&model.embedder),
        toward: settings.toward.clone(),
        scored_by: settings.scored_by,
        target: settings.target.clone(),
        options: settings.options.clone(),
        slab: model.slab.clone(),
        view: Some(viewer.saved()),
        result,
        maps: saved_maps(model),
        mask: mask_of(model).and_then(|opened| Some(SavedMask::of(opened.path()?, &opened.mask))),
    })
}

/// The maps of other methods that have room in a session.
fn maps_of(model: &Model) -> Vec<Arc<Computed>> {
    Beside::bounded(model.methods.all(), |computed| computed.sizes.grid.len())
}

fn saved_maps(model: &Model) -> Option<SavedMaps> {
    let (classifier_sha256, label) = model.methods.told()?;
    let map = |computed: &Arc<Computed>| SavedMap { method: computed.method, grid: computed.sizes.grid.into() };
    let list: Vec<SavedMap> = maps_of(model).iter().map(map).collect();
    (!list.is_empty()).then(|| SavedMaps { classifier_sha256: classifier_sha256.to_owned(), label, list })
}

/// What was drawn into the scan: its mask is not saved, but drawn again.
fn saved_inserted(model: &Model, scan: &OpenScan) -> Option<SavedInserted> {
    let masked = model.masking.mask.ready().is_some_and(|opened| opened.path().is_none());
    scan.inserted().map(|inserted| SavedInserted { inserted: inserted.clone(), masked })
}

/// The mask out of a file, where it has room in a session.
fn mask_of(model: &Model) -> Option<&Arc<Opened>> {
    model.masking.mask.ready().filter(|opened| opened.path().is_some() && has_room(&opened.mask))
}

/// What of a session may come to be known after its result: how many maps, and which mask.
pub fn extras(model: &Model) -> (usize, Option<Arc<Opened>>) {
    (maps_of(model).len(), mask_of(model).cloned())
}

/// The scan as it was prepared for the result that is shown; for networks chosen since, it may be prepared otherwise.
fn scan_of(model: &Model) -> Option<&Arc<OpenScan>> {
    model.run.ready().map(|run| &run.scan).or(model.scan.ready())
}
