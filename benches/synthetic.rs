//! A scan that benchmarks open.

use glam::{DAffine3, DMat3, DVec3};
use parallax::volume::{Grid, Volume, Voxels};

/// A ball of tissue in air, with noise that does not compress to nothing; an axial scan of such a shape and spacing.
pub(crate) fn scan(shape: [usize; 3], spacing_mm: DVec3) -> Volume {
    let [ni, nj, nk] = shape;
    let matrix = DMat3::from_diagonal(spacing_mm * DVec3::new(-1.0, -1.0, 1.0));
    let mut random = 1_u32;
    let value = |n: usize| {
        let at = DVec3::new((n % ni) as f64, (n / ni % nj) as f64, (n / ni / nj) as f64);
        let away = (at / DVec3::new(ni as f64, nj as f64, nk as f64) - 0.5).length();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (if away < 0.4 { 40 } else { -1000 }) + (random >> 28) as i16
    };
    let voxels: Vec<i16> = (0..ni * nj * nk).map(value).collect();
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::ZERO) };
    Volume::new(grid, Voxels::I16(voxels.into()))
}
