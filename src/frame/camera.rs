//! Which plane of the patient a pane shows, and which way round: the radiological convention, patient's right on the left.

use glam::{DAffine3, DMat3, DVec3};

use super::{Look, Plane, View};
use crate::volume::Grid;
use crate::volume::orientation::{AxisCodes, axis_codes, letter};

/// A pane's place in a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    pub plane: Plane,
    /// What lies in the middle of the pane, RAS+ millimetres.
    pub center: DVec3,
    pub mm_per_pixel: f64,
}

/// Unit vectors of a plane: towards the right and the bottom of the screen, and along its slices, all in world space; and the
/// grid's axis that runs along the slices.
struct Axes {
    right: DVec3,
    down: DVec3,
    along: DVec3,
    axis: usize,
}

/// The grid's own axes, by the anatomical direction they are nearest to.
fn axes(grid: &Grid, plane: Plane) -> Axes {
    let AxisCodes(codes) = axis_codes(grid);
    let toward = |world: usize| {
        let axis = codes.iter().position(|(w, _)| *w == world).unwrap_or(world);
        let unit = grid.world_from_voxel.matrix3.col(axis).normalize_or_zero();
        (axis, if codes[axis].1 { unit } else { -unit })
    };
    let ((x_axis, right), (y_axis, front), (z_axis, up)) = (toward(0), toward(1), toward(2));
    match plane {
        Plane::Axial => Axes { right: -right, down: -front, along: up, axis: z_axis },
        Plane::Coronal => Axes { right: -right, down: -up, along: front, axis: y_axis },
        Plane::Sagittal => Axes { right: -front, down: -up, along: right, axis: x_axis },
    }
}

/// The grid's axis along which a plane's slices are counted.
pub(super) fn axis_along(grid: &Grid, plane: Plane) -> usize {
    axes(grid, plane).axis
}

impl Camera {
    /// Shows the whole slice through the middle of a grid.
    pub fn fit(grid: &Grid, plane: Plane, size: [u32; 2]) -> Self {
        let frame = axes(grid, plane);
        let (mut across, mut down) = (0.0, 0.0);
        for axis in (0..3).filter(|&axis| axis != frame.axis) {
            let extent = grid.world_from_voxel.matrix3.col(axis) * grid.shape[axis] as f64;
            across += extent.dot(frame.right).abs();
            down += extent.dot(frame.down).abs();
        }
        let mm_per_pixel = (across / f64::from(size[0].max(1))).max(down / f64::from(size[1].max(1))).max(1e-6);
        Self { plane, center: grid.center(), mm_per_pixel }
    }

    /// The picture of `size` pixels.
    pub fn view(&self, grid: &Grid, size: [u32; 2], look: Look) -> View {
        let frame = axes(grid, self.plane);
        let matrix = DMat3::from_cols(frame.right * self.mm_per_pixel, frame.down * self.mm_per_pixel, frame.along);
        let middle = DVec3::new((f64::from(size[0]) - 1.0) / 2.0, (f64::from(size[1]) - 1.0) / 2.0, 0.0);
        let world_from_pixel = DAffine3::from_mat3_translation(matrix, self.center - matrix * middle);
        View { size, world_from_pixel, look }
    }

    /// Letters of the left, right, top and bottom edges.
    pub fn letters(&self, grid: &Grid) -> [&'static str; 4] {
        let frame = axes(grid, self.plane);
        [letter(-frame.right), letter(frame.right), letter(-frame.down), letter(frame.down)]
    }

    /// How many slices the grid has along this plane.
    pub fn slices(&self, grid: &Grid) -> usize {
        grid.shape[axes(grid, self.plane).axis]
    }

    /// The grid's own index of the slice shown.
    pub fn slice(&self, grid: &Grid) -> usize {
        (self.slice_exact(grid).round().max(0.0) as usize).min(self.slices(grid).saturating_sub(1))
    }

    /// Where the camera lies along the grid's slices, between two of them or beyond the ends too.
    pub fn slice_exact(&self, grid: &Grid) -> f64 {
        grid.voxel_from_world().transform_point3(self.center).to_array()[axes(grid, self.plane).axis]
    }

    /// Moves the camera to another slice; its zoom and its center in the plane stay.
    #[must_use]
    pub fn at_slice(&self, grid: &Grid, slice: usize) -> Self {
        let axis = axes(grid, self.plane).axis;
        let mut voxel = grid.voxel_from_world().transform_point3(self.center);
        voxel[axis] = slice.min(grid.shape[axis].saturating_sub(1)) as f64;
        Self { center: grid.world_from_voxel.transform_point3(voxel), ..*self }
    }

    /// Moves the camera to the slice where a place lies; its zoom and its center in the plane stay.
    #[must_use]
    pub fn at_slice_of(&self, grid: &Grid, place: DVec3) -> Self {
        let axis = axes(grid, self.plane).axis;
        let voxel_from_world = grid.voxel_from_world();
        let mut voxel = voxel_from_world.transform_point3(self.center);
        voxel[axis] = voxel_from_world.transform_point3(place)[axis];
        Self { center: grid.world_from_voxel.transform_point3(voxel), ..*self }
    }

    /// Moves the camera by screen pixels in its plane.
    #[must_use]
    pub fn panned(&self, grid: &Grid, [x, y]: [f64; 2]) -> Self {
        let frame = axes(grid, self.plane);
        Self { center: self.center - (frame.right * x + frame.down * y) * self.mm_per_pixel, ..*self }
    }
}
