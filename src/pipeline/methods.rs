//! What other methods than the counterfactual say of a class and a scan: maps on the classifier's own grid.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use candle_core::DType;

use super::adapted::stack_of;
use super::{BadInput, Input, Model, Target, classifier_for, prepared_for, told};
use crate::graph::{Features, Plan};
use crate::job::Monitor;
use crate::latent_shift::saliency::{self, Method};
use crate::latent_shift::{self, grad_cam};
use crate::models::Classifier;
use crate::nn::denormals;
use crate::preprocess::{self, Prepared};
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

/// Refuses a method that has no map for a classifier, before hours of work.
///
/// # Errors
/// Where it is Grad-CAM++ and the network has no last map with places left, in words.
pub fn check_method(input: &Input, classifier: &Model<Classifier>, method: Method, monitor: &Monitor) -> Result<()> {
    if method != Method::GradCam {
        return Ok(());
    }
    let other = input.scan.as_ref().filter(|_| input.prepared.recipe != classifier.recipe);
    let own = other.map(|_| prepared_for(input, &classifier.recipe, monitor)).transpose()?;
    let own = own.map(|prepared| Input::new(input.scan.clone(), prepared));
    let input = own.as_ref().unwrap_or(input);
    let dims = stack_of(&input.prepared.volume)?.dims().to_vec();
    let graph = classifier_for(classifier, input, monitor)?.graph(&dims).map_err(|error| told(error.into()))?;
    graph.last_map(&dims).map(drop).map_err(|why| told(latent_shift::Error::NoMap(why)))
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

/// What Grad-CAM++ says of each label on the stack as it is prepared, as [`maps`] does. A network of another recipe is asked on its own grid.
///
/// # Errors
/// Where a pass fails; within, says in words why the network has no map for it.
pub fn grad_cam(
    input: &Input,
    classifier: &Model<Classifier>,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Result<Vec<Vec<f32>>, String>> {
    let _flushed = denormals::flushed();
    input.check()?;
    let other = input.scan.as_ref().filter(|_| input.prepared.recipe != classifier.recipe);
    let own = match other {
        Some(scan) => &Input::new(Some(Arc::clone(scan)), prepared_for(input, &classifier.recipe, monitor)?),
        None => input,
    };
    let (there, here) = (&own.prepared.volume, &input.prepared.volume.grid);
    let network = classifier_for(classifier, own, monitor)?;
    let maps = match grad_cam::maps(&network, there, labels, monitor) {
        Ok(maps) => maps,
        Err(latent_shift::Error::NoMap(why)) => return Ok(Err(why)),
        Err(error) => return Err(told(error)),
    };
    if other.is_none() {
        return Ok(Ok(maps));
    }
    let laid = |map| preprocess::restore(&Volume::from_f32(there.grid, map), here, 0.0, monitor);
    let maps = maps.into_iter().map(|map| Ok(laid(map)?.voxels.iter().collect())).collect::<Result<_>>()?;
    Ok(Ok(maps))
}

/// The numbers that the last linear layer of a classifier takes for a volume on the grid that it is fed with, each averaged over space.
///
/// # Errors
/// Where the pass fails; within, says in words why the network has no such layer.
pub fn features(volume: &Volume, classifier: &Classifier, monitor: &Monitor) -> Result<Result<Vec<f64>, String>> {
    let _flushed = denormals::flushed();
    let stack = stack_of(volume)?;
    let Features { graph, by_channel } = match classifier.graph(stack.dims())?.features() {
        Ok(features) => features,
        Err(why) => return Ok(Err(why)),
    };
    let device = classifier.plan(stack.dims())?.device();
    let plan = Plan::new(&graph, &[stack.dims()], stack.dtype())?.on(&device);
    let values = plan.forward(&[stack], &|_, _| monitor.check()).map_err(|error| told(error.into()))?.remove(0);
    let axis = if by_channel { 1.min(values.rank() - 1) } else { values.rank() - 1 };
    let last = values.to_dtype(DType::F64)?.transpose(axis, values.rank() - 1)?.contiguous()?;
    let features = last.flatten_to(last.rank().max(2) - 2)?.mean(0)?.to_vec1::<f64>()?;
    if !features.iter().all(|feature| feature.is_finite()) {
        return Err(BadInput::mark(latent_shift::Error::NotFinite("a feature".to_owned())));
    }
    Ok(Ok(features))
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
                    "gradients, occlusion, RISE and Grad-CAM++ explain one class; name one --target, without a weight"
                ))),
            },
            Self::LungSize { .. } | Self::Toward { .. } => Err(BadInput::mark(anyhow!(
                "gradients, occlusion, RISE and Grad-CAM++ explain a class of a classifier; name a --classifier and a --target"
            ))),
        }
    }
}
