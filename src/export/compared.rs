//! What other methods make of the class that was explained, as numbers and as volumes on the scan's own grid.

use anyhow::Result;
use serde::Serialize;

use super::{File, nifti};
use crate::job::Monitor;
use crate::latent_shift::rise::{MASKS, SEED};
use crate::latent_shift::saliency::Method;
use crate::preprocess;
use crate::quality::sparsity;
use crate::volume::{Grid, Volume};

/// A method's map of the class.
pub struct MethodMap {
    pub method: Method,
    /// On the classifier's own grid, 0 or more.
    pub sizes: Volume,
}

/// The numbers of a map.
#[derive(Debug, Clone, Serialize)]
pub struct MethodReport {
    pub method: &'static str,
    /// Columns, rows and slices of the map.
    shape: [usize; 3],
    largest: f32,
    mean: f64,
    /// Share of the voxels, the largest ones, that holds 90 % of the map's sum.
    sparsity: f64,
    /// Random masks, and the seed that they come from; of RISE alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    masks: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl MethodReport {
    pub fn of(map: &MethodMap) -> Self {
        let sizes: Vec<f32> = map.sizes.voxels.iter().collect();
        let is_rise = map.method == Method::Rise;
        Self {
            method: map.method.name(),
            shape: map.sizes.grid.shape,
            largest: sizes.iter().copied().fold(0.0, f32::max),
            mean: sizes.iter().map(|size| f64::from(*size)).sum::<f64>() / sizes.len().max(1) as f64,
            sparsity: sparsity(&sizes),
            masks: is_rise.then_some(MASKS),
            seed: is_rise.then_some(SEED),
        }
    }
}

/// The file of a method's map.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::Gradient => "method_gradient.nii.gz",
        Method::IntegratedGradients => "method_integrated_gradients.nii.gz",
        Method::Occlusion => "method_occlusion.nii.gz",
        Method::Rise => "method_rise.nii.gz",
    }
}

/// A map on the scan's own grid, as NIfTI; 0 beyond what the classifier sees.
pub fn method_file(map: &MethodMap, scan: &Grid, monitor: &Monitor) -> Result<File> {
    let volume = preprocess::restore(&map.sizes, scan, 0.0, monitor)?;
    let description = format!("{}, of a logit. Research use only.", map.method.title());
    Ok(File::new(method_name(map.method), nifti::nifti_bytes(&volume, &description)?))
}
