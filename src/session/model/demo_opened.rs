//! The demo: opened with the result that comes with it, and computed where that cannot be shown.

use std::sync::Arc;

use super::Model;
use crate::demo;
use crate::io::Choice;
use crate::models::Role;
use crate::pipeline;
use crate::session::arriving::Arriving;
use crate::session::document::Restored;
use crate::session::open_scan::OpenScan;
use crate::settings::ScoredBy;

impl Model {
    /// Opens the demo with the result that comes with it. It is computed where there is none, or none of this scan.
    pub fn begin_demo(&mut self) {
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
        let Some(run) = self.run.ready().filter(|run| run.scan.path.is_none() && self.result_is_safe) else {
            return false;
        };
        run.asked().options == self.settings.options && Some(&run.asked().target) == self.settings.target.as_ref()
    }
}
