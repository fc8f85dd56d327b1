//! What other methods than the counterfactual say of a class and a scan: maps on the classifier's own grid.

use anyhow::{Result, anyhow};

use super::{BadInput, Input, Model, Target, classifier_for, prepared_for, told};
use crate::job::Monitor;
use crate::latent_shift::saliency::{self, Method};
use crate::models::Classifier;
use crate::nn::denormals;
use crate::preprocess::Prepared;
use crate::volume::Volume;

/// The sizes that a method gives each voxel of the scan as the classifier's own recipe prepares it, 0 or more: of the score that
/// [`super::predict`] gives.
pub fn method(
    input: &Input,
    classifier: &Model<Classifier>,
    label: usize,
    method: Method,
    monitor: &Monitor,
) -> Result<Volume> {
    let _flushed = denormals::flushed();
    input.check()?;
    let other = input.scan.as_ref().filter(|_| input.prepared.recipe != classifier.recipe);
    let own = other.map(|_| prepared_for(input, &classifier.recipe, monitor)).transpose()?;
    let own = own.map(|prepared| Input::new(input.scan.clone(), prepared));
    let input = own.as_ref().unwrap_or(input);
    let network = classifier_for(classifier, input, monitor)?;
    let (volume, hu_from_unit) = (&input.prepared.volume, input.prepared.recipe.hu_from_unit());
    let maps = saliency::maps(method, volume, hu_from_unit, &network, &[label], monitor).map_err(told)?;
    let map = maps.into_iter().next().unwrap_or_default();
    Ok(Volume::from_f32(volume.grid, map))
}

/// The sizes that a method gives each voxel of the stack as it is prepared, 0 or more, for each label: of the score that a search on this
/// stack moves.
pub fn maps(
    input: &Input,
    classifier: &Model<Classifier>,
    labels: &[usize],
    method: Method,
    monitor: &Monitor,
) -> Result<Vec<Vec<f32>>> {
    let _flushed = denormals::flushed();
    input.check()?;
    let Prepared { volume, recipe, .. } = &input.prepared;
    let classifier = classifier_for(classifier, input, monitor)?;
    saliency::maps(method, volume, recipe.hu_from_unit(), &classifier, labels, monitor).map_err(told)
}

impl Target {
    /// The classifier and the class that other methods can explain too.
    ///
    /// # Errors
    /// Where the score is no class of a classifier that it falls with.
    pub fn one_class(&self) -> Result<(&Model<Classifier>, usize)> {
        match self {
            Self::Classes { classifier, terms, .. } => match terms[..] {
                [(label, weight)] if weight > 0.0 => Ok((classifier, label)),
                _ => Err(BadInput::mark(anyhow!(
                    "gradients, occlusion and RISE explain one class; name one --target, without a weight"
                ))),
            },
            Self::LungSize { .. } | Self::Toward { .. } => Err(BadInput::mark(anyhow!(
                "gradients, occlusion and RISE explain a class of a classifier; name a --classifier and a --target"
            ))),
        }
    }
}
