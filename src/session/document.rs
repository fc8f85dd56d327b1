//! What a session file holds, and how one is taken up again: the scan, the networks, the result, and how it was looked at.
//!
//! The paths of this machine stand in it on purpose: they are where it finds the scan and the networks again.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use glam::DAffine3;
use serde::{Deserialize, Serialize};

use super::explained::Explained;
use super::network::Loaded;
use super::open_mask::{Opened, Whence};
use super::open_scan::OpenScan;
use super::saved_scan::{Reopened, SavedScan};
use super::stage::Stage;
use super::view::measurements::MOST;
use super::view::{SavedView, Viewer};
use crate::export::session::{Outline, SavedSession};
use crate::frame::display::Laid;
use crate::io::{Mask, Note, Weight};
use crate::job::Monitor;
use crate::latent_shift::Options;
use crate::latent_shift::saliency::Method;
use crate::models::{Role, check_labels};
use crate::pipeline::{self, Asked, Run, Timing};
use crate::preprocess::Recipe;
use crate::settings::{ScoredBy, absolute};
use crate::stability::Stability;
use crate::volume::{Grid, Volume};

pub const EXTENSION: &str = "parallax";
/// A place is no farther than this from the origin of any scan, millimetres: a kilometre.
const FARTHEST_MM: f64 = 1e6;
/// More slices than any run decodes at a time.
const LARGEST_CHUNK: usize = 1 << 16;

/// All of a session but the numbers of its result.
#[derive(Debug, Serialize, Deserialize)]
pub struct Document {
    pub scan: SavedScan,
    pub autoencoder: Option<SavedNetwork>,
    pub classifier: Option<SavedNetwork>,
    pub segmenter: Option<SavedNetwork>,
    #[serde(default)]
    pub embedder: Option<SavedNetwork>,
    /// What the scan was to be compared with.
    #[serde(default)]
    pub toward: Option<PathBuf>,
    pub scored_by: ScoredBy,
    pub target: Option<String>,
    pub options: Options,
    pub slab: Option<Range<usize>>,
    /// How it was looked at; none where no window has shown it.
    #[serde(default)]
    pub view: Option<SavedView>,
    pub result: Option<SavedResult>,
    /// The maps of other methods; none in files of before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maps: Option<SavedMaps>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<SavedMask>,
}

/// What other methods say of a class; their numbers lie beside the text.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedMaps {
    pub classifier_sha256: String,
    pub label: usize,
    pub list: Vec<SavedMap>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SavedMap {
    pub method: Method,
    pub grid: SavedGrid,
}

/// A mask; which voxels of a box are marked lies beside the text.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedMask {
    /// Where it was read from; it is not read again.
    pub path: PathBuf,
    pub grid: SavedGrid,
    pub within: [Range<usize>; 3],
    pub format: String,
    /// Each with how much it matters.
    pub notes: Vec<(Weight, String)>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SavedGrid {
    pub shape: [usize; 3],
    pub world_from_voxel: DAffine3,
}

impl From<Grid> for SavedGrid {
    fn from(Grid { shape, world_from_voxel }: Grid) -> Self {
        Self { shape, world_from_voxel }
    }
}

impl SavedGrid {
    /// The grid, which is one that voxels can lie on.
    fn grid(self) -> Result<Grid> {
        let Self { shape, world_from_voxel } = self;
        let is_affine = world_from_voxel.is_finite() && world_from_voxel.matrix3.determinant() != 0.0;
        ensure!(is_affine && shape.iter().all(|n| *n > 0), "a grid of {shape:?} voxels leads to no place");
        Ok(Grid { shape, world_from_voxel })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SavedNetwork {
    pub card: PathBuf,
    pub sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SavedResult {
    pub outline: Outline,
    pub asked: Asked,
    pub timing: Timing,
    /// What came again in repetitions; none where none were made, or in files of before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<Stability>,
    /// Regions changed by more than this, HU; the usual threshold in files of before there was a choice.
    #[serde(default)]
    pub regions_above_hu: Option<f32>,
}

impl SavedMask {
    pub fn of(path: &Path, mask: &Mask) -> Self {
        Self {
            path: absolute(path),
            grid: mask.grid.into(),
            within: mask.within().clone(),
            format: mask.format.clone(),
            notes: mask.notes.iter().map(|note| (note.weight, note.text.clone())).collect(),
        }
    }
}

impl SavedNetwork {
    pub fn of<N: ?Sized>(stage: &Stage<Loaded<N>>) -> Option<Self>
    where
        Loaded<N>: Send + Sync + 'static,
    {
        let loaded = stage.ready()?;
        Some(Self { card: absolute(&loaded.card), sha256: loaded.model.sha256.clone() })
    }
}

impl Document {
    pub fn networks(&self) -> impl Iterator<Item = (Role, &SavedNetwork)> {
        let roles = [Role::Autoencoder, Role::Classifier, Role::Segmenter, Role::Embedder];
        let networks = [&self.autoencoder, &self.classifier, &self.segmenter, &self.embedder];
        roles.into_iter().zip(networks).filter_map(|(role, network)| Some((role, network.as_ref()?)))
    }

    /// Networks that are named without a folder lie in the session's own.
    fn find_networks_beside(&mut self, session: &Path) {
        let networks = [&mut self.autoencoder, &mut self.classifier, &mut self.segmenter, &mut self.embedder];
        for network in networks.into_iter().flatten() {
            network.card = session.with_file_name(&network.card); // an absolute path stays what it is
        }
    }

    /// Refuses what no window could have saved.
    fn check(&self) -> Result<()> {
        self.scan.recipe.check().map_err(anyhow::Error::msg)?;
        let options = [Some(&self.options), self.result.as_ref().map(|result| &result.asked.options)];
        for options in options.into_iter().flatten() {
            options.check()?;
            ensure!(
                (1..=LARGEST_CHUNK).contains(&options.chunk),
                "{} slices are to be decoded at a time",
                options.chunk
            );
        }
        if let Some(slab) = &self.slab {
            ensure!(slab.start < slab.end, "the slab {slab:?} holds no slice");
        }
        let measured = self.view.as_ref().map_or(0, SavedView::measurements);
        ensure!(measured <= MOST, "it holds {measured} measurements; there may be {MOST} at most");
        if let Some(result) = &self.result {
            check_labels(&result.asked.labels).map_err(anyhow::Error::msg)?;
        }
        let near = |place: glam::DVec3| place.is_finite() && place.abs().max_element() <= FARTHEST_MM;
        ensure!(
            self.view.iter().flat_map(SavedView::places).all(near),
            "a place lies more than {FARTHEST_MM} mm from the scan's origin"
        );
        Ok(())
    }
}

/// A session file that was opened.
pub struct Restored {
    pub path: PathBuf,
    pub document: Document,
    /// `None` where it is not there any more.
    pub scan: Option<Arc<OpenScan>>,
    /// Where the scan is the one that was saved.
    pub run: Option<Arc<Explained>>,
    /// Why not all is as it was, in words.
    pub trouble: Option<String>,
    /// What other methods say of the scan, by method.
    pub maps: Vec<(Method, Volume)>,
    pub mask: Option<Arc<Opened>>,
}

impl Restored {
    pub fn of_demo(&self) -> bool {
        self.document.scan.path.is_none()
    }

    /// Looks at it as it was looked at. Places of one scan mean nothing on another.
    pub fn show(&self, viewer: &mut Viewer) {
        let Some(scan) = &self.scan else { return };
        viewer.show_scan(scan);
        if self.trouble.is_none() {
            match (&self.document.view, &self.run) {
                (Some(view), run) => viewer.restore(view, run.as_deref()),
                (None, Some(run)) => viewer.show_run(run),
                (None, None) => {}
            }
            if let Laid::By(method) = viewer.display.laid
                && self.maps.iter().all(|(known, _)| *known != method)
            {
                viewer.display.laid = Laid::Change; // another method is computed only when it is asked for
            }
        }
    }
}

pub fn is_session(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case(EXTENSION))
}

/// Reads a session file and opens its scan. A scan that is another one now is opened without the result.
pub fn open(path: PathBuf, monitor: &Monitor) -> Result<Restored> {
    monitor.step("opening", 0, 0)?;
    let cannot = || format!("cannot open the session {}", path.display());
    let (saved, mut document) = read(&path)?;
    document.find_networks_beside(&path);
    let (scan, run, trouble) = match document.scan.open(monitor) {
        Ok(Reopened { scan, trouble: None }) => {
            let run = document.result.as_ref().map(|result| explained(result, &saved, &scan)).transpose();
            (Some(scan), run.with_context(cannot)?, None)
        }
        Ok(Reopened { scan, trouble }) => (Some(scan), None, trouble),
        Err(error) => {
            monitor.check()?;
            let why = pipeline::in_words(&error);
            (None, None, Some(format!("the session's scan cannot be opened, nor its result shown: {why}")))
        }
    };
    let (maps, mask) = match (&scan, &trouble) {
        (Some(scan), None) => {
            (maps(&saved, &document).with_context(cannot)?, mask(&saved, &document, scan).with_context(cannot)?)
        }
        _ => (Vec::new(), None),
    };
    Ok(Restored { path, document, scan, run, trouble, maps, mask })
}

/// The maps of other methods.
fn maps(saved: &SavedSession, document: &Document) -> Result<Vec<(Method, Volume)>> {
    let list = document.maps.iter().flat_map(|maps| &maps.list);
    let map = |map: &SavedMap| {
        let grid = map.grid.grid()?;
        Ok((map.method, Volume::from_f32(grid, saved.map(map.method, grid.len())?)))
    };
    list.take(Method::ALL.len()).map(map).collect()
}

/// The mask that was saved, or that of the finding which was drawn again.
fn mask(saved: &SavedSession, document: &Document, scan: &OpenScan) -> Result<Option<Arc<Opened>>> {
    let Some(SavedMask { path, grid, within, format, notes }) = &document.mask else {
        let is_wanted = document.scan.inserted.as_ref().is_some_and(|saved| saved.masked);
        return Ok(scan.drawn.as_ref().filter(|_| is_wanted).map(|drawn| Arc::clone(&drawn.mask)));
    };
    let (grid, marks) = (grid.grid()?, saved.mask(within)?);
    let notes = notes.iter().map(|(weight, text)| Note { weight: *weight, text: text.clone() }).collect();
    let mask = Mask::kept(grid, within, &marks, format.clone(), notes).map_err(anyhow::Error::msg)?;
    Ok(Some(Arc::new(Opened { whence: Whence::File(path.clone()), mask })))
}

/// Reads the result of a session file, held against a scan that is open.
pub fn open_beside(path: &Path, scan: &Arc<OpenScan>) -> Result<Arc<Explained>> {
    let (saved, document) = read(path)?;
    let cannot = || format!("cannot compare with {}", path.display());
    let of = || {
        ensure!(
            document.scan.sha256 == scan.input.sha256(),
            "it is of another scan; only results of one scan can be compared"
        );
        let (saved_as, shown_as) = (&document.scan.recipe, &scan.input.prepared.recipe);
        ensure!(
            saved_as == shown_as,
            "its networks see the scan on another grid ({}) than those of the result shown ({}); only results on one grid can be compared",
            recipe_words(saved_as),
            recipe_words(shown_as)
        );
        explained(document.result.as_ref().context("it holds no result")?, &saved, scan)
    };
    of().with_context(cannot)
}

/// "96 x 96 x 0 pixels of 3.5 x 3.5 x 6 mm" in short.
fn recipe_words(recipe: &Recipe) -> String {
    let list = |numbers: [String; 3]| numbers.join(" x ");
    format!(
        "{} pixels of {} mm",
        list(recipe.size.map(|n| n.to_string())),
        list(recipe.spacing_mm.map(|mm| mm.to_string()))
    )
}

fn read(path: &Path) -> Result<(SavedSession, Document)> {
    let saved = SavedSession::open(path)?;
    let cannot = || format!("cannot open the session {}", path.display());
    let document: Document = saved.document().with_context(cannot)?;
    document.check().with_context(cannot)?;
    Ok((saved, document))
}

/// What a session file holds but the numbers of its result, which were read and are whole. Its scan and networks are not opened.
pub fn document_of(path: &Path) -> Result<Document> {
    read(path).map(|(_, document)| document)
}

/// Whether a file is a session that a window could have saved, in words where it is not. Its scan and networks are not opened.
pub fn check_session(path: &Path) -> Result<()> {
    read(path).map(drop)
}

fn explained(result: &SavedResult, saved: &SavedSession, scan: &Arc<OpenScan>) -> Result<Arc<Explained>> {
    let SavedResult { outline, asked, timing, stability, regions_above_hu } = result;
    let result = saved.result(outline, &scan.input.prepared)?;
    ensure!(
        asked.labels.len() == result.scan_logits.len(),
        "it names {} outputs of the classifier, where {} were saved",
        asked.labels.len(),
        result.scan_logits.len()
    );
    ensure!(
        asked.terms.iter().all(|(label, weight)| *label < asked.labels.len() && weight.is_finite()),
        "it explains an output that the classifier does not have"
    );
    let run = Run { input: Arc::clone(&scan.input), asked: asked.clone(), result, timing: timing.clone() };
    let explained = Explained::new(Arc::clone(scan), run);
    let above_hu =
        regions_above_hu.filter(|hu| hu.is_finite() && *hu >= 0.0 && *hu != explained.report.regions.threshold_hu);
    let explained = match above_hu {
        Some(above_hu) => explained.with_regions_above(above_hu, &Monitor::default())?,
        None => explained,
    };
    Ok(Arc::new(match stability {
        Some(told) => explained.repeated(saved.stability(told.clone(), &explained.report.regions)?),
        None => explained,
    }))
}
