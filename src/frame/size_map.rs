//! Numbers that are laid over a picture in colours: how many runs agree at a voxel, or how much a method makes of it.

use half::f16;

use crate::volume::{Grid, Volume, Voxels};

/// Sizes on a grid of their own. What is 0 is laid over nothing.
#[derive(Debug, Clone)]
pub struct SizeMap {
    /// Shares of the size where colours saturate, `0..=1`, in half precision: the screen's shader reads no others here.
    pub volume: Volume,
    /// The size where colours saturate, above 0.
    pub scale: f32,
    /// The size at the upper end of the colours, in words: "all 10 runs".
    pub top: String,
}

impl SizeMap {
    /// `sizes` are 0 or more, one for each voxel of `grid`; what is no number counts as 0. `scale` is the size where colours saturate.
    pub fn new(grid: Grid, sizes: impl Iterator<Item = f32>, scale: f32, top: String) -> Self {
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let share = |size: f32| if size.is_nan() { 0.0 } else { (size / scale).clamp(0.0, 1.0) };
        let shares: Vec<f16> = sizes.map(|size| f16::from_f32(share(size))).collect();
        Self { volume: Volume::new(grid, Voxels::F16(shares.into())), scale, top }
    }
}

/// Where the numbers of an overlay come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlaid {
    /// The shown step minus the reconstruction.
    #[default]
    Difference,
    /// The map.
    Map,
}
