//! `--methods`: what other methods make of the class that is explained.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::values::listed;
use crate::export::compared::{MaskReport, MethodMap, mask_report};
use crate::io::Mask;
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::latent_shift::saliency::Method;
use crate::pipeline::{self, BadInput, Input, Request};

/// What is compared with the counterfactual.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What other methods make of the class, on the scan that the classifier sees: numbers in the report, and each as method_NAME.nii.gz on
    /// the scan's grid in --out
    #[arg(long, value_parser = listed::<Method>(), value_name = "METHOD", value_delimiter = ',')]
    pub methods: Vec<Method>,
    /// A mask of what should be found, on this scan: NIfTI, another file of volumes, or a binary DICOM segmentation. The report says Dice and
    /// IoU of as many voxels, those where each method is largest, and the share of its sum that lies inside
    #[arg(long, value_name = "FILE")]
    pub mask: Option<PathBuf>,
}

/// Opens a mask, refusing now what could not be held against the scan later.
pub(super) fn open_mask(path: Option<&Path>, input: &Input, monitor: &Monitor) -> Result<Option<Mask>> {
    let Some(path) = path else { return Ok(None) };
    let mask = Mask::open(path, &input.display_volume().grid, monitor).map_err(BadInput::new)?;
    Ok(Some(mask))
}

/// The numbers of the mask, where there is one.
pub(super) fn masked(
    mask: Option<&Mask>,
    result: &Counterfactual,
    maps: &[MethodMap],
    monitor: &Monitor,
) -> Result<Option<MaskReport>> {
    let maps: Vec<_> = maps.iter().map(|map| (map.method, &map.sizes)).collect();
    Ok(mask.map(|mask| mask_report(mask, Some(result), &maps, monitor)).transpose()?)
}

/// The maps that were asked for, each once; those that were made where it is cancelled.
pub(super) fn computed(
    input: &Input,
    request: &Request,
    methods: &[Method],
    monitor: &Monitor,
) -> Result<Vec<MethodMap>> {
    let mut maps = Vec::new();
    if methods.is_empty() {
        return Ok(maps);
    }
    let (classifier, label) = request.target.one_class()?;
    for method in Method::ALL.into_iter().filter(|method| methods.contains(method)) {
        match pipeline::method(input, classifier, label, method, monitor) {
            Ok(sizes) => maps.push(MethodMap { method, sizes }),
            Err(error) if error.downcast_ref::<Cancelled>().is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(maps)
}
