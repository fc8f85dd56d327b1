//! Networks for stacks that were prepared for another network.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use super::{BadInput, Input, Model, Request, Target};
use crate::job::Monitor;
use crate::latent_shift::objective::{ClassScore, LungSize, Objective};
use crate::models::{Adapter, Classifier};
use crate::preprocess::{self, Prepared, Recipe};

/// Gives a classifier for stacks like an input's, whichever network that was prepared for.
pub fn classifier_for(model: &Model<Classifier>, input: &Input, monitor: &Monitor) -> Result<Arc<Classifier>> {
    let stack = &input.prepared;
    // A bare stack does not say where it lies: it is taken as it is, whatever its size.
    let size = if input.scan.is_some() { stack.recipe.size } else { model.recipe.size };
    if (Recipe { size, ..stack.recipe.clone() }) == model.recipe && !model.recipe.z_score {
        return Ok(Arc::clone(&model.network));
    }
    let own = prepared_for(input, &model.recipe, monitor)?;
    let adapter = Adapter::between(stack, &own)
        .with_context(|| format!("{} cannot be given this scan", model.name))
        .map_err(BadInput::mark)?;
    Ok(Arc::new(model.network.fed_by(adapter)))
}

/// The input's scan as another network's recipe has it.
pub fn prepared_for(input: &Input, recipe: &Recipe, monitor: &Monitor) -> Result<Prepared> {
    let scan = input.scan.as_ref().map_or_else(|| input.display_volume(), |scan| scan.volume.clone());
    preprocess::prepare(&scan, recipe, monitor).map_err(|error| match error {
        preprocess::Error::Cancelled(cancelled) => cancelled.into(),
        why => BadInput::mark(anyhow!("the scan cannot be prepared for the networks: {why}")),
    })
}

impl Target {
    /// What is scored of stacks like an input's.
    pub(super) fn objective(&self, input: &Input, monitor: &Monitor) -> Result<Box<dyn Objective>> {
        Ok(match self {
            Self::LungSize { segmenter } => Box::new(LungSize { segmenter: Arc::clone(&segmenter.network) }),
            Self::Classes { classifier, terms, offset } => Box::new(ClassScore {
                classifier: classifier_for(classifier, input, monitor)?,
                terms: terms.clone(),
                offset: *offset,
            }),
        })
    }
}

impl Request {
    /// How a scan is to be prepared for these networks: as the autoencoder has it.
    ///
    /// # Errors
    /// Where a segmenter that gives the score was trained on other slices: there is no adapter for its slices one by one.
    pub fn recipe(&self) -> Result<&Recipe> {
        let ours = &self.autoencoder.recipe;
        match &self.target {
            Target::LungSize { segmenter } if segmenter.recipe != *ours => Err(BadInput(anyhow!(
                "{} was trained on {}, {} on {}; choose a segmenter of the autoencoder's recipe",
                self.autoencoder.name,
                words(ours),
                segmenter.name,
                words(&segmenter.recipe)
            ))
            .into()),
            _ => Ok(ours),
        }
    }
}

impl Request {
    /// What the self-checks of its networks came to, in words.
    pub fn self_checks(&self) -> Vec<String> {
        let scored_by = match &self.target {
            Target::Classes { classifier, .. } => (&classifier.name, classifier.self_check),
            Target::LungSize { segmenter } => (&segmenter.name, segmenter.self_check),
        };
        let all = [(&self.autoencoder.name, self.autoencoder.self_check), scored_by];
        all.into_iter().filter_map(|(name, check)| Some(format!("{name}: {}", check.words()?))).collect()
    }
}

/// A recipe for messages.
fn words(recipe: &Recipe) -> String {
    let Recipe { spacing_mm: [x, y, z], size, hu: [low, high], .. } = recipe;
    let sides = size.map(|side| if side == 0 { "any".to_owned() } else { side.to_string() }).join(" x ");
    format!("{sides} voxels of {x} x {y} x {z} mm, {low} to {high} HU")
}
