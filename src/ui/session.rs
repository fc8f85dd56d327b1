//! What is open, what was chosen, and what came of it: the state behind the window. Panels read it; actions change it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;

use super::stage::Stage;
use crate::export::png::{difference_scale_hu, layers};
use crate::frame::Layers;
use crate::job::{Job, Monitor, Turn};
use crate::latent_shift::Counterfactual;
use crate::models::{self, Autoencoder, Classifier, Segmenter, label_index};
use crate::pipeline::{self, Input, Model, Request, Target};
use crate::settings::{ScoredBy, Settings, absolute};

/// A scan with what panels say of it.
pub(super) struct OpenScan {
    pub(super) path: PathBuf,
    pub(super) input: Input,
    /// The scan on its own grid, HU.
    pub(super) layers: Arc<Layers>,
    pub(super) warnings: Vec<String>,
}

impl OpenScan {
    /// Slices of the stack that the networks see: what slabs are counted in.
    pub(super) fn stack_slices(&self) -> usize {
        self.input.prepared.volume.grid.shape[2]
    }
}

/// A network and the card it was loaded from.
pub(super) struct Loaded<N: ?Sized> {
    pub(super) card: PathBuf,
    pub(super) model: Arc<Model<N>>,
}

/// A finished run with all that is shown of it.
pub(super) struct Explained {
    pub(super) scan: Arc<OpenScan>,
    pub(super) target: String,
    pub(super) result: Counterfactual,
    pub(super) layers: Arc<Layers>,
    /// Colours saturate at +- this, at every lambda alike.
    pub(super) scale_hu: f32,
    /// Mean |change| of each slice of the stack, HU.
    pub(super) change_per_slice_hu: Vec<f32>,
    pub(super) seconds: f64,
}

/// Which network is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Autoencoder,
    Classifier,
    Segmenter,
}

pub(super) struct Session {
    pub(super) settings: Settings,
    /// Slices that may change; `None` = all. Belongs to the scan, so it is not kept between runs.
    pub(super) slab: Option<Range<usize>>,
    pub(super) scan: Stage<OpenScan>,
    pub(super) autoencoder: Stage<Loaded<dyn Autoencoder>>,
    pub(super) classifier: Stage<Loaded<dyn Classifier>>,
    pub(super) segmenter: Stage<Loaded<dyn Segmenter>>,
    pub(super) run: Stage<Explained>,
    turn: Turn,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// What arrived since the last look.
#[derive(Default)]
pub(super) struct Arrived {
    pub(super) scan: bool,
    pub(super) run: bool,
}

impl Session {
    pub(super) fn new(settings: Settings, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            settings,
            slab: None,
            scan: Stage::default(),
            autoencoder: Stage::default(),
            classifier: Stage::default(),
            segmenter: Stage::default(),
            run: Stage::default(),
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

    /// Opens a scan. While a run goes on this is refused: it would throw the run away.
    pub(super) fn open(&mut self, path: PathBuf) {
        if self.run.running().is_some() {
            self.scan.fail(anyhow!("a run is going on; cancel it, or let it end, before opening another scan"));
            return;
        }
        let job = self.spawn("open", &Turn::default(), move |monitor| {
            let input = pipeline::open(&path, monitor)?;
            let layers = Arc::new(Layers::plain(input.display_volume()));
            Ok(Arc::new(OpenScan { warnings: input.warnings(), layers, input, path }))
        });
        self.scan.follow(job);
    }

    pub(super) fn load(&mut self, role: Role, card: PathBuf) {
        let turn = Turn::default();
        match role {
            Role::Autoencoder => {
                let job = self.spawn("load", &turn, move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_autoencoder(&card, monitor)?, card }))
                });
                self.autoencoder.follow(job);
            }
            Role::Classifier => {
                let job = self.spawn("load", &turn, move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_classifier(&card, monitor)?, card }))
                });
                self.classifier.follow(job);
            }
            Role::Segmenter => {
                let job = self.spawn("load", &turn, move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_segmenter(&card, monitor)?, card }))
                });
                self.segmenter.follow(job);
            }
        }
    }

    /// What a run needs and does not have yet, in words; a run can start when there is nothing.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let classes = self.settings.scored_by == ScoredBy::Classifier;
        if self.scan.ready().is_none() {
            Some("Open a scan first")
        } else if self.autoencoder.ready().is_none() {
            Some("Choose an autoencoder first")
        } else if classes && self.classifier.ready().is_none() {
            Some("Choose a classifier first")
        } else if classes && !matches!(self.target(), Some(Ok(_))) {
            Some("Choose a target class first")
        } else if !classes && self.segmenter.ready().is_none() {
            Some("Choose a segmenter first")
        } else {
            None
        }
    }

    /// The chosen class in the loaded classifier, or why it has none of that name.
    pub(super) fn target(&self) -> Option<Result<usize, models::Error>> {
        let labels = self.classifier.ready()?.model.network.labels();
        Some(label_index(labels, self.settings.target.as_ref()?))
    }

    fn request(&self) -> Option<Request> {
        let target = match self.settings.scored_by {
            ScoredBy::Segmenter => Target::LungSize { segmenter: Arc::clone(&self.segmenter.ready()?.model) },
            ScoredBy::Classifier => Target::Classes {
                classifier: Arc::clone(&self.classifier.ready()?.model),
                terms: vec![(self.target()?.ok()?, 1.0)],
                offset: 0.0,
            },
        };
        Some(Request {
            autoencoder: Arc::clone(&self.autoencoder.ready()?.model),
            target,
            slab: self.slab.clone(),
            options: self.settings.options.clone(),
        })
    }

    /// Starts a run, if there is all it needs and none is going on.
    pub(super) fn explain(&mut self) {
        let (Some(request), Some(scan)) = (self.request(), self.scan.ready().cloned()) else { return };
        if self.run.running().is_some() || self.scan.running().is_some() {
            return;
        }
        let job = self.spawn("explain", &self.turn, move |monitor| {
            let began = Instant::now();
            let result = pipeline::explain(&scan.input, &request, monitor)?;
            let layers = Arc::new(layers(&result));
            Ok(Arc::new(Explained {
                scale_hu: difference_scale_hu(&layers),
                change_per_slice_hu: result.change_per_slice_hu(),
                target: request.target.name(),
                seconds: began.elapsed().as_secs_f64(),
                scan,
                layers,
                result,
            }))
        });
        self.run.follow(job);
    }

    /// Takes what the workers have answered.
    pub(super) fn poll(&mut self) -> Arrived {
        let arrived = Arrived { scan: self.scan.poll(), run: self.run.poll() };
        if arrived.scan
            && let Some(scan) = self.scan.ready()
        {
            self.settings.remember(&scan.path);
            let slices = scan.stack_slices();
            self.run.clear(); // its pictures are those of another scan
            if let Some(Range { start, end }) = self.slab.take_if(|slab| slab.start >= slab.end || slab.end > slices) {
                let error =
                    anyhow!("the slab {start}:{end} does not fit the {slices} slices of this scan; all may change now");
                self.run.fail(error);
            }
        }
        if self.autoencoder.poll() {
            self.settings.autoencoder = self.autoencoder.ready().map(|loaded| absolute(&loaded.card));
        }
        if self.classifier.poll() {
            self.settings.classifier = self.classifier.ready().map(|loaded| absolute(&loaded.card));
        }
        if self.segmenter.poll() {
            self.settings.segmenter = self.segmenter.ready().map(|loaded| absolute(&loaded.card));
        }
        arrived
    }
}
