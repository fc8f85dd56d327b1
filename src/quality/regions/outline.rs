//! The border of a region in a plane: what a window draws over its pictures.

use std::ops::Range;

use glam::DVec3;

use super::Regions;
use crate::job::{Cancelled, Monitor};
use crate::volume::Grid;
use crate::volume::border::border;

/// Which region each voxel of a slab belongs to.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    /// The networks' grid, and its slices that are held.
    pub(super) grid: Grid,
    pub(super) slab: Range<usize>,
    /// `[slab, height, width]`: 0 for none, else the place in the list, from 1, or one of the two kinds of smaller regions.
    pub(super) of_voxels: Vec<u8>,
}

impl Labels {
    fn at(&self, voxel: [usize; 3]) -> u8 {
        let [ni, nj, _] = self.grid.shape;
        let [i, j, k] = voxel;
        if i >= ni || j >= nj || !self.slab.contains(&k) {
            return 0;
        }
        self.of_voxels.get(i + ni * (j + nj * (k - self.slab.start))).copied().unwrap_or(0)
    }

    /// The label of the voxel that a place among the grid's voxels lies in.
    fn nearest(&self, voxel: DVec3) -> u8 {
        let near = voxel.round().to_array();
        let is_there = (0..3).all(|axis| near[axis] >= 0.0 && near[axis] < self.grid.shape[axis] as f64);
        if is_there { self.at(near.map(|x| x as usize)) } else { 0 }
    }
}

impl Regions {
    /// What is known of each voxel that may change: the networks' grid, its slices that are held, and their labels `[slab, height, width]`, as
    /// [`Self::labels_on`] has them.
    pub fn labels(&self) -> (&Grid, &Range<usize>, &[u8]) {
        (&self.labels.grid, &self.labels.slab, &self.labels.of_voxels)
    }

    /// The region at a place, RAS+ millimetres: its index in the list. Nothing of a smaller one.
    pub fn at(&self, place: DVec3) -> Option<usize> {
        let label = self.labels.nearest(self.labels.grid.voxel_from_world().transform_point3(place));
        usize::from(label).checked_sub(1).filter(|index| *index < self.list.len())
    }

    /// The label of each voxel of another grid, by the networks' voxel that it lies in: 0 for none, `n` for the region at `n - 1` of
    /// the list, `SMALLER_DARKER` and `SMALLER_BRIGHTER` for what is in no list.
    pub fn labels_on(&self, grid: &Grid, monitor: &Monitor) -> Result<Vec<u8>, Cancelled> {
        let [ni, nj, nk] = grid.shape;
        let ours_from_theirs = self.labels.grid.voxel_from_world() * grid.world_from_voxel;
        let mut labels = Vec::with_capacity(grid.len());
        for k in 0..nk {
            monitor.step("placing the changed regions", k, nk)?;
            for j in 0..nj {
                let place = |i: usize| DVec3::new(i as f64, j as f64, k as f64);
                labels.extend((0..ni).map(|i| self.labels.nearest(ours_from_theirs.transform_point3(place(i)))));
            }
        }
        Ok(labels)
    }

    /// Lines around a region of the list in the plane of voxels through a place: ends in RAS+ millimetres, none where the region is not
    /// met. The plane is across the grid's axis that runs most from right to left (0), from back to front (1) or from foot to head (2).
    /// The work is that of the region's own box in the plane.
    pub fn outline(&self, region: usize, across: usize, place: DVec3) -> Vec<[DVec3; 2]> {
        let (Some(found), Ok(label)) = (self.list.get(region), u8::try_from(region + 1)) else { return Vec::new() };
        border(&self.labels.grid, &found.voxels, across, place, |voxel| self.labels.at(voxel) == label)
    }
}
