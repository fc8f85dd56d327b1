//! The border of a region in a plane: what a window draws over its pictures.

use std::ops::Range;

use glam::DVec3;

use super::Regions;
use crate::job::{Cancelled, Monitor};
use crate::volume::Grid;
use crate::volume::orientation::axis_codes;

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
        let grid = &self.labels.grid;
        let Some(normal) = axis_codes(grid).0.iter().position(|(world, _)| *world == across) else { return Vec::new() };
        let (u, v) = ((normal + 1) % 3, (normal + 2) % 3);
        let through = grid.voxel_from_world().transform_point3(place)[normal];
        let slice = through.round();
        if slice < 0.0 || !found.voxels[normal].contains(&(slice as usize)) {
            return Vec::new();
        }
        let holds = |a: Option<usize>, b: Option<usize>| {
            let mut voxel = [0; 3];
            voxel[normal] = slice as usize;
            let (Some(a), Some(b)) = (a, b) else { return false };
            [voxel[u], voxel[v]] = [a, b];
            self.labels.at(voxel) == label
        };
        // A point between voxels, at half steps.
        let point = |a: f64, b: f64| {
            let mut at = DVec3::ZERO;
            at[normal] = through;
            [at[u], at[v]] = [a - 0.5, b - 0.5];
            grid.world_from_voxel.transform_point3(at)
        };
        let [of_u, of_v] = [u, v].map(|axis| found.voxels[axis].clone());
        let along_u =
            borders(&of_u, &of_v, |a, b| holds(Some(a), b)).map(|(b, [from, to])| [point(from, b), point(to, b)]);
        let along_v =
            borders(&of_v, &of_u, |b, a| holds(a, Some(b))).map(|(a, [from, to])| [point(a, from), point(a, to)]);
        along_u.chain(along_v).collect()
    }
}

/// Runs of edges between rows, where one of two neighbouring rows is held and the other is not: the edge's place across rows, and from
/// where to where it runs along them.
fn borders<'a>(
    along: &'a Range<usize>,
    rows: &'a Range<usize>,
    holds: impl Fn(usize, Option<usize>) -> bool + 'a,
) -> impl Iterator<Item = (f64, [f64; 2])> + 'a {
    (rows.start..=rows.end).flat_map(move |row| {
        let is_edge = |at: usize| holds(at, row.checked_sub(1)) != holds(at, Some(row));
        let mut runs = Vec::new();
        let mut began = None;
        for at in along.start..=along.end {
            match (at < along.end && is_edge(at), began) {
                (true, None) => began = Some(at),
                (false, Some(from)) => {
                    runs.push((row as f64, [from as f64, at as f64]));
                    began = None;
                }
                _ => {}
            }
        }
        runs
    })
}
