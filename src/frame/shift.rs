//! What the networks made of a scan, for display: a reconstruction and its steps along lambda.

use std::ops::Range;

use crate::latent_shift::Counterfactual;
use crate::volume::{Volume, Voxels};

/// A reconstruction, and the steps that differ from it in the slab only. HU.
#[derive(Debug, Clone)]
pub struct Shift {
    pub reconstruction: Volume,
    pub slab: Range<usize>,
    /// `[steps, slab, nj, ni]`; at least one step.
    pub steps: Voxels,
}

impl Shift {
    /// A result for display.
    pub fn of(result: &Counterfactual) -> Self {
        let [slope, offset] = result.hu_from_decoded;
        let steps: Vec<f32> = result.steps.iter().flat_map(|s| s.slab.iter().map(|x| slope * x + offset)).collect();
        Self { reconstruction: result.reconstruction_hu(), slab: result.slab.clone(), steps: Voxels::F32(steps.into()) }
    }

    /// One scale of the difference for every lambda: 99.9 % of all changed voxels lie within; at least 1 HU.
    pub fn scale_hu(&self) -> f32 {
        const SHARE: f64 = 0.999;
        let [ni, nj, _] = self.reconstruction.grid.shape;
        let (first, slab) = (self.slab.start * ni * nj, self.slab.len() * ni * nj);
        let change = |(i, x): (usize, f32)| (x - self.reconstruction.voxels.at(first + i % slab.max(1))).abs();
        let mut sizes: Vec<f32> = self.steps.iter().enumerate().map(change).collect();
        let Some(last) = sizes.len().checked_sub(1) else { return 1.0 };
        let (_, value, _) = sizes.select_nth_unstable_by((last as f64 * SHARE) as usize, f32::total_cmp);
        value.max(1.0)
    }

    /// How many steps there are.
    pub fn count(&self) -> usize {
        let [ni, nj, _] = self.reconstruction.grid.shape;
        self.steps.len() / (ni * nj * self.slab.len()).max(1)
    }

    /// A step at a voxel, as decoded; `step` may lie between two, which are then blended linearly.
    pub fn decoded(&self, [i, j, k]: [usize; 3], step: f32) -> f32 {
        let [ni, nj, _] = self.reconstruction.grid.shape;
        if !self.slab.contains(&k) || self.count() == 0 {
            return self.reconstructed([i, j, k]);
        }
        let last = self.count() - 1;
        let low = (step.max(0.0) as usize).min(last);
        let share = (step - low as f32).clamp(0.0, 1.0);
        let at = |s: usize| self.steps.at(i + ni * (j + nj * (k - self.slab.start + self.slab.len() * s)));
        let (a, b) = (at(low), at((low + 1).min(last)));
        a + (b - a) * share
    }

    /// A step minus the reconstruction; 0 outside the slab.
    pub fn difference(&self, voxel: [usize; 3], step: f32) -> f32 {
        self.decoded(voxel, step) - self.reconstructed(voxel)
    }

    pub fn reconstructed(&self, [i, j, k]: [usize; 3]) -> f32 {
        let [ni, nj, _] = self.reconstruction.grid.shape;
        self.reconstruction.voxels.at(i + ni * (j + nj * k))
    }
}
