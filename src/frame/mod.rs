//! What a picture shows, as one value. `paint` draws it on the CPU, a shader on the screen; a test holds the two equal.

pub mod camera;
pub mod colormap;
pub mod paint;

use std::ops::Range;

use glam::{DAffine3, DVec3};

use crate::volume::{Volume, Voxels};

/// An anatomical plane, along the shown grid's own axes, so that slices are the scan's slices even where it is oblique.
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
    /// Signed: blue below, red above, black at 0; saturates at +-`scale_hu`.
    Difference {
        scale_hu: f32,
    },
}

/// A whole volume, and the steps that differ from it in the slab only. HU.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The scan, or the reconstruction.
    pub base: Volume,
    pub slab: Range<usize>,
    /// `[steps, slab, nj, ni]`, HU; empty where there are no steps.
    pub steps: Voxels,
}

impl Layers {
    /// A volume alone.
    pub fn plain(base: Volume) -> Self {
        Self { base, slab: 0..0, steps: Voxels::F32(Vec::new().into()) }
    }

    /// How many steps there are.
    pub fn count(&self) -> usize {
        let [ni, nj, _] = self.base.grid.shape;
        self.steps.len() / (ni * nj * self.slab.len()).max(1)
    }

    /// The number shown at a voxel.
    pub fn value(&self, [i, j, k]: [usize; 3], content: Content) -> f32 {
        let [ni, nj, _] = self.base.grid.shape;
        let base = self.base.voxels.at(i + ni * (j + nj * k));
        let (step, difference) = match content {
            Content::Base => return base,
            Content::Step { step } => (step, false),
            Content::Difference { step } => (step, true),
        };
        let last = self.count().saturating_sub(1);
        let value = if self.slab.contains(&k) && self.count() > 0 {
            let low = (step.max(0.0) as usize).min(last);
            let share = (step - low as f32).clamp(0.0, 1.0);
            let at = |s: usize| self.steps.at(i + ni * (j + nj * (k - self.slab.start + self.slab.len() * s)));
            let (a, b) = (at(low), at((low + 1).min(last)));
            a + (b - a) * share
        } else {
            base
        };
        if difference { value - base } else { value }
    }

    /// The number at the voxel nearest to a place; `None` outside.
    pub fn probe(&self, world: DVec3, content: Content) -> Option<f32> {
        Some(self.value(nearest_voxel(&self.base, world)?, content))
    }
}

/// The voxel nearest to a place in world space; `None` outside.
pub fn nearest_voxel(volume: &Volume, world: DVec3) -> Option<[usize; 3]> {
    let at = volume.grid.voxel_from_world().transform_point3(world).round().to_array();
    let inside = (0..3).all(|axis| at[axis] >= 0.0 && at[axis] < volume.grid.shape[axis] as f64);
    inside.then(|| at.map(|x| x as usize))
}

/// Lambda with four digits that count, since its size means something else for every model: "-4110", "0.01200".
pub fn lambda_text(lambda: f64) -> String {
    const DIGITS: i32 = 4;
    if lambda == 0.0 {
        return "0".to_owned();
    }
    let decimals = (DIGITS - 1 - lambda.abs().log10().floor() as i32).clamp(0, 9);
    format!("{lambda:.*}", decimals as usize)
}

/// Which numbers of `Layers` are shown. `step` may lie between two steps: they are blended linearly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content {
    Base,
    Step {
        step: f32,
    },
    /// Step minus base; 0 outside the slab.
    Difference {
        step: f32,
    },
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

/// Name, centre and width. Source: OHIF's and 3D Slicer's presets; "Model input" is what the networks see.
pub const PRESETS: [(&str, Window); 9] = [
    ("Soft tissue", Window { center_hu: 40.0, width_hu: 400.0 }),
    ("Lung", Window { center_hu: -600.0, width_hu: 1500.0 }),
    ("Bone", Window { center_hu: 400.0, width_hu: 1800.0 }),
    ("Brain", Window { center_hu: 40.0, width_hu: 80.0 }),
    ("Liver", Window { center_hu: 80.0, width_hu: 150.0 }),
    ("Abdomen", Window { center_hu: 40.0, width_hu: 350.0 }),
    ("CT angio", Window { center_hu: 170.0, width_hu: 600.0 }),
    ("Airways", Window { center_hu: -426.0, width_hu: 1000.0 }),
    ("Model input", Window { center_hu: 0.0, width_hu: 2000.0 }),
];

#[cfg(test)]
mod tests {
    use super::lambda_text;

    #[test]
    fn a_lambda_of_any_size_keeps_four_digits() {
        let said = [0.0, -4109.66, -679_351.2, 0.012, -12.5].map(lambda_text);
        assert_eq!(said, ["0", "-4110", "-679351", "0.01200", "-12.50"]);
    }
}
