//! The demo: opened with the result that comes with it, and computed where that cannot be shown.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::Model;
use crate::demo;
use crate::io::Choice;
use crate::latent_shift::Options;
use crate::models::Role;
use crate::pipeline;
use crate::session::arriving::Arriving;
use crate::session::document::Restored;
use crate::session::open_scan::OpenScan;
use crate::settings::{ScoredBy, Settings};

/// What the demo chooses for a person, as the person had chosen it before.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    networks: [Option<PathBuf>; 4],
    toward: Option<PathBuf>,
    scored_by: ScoredBy,
    target: Option<String>,
    options: Options,
    shown_result: Option<PathBuf>,
}

impl Choices {
    fn of(settings: &Settings) -> Self {
        let Settings { autoencoder, classifier, segmenter, embedder, .. } = settings.clone();
        Self {
            networks: [autoencoder, classifier, segmenter, embedder],
            toward: settings.toward.clone(),
            scored_by: settings.scored_by,
            target: settings.target.clone(),
            options: settings.options.clone(),
            shown_result: settings.shown_result.clone(),
        }
    }

    fn in_place(self, settings: &Settings) -> Settings {
        let Self { networks: [autoencoder, classifier, segmenter, embedder], toward, .. } = self;
        let Self { scored_by, target, options, shown_result, .. } = self;
        Settings {
            autoencoder,
            classifier,
            segmenter,
            embedder,
            toward,
            scored_by,
            target,
            options,
            shown_result,
            ..settings.clone()
        }
    }
}

impl Model {
    /// Opens the demo with the result that comes with it. It is computed where there is none, or none of this scan.
    pub fn begin_demo(&mut self) {
        self.set_choices_aside();
        let cards = match demo::Cards::find() {
            Ok(cards) => cards,
            Err(error) => return self.scan.fail(error),
        };
        if !cards.result.is_file() {
            return self.draw_demo(cards);
        }
        self.open(cards.result, Choice::default());
        self.demo_comes = self.restored.running().is_some();
    }

    /// What is kept for the next time: while the demo is open, the person's own choices in the place of the demo's.
    pub fn kept(&self) -> Settings {
        match &self.before_demo {
            Some(choices) => choices.clone().in_place(&self.settings),
            None => self.settings.clone(),
        }
    }

    /// The demo is about to choose networks, class and options.
    pub(super) fn set_choices_aside(&mut self) {
        if self.before_demo.is_none() {
            self.before_demo = Some(Choices::of(&self.settings));
        }
    }

    /// Draws the demo's scan, takes its networks, and explains as soon as all is there.
    fn draw_demo(&mut self, cards: demo::Cards) {
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
        let job =
            self.worker.spawn("draw", move |monitor| Ok(Arc::new(OpenScan::drawn(demo::input(&recipe, monitor)?))));
        self.scan.follow(job);
        self.explains_when_ready = true;
    }

    /// Takes up that a session has come, and says whether it is the demo that was asked for. One without a result is computed.
    pub(super) fn take_demo(&mut self, restored: &Restored) -> bool {
        let comes = std::mem::take(&mut self.demo_comes);
        self.explains_when_ready = comes && restored.run.is_none();
        if comes {
            self.came_with = restored.run.as_ref().map(Arc::downgrade);
        }
        comes
    }

    /// Computes the demo where its session turned out to be damaged; the error stays to be read.
    pub(super) fn follow_demo(&mut self) {
        if self.demo_comes && self.restored.running().is_none() && self.restored.error().is_some() {
            self.demo_comes = false;
            match demo::Cards::find() {
                Ok(cards) => self.draw_demo(cards),
                Err(error) => self.scan.fail(error),
            }
        }
    }

    /// Whether what is shown is the demo's result out of a file, as it would be computed now.
    pub fn shows_known_demo(&self) -> bool {
        let came = self.came_with.as_ref().map(Weak::as_ptr);
        let Some(run) = self.run.ready().filter(|run| Some(Arc::as_ptr(run)) == came) else { return false };
        run.asked().options == self.settings.options && Some(&run.asked().target) == self.settings.target.as_ref()
    }
}
