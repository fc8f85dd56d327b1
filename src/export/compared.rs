//! What other methods make of the class that was explained, as numbers and as volumes on the scan's own grid.

use anyhow::Result;
use serde::Serialize;

use super::{File, nifti};
use crate::audit::Against;
use crate::io::{Mask, Note, counted};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
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
    pub(super) largest: f32,
    pub(super) mean: f64,
    /// Share of the voxels, the largest ones, that holds 90 % of the map's sum.
    pub(super) sparsity: f64,
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
        Method::GradCam => "method_grad_cam_plus_plus.nii.gz",
    }
}

/// A map on the scan's own grid, as NIfTI; 0 beyond what the classifier sees.
pub fn method_file(map: &MethodMap, scan: &Grid, monitor: &Monitor) -> Result<File> {
    let volume = preprocess::restore(&map.sizes, scan, 0.0, monitor)?;
    let description = format!("{}, of a logit. Research use only.", map.method.title());
    Ok(File::new(method_name(map.method), nifti::nifti_bytes(&volume, &description)?))
}

/// How well the counterfactual and other methods agree with a mask.
#[derive(Debug, Clone, Serialize)]
pub struct MaskReport {
    /// "NIfTI-1, Int16" or "DICOM segmentation".
    format: String,
    /// Marked voxels of the mask's own grid, and what they take up.
    voxels: usize,
    volume_ml: f64,
    notes: Vec<String>,
    pub methods: Vec<MaskedMethod>,
}

/// One method against the mask.
#[derive(Debug, Clone, Serialize)]
pub struct MaskedMethod {
    pub method: &'static str,
    /// On the screen.
    #[serde(skip)]
    pub title: &'static str,
    #[serde(flatten)]
    pub against: Against,
}

impl MaskReport {
    /// Its size and what was done to it, in words.
    pub fn line(&self) -> String {
        let size = format!("{}, {:.1} ml", counted(self.voxels, "voxel"), self.volume_ml);
        std::iter::once(size).chain(self.notes.iter().cloned()).collect::<Vec<_>>().join("; ")
    }
}

impl MaskedMethod {
    /// "Gradient: Dice 0.31, IoU 0.18, 0.22 of its energy inside (by chance 0.02)".
    pub fn line(&self) -> String {
        let Against { dice, iou, energy_inside, chance } = self.against;
        let title = self.title;
        format!(
            "{title}: Dice {dice:.2}, IoU {iou:.2}, {energy_inside:.2} of its energy inside (by chance {chance:.2})"
        )
    }
}

/// Measures the size of the counterfactual's change, and other methods' maps, each on its own grid: there the mask takes the voxel that
/// each of the grid's lies in.
pub fn mask_report(
    mask: &Mask,
    result: Option<&Counterfactual>,
    maps: &[(Method, &Volume)],
    monitor: &Monitor,
) -> Result<MaskReport, Cancelled> {
    let mut methods = Vec::with_capacity(maps.len() + 1);
    let mut measure = |method, title, grid: &Grid, sizes: Vec<f32>| -> Result<(), Cancelled> {
        let against = Against::of(&sizes, &mask.on(grid, monitor)?);
        methods.push(MaskedMethod { method, title, against });
        monitor.check()
    };
    if let Some(result) = result {
        let change = result.difference_hu(result.chosen).voxels.iter().map(f32::abs).collect();
        measure("counterfactual", "Counterfactual", &result.grid, change)?;
    }
    for (method, sizes) in maps {
        measure(method.name(), method.title(), &sizes.grid, sizes.voxels.iter().collect())?;
    }
    let notes = mask.notes.iter().map(|note: &Note| note.text.clone()).collect();
    let (format, voxels, volume_ml) = (mask.format.clone(), mask.marked(), mask.volume_ml());
    Ok(MaskReport { format, voxels, volume_ml, notes, methods })
}
