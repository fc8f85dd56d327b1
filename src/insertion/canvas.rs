//! The voxels that are drawn on: a copy of the scan's, of their own kind and within their range, and the mask.

use std::sync::Arc;

use crate::volume::{Grid, Volume, Voxels};

pub(super) struct Canvas {
    grid: Grid,
    voxels: Copied,
    /// The least and the largest of the scan's numbers.
    range: [f32; 2],
    pub(super) mask: Vec<bool>,
}

enum Copied {
    I16(Vec<i16>),
    F32(Vec<f32>),
}

impl Canvas {
    pub(super) fn of(scan: &Volume) -> Self {
        let finite = scan.voxels.iter().filter(|hu| hu.is_finite());
        let range = finite.fold([f32::MAX, f32::MIN], |[low, high], hu| [low.min(hu), high.max(hu)]);
        let voxels = match &scan.voxels {
            Voxels::I16(all) => Copied::I16(all.to_vec()),
            Voxels::F32(all) => Copied::F32(all.to_vec()),
            Voxels::F16(all) => Copied::F32(all.iter().map(|hu| hu.to_f32()).collect()),
        };
        Self { grid: scan.grid, voxels, range, mask: vec![false; scan.grid.len()] }
    }

    /// Gives a voxel another number; one that had none keeps it so.
    pub(super) fn put(&mut self, at: usize, hu: f32) {
        let [low, high] = self.range;
        if !hu.is_finite() {
            return;
        }
        let hu = hu.clamp(low, high);
        match &mut self.voxels {
            Copied::I16(all) => all[at] = hu.round() as i16,
            Copied::F32(all) if all[at].is_finite() => all[at] = hu,
            Copied::F32(_) => {}
        }
    }

    pub(super) fn finish(self) -> (Volume, Vec<bool>) {
        let voxels = match self.voxels {
            Copied::I16(all) => Voxels::I16(Arc::new(all)),
            Copied::F32(all) => Voxels::F32(Arc::new(all)),
        };
        (Volume::new(self.grid, voxels), self.mask)
    }
}
