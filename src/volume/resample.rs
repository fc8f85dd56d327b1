//! Trilinear sampling, in f64.

use glam::DVec3;
use rayon::prelude::*;

use super::{Grid, Turned, Volume};
use crate::job::{Cancelled, Monitor};

/// What lies beyond the outermost voxel centres.
#[derive(Debug, Clone, Copy)]
pub enum Outside {
    /// The edge goes on: coordinates are clamped.
    Border,
    /// A value, from half a voxel beyond the centres on; up to there the edge goes on.
    Value(f32),
}

/// A volume at places among its own voxels, for each voxel of a `shape`; `nowhere` where there is no place.
pub fn sample(
    volume: Turned,
    shape: [usize; 3],
    place: impl Fn([usize; 3]) -> Option<DVec3> + Sync,
    (outside, nowhere): (Outside, f32),
    monitor: &Monitor,
) -> Result<Vec<f32>, Cancelled> {
    let [ni, nj, nk] = shape;
    let mut voxels = vec![nowhere; ni * nj * nk];
    for (k, slice) in voxels.chunks_mut((ni * nj).max(1)).enumerate() {
        monitor.step("resampling", k, nk)?;
        slice.par_chunks_mut(ni.max(1)).enumerate().for_each(|(j, row)| {
            for (i, value) in row.iter_mut().enumerate() {
                if let Some(at) = place([i, j, k]) {
                    *value = trilinear(volume, at, outside);
                }
            }
        });
    }
    Ok(voxels)
}

/// A volume on any grid, through world space.
pub fn resample(volume: &Volume, onto: &Grid, outside: f32, monitor: &Monitor) -> Result<Volume, Cancelled> {
    let voxel_from_onto = volume.grid.voxel_from_world() * onto.world_from_voxel;
    let place = |at: [usize; 3]| Some(voxel_from_onto.transform_point3(DVec3::from_array(at.map(|n| n as f64))));
    Ok(Volume::from_f32(*onto, sample(volume.into(), onto.shape, place, (Outside::Value(outside), outside), monitor)?))
}

/// Half a voxel, and the rounding of one inverse affine.
const REACH: f64 = 0.5 + 1e-6;

fn trilinear(volume: Turned, at: DVec3, outside: Outside) -> f32 {
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
    let first = (0..3).fold(volume.start, |index, axis| index + low[axis] as isize * volume.strides[axis]);
    let mut sum = 0.0;
    for corner in 0..8_usize {
        let is_upper = |axis: usize| corner >> axis & 1 == 1;
        let part = |(axis, share): (usize, &f64)| if is_upper(axis) { *share } else { 1.0 - share };
        let weight: f64 = share.iter().enumerate().map(part).product();
        if weight != 0.0 {
            let far = volume.strides.iter().enumerate().filter(|(axis, _)| is_upper(*axis)).map(|(_, stride)| stride);
            sum += weight * f64::from(volume.voxels.at((first + far.sum::<isize>()) as usize));
        }
    }
    sum as f32
}
