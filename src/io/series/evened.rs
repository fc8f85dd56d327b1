//! Slices with uneven gaps on a grid with even ones.
//!
//! A second volume is held meanwhile, of the kind that is given. Whole Hounsfield units stay whole.

use std::sync::Arc;

use glam::{DAffine3, DMat3};
use rayon::prelude::*;

use super::upright::{Stopped, WHOLE_PIXELS, filled, mix, round};
use crate::job::Monitor;
use crate::volume::{Grid, Volume, Voxels};

/// A stack of uneven gaps on an even grid, by linear interpolation between slices. The first slice stays where it is; the last
/// one of the grid lies within half a step of the last slice, and repeats it where it lies beyond.
///
/// `heights_mm`: of each slice above the first, along the normal, rising from 0. `spacing_mm`: between slices of the grid, along
/// the normal. The volume's grid says in which direction slices follow each other; how far apart it says they are is ignored.
///
/// # Panics
/// When there are not as many heights as slices: a mistake in this program, not in a file.
pub(super) fn even_out(
    volume: &Volume,
    heights_mm: &[f64],
    spacing_mm: f64,
    monitor: &Monitor,
) -> Result<Volume, Stopped> {
    let [columns, rows, slices] = volume.grid.shape;
    assert_eq!(heights_mm.len(), slices, "a height for each slice");
    let rise_mm = heights_mm.last().copied().unwrap_or(0.0);
    let count = (rise_mm / spacing_mm).round().max(0.0) as usize + 1;
    let m = volume.grid.world_from_voxel.matrix3;
    let normal = m.x_axis.cross(m.y_axis).normalize();
    let step = m.z_axis * (spacing_mm / m.z_axis.dot(normal).abs());
    let matrix = DMat3::from_cols(m.x_axis, m.y_axis, step);
    let world_from_voxel = DAffine3::from_mat3_translation(matrix, volume.grid.world_from_voxel.translation);
    let grid = Grid { shape: [columns, rows, count], world_from_voxel };
    let even = Even { heights_mm, spacing_mm, pixels: columns * rows, count: grid.len() };
    let voxels = match &volume.voxels {
        Voxels::I16(hu) => Voxels::I16(even.apply(hu, 0, round, monitor)?),
        Voxels::F32(hu) => Voxels::F32(even.apply(hu, 0.0, |value| value, monitor)?),
        Voxels::F16(hu) => Voxels::F32(even.apply(hu, 0.0, |value| value, monitor)?),
    };
    Ok(Volume::new(grid, voxels))
}

struct Even<'a> {
    heights_mm: &'a [f64],
    spacing_mm: f64,
    /// Of a slice.
    pixels: usize,
    /// Voxels of the even grid.
    count: usize,
}

impl Even<'_> {
    fn apply<T: Copy + Into<f32> + Send + Sync, U: Copy + Send + Sync>(
        &self,
        voxels: &[T],
        zero: U,
        kept: impl Fn(f32) -> U + Sync,
        monitor: &Monitor,
    ) -> Result<Arc<Vec<U>>, Stopped> {
        let mut even = filled(self.count, zero)?;
        let pixels = self.pixels.max(1);
        let slice = |k: usize| &voxels[k * pixels..(k + 1) * pixels];
        for (k, onto) in even.chunks_mut(pixels).enumerate() {
            monitor.step("spacing slices evenly", k, self.count / pixels)?;
            let (low, share) = self.between(self.spacing_mm * k as f64);
            let (a, b) = (slice(low), slice(if share == 0.0 { low } else { low + 1 }));
            onto.par_iter_mut()
                .zip(a)
                .zip(b)
                .for_each(|((value, &a), &b)| *value = kept(mix(a.into(), b.into(), share)));
        }
        Ok(even.into())
    }

    /// The slice at or below a height, and the share of the next one.
    fn between(&self, height_mm: f64) -> (usize, f32) {
        let above = self.heights_mm.partition_point(|mm| *mm <= height_mm);
        let low = above.saturating_sub(1);
        let Some(&next) = self.heights_mm.get(above).filter(|_| above > 0) else { return (low, 0.0) };
        let share = (height_mm - self.heights_mm[low]) / (next - self.heights_mm[low]);
        if share < WHOLE_PIXELS {
            (low, 0.0)
        } else if share > 1.0 - WHOLE_PIXELS {
            (low + 1, 0.0)
        } else {
            (low, share as f32)
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::DVec3;

    use super::*;
    use crate::job::Cancelled;

    /// Values of some hundred HU in f32, mixed once.
    const F32_HU: f64 = 1e-3;

    /// Hounsfield units that grow evenly in every direction of the world.
    fn ramp(at: DVec3) -> f64 {
        at.dot(DVec3::new(1.5, -2.0, 0.75)) + 40.0
    }

    fn world(grid: &Grid, at: [usize; 3]) -> DVec3 {
        grid.world_from_voxel.transform_point3(DVec3::from_array(at.map(|n| n as f64)))
    }

    /// A grid of oblique slices of 6 x 5, each of which lies `slant` further along rows and columns than at a right angle, mm
    /// for a mm.
    fn slanted(slices: usize, slant: [f64; 2]) -> Grid {
        let turn = DMat3::from_rotation_x(0.3) * DMat3::from_rotation_z(-0.2);
        let step = DVec3::new(slant[0], slant[1], 1.0) * 2.5;
        let matrix = turn * DMat3::from_cols(DVec3::X * -0.8, DVec3::Y * -0.9, step);
        let shape = [6, 5, slices];
        Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::new(31.0, -17.0, 5.0)) }
    }

    #[test]
    fn uneven_slices_made_even_say_the_same_of_every_place() {
        let heights = [0.0, 3.0, 6.0, 9.5, 12.5, 15.5, 19.0, 21.0];
        for slant in [[0.0, 0.0], [0.1, 0.3]] {
            let provisional = slanted(heights.len(), slant);
            let m = provisional.world_from_voxel.matrix3;
            let per_mm = m.z_axis / 2.5;
            let at = |k: usize| provisional.world_from_voxel.translation + per_mm * heights[k];
            let hu = |k: usize, i: usize, j: usize| ramp(at(k) + m.x_axis * i as f64 + m.y_axis * j as f64);
            let values = (0..6 * 5 * heights.len()).map(|n| hu(n / 30, n % 6, n / 6 % 5) as f32);
            let uneven = Volume::from_f32(provisional, values.collect::<Vec<_>>());
            let even = even_out(&uneven, &heights, 3.0, &Monitor::default()).expect("memory for a small one");
            assert_eq!(even.grid.shape, [6, 5, 8]);
            assert_eq!(even.get([3, 2, 0]), uneven.get([3, 2, 0]));
            for n in 0..6 * 5 * 8 {
                let place = [n % 6, n / 6 % 5, n / 30];
                let (got, true_hu) = (f64::from(even.voxels.at(n)), ramp(world(&even.grid, place)));
                assert!((got - true_hu).abs() < F32_HU, "{place:?}: {got} for {true_hu}");
            }
            // The last slice goes on for half a step, and a grid of another step ends within half a step of it.
            let coarse = even_out(&uneven, &heights, 5.0, &Monitor::default()).expect("memory for a small one");
            assert_eq!(coarse.grid.shape[2], 5);
        }
    }

    #[test]
    fn whole_numbers_stay_whole_and_a_cancelled_resampling_stops() {
        let grid = slanted(3, [0.0, 0.0]);
        let hu: Vec<i16> = (0..90).map(|n| [-1000, -999, 401][n / 30]).collect();
        let whole = Volume::new(grid, Voxels::I16(hu.into()));
        let monitor = Monitor::default();
        let even = even_out(&whole, &[0.0, 2.0, 5.0], 2.0, &monitor).expect("memory for a small one");
        let Voxels::I16(hu) = &even.voxels else { panic!("16 bits") };
        // A spacing of 2 mm reaches 4 mm: two thirds of the way from the second slice to the third. 5 mm is 2.5 steps: rounded up.
        assert_eq!([hu[0], hu[30], hu[60], hu[90]], [-1000, -999, -66, 401]);
        monitor.cancel();
        let stopped = even_out(&whole, &[0.0, 2.0, 5.0], 2.0, &monitor);
        assert_eq!(stopped.map(|_| ()), Err(Stopped::Cancelled(Cancelled)));
    }
}
