//! Whether an autoencoder keeps a scan: its reconstruction held against what was prepared, and the scores of both.

use anyhow::{Context, Result};
use serde::Serialize;

use super::Asked;
use crate::job::Monitor;
use crate::latent_shift;
use crate::pipeline::{self, BadInput, Input};

/// What an autoencoder makes of a scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// Peak signal-to-noise ratio over the whole prepared scan, of the recipe's window; infinite, and null in JSON, where nothing differs.
    pub psnr_db: f64,
    /// reconstruction = slope * scan + offset, by least squares: 1 and 0 HU where intensities are kept.
    pub slope: f64,
    pub offset_hu: f64,
    /// The class that is explained, or else the one that scores highest on the scan; and the one that moved most, where it is another.
    pub scores: Vec<Moved>,
}

/// A class's score before and after reconstruction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    pub label: String,
    pub scan: f64,
    pub reconstruction: f64,
}

impl Moved {
    pub fn by(&self) -> f64 {
        (self.reconstruction - self.scan).abs()
    }
}

/// Sends all slices through the autoencoder, and both volumes through the classifier if there is one. `target` is the label that is
/// explained.
///
/// # Errors
/// Where there is no autoencoder, an operation fails, or the monitor stops the work.
pub fn kept(input: &Input, asked: &Asked, target: Option<usize>, monitor: &Monitor) -> Result<Kept> {
    let autoencoder =
        asked.autoencoder.as_ref().context("there is no autoencoder to send the scan through").map_err(BadInput)?;
    let stack = &input.prepared.volume;
    let decoded = pipeline::reconstruct(input, &*autoencoder.network, 0..stack.grid.shape[2], monitor)?;
    let hu_from_unit = input.prepared.recipe.hu_from_unit();
    let [a, b] = autoencoder.network.unit_from_decoded();
    let hu_from_decoded = [hu_from_unit[0] * a, hu_from_unit[0] * b + hu_from_unit[1]];
    let numbers: Vec<f32> = decoded.voxels.iter().collect();
    let [slope, offset_hu] =
        latent_shift::calibration(stack, &numbers, 0..numbers.len(), hu_from_unit, hu_from_decoded);
    let hu = |[slope, offset]: [f32; 2], x: f32| f64::from(slope) * f64::from(x) + f64::from(offset);
    let squares =
        stack.voxels.iter().zip(&numbers).map(|(x, y)| (hu(hu_from_unit, x) - hu(hu_from_decoded, *y)).powi(2));
    let error = squares.sum::<f64>() / numbers.len().max(1) as f64;
    let psnr_db = 10.0 * (f64::from(hu_from_unit[0]).powi(2) / error).log10();
    let mut scores = Vec::new();
    if let Some(classifier) = &asked.classifier {
        monitor.step("scoring the scan and its reconstruction", 0, 2)?;
        let network = pipeline::classifier_for(classifier, input, monitor)?;
        let before = pipeline::probabilities(stack, &network, monitor)?;
        monitor.step("scoring the scan and its reconstruction", 1, 2)?;
        let after = pipeline::probabilities(&decoded, &network, monitor)?;
        scores = chosen(network.labels(), &before, &after, target);
    }
    Ok(Kept { psnr_db, slope, offset_hu, scores })
}

/// The class that matters, and the one that moved most.
fn chosen(labels: &[String], before: &[f64], after: &[f64], target: Option<usize>) -> Vec<Moved> {
    let all: Vec<Moved> = labels
        .iter()
        .zip(before.iter().zip(after))
        .map(|(label, (scan, reconstruction))| Moved {
            label: label.clone(),
            scan: *scan,
            reconstruction: *reconstruction,
        })
        .collect();
    let highest = || (0..all.len()).max_by(|a, b| all[*a].scan.total_cmp(&all[*b].scan));
    let first = target.filter(|target| *target < all.len()).or_else(highest);
    let most = (0..all.len()).max_by(|a, b| all[*a].by().total_cmp(&all[*b].by()));
    let most = most.filter(|most| Some(*most) != first);
    [first, most].into_iter().flatten().map(|at| all[at].clone()).collect()
}
