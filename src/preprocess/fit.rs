//! What a recipe may ask for between resampling and the stack: a crop to the foreground, and a scan resized as a whole.

use glam::{DAffine3, DVec3};

use super::{Error, Fit, Recipe};
use crate::job::{Cancelled, Monitor};
use crate::volume::resample::{Outside, sample};
use crate::volume::{Grid, Turned, Volume};

/// A scan on the grid `spaced`, in HU, cropped to its foreground and resized as the recipe says.
///
/// Source: MONAI 1.4.0, `Spacingd`, `CropForegroundd` without a margin, `Resized`.
pub(super) fn fitted(
    oriented: Turned,
    spaced: &Grid,
    voxel_from_spaced: DAffine3,
    recipe: &Recipe,
    monitor: &Monitor,
) -> Result<Volume, Error> {
    let place = |at: [usize; 3]| Some(voxel_from_spaced.transform_point3(DVec3::from_array(at.map(|n| n as f64))));
    let voxels = sample(oriented, spaced.shape, place, (Outside::Border, 0.0), monitor)?;
    let mut volume = Volume::from_f32(*spaced, voxels);
    if let Some(threshold_hu) = recipe.foreground_hu {
        volume = cropped(&volume, threshold_hu);
    }
    Ok(match recipe.fit {
        Fit::Crop => volume,
        Fit::Resize => resized(&volume, recipe.size, monitor)?,
        Fit::Area => averaged(&volume, recipe.size),
    })
}

/// The box of all voxels above a threshold; the whole volume where there are none.
fn cropped(volume: &Volume, threshold_hu: f32) -> Volume {
    let [ni, nj, nk] = volume.grid.shape;
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (at, _) in volume.voxels.iter().enumerate().filter(|(_, hu)| *hu > threshold_hu) {
        let place = [at % ni, at / ni % nj, at / (ni * nj)];
        for axis in 0..3 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis] + 1);
        }
    }
    if low[0] == usize::MAX || (low == [0; 3] && high == [ni, nj, nk]) {
        return volume.clone();
    }
    let shape = [0, 1, 2].map(|axis| high[axis] - low[axis]);
    let mut voxels = Vec::with_capacity(shape.iter().product());
    for k in low[2]..high[2] {
        for j in low[1]..high[1] {
            voxels.extend((low[0]..high[0]).map(|i| volume.voxels.at((k * nj + j) * ni + i)));
        }
    }
    let grid = moved(&volume.grid, shape, low.map(|n| n as f64), [1.0; 3]);
    Volume::from_f32(grid, voxels)
}

/// The grid whose voxel 0 lies at `start` and whose voxels lie `step` apart among those of another grid.
fn moved(grid: &Grid, shape: [usize; 3], start: [f64; 3], step: [f64; 3]) -> Grid {
    let inner = DAffine3::from_scale_rotation_translation(
        DVec3::from_array(step),
        glam::DQuat::IDENTITY,
        DVec3::from_array(start),
    );
    Grid { shape, world_from_voxel: grid.world_from_voxel * inner }
}

/// Where `size` voxels lie that cover as much as those of a grid.
fn covering(grid: &Grid, size: [usize; 3]) -> Grid {
    let step = [0, 1, 2].map(|axis| grid.shape[axis] as f64 / size[axis] as f64);
    moved(grid, size, step.map(|step| (step - 1.0) / 2.0), step)
}

fn resized(volume: &Volume, size: [usize; 3], monitor: &Monitor) -> Result<Volume, Cancelled> {
    let grid = covering(&volume.grid, size);
    let step = [0, 1, 2].map(|axis| volume.grid.shape[axis] as f64 / size[axis] as f64);
    let along = |axis: usize, at: usize| (at as f64 + 0.5) * step[axis] - 0.5;
    let place = |[i, j, k]: [usize; 3]| Some(DVec3::new(along(0, i), along(1, j), along(2, k)));
    Ok(Volume::from_f32(grid, sample(volume.into(), size, place, (Outside::Border, 0.0), monitor)?))
}

/// Each voxel is the mean of those that it covers, in whole voxels: PyTorch's `adaptive_avg_pool3d`.
fn averaged(volume: &Volume, size: [usize; 3]) -> Volume {
    let [ni, nj, _] = volume.grid.shape;
    let window = |axis: usize, at: usize| {
        let side = volume.grid.shape[axis];
        at * side / size[axis]..((at + 1) * side).div_ceil(size[axis])
    };
    let mut voxels = Vec::with_capacity(size.iter().product());
    for k in 0..size[2] {
        for j in 0..size[1] {
            for i in 0..size[0] {
                let (mut sum, mut count) = (0.0, 0_u32);
                for z in window(2, k) {
                    for y in window(1, j) {
                        for x in window(0, i) {
                            sum += f64::from(volume.voxels.at((z * nj + y) * ni + x));
                            count += 1;
                        }
                    }
                }
                voxels.push((sum / f64::from(count)) as f32);
            }
        }
    }
    Volume::from_f32(covering(&volume.grid, size), voxels)
}

#[cfg(test)]
mod tests {
    use glam::DMat3;

    use super::*;

    fn ramp(shape: [usize; 3]) -> Volume {
        let [ni, nj, nk] = shape;
        let voxels = (0..ni * nj * nk).map(|at| (at % ni + 10 * (at / ni % nj) + 100 * (at / (ni * nj))) as f32);
        let world = DAffine3::from_mat3_translation(DMat3::from_diagonal(DVec3::new(1.0, 2.0, 3.0)), DVec3::ZERO);
        Volume::from_f32(Grid { shape, world_from_voxel: world }, voxels.collect::<Vec<_>>())
    }

    #[test]
    fn the_foreground_stays_where_it_lies() {
        let volume = ramp([4, 3, 2]);
        let foreground = cropped(&volume, 111.0);
        assert_eq!(foreground.grid.shape, [4, 2, 1]);
        assert_eq!(foreground.voxels.at(0), 110.0);
        assert_eq!(foreground.grid.world_from_voxel.translation, DVec3::new(0.0, 2.0, 3.0));
        assert_eq!(cropped(&volume, 1e4).grid, volume.grid, "nothing lies above");
    }

    #[test]
    fn resizing_a_ramp_gives_a_ramp_over_as_much_of_the_world() -> Result<(), Cancelled> {
        let volume = ramp([4, 4, 4]);
        let half = resized(&volume, [2, 2, 2], &Monitor::default())?;
        assert_eq!(
            half.voxels.iter().collect::<Vec<_>>(),
            averaged(&volume, [2, 2, 2]).voxels.iter().collect::<Vec<_>>()
        );
        assert_eq!(half.voxels.at(0), 55.5);
        assert_eq!(half.grid.world_from_voxel.translation, DVec3::new(0.5, 1.0, 1.5));
        assert_eq!(half.grid.spacing_mm(), [2.0, 4.0, 6.0]);
        Ok(())
    }

    #[test]
    fn uneven_areas_are_those_of_pytorch() {
        // torch.nn.functional.interpolate(torch.arange(5.), size=3, mode="area") is [0.5, 2, 3.5].
        let volume = ramp([5, 1, 1]);
        assert_eq!(averaged(&volume, [3, 1, 1]).voxels.iter().collect::<Vec<_>>(), [0.5, 2.0, 3.5]);
    }
}
