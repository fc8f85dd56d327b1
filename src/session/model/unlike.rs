//! Whether a result is of what is chosen now: class, networks, slices that may change, options.

use super::Model;
use crate::latent_shift::{HeatmapMethod, Options};
use crate::session::explained::Explained;
use crate::settings::ScoredBy;

impl Model {
    /// How a result differs from what a run would be asked for now, in words; none where it does not, where something is still to be
    /// chosen, or while a run goes on.
    pub fn unlike(&self, run: &Explained) -> Option<String> {
        if self.missing().is_some() || self.run.running().is_some() {
            return None;
        }
        let (asked, result) = (run.asked(), run.result());
        if self.settings.scored_by == ScoredBy::Classifier {
            let labels = self.classifier.ready()?.model.network.labels();
            let chosen = labels.get(self.target()?.ok()?)?;
            if *chosen != asked.target {
                return Some(format!("These pictures are of {}; {chosen} is chosen now", asked.target));
            }
        }
        let scored_by = match self.settings.scored_by {
            ScoredBy::Classifier => &self.classifier.ready()?.model.sha256,
            ScoredBy::Segmenter => &self.segmenter.ready()?.model.sha256,
            ScoredBy::Embedder => &self.embedder.ready()?.model.sha256,
        };
        let autoencoder = &self.autoencoder.ready()?.model.sha256;
        if [&asked.autoencoder.sha256, &asked.scored_by.sha256] != [autoencoder, scored_by] {
            return Some("These pictures are of other networks than are chosen now".to_owned());
        }
        let slices = 0..result.grid.shape[2];
        if result.slab != *self.slab.as_ref().unwrap_or(&slices) {
            return Some("These pictures are of other slices that may change than are chosen now".to_owned());
        }
        (what_counts(&asked.options) != what_counts(&self.settings.options))
            .then(|| "These pictures are of other options than are chosen now".to_owned())
    }
}

/// Options without those that change no picture.
fn what_counts(options: &Options) -> Options {
    Options { chunk: 0, heatmap: HeatmapMethod::Int, ..options.clone() }
}
