//! What the networks made of a scan, for display: a reconstruction and its steps along lambda.

use std::ops::Range;

use half::f16;

use crate::latent_shift::{Counterfactual, HeatmapMethod, heatmap};
use crate::volume::{Volume, Voxels};

/// How many heatmaps lie behind the steps: one for each way to add them up.
pub const HEATMAPS: usize = HeatmapMethod::ALL.len();

/// A reconstruction, and how the steps differ from it, in the slab only. HU; the reconstruction as the floats that networks make, the
/// differences in half precision: the screen's shader reads no others here. What is exported is made of the result itself.
#[derive(Debug, Clone)]
pub struct Shift {
    pub reconstruction: Volume,
    pub slab: Range<usize>,
    /// `[steps + HEATMAPS, slab, nj, ni]`: at least one step minus the reconstruction, then a heatmap by each of
    /// `HeatmapMethod::ALL`.
    pub slabs: Voxels,
}

impl Shift {
    /// Makes a result ready for display.
    pub fn of(result: &Counterfactual) -> Self {
        let [slope, _] = result.hu_from_decoded;
        let [ni, nj, _] = result.grid.shape;
        let zero: Vec<f32> = (result.slab.start * ni * nj..result.slab.end * ni * nj)
            .map(|i| result.reconstruction.voxels.at(i))
            .collect();
        let heat = |method| heatmap::heatmap(method, &result.steps, &zero).into_iter().map(|x| slope.abs() * x);
        let steps = result.steps.iter().flat_map(|s| s.slab.iter().zip(&zero).map(|(x, zero)| slope * (x - zero)));
        let slabs = steps.chain(HeatmapMethod::ALL.into_iter().flat_map(heat)).map(f16::from_f32);
        let slabs = Voxels::F16(slabs.collect::<Vec<_>>().into());
        Self { reconstruction: result.reconstruction_hu(), slab: result.slab.clone(), slabs }
    }

    /// A run that is not done: lambda 0 and one step of the slab, decoded units, over the scan's own slices, HU.
    pub fn so_far(scan_hu: &Volume, slab: &Range<usize>, hu_from_decoded: [f32; 2], [zero, step]: [&[f32]; 2]) -> Self {
        let [slope, offset] = hu_from_decoded;
        let [ni, nj, _] = scan_hu.grid.shape;
        let mut hu: Vec<f32> = scan_hu.voxels.iter().collect();
        let at = slab.start * ni * nj;
        hu[at..at + zero.len()].iter_mut().zip(zero).for_each(|(hu, x)| *hu = slope * x + offset);
        let difference = || zero.iter().zip(step).map(|(zero, x)| slope * (x - zero));
        let heats = (0..HEATMAPS).flat_map(|_| difference().map(f32::abs));
        let slabs = zero.iter().map(|_| 0.0).chain(difference()).chain(heats).map(f16::from_f32);
        let slabs = Voxels::F16(slabs.collect::<Vec<_>>().into());
        Self { reconstruction: Volume::from_f32(scan_hu.grid, hu), slab: slab.clone(), slabs }
    }

    /// The scale of the difference, HU, which is the same for every lambda.
    pub fn scale_hu(&self) -> f32 {
        scale((0..self.count() * self.slab_voxels()).map(|i| self.slabs.at(i).abs()).collect())
    }

    /// The scale of a heatmap.
    pub fn heat_scale_hu(&self, method: HeatmapMethod) -> f32 {
        let slab = self.slab_voxels();
        let first = self.heat_slab(method) * slab;
        scale((first..first + slab).map(|i| self.slabs.at(i)).collect())
    }

    /// How many steps there are.
    pub fn count(&self) -> usize {
        (self.slabs.len() / self.slab_voxels()).saturating_sub(HEATMAPS)
    }

    /// Where a heatmap stands among the slabs.
    pub fn heat_slab(&self, method: HeatmapMethod) -> usize {
        self.count() + method as usize
    }

    fn slab_voxels(&self) -> usize {
        let [ni, nj, _] = self.reconstruction.grid.shape;
        (ni * nj * self.slab.len()).max(1)
    }

    fn slab_value(&self, slab: usize, [i, j, k]: [usize; 3]) -> f32 {
        let [ni, nj, _] = self.reconstruction.grid.shape;
        self.slabs.at(i + ni * (j + nj * (k - self.slab.start + self.slab.len() * slab)))
    }

    /// A step at a voxel, as decoded; `step` may lie between two, which are then blended linearly.
    pub fn decoded(&self, voxel: [usize; 3], step: f32) -> f32 {
        self.reconstructed(voxel) + self.difference(voxel, step)
    }

    /// A step minus the reconstruction; 0 outside the slab.
    pub fn difference(&self, voxel: [usize; 3], step: f32) -> f32 {
        if !self.slab.contains(&voxel[2]) || self.count() == 0 {
            return 0.0;
        }
        let last = self.count() - 1;
        let low = (step.max(0.0) as usize).min(last);
        let share = (step - low as f32).clamp(0.0, 1.0);
        let [a, b] = [low, (low + 1).min(last)].map(|step| self.slab_value(step, voxel));
        a + (b - a) * share
    }

    /// What the sweep adds up to; 0 outside the slab.
    pub fn heat(&self, voxel: [usize; 3], method: HeatmapMethod) -> f32 {
        if self.slab.contains(&voxel[2]) { self.slab_value(self.heat_slab(method), voxel) } else { 0.0 }
    }

    pub fn reconstructed(&self, [i, j, k]: [usize; 3]) -> f32 {
        let [ni, nj, _] = self.reconstruction.grid.shape;
        self.reconstruction.voxels.at(i + ni * (j + nj * k))
    }
}

/// The size that 99.9 % of all voxels lie within, HU; at least 1.
fn scale(mut sizes: Vec<f32>) -> f32 {
    const SHARE: f64 = 0.999;
    let Some(last) = sizes.len().checked_sub(1) else { return 1.0 };
    let (_, value, _) = sizes.select_nth_unstable_by((last as f64 * SHARE) as usize, f32::total_cmp);
    value.max(1.0)
}
