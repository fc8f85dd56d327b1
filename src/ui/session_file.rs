//! Saves the session to a file, and takes one up again: the scan, the networks, the result, and how it was looked at.
//!
//! The paths of this machine stand in it on purpose: they are where it finds the scan and the networks again.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use eframe::egui::{RichText, Ui};
use serde::{Deserialize, Serialize};

use super::action::{Action, Place, Wanted};
use super::arriving::Arriving;
use super::measurements::MOST;
use super::open_scan::OpenScan;
use super::picture::{free_name, named};
use super::session::{Explained, Loaded, Role, Session};
use super::stage::Stage;
use super::theme;
use super::viewer::{SavedView, Viewer};
use super::widgets::{Chosen, error_ui, path_field_ui};
use crate::demo;
use crate::export::report::{Asked, Timing};
use crate::export::session::{Outline, SavedSession, session_bytes};
use crate::export::write;
use crate::io::Choice;
use crate::job::{Job, Monitor, Turn};
use crate::latent_shift::Options;
use crate::models::check_labels;
use crate::pipeline;
use crate::preprocess::Recipe;
use crate::settings::{ScoredBy, absolute};

const EXTENSION: &str = "parallax";
/// A place is no farther than this from the origin of any scan, millimetres: a kilometre.
const FARTHEST_MM: f64 = 1e6;
/// More slices than any run decodes at a time.
const LARGEST_CHUNK: usize = 1 << 16;

/// All of a session but the numbers of its result.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    scan: SavedScan,
    autoencoder: Option<SavedNetwork>,
    classifier: Option<SavedNetwork>,
    segmenter: Option<SavedNetwork>,
    #[serde(default)]
    embedder: Option<SavedNetwork>,
    /// What the scan was to be compared with.
    #[serde(default)]
    pub(super) toward: Option<PathBuf>,
    pub(super) scored_by: ScoredBy,
    pub(super) target: Option<String>,
    pub(super) options: Options,
    pub(super) slab: Option<Range<usize>>,
    view: SavedView,
    result: Option<SavedResult>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedScan {
    /// `None` for the demo's, which is drawn again.
    path: Option<PathBuf>,
    /// Which of the volumes of the path; none in files of before there was a choice.
    #[serde(default)]
    choice: Choice,
    sha256: String,
    recipe: Recipe,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedNetwork {
    pub(super) card: PathBuf,
    pub(super) sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedResult {
    outline: Outline,
    asked: Asked,
    timing: Timing,
    seconds: f64,
}

impl SavedNetwork {
    fn of<N: ?Sized>(stage: &Stage<Loaded<N>>) -> Option<Self>
    where
        Loaded<N>: Send + Sync + 'static,
    {
        let loaded = stage.ready()?;
        Some(Self { card: absolute(&loaded.card), sha256: loaded.model.sha256.clone() })
    }
}

impl Document {
    /// `None` while no scan is open. The scan's hash is still to come.
    fn of(session: &Session, viewer: &Viewer) -> Option<Self> {
        let scan = scan_of(session)?;
        let Session { settings, run, .. } = session;
        let result = run.ready().map(|run| SavedResult {
            outline: Outline::of(&run.result),
            asked: run.asked.clone(),
            timing: run.timing.clone(),
            seconds: run.seconds,
        });
        let recipe = scan.input.prepared.recipe.clone();
        Some(Self {
            scan: SavedScan {
                path: scan.path.as_deref().map(absolute),
                choice: scan.input.choice(),
                sha256: String::new(),
                recipe,
            },
            autoencoder: SavedNetwork::of(&session.autoencoder),
            classifier: SavedNetwork::of(&session.classifier),
            segmenter: SavedNetwork::of(&session.segmenter),
            embedder: SavedNetwork::of(&session.embedder),
            toward: settings.toward.clone(),
            scored_by: settings.scored_by,
            target: settings.target.clone(),
            options: settings.options.clone(),
            slab: session.slab.clone(),
            view: viewer.saved(),
            result,
        })
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = (Role, &SavedNetwork)> {
        let roles = [Role::Autoencoder, Role::Classifier, Role::Segmenter, Role::Embedder];
        let networks = [&self.autoencoder, &self.classifier, &self.segmenter, &self.embedder];
        roles.into_iter().zip(networks).filter_map(|(role, network)| Some((role, network.as_ref()?)))
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
        let measured = self.view.measurements();
        ensure!(measured <= MOST, "it holds {measured} measurements; there may be {MOST} at most");
        if let Some(result) = &self.result {
            check_labels(&result.asked.labels).map_err(anyhow::Error::msg)?;
        }
        let near = |place: glam::DVec3| place.is_finite() && place.abs().max_element() <= FARTHEST_MM;
        ensure!(self.view.places().all(near), "a place lies more than {FARTHEST_MM} mm from the scan's origin");
        Ok(())
    }
}

/// The scan as it was prepared for the result that is shown; for networks chosen since, it may be prepared otherwise.
fn scan_of(session: &Session) -> Option<&Arc<OpenScan>> {
    session.run.ready().map(|run| &run.scan).or(session.scan.ready())
}

/// A session file that was opened.
pub(super) struct Restored {
    pub(super) path: PathBuf,
    pub(super) document: Document,
    /// `None` where it is not there any more.
    pub(super) scan: Option<Arc<OpenScan>>,
    /// Where the scan is the one that was saved.
    pub(super) run: Option<Arc<Explained>>,
    /// Why not all is as it was, in words.
    pub(super) trouble: Option<String>,
}

impl Restored {
    pub(super) fn of_demo(&self) -> bool {
        self.document.scan.path.is_none()
    }

    /// Looks at it as it was looked at. Places of one scan mean nothing on another.
    pub(super) fn show(&self, viewer: &mut Viewer) {
        let Some(scan) = &self.scan else { return };
        viewer.show_scan(scan);
        if self.trouble.is_none() {
            viewer.restore(&self.document.view, self.run.as_deref());
        }
    }
}

pub(super) fn is_session(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case(EXTENSION))
}

/// Reads a session file and opens its scan. A scan that is another one now is opened without the result.
pub(super) fn open(path: PathBuf, monitor: &Monitor) -> Result<Restored> {
    monitor.step("opening", 0, 0)?;
    let cannot = || format!("cannot open the session {}", path.display());
    let (saved, document) = read(&path)?;
    let (scan, run, trouble) = match open_scan(&document.scan, monitor) {
        Ok(scan) if scan.input.sha256() == document.scan.sha256 => {
            let run = document.result.as_ref().map(|result| explained(result, &saved, &scan)).transpose();
            (Some(scan), run.with_context(cannot)?, None)
        }
        Ok(scan) => {
            let trouble = format!(
                "the scan is not the one that the session was saved with: its voxels have another SHA-256; it is shown without the result: {}",
                name_of(&document.scan)
            );
            (Some(scan), None, Some(trouble))
        }
        Err(error) => {
            monitor.check()?;
            let why = pipeline::in_words(&error);
            (None, None, Some(format!("the session's scan cannot be opened, nor its result shown: {why}")))
        }
    };
    Ok(Restored { path, document, scan, run, trouble })
}

fn read(path: &Path) -> Result<(SavedSession, Document)> {
    let saved = SavedSession::open(path)?;
    let cannot = || format!("cannot open the session {}", path.display());
    let document: Document = saved.document().with_context(cannot)?;
    document.check().with_context(cannot)?;
    Ok((saved, document))
}

/// Whether a file is a session that a window could have saved, in words where it is not. Its scan and networks are not opened.
pub fn check_session(path: &Path) -> Result<()> {
    read(path).map(drop)
}

fn open_scan(saved: &SavedScan, monitor: &Monitor) -> Result<Arc<OpenScan>> {
    let scan = match &saved.path {
        Some(path) => {
            let arriving = Arriving::new(Some(path.clone()), saved.choice.clone(), None);
            OpenScan::open(path.clone(), &arriving, &saved.recipe, monitor)?
        }
        None => OpenScan::drawn(demo::input(&saved.recipe, monitor)?),
    };
    Ok(Arc::new(scan))
}

fn name_of(scan: &SavedScan) -> String {
    scan.path.as_ref().map_or_else(|| "the demo's phantom".to_owned(), |path| path.display().to_string())
}

fn explained(result: &SavedResult, saved: &SavedSession, scan: &Arc<OpenScan>) -> Result<Arc<Explained>> {
    let SavedResult { outline, asked, timing, seconds } = result;
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
    Ok(Arc::new(Explained::new(Arc::clone(scan), asked.clone(), result, timing.clone(), *seconds)))
}

/// The session saved last, and where the next one may go.
pub(super) struct SessionFile {
    pub(super) saved: Stage<PathBuf>,
    /// A name that is free.
    suggested: PathBuf,
}

impl SessionFile {
    pub(super) fn new() -> Self {
        Self { saved: Stage::default(), suggested: free_name("session", EXTENSION) }
    }

    pub(super) fn poll(&mut self) {
        if self.saved.poll() {
            self.suggested = free_name("session", EXTENSION);
        }
    }

    pub(super) fn save(&mut self, session: &Session, viewer: &Viewer, path: PathBuf, replace: bool) {
        self.saved.follow(save(session, viewer, path, replace));
    }
}

/// Starts the work; the answer is where the session lies.
fn save(session: &Session, viewer: &Viewer, path: PathBuf, replace: bool) -> std::io::Result<Job<Arc<PathBuf>>> {
    let (document, scan) = (Document::of(session, viewer), scan_of(session).cloned());
    let run = session.run.ready().cloned();
    let (path, replace) = named(path, replace, EXTENSION);
    session.spawn("save", &Turn::default(), move |_| {
        let mut document = document.context("there is no session yet; open a scan first")?;
        write::check(&path, replace)?;
        document.scan.sha256 = scan.map(|scan| scan.input.sha256().to_owned()).unwrap_or_default();
        write::save(&path, &session_bytes(&document, run.as_deref().map(|run| &run.result))?, replace)?;
        Ok(Arc::new(path))
    })
}

/// Where to save, below the result.
pub(super) fn session_file_ui(ui: &mut Ui, file: &SessionFile, actions: &mut Vec<Action>) {
    ui.add_space(8.0);
    ui.label(RichText::new("Session").heading().color(theme::colors(ui).strong));
    let text = "Scan, models, result and view, to go on another day. It holds their paths.";
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    let hint = "path of a .parallax file";
    match path_field_ui(ui, "Save session as", Some("Save session"), hint, Some(&file.suggested)) {
        Some(Chosen::Path(path)) => actions.push(Action::SaveSession { path, replace: false }),
        Some(Chosen::Browse) => actions.push(Action::Ask(Wanted::Session)),
        None => {}
    }
    if file.saved.running().is_some() {
        ui.spinner();
    } else if let Some(path) = file.saved.ready() {
        ui.label(RichText::new(format!("Saved {}", path.display())).small().color(theme::colors(ui).text));
    }
    error_ui(ui, file.saved.error(), Place::SessionFile, actions);
    ui.add_space(4.0);
}
