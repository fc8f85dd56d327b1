//! What a picture shows, as one value. `paint` draws it on the CPU, `gpu` on the screen; a test holds the two equal.

use std::ops::Range;

use glam::DAffine3;

use crate::volume::{Volume, Voxels};

/// An anatomical plane, along the shown grid's own axes (so slices are the scan's slices even where it is oblique).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plane {
    #[default]
    Axial,
    Coronal,
    Sagittal,
}

/// A display window in HU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub center_hu: f32,
    pub width_hu: f32,
}

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shade {
    Grey(Window),
    /// Signed, diverging about 0: blue below, red above, black (nothing) at 0; saturates at +-`scale_hu`.
    Difference { scale_hu: f32 },
}

/// Volumes that belong together on one grid: a whole one, and the steps that differ from it in the slab only. HU.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The scan, or the reconstruction.
    pub base: Volume,
    pub slab: Range<usize>,
    /// `[steps, slab, nj, ni]`, HU; empty where there are no steps.
    pub steps: Voxels,
}

/// Which numbers of `Layers` are shown. `step` may lie between two steps: they are blended linearly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content {
    Base,
    Step { step: f32 },
    /// Step minus base; 0 outside the slab.
    Difference { step: f32 },
}

/// One picture: every pixel's place in patient space, what is read there, and how it is coloured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Pixels across and down.
    pub size: [u32; 2],
    /// Pixel centre `(x, y, 0)` to RAS+ millimetres.
    pub world_from_pixel: DAffine3,
    pub content: Content,
    pub shade: Shade,
}
