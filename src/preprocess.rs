//! From a scan to what a network was trained on, and back: orient, resample, rescale, pad, crop, display order.

use glam::DAffine3;

use crate::volume::{Grid, Volume};

/// What a network was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Distance between voxel centres towards R, A, S.
    pub spacing_mm: [f64; 3],
    /// HU that become 0 and 1.
    pub hu: [f32; 2],
    /// Rows and columns of a slice.
    pub side: usize,
}

impl Default for Recipe {
    /// The published pipeline: `NIFTI_Dataset(path, resolution=224)`.
    fn default() -> Self {
        Self { spacing_mm: [1.5, 1.5, 3.0], hu: [-1000.0, 1000.0], side: 224 }
    }
}

/// A scan as the networks see it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Values `0..=1`. Voxel `(i, j, k)` is column, row, slice, so that memory is exactly the stack `[slices, 1, side, side]`:
    /// row 0 is anterior, column 0 the patient's right, slice 0 inferior. The grid says where that lies in world space.
    pub volume: Volume,
    pub recipe: Recipe,
    /// The grid after orientation and after resampling, as MONAI reports them; for tests and `info`.
    pub oriented: Grid,
    pub spaced: Grid,
}
