//! What is open, what was chosen, and what came of it.

mod beside;
mod demo_opened;
mod fits;
mod fitting;
mod give;
pub mod inserting;
mod maps;
pub mod masking;
pub mod methods;
pub mod pace;
mod regrouping;
mod repeating;
mod restore;
pub mod scoring;
pub mod sketching;
mod unlike;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use self::demo_opened::Choices;
use self::fitting::Fitting;
use self::inserting::{Came, Inserting};
use self::masking::Masking;
use self::methods::Methods;
use self::pace::RunPace;
use self::regrouping::Regrouping;
use self::repeating::Repeating;
use self::scoring::Scoring;
use self::sketching::{Decoded, Sketching};
use anyhow::anyhow;

use super::arriving::{Arriving, EarlySlice, Listing};
use super::cohort::found::IsCohort;
use super::document::{self, Restored};
use super::explained::Explained;
use super::network::{Loaded, hold_against};
use super::open_scan::OpenScan;
use super::stage::Stage;
use super::worker::Worker;
use crate::io::{Choice, counted};
use crate::job::{Job, Monitor};
use crate::latent_shift::Options;
use crate::models::Told;
use crate::models::{self, Autoencoder, Classifier, Embedder, Facts, Role, Segmenter, label_index};
use crate::pipeline::{self, Request, Run, Target};
use crate::preprocess::Recipe;
use crate::settings::{MOST_REPEATS, ScoredBy, Settings, absolute};

/// What is open, and would drop the result if it were shown.
pub enum Waiting {
    Scan(Arc<OpenScan>),
    Session(Arc<Restored>),
}

pub struct Model {
    pub settings: Settings,
    /// Slices that may change; `None` = all. Belongs to the scan, so it is not kept between runs.
    pub slab: Option<Range<usize>>,
    pub scan: Stage<OpenScan>,
    /// What has come of the scan that is being opened, or was opened last.
    arriving: Arriving,
    pub autoencoder: Stage<Loaded<dyn Autoencoder>>,
    pub classifier: Stage<Loaded<Classifier>>,
    pub segmenter: Stage<Loaded<Segmenter>>,
    pub embedder: Stage<Loaded<Embedder>>,
    pub run: Stage<Explained>,
    /// When the run that goes on began, and how long it was thought to take, seconds.
    pub pace: Option<RunPace>,
    /// What the run that goes on has drawn so far.
    pub sketching: Sketching,
    /// The run that is shown, from perturbed starts.
    pub repeating: Repeating,
    pub regrouping: Regrouping,
    /// What other methods say of the scan.
    pub methods: Methods,
    /// A mask of the scan.
    pub masking: Masking,
    /// A finding drawn into the scan.
    pub inserting: Inserting,
    /// Whether what is open fits.
    pub fitting: Fitting,
    /// What the classifier says of the open scan.
    pub scoring: Scoring,
    /// The result that gave way to the one shown, or that a cancelled run did not replace.
    pub aside: Option<Arc<Explained>>,
    /// A second result that is looked at beside the one shown.
    pub beside: Stage<Explained>,
    /// A session file that is being opened.
    pub restored: Stage<Restored>,
    /// Whether the result that is shown lies in a file, so that nothing is lost when another scan takes its place.
    pub result_is_safe: bool,
    /// It waits for a word.
    pub waiting: Option<Waiting>,
    /// SHA-256 of the networks that a session was saved with, until they have loaded.
    saved_with: Vec<(Role, String)>,
    /// Files that were dropped, whose kind is being told.
    dropped: Vec<(PathBuf, Job<Told>)>,
    /// A network that was given and has no card.
    pub without_card: Option<Box<Facts>>,
    /// Whether a run begins by itself once it can.
    explains_when_ready: bool,
    /// Whether the demo is being opened as a session.
    demo_comes: bool,
    /// What the person had chosen before the demo chose, while the demo is open.
    before_demo: Option<Choices>,
    /// The demo's result as it came with the program.
    came_with: Option<Weak<Explained>>,
    pub worker: Worker,
}

/// What arrived since the last look.
#[derive(Default)]
pub struct Arrived {
    pub scan: Option<Came>,
    pub run: bool,
    pub restored: Option<Arc<Restored>>,
}

impl Model {
    pub fn new(settings: Settings, worker: Worker) -> Self {
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
            pace: None,
            sketching: Sketching::default(),
            repeating: Repeating::default(),
            regrouping: Regrouping::default(),
            methods: Methods::default(),
            masking: Masking::default(),
            inserting: Inserting::default(),
            fitting: Fitting::default(),
            scoring: Scoring::default(),
            aside: None,
            beside: Stage::default(),
            restored: Stage::default(),
            result_is_safe: false,
            waiting: None,
            saved_with: Vec::new(),
            dropped: Vec::new(),
            without_card: None,
            explains_when_ready: false,
            demo_comes: false,
            before_demo: None,
            came_with: None,
            worker,
        }
    }

    /// Opens a scan, one of the volumes that its path holds, or a session. While a run goes on this is refused: it would throw the run
    /// away.
    pub fn open(&mut self, path: PathBuf, choice: Choice) {
        if self.run.running().is_some() {
            self.scan.fail(anyhow!("a run is going on; cancel it, or let it end, before opening another scan"));
            return;
        }
        let known = self.listing_of(&path);
        self.waiting = None;
        (self.explains_when_ready, self.demo_comes) = (false, false); // no run begins by itself on a scan that someone opened
        self.cancel_opening();
        self.inserting.drawn.cancel();
        if document::is_session(&path) {
            if choice != Choice::default() {
                self.scan
                    .fail(anyhow!("a session opens the series that it was saved with; open it without another choice"));
                return;
            }
            let job = self.worker.spawn("open", move |monitor| Ok(Arc::new(document::open(path, monitor)?)));
            self.restored.follow(job);
            return;
        }
        self.arriving = Arriving::new(Some(path.clone()), choice, known.as_deref());
        let (recipe, arriving) = (self.recipe(), self.arriving.clone());
        let job = self.worker.spawn("open", move |monitor| {
            IsCohort::refuse(&path)?;
            Ok(Arc::new(OpenScan::open(path, &arriving, &recipe, monitor)?))
        });
        self.scan.follow(job);
    }

    /// What is looked at: the scan that is open, and its result.
    pub fn shown(&self) -> (Option<&OpenScan>, Option<&Explained>) {
        (self.scan.ready().map(Arc::as_ref), self.run.ready().map(Arc::as_ref))
    }

    /// What a path held when it was looked at last.
    fn listing_of(&self, path: &Path) -> Option<Arc<Listing>> {
        let arrived = self.arriving.listing().filter(|_| self.arriving.path.as_deref() == Some(path));
        let open = || self.scan.ready().filter(|scan| scan.path.as_deref() == Some(path))?.listing.clone();
        arrived.or_else(open)
    }

    /// The volumes to choose from, and the path that holds them: of the scan that is being opened, could not be opened, or is open.
    pub fn choosable(&self) -> Option<(&Path, Arc<Listing>)> {
        let ready = self.scan.ready();
        let open = ready.and_then(|scan| Some((scan.path.as_deref()?, scan.listing.clone()?)));
        let comes = self.scan.running().is_some() || self.scan.error().is_some() || ready.is_none();
        let coming = || Some((self.arriving.path.as_deref()?, self.arriving.listing()?));
        if comes { coming().or(open) } else { open }
    }

    /// What is being opened; `None` while nothing is.
    pub fn arriving(&self) -> Option<&Arriving> {
        self.scan.running().map(|_| &self.arriving)
    }

    /// The work on a scan or a session that is being opened.
    pub fn opening(&self) -> Option<&Monitor> {
        self.scan.running().or(self.restored.running())
    }

    /// A slice of the scan that is being opened, with the work on it; none where it would hide a result.
    pub fn early(&self) -> Option<(Arc<EarlySlice>, &Monitor)> {
        let opening = self.scan.running().filter(|_| self.run.ready().is_none())?;
        Some((self.arriving.slice.get()?, opening))
    }

    pub fn cancel_opening(&mut self) {
        if self.scan.running().is_some() && self.scan.ready().is_some() {
            self.arriving = Arriving::default(); // what is open is chosen from again
        }
        self.scan.cancel();
        self.restored.cancel();
    }

    /// What a run needs and does not have yet, in words; a run can start when there is nothing.
    pub fn missing(&self) -> Option<&'static str> {
        if let Some(reason) = self.scan.wanting("The scan is still opening", "Open a scan first") {
            return Some(reason);
        }
        if self.inserting.drawn.running().is_some() {
            return Some("The finding is still being drawn");
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
    pub fn target(&self) -> Option<Result<usize, models::Error>> {
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
    pub fn score_by(&mut self, by: ScoredBy) {
        self.settings.scored_by = by;
        let [usual, of_cosine] = [[Options::FALL, Options::FLOOR], [Options::RISE_OF_COSINE, Options::FLOOR_OF_COSINE]];
        let [from, to] = if by == ScoredBy::Embedder { [usual, of_cosine] } else { [of_cosine, usual] };
        let options = &mut self.settings.options;
        if [options.drop, options.floor] == from {
            [options.drop, options.floor] = to;
        }
    }

    /// Starts a run, if there is all it needs and none is going on.
    pub fn explain(&mut self) {
        let (Some(request), Some(scan)) = (self.request(), self.scan.ready().cloned()) else { return };
        if self.run.running().is_some() || self.missing().is_some() {
            return;
        }
        self.pace = Some(RunPace::new(self.run_secs(), &self.settings.options));
        self.fitting.pause();
        self.scoring.pause();
        self.methods.pause();
        self.sketching.begin(self.decoded(scan.stack_slices()));
        let asked_for = self.repeating.expect(self.settings.repeats.min(MOST_REPEATS));
        let job = self.worker.spawn_in_turn("explain", move |monitor| {
            let request = request(monitor)?;
            asked_for.put(request.clone());
            let run = Run::of(&scan.input, &request, monitor)?;
            Ok(Arc::new(Explained::new(scan, run)))
        });
        self.run.follow(job);
    }

    /// What the pixels of the run that begins mean.
    fn decoded(&self, slices: usize) -> Option<Decoded> {
        let autoencoder = &self.autoencoder.ready()?.model;
        let ([slope, offset], [a, b]) = (autoencoder.recipe.hu_from_unit(), autoencoder.network.unit_from_decoded());
        let slab = self.slab.clone().unwrap_or(0..slices);
        Some(Decoded { slab, hu_from_decoded: [slope * a, slope * b + offset] })
    }

    /// Takes what the workers have answered.
    pub fn poll(&mut self) -> Arrived {
        let mut arrived = Arrived { scan: self.poll_scan(), run: self.poll_run(), restored: self.poll_restored() };
        arrived.scan = self.poll_inserting().or(arrived.scan);
        if let Some((pace, run)) = self.pace.as_mut().zip(self.run.running()) {
            pace.follow(run);
        }
        self.sketching.follow(self.run.running(), self.scan.ready(), &self.worker);
        self.follow_demo();
        self.beside.poll();
        self.poll_dropped();
        let newer = self.repeating.poll();
        self.replace(newer);
        let newer = self.regrouping.poll();
        self.replace(newer);
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
        self.follow_scores();
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
        let job =
            self.worker.spawn("prepare", move |monitor| Ok(Arc::new(scan.prepared_again(&opened, &recipe, monitor)?)));
        self.scan.follow(job);
    }

    /// A new scan is shown at once, unless that would drop a result unasked.
    fn poll_scan(&mut self) -> Option<Came> {
        let mut before = self.scan.ready().cloned();
        if !self.scan.poll() {
            return None;
        }
        let pixels = |scan: Option<&Arc<OpenScan>>| scan.map(|scan| Arc::as_ptr(&scan.layers));
        if pixels(before.as_ref()) == pixels(self.scan.ready()) {
            self.fit_slab(); // the same scan, prepared for other networks: what is shown of it stays
            return None;
        }
        if self.run.ready().is_some() && !self.result_is_safe {
            self.scan.swap(&mut before);
            self.waiting = before.map(Waiting::Scan);
            return None;
        }
        if before.is_some() {
            self.slab = None; // it is another scan's
        }
        self.inserting.begin(None);
        self.scan_changed();
        Some(Came::Other)
    }

    fn scan_changed(&mut self) {
        let Some(scan) = self.scan.ready() else { return };
        if let Some(path) = &scan.path {
            self.settings.remember(path);
            self.before_demo = None; // from here on, what is chosen is the person's choice
        }
        self.run.clear(); // its pictures are those of another scan
        self.repeating = Repeating::default();
        self.aside = None;
        self.beside.clear();
        self.mask_of_new_scan();
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
        let whole = |run: &Option<Arc<Explained>>| run.as_ref().is_some_and(|run| run.result().complete);
        let keeps = whole(&before) && !whole(&self.run.ready().cloned());
        if keeps {
            self.run.swap(&mut before);
        }
        self.aside = before;
        self.keep_beside();
        if let Some(run) = self.run.ready().filter(|_| !keeps) {
            self.repeating.begin(run, &self.worker);
        }
        !keeps
    }

    /// A result of which more is known takes the place of itself.
    fn replace(&mut self, newer: Option<Arc<Explained>>) {
        let Some(newer) = newer else { return };
        if self.run.ready().is_some_and(|run| run.is_of(&newer)) {
            self.run.swap(&mut Some(newer));
        } else if let Some(aside) = self.aside.as_mut().filter(|aside| aside.is_of(&newer)) {
            *aside = newer;
        }
    }

    /// Shows the other result.
    pub fn swap_results(&mut self) {
        if self.aside.is_some() {
            self.run.swap(&mut self.aside);
            self.keep_beside();
        }
    }

    /// A class that was chosen by number is kept by name: numbers change from model to model.
    fn name_target(&mut self) {
        let Some(Ok(index)) = self.target() else { return };
        self.settings.target = self.classifier.ready().map(|loaded| loaded.model.network.labels()[index].clone());
    }
}
