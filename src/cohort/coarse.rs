//! A run in coarse voxels, each the mean of some of the networks' grid: enough to see the body, the lungs and where the change lies.

use glam::{DAffine3, DMat3, DVec3};

use crate::latent_shift::Counterfactual;
use crate::volume::Grid;

/// Finer than a place of the common frame, coarser than noise; millimetres.
const COARSE_MM: f64 = 8.0;

/// A volume in coarse voxels, each the mean of some of the networks' grid.
pub(super) struct Coarse {
    pub(super) grid: Grid,
    pub(super) scan: Vec<f32>,
    pub(super) change: Vec<f32>,
    pub(super) size: Vec<f32>,
    /// How many voxels each stands for.
    pub(super) voxels: Vec<f32>,
}

impl Coarse {
    pub(super) fn of(result: &Counterfactual) -> Self {
        let (fine, scan, change) = (result.grid, result.original_hu(), result.difference_hu(result.chosen));
        let every = fine.spacing_mm().map(|mm| ((COARSE_MM / mm).round() as usize).max(1));
        let shape: [usize; 3] = std::array::from_fn(|axis| fine.shape[axis].div_ceil(every[axis]));
        let scale = DVec3::from_array(every.map(|n| n as f64));
        let fine_from_coarse = DAffine3::from_mat3_translation(DMat3::from_diagonal(scale), (scale - DVec3::ONE) / 2.0);
        let grid = Grid { shape, world_from_voxel: fine.world_from_voxel * fine_from_coarse };
        let zeros = || vec![0.0_f32; grid.len()];
        let mut coarse = Self { grid, scan: zeros(), change: zeros(), size: zeros(), voxels: zeros() };
        let [width, height, _] = fine.shape;
        for (at, (hu, change)) in scan.voxels.iter().zip(change.voxels.iter()).enumerate() {
            let [i, j, k] = [at % width / every[0], at / width % height / every[1], at / width / height / every[2]];
            let to = i + shape[0] * (j + shape[1] * k);
            coarse.scan[to] += hu;
            coarse.change[to] += change;
            coarse.size[to] += change.abs();
            coarse.voxels[to] += 1.0;
        }
        let Self { scan, change, size, voxels, .. } = &mut coarse;
        for sums in [scan, change, size] {
            sums.iter_mut().zip(voxels.iter()).for_each(|(sum, voxels)| *sum /= voxels);
        }
        coarse
    }
}
