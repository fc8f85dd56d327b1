//! Slices of a scan that is still being read.

use glam::{DAffine3, DVec3};

use super::arriving::Arriving;
use crate::volume::{Grid, Volume};

/// One slice of a scan whose other slices are still to come. Only the end of a file tells whether it is whole.
#[derive(Debug, Clone)]
pub struct Preview {
    /// One slice thick, where it lies in the patient.
    pub slice: Volume,
    /// Of the whole scan.
    pub grid: Grid,
    /// The window stored with the scan: centre and width, HU.
    pub window_hu: Option<[f32; 2]>,
}

/// Shows the first slice, then the middle one, which a window begins with, as soon as they are in.
pub(super) struct Previews<'a> {
    pub(super) grid: Grid,
    pub(super) window_hu: Option<[f32; 2]>,
    pub(super) show: &'a dyn Fn(Preview),
}

impl Previews<'_> {
    /// Looks at what has come after the first `known` slices.
    pub(super) fn look(&self, arriving: &Arriving, known: usize) {
        let [ni, nj, nk] = self.grid.shape;
        let new = known..arriving.len() / (ni * nj);
        let Some(k) = [nk / 2, 0].into_iter().find(|k| new.contains(k)) else { return };
        let step = DAffine3::from_translation(DVec3::new(0.0, 0.0, k as f64));
        let grid = Grid { shape: [ni, nj, 1], world_from_voxel: self.grid.world_from_voxel * step };
        let slice = Volume::new(grid, arriving.copy(k * ni * nj..(k + 1) * ni * nj));
        (self.show)(Preview { slice, grid: self.grid, window_hu: self.window_hu });
    }
}
