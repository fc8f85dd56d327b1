//! What is open, what was chosen, and what came of it: the state behind the window. Panels read it; actions change it.

mod fitting;
mod give;
mod restore;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use fitting::Fitting;
use restore::hold_against;

use super::arriving::{Arriving, Listing};
use super::open_scan::OpenScan;
use super::preview::EarlySlice;
use super::session_file::{self, Restored};
use super::stage::Stage;
use crate::demo;
use crate::export::report::{Asked, Report, Timing, report};
use crate::frame::{HEATMAPS, Layers, Shift};
use crate::io::{Choice, counted};
use crate::job::{Job, Monitor, Turn};
use crate::latent_shift::{Counterfactual, HeatmapMethod, Options};
pub(super) use crate::models::Role;
use crate::models::{self, Autoencoder, Classifier, Embedder, Facts, Segmenter, label_index};
use crate::pipeline::{self, Model, Request, Target, Told};
use crate::preprocess::Recipe;
use crate::quality::regions::Regions;
use crate::settings::{ScoredBy, Settings, absolute};

/// A network and the card it was loaded from.
pub(super) struct Loaded<N: ?Sized> {
    pub(super) card: PathBuf,
    pub(super) model: Arc<Model<N>>,
}

/// A finished run with all that is shown of it.
pub(super) struct Explained {
    pub(super) scan: Arc<OpenScan>,
    pub(super) asked: Asked,
    pub(super) result: Counterfactual,
    pub(super) layers: Arc<Layers>,
    /// Colours saturate at +- this, at every lambda alike.
    pub(super) scale_hu: f32,
    /// The same of the heatmaps, by `HeatmapMethod::ALL`.
    pub(super) heat_scales_hu: [f32; HEATMAPS],
    /// Mean |change| of each slice of the stack, HU, and the slice where it is largest.
    pub(super) change_per_slice_hu: Vec<f32>,
    pub(super) most_changed_slice: usize,
    pub(super) report: Report,
    pub(super) timing: Timing,
    pub(super) seconds: f64,
}

impl Explained {
    /// All that is shown of a result, computed now or on another day.
    pub(super) fn new(scan: Arc<OpenScan>, asked: Asked, result: Counterfactual, timing: Timing, seconds: f64) -> Self {
        let shift = Shift::of(&result);
        Self {
            scale_hu: shift.scale_hu(),
            heat_scales_hu: HeatmapMethod::ALL.map(|method| shift.heat_scale_hu(method)),
            change_per_slice_hu: result.change_per_slice_hu(),
            most_changed_slice: result.most_changed_slice(),
            report: report(&scan.input, &asked, &result, Regions::usual(&result, &scan.layers.scan.grid), &timing),
            layers: Arc::new(Layers { scan: scan.layers.scan.clone(), shift: Some(shift) }),
            scan,
            asked,
            result,
            timing,
            seconds,
        }
    }
}

/// What is open, and would drop the result if it were shown.
pub(super) enum Waiting {
    Scan(Arc<OpenScan>),
    Session(Arc<Restored>),
}

pub(super) struct Session {
    pub(super) settings: Settings,
    /// Slices that may change; `None` = all. Belongs to the scan, so it is not kept between runs.
    pub(super) slab: Option<Range<usize>>,
    pub(super) scan: Stage<OpenScan>,
    /// What has come of the scan that is being opened, or was opened last.
    arriving: Arriving,
    pub(super) autoencoder: Stage<Loaded<dyn Autoencoder>>,
    pub(super) classifier: Stage<Loaded<Classifier>>,
    pub(super) segmenter: Stage<Loaded<Segmenter>>,
    pub(super) embedder: Stage<Loaded<Embedder>>,
    pub(super) run: Stage<Explained>,
    /// Whether what is open fits.
    pub(super) fitting: Fitting,
    /// The result that gave way to the one shown, or that a cancelled run did not replace.
    pub(super) aside: Option<Arc<Explained>>,
    /// A session file that is being opened.
    pub(super) restored: Stage<Restored>,
    /// It waits for a word.
    pub(super) waiting: Option<Waiting>,
    /// SHA-256 of the networks that a session was saved with, until they have loaded.
    saved_with: Vec<(Role, String)>,
    /// Files that were dropped, whose kind is being told.
    dropped: Vec<(PathBuf, Job<Told>)>,
    /// A network that was given and has no card.
    pub(super) without_card: Option<Box<Facts>>,
    /// Whether a run begins by itself once it can.
    explains_when_ready: bool,
    turn: Turn,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// What arrived since the last look.
#[derive(Default)]
pub(super) struct Arrived {
    pub(super) scan: bool,
    pub(super) run: bool,
    pub(super) restored: Option<Arc<Restored>>,
}

impl Session {
    pub(super) fn new(settings: Settings, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            settings,
            slab: None,
            scan: Stage::default(),
            arriving: Arriving::default(),
            autoencoder: Stage::default(),
            classifier: Stage::default(),
            segmenter: Stage::default(),
            embedder: Stage::default(),
            run: Stage::default(),
            fitting: Fitting::default(),
            aside: None,
            restored: Stage::default(),
            waiting: None,
            saved_with: Vec::new(),
            dropped: Vec::new(),
            without_card: None,
            explains_when_ready: false,
            turn: Turn::default(),
            wake: Arc::new(wake),
        }
    }

    /// Starts work on a thread of its own that wakes the window.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        turn: &Turn,
        work: impl FnOnce(&Monitor) -> anyhow::Result<T> + Send + 'static,
    ) -> std::io::Result<Job<T>> {
        let wake = Arc::clone(&self.wake);
        Job::spawn(name, turn, move || wake(), work)
    }

    /// Opens a scan, one of the volumes that its path holds, or a session. While a run goes on this is refused: it would throw the run
    /// away.
    pub(super) fn open(&mut self, path: PathBuf, choice: Choice) {
        if self.run.running().is_some() {
            self.scan.fail(anyhow!("a run is going on; cancel it, or let it end, before opening another scan"));
            return;
        }
        let known = self.listing_of(&path);
        self.waiting = None;
        self.explains_when_ready = false; // no run begins by itself on a scan that someone opened
        self.cancel_opening();
        if session_file::is_session(&path) {
            if choice != Choice::default() {
                self.scan
                    .fail(anyhow!("a session opens the series that it was saved with; open it without another choice"));
                return;
            }
            let job =
                self.spawn("open", &Turn::default(), move |monitor| Ok(Arc::new(session_file::open(path, monitor)?)));
            self.restored.follow(job);
            return;
        }
        self.arriving = Arriving::new(Some(path.clone()), choice, known.as_deref());
        let (recipe, arriving) = (self.recipe(), self.arriving.clone());
        let job = self.spawn("open", &Turn::default(), move |monitor| {
            Ok(Arc::new(OpenScan::open(path, &arriving, &recipe, monitor)?))
        });
        self.scan.follow(job);
    }

    /// What a path held when it was looked at last.
    fn listing_of(&self, path: &Path) -> Option<Arc<Listing>> {
        let arrived = self.arriving.listing().filter(|_| self.arriving.path.as_deref() == Some(path));
        let open = || self.scan.ready().filter(|scan| scan.path.as_deref() == Some(path))?.listing.clone();
        arrived.or_else(open)
    }

    /// The volumes to choose from, and the path that holds them: of the scan that is being opened, could not be opened, or is open.
    pub(super) fn choosable(&self) -> Option<(&Path, Arc<Listing>)> {
        let ready = self.scan.ready();
        let open = ready.and_then(|scan| Some((scan.path.as_deref()?, scan.listing.clone()?)));
        let comes = self.scan.running().is_some() || self.scan.error().is_some() || ready.is_none();
        let coming = || Some((self.arriving.path.as_deref()?, self.arriving.listing()?));
        if comes { coming().or(open) } else { open }
    }

    /// What is being opened; `None` while nothing is.
    pub(super) fn arriving(&self) -> Option<&Arriving> {
        self.scan.running().map(|_| &self.arriving)
    }

    /// The work on a scan or a session that is being opened.
    pub(super) fn opening(&self) -> Option<&Monitor> {
        self.scan.running().or(self.restored.running())
    }

    /// A slice of the scan that is being opened, with the work on it; none where it would hide a result.
    pub(super) fn early(&self) -> Option<(Arc<EarlySlice>, &Monitor)> {
        let opening = self.scan.running().filter(|_| self.run.ready().is_none())?;
        Some((self.arriving.slice.get()?, opening))
    }

    pub(super) fn cancel_opening(&mut self) {
        if self.scan.running().is_some() && self.scan.ready().is_some() {
            self.arriving = Arriving::default(); // what is open is chosen from again
        }
        self.scan.cancel();
        self.restored.cancel();
    }

    /// Draws the demo's scan, takes its networks, and explains as soon as all is there.
    pub(super) fn begin_demo(&mut self) {
        let cards = match demo::Cards::find() {
            Ok(cards) => cards,
            Err(error) => return self.scan.fail(error),
        };
        let recipe = match pipeline::recipe(&cards.autoencoder) {
            Ok(recipe) => recipe,
            Err(error) => return self.scan.fail(error),
        };
        self.settings.scored_by = ScoredBy::Classifier;
        self.settings.target = Some(demo::TARGET.to_owned());
        self.settings.options = demo::options();
        self.slab = None;
        self.load(Role::Autoencoder, cards.autoencoder);
        self.load(Role::Classifier, cards.classifier);
        self.load(Role::Segmenter, cards.segmenter);
        self.arriving = Arriving::default();
        let job = self.spawn("draw", &Turn::default(), move |monitor| {
            Ok(Arc::new(OpenScan::drawn(demo::input(&recipe, monitor)?)))
        });
        self.scan.follow(job);
        self.explains_when_ready = true;
    }

    /// What a run needs and does not have yet, in words; a run can start when there is nothing.
    pub(super) fn missing(&self) -> Option<&'static str> {
        if let Some(reason) = self.scan.wanting("The scan is still opening", "Open a scan first") {
            return Some(reason);
        }
        if let Some(reason) =
            self.autoencoder.wanting("The autoencoder is still loading", "Choose an autoencoder first")
        {
            return Some(reason);
        }
        match self.settings.scored_by {
            ScoredBy::Segmenter => self.segmenter.wanting("The segmenter is still loading", "Choose a segmenter first"),
            ScoredBy::Embedder => self
                .embedder
                .wanting("The embedder is still loading", "Choose an embedder first")
                .or_else(|| self.settings.toward.is_none().then_some("Choose the scan to compare with first")),
            ScoredBy::Classifier => self
                .classifier
                .wanting("The classifier is still loading", "Choose a classifier first")
                .or_else(|| (!matches!(self.target(), Some(Ok(_)))).then_some("Choose a target class first")),
        }
    }

    /// The chosen class in the loaded classifier, or why it has none of that name.
    pub(super) fn target(&self) -> Option<Result<usize, models::Error>> {
        let labels = self.classifier.ready()?.model.network.labels();
        Some(label_index(labels, self.settings.target.as_ref()?))
    }

    /// How a scan is prepared: for the autoencoder, if there is one, else for the classifier.
    fn recipe(&self) -> Recipe {
        let of_classifier = || self.classifier.ready().map(|loaded| loaded.model.recipe.clone());
        let of_autoencoder = self.autoencoder.ready().map(|loaded| loaded.model.recipe.clone());
        of_autoencoder.or_else(of_classifier).unwrap_or_default()
    }

    /// What a run is asked for; its worker opens what the scan is compared with.
    fn request(&self) -> Option<impl FnOnce(&Monitor) -> anyhow::Result<Request> + Send + 'static> {
        let mut known = None;
        let mut toward = None;
        match self.settings.scored_by {
            ScoredBy::Segmenter => {
                known = Some(Target::LungSize { segmenter: Arc::clone(&self.segmenter.ready()?.model) });
            }
            ScoredBy::Classifier => {
                let classifier = Arc::clone(&self.classifier.ready()?.model);
                known = Some(Target::Classes { classifier, terms: vec![(self.target()?.ok()?, 1.0)], offset: 0.0 });
            }
            ScoredBy::Embedder => {
                toward = Some((Arc::clone(&self.embedder.ready()?.model), self.settings.toward.clone()?));
            }
        }
        let autoencoder = Arc::clone(&self.autoencoder.ready()?.model);
        let (slab, options) = (self.slab.clone(), self.settings.options.clone());
        Some(move |monitor: &Monitor| {
            let target = match (known, toward) {
                (Some(target), _) => target,
                (None, Some((embedder, path))) => {
                    let other = pipeline::other(&path, &embedder, monitor)?.into();
                    Target::Toward { embedder, other }
                }
                (None, None) => anyhow::bail!("choose what is explained first"),
            };
            Ok(Request { autoencoder, target, slab, options })
        })
    }

    /// Chooses what gives the score. A wanted change of the score that no one chose becomes the usual one of the new score.
    pub(super) fn score_by(&mut self, by: ScoredBy) {
        self.settings.scored_by = by;
        let [usual, of_cosine] = [[Options::FALL, Options::FLOOR], [Options::RISE_OF_COSINE, Options::FLOOR_OF_COSINE]];
        let [from, to] = if by == ScoredBy::Embedder { [usual, of_cosine] } else { [of_cosine, usual] };
        let options = &mut self.settings.options;
        if [options.drop, options.floor] == from {
            [options.drop, options.floor] = to;
        }
    }

    /// Starts a run, if there is all it needs and none is going on.
    pub(super) fn explain(&mut self) {
        let (Some(request), Some(scan)) = (self.request(), self.scan.ready().cloned()) else { return };
        if self.run.running().is_some() || self.missing().is_some() {
            return;
        }
        self.pause_fit();
        let job = self.spawn("explain", &self.turn, move |monitor| {
            let began = Instant::now();
            let request = request(monitor)?;
            let result = pipeline::explain(&scan.input, &request, monitor)?;
            let (asked, timing) = (Asked::of(&request), Timing::of(monitor));
            Ok(Arc::new(Explained::new(scan, asked, result, timing, began.elapsed().as_secs_f64())))
        });
        self.run.follow(job);
    }

    /// Takes what the workers have answered.
    pub(super) fn poll(&mut self) -> Arrived {
        let arrived = Arrived { scan: self.poll_scan(), run: self.poll_run(), restored: self.poll_restored() };
        self.poll_dropped();
        if self.autoencoder.poll() {
            self.settings.autoencoder = self.autoencoder.ready().map(|loaded| absolute(&loaded.card));
            hold_against(&mut self.saved_with, Role::Autoencoder, &mut self.autoencoder);
        }
        self.prepare_again();
        if self.explains_when_ready && self.missing().is_none() {
            self.explains_when_ready = false;
            self.explain();
        }
        if self.classifier.poll() {
            self.settings.classifier = self.classifier.ready().map(|loaded| absolute(&loaded.card));
            hold_against(&mut self.saved_with, Role::Classifier, &mut self.classifier);
            self.name_target();
        }
        if self.segmenter.poll() {
            self.settings.segmenter = self.segmenter.ready().map(|loaded| absolute(&loaded.card));
            hold_against(&mut self.saved_with, Role::Segmenter, &mut self.segmenter);
        }
        self.follow_fit();
        if self.embedder.poll() {
            self.settings.embedder = self.embedder.ready().map(|loaded| absolute(&loaded.card));
            hold_against(&mut self.saved_with, Role::Embedder, &mut self.embedder);
        }
        arrived
    }

    /// A scan that was prepared for another autoencoder than the one chosen is prepared for this one.
    fn prepare_again(&mut self) {
        let (Some(scan), recipe) = (self.scan.ready().cloned(), self.recipe()) else { return };
        let Some(opened) = scan.input.scan.clone() else { return }; // a bare stack is what it is
        let loading = self.autoencoder.running().is_some(); // the next one may ask for another recipe
        let busy = loading || self.scan.running().is_some() || self.scan.error().is_some() || self.waiting.is_some();
        if busy || scan.input.prepared.recipe == recipe {
            return;
        }
        self.arriving = Arriving::new(scan.path.clone(), scan.input.choice(), scan.listing.as_deref());
        let job = self.spawn("prepare", &Turn::default(), move |monitor| {
            Ok(Arc::new(scan.prepared_again(&opened, &recipe, monitor)?))
        });
        self.scan.follow(job);
    }

    /// A new scan is shown at once, unless that would drop a result unasked.
    fn poll_scan(&mut self) -> bool {
        let mut before = self.scan.ready().cloned();
        if !self.scan.poll() {
            return false;
        }
        let pixels = |scan: Option<&Arc<OpenScan>>| scan.map(|scan| Arc::as_ptr(&scan.layers));
        if pixels(before.as_ref()) == pixels(self.scan.ready()) {
            self.fit_slab(); // the same scan, prepared for other networks: what is shown of it stays
            return false;
        }
        if self.run.ready().is_some() {
            self.scan.swap(&mut before);
            self.waiting = before.map(Waiting::Scan);
            return false;
        }
        self.scan_changed();
        true
    }

    fn scan_changed(&mut self) {
        let Some(scan) = self.scan.ready() else { return };
        if let Some(path) = &scan.path {
            self.settings.remember(path);
        }
        self.run.clear(); // its pictures are those of another scan
        self.aside = None;
        self.fit_slab();
    }

    /// A slab that is none of the stack's gives way to all slices, and says so.
    fn fit_slab(&mut self) {
        let Some(slices) = self.scan.ready().map(|scan| scan.stack_slices()) else { return };
        if let Some(Range { start, end }) = self.slab.take_if(|slab| slab.start >= slab.end || slab.end > slices) {
            let error = anyhow!(
                "the slab {start}:{end} does not fit the {} of this scan; all may change now",
                counted(slices, "slice")
            );
            self.run.fail(error);
        }
    }

    /// A new result is shown, and the one before kept aside; what a cancelled run leaves takes no whole result's place.
    fn poll_run(&mut self) -> bool {
        let mut before = self.run.ready().cloned();
        if !self.run.poll() {
            return false;
        }
        let whole = |run: &Option<Arc<Explained>>| run.as_ref().is_some_and(|run| run.result.complete);
        let keeps = whole(&before) && !whole(&self.run.ready().cloned());
        if keeps {
            self.run.swap(&mut before);
        }
        self.aside = before;
        !keeps
    }

    /// Shows the other result.
    pub(super) fn swap_results(&mut self) {
        if self.aside.is_some() {
            self.run.swap(&mut self.aside);
        }
    }

    /// A class that was chosen by number is kept by name: numbers change from model to model.
    fn name_target(&mut self) {
        let Some(Ok(index)) = self.target() else { return };
        self.settings.target = self.classifier.ready().map(|loaded| loaded.model.network.labels()[index].clone());
    }
}
