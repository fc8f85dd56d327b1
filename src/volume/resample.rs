//! Trilinear sampling, in f64.

use glam::{DAffine3, DVec3};
use rayon::prelude::*;

use super::{Grid, Volume};
use crate::job::{Cancelled, Monitor};

/// What lies beyond the outermost voxel centres.
#[derive(Debug, Clone, Copy)]
pub enum Outside {
    /// The edge goes on: coordinates are clamped.
    Border,
    /// A value, from half a voxel beyond the centres on; up to there the edge goes on.
    Value(f32),
}

/// A volume at the voxels of `onto`: `voxel_from_onto` maps their indices to the volume's.
pub fn sample(
    volume: &Volume,
    onto: &Grid,
    voxel_from_onto: DAffine3,
    outside: Outside,
    monitor: &Monitor,
) -> Result<Volume, Cancelled> {
    let [ni, nj, nk] = onto.shape;
    let mut voxels = vec![0.0_f32; onto.len()];
    for (k, slice) in voxels.chunks_mut((ni * nj).max(1)).enumerate() {
        monitor.step("resampling", k, nk)?;
        slice.par_chunks_mut(ni.max(1)).enumerate().for_each(|(j, row)| {
            for (i, value) in row.iter_mut().enumerate() {
                let at = voxel_from_onto.transform_point3(DVec3::new(i as f64, j as f64, k as f64));
                *value = trilinear(volume, at, outside);
            }
        });
    }
    Ok(Volume::from_f32(*onto, voxels))
}

/// A volume on any grid, through world space.
pub fn resample(volume: &Volume, onto: &Grid, outside: f32, monitor: &Monitor) -> Result<Volume, Cancelled> {
    sample(volume, onto, volume.grid.voxel_from_world() * onto.world_from_voxel, Outside::Value(outside), monitor)
}

/// Half a voxel, and the rounding of one inverse affine.
const REACH: f64 = 0.5 + 1e-6;

fn trilinear(volume: &Volume, at: DVec3, outside: Outside) -> f32 {
    let shape = volume.grid.shape;
    let at = at.to_array();
    let mut low = [0; 3];
    let mut share = [0.0; 3];
    for axis in 0..3 {
        let last = shape[axis] as f64 - 1.0;
        if let Outside::Value(value) = outside
            && (at[axis] < -REACH || at[axis] > last + REACH)
        {
            return value;
        }
        let x = at[axis].clamp(0.0, last);
        low[axis] = (x as usize).min(shape[axis].saturating_sub(2));
        share[axis] = x - low[axis] as f64;
    }
    let steps = [1, shape[0], shape[0] * shape[1]];
    let first: usize = (0..3).map(|axis| low[axis] * steps[axis]).sum();
    let mut sum = 0.0;
    for corner in 0..8_usize {
        let mut weight = 1.0;
        let mut index = first;
        for axis in 0..3 {
            let upper = corner >> axis & 1 == 1;
            weight *= if upper { share[axis] } else { 1.0 - share[axis] };
            index += if upper { steps[axis] } else { 0 };
        }
        if weight != 0.0 {
            sum += weight * f64::from(volume.voxels.at(index));
        }
    }
    sum as f32
}
