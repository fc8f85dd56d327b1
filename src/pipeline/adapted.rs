//! Networks for stacks that were prepared for another network.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use candle_core::{Device, Tensor};

use super::{BadInput, Input, Model, Request, Target, told};
use crate::job::Monitor;
use crate::latent_shift::objective::{ClassScore, LungSize, Objective};
use crate::latent_shift::toward::Toward;
use crate::models::{Adapter, Classifier, Embedder};
use crate::preprocess::{self, Prepared, Recipe};
use crate::volume::Volume;

/// Gives a classifier for stacks like an input's, whichever network that was prepared for.
pub fn classifier_for(model: &Model<Classifier>, input: &Input, monitor: &Monitor) -> Result<Arc<Classifier>> {
    Ok(match adapter_for(&model.name, &model.recipe, input, monitor)? {
        Some(adapter) => Arc::new(model.network.fed_by(adapter)),
        None => Arc::clone(&model.network),
    })
}

/// Gives an embedder for stacks like an input's, whichever network that was prepared for.
pub fn embedder_for(model: &Model<Embedder>, input: &Input, monitor: &Monitor) -> Result<Arc<Embedder>> {
    Ok(match adapter_for(&model.name, &model.recipe, input, monitor)? {
        Some(adapter) => Arc::new(model.network.fed_by(adapter)),
        None => Arc::clone(&model.network),
    })
}

/// Gives the adapter from stacks like an input's to a network of a recipe; none where the stacks are as the network has them.
pub(super) fn adapter_for(name: &str, recipe: &Recipe, input: &Input, monitor: &Monitor) -> Result<Option<Adapter>> {
    let stack = &input.prepared;
    // A bare stack does not say where it lies: it is taken as it is, whatever its size.
    let size = if input.scan.is_some() { stack.recipe.size } else { recipe.size };
    if (Recipe { size, ..stack.recipe.clone() }) == *recipe && !recipe.z_score {
        return Ok(None);
    }
    let own = prepared_for(input, recipe, monitor)?;
    let adapter = Adapter::between(stack, &own)
        .with_context(|| format!("{name} cannot be given this scan"))
        .map_err(BadInput::mark)?;
    Ok(Some(adapter))
}

/// The input's scan as another network's recipe has it.
pub fn prepared_for(input: &Input, recipe: &Recipe, monitor: &Monitor) -> Result<Prepared> {
    let scan = input.scan.as_ref().map_or_else(|| input.display_volume(), |scan| scan.volume.clone());
    preprocess::prepare(&scan, recipe, monitor).map_err(|error| match error {
        preprocess::Error::Cancelled(cancelled) => cancelled.into(),
        why => BadInput::mark(anyhow!("the scan cannot be prepared for the networks: {why}")),
    })
}

/// A volume as the networks take it, `[slices, 1, height, width]`.
pub(super) fn stack_of(volume: &Volume) -> Result<Tensor> {
    let [width, height, slices] = volume.grid.shape;
    let pixels: Vec<f32> = volume.voxels.iter().collect();
    Ok(Tensor::from_vec(pixels, (slices, 1, height, width), &Device::Cpu)?)
}

impl Target {
    /// The score of a scan as the network that gives it prepares it, which `parallax predict` says too. A run scores the scan on the
    /// autoencoder's grid; where that is this network's own, there is one score alone.
    pub(super) fn of_scan_as_predicted(&self, input: &Input, monitor: &Monitor) -> Result<Option<f64>> {
        let recipe = match self {
            Self::LungSize { .. } => return Ok(None),
            Self::Classes { classifier, .. } => &classifier.recipe,
            Self::Toward { embedder, .. } => &embedder.recipe,
        };
        let Some(scan) = input.scan.as_ref().filter(|_| input.prepared.recipe != *recipe) else { return Ok(None) };
        let own = Input::new(Some(Arc::clone(scan)), prepared_for(input, recipe, monitor)?);
        monitor.step("scoring the scan", 0, 0)?;
        let scored = self.objective(&own, monitor)?.score(&stack_of(&own.prepared.volume)?, monitor);
        Ok(Some(scored.map_err(told)?.score))
    }

    /// What is scored of stacks like an input's.
    pub(super) fn objective(&self, input: &Input, monitor: &Monitor) -> Result<Box<dyn Objective>> {
        Ok(match self {
            Self::LungSize { segmenter } => Box::new(LungSize { segmenter: Arc::clone(&segmenter.network) }),
            Self::Classes { classifier, terms, offset } => Box::new(ClassScore {
                classifier: classifier_for(classifier, input, monitor)?,
                terms: terms.clone(),
                offset: *offset,
            }),
            Self::Toward { embedder, other } => {
                let embedder = embedder_for(embedder, input, monitor)?;
                Box::new(Toward::new(embedder, &other.embedding).map_err(told)?)
            }
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
    /// What a person should know of its networks, in words.
    pub fn notes(&self) -> Vec<String> {
        let scored_by: Vec<String> = match &self.target {
            Target::Classes { classifier, .. } => classifier.notes().collect(),
            Target::LungSize { segmenter } => segmenter.notes().collect(),
            Target::Toward { embedder, .. } => embedder.notes().collect(),
        };
        self.autoencoder.notes().chain(scored_by).collect()
    }
}

/// A recipe for messages.
fn words(recipe: &Recipe) -> String {
    let Recipe { spacing_mm: [x, y, z], size, hu: [low, high], .. } = recipe;
    let sides = size.map(|side| if side == 0 { "any".to_owned() } else { side.to_string() }).join(" x ");
    format!("{sides} voxels of {x} x {y} x {z} mm, {low} to {high} HU")
}
