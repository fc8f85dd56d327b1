//! Where on a pane what lies in the patient is, and the other way round.

use egui::{self, Pos2, Rect};
use glam::DVec3;

use crate::frame::{Look, Plane};
use crate::session::view::Viewer;
use crate::volume::Grid;

/// Where in the patient a point of a pane lies.
pub(super) fn place_at(
    viewer: &Viewer,
    plane: Plane,
    grid: &Grid,
    rect: Rect,
    at: Pos2,
    pixels_per_point: f64,
) -> DVec3 {
    let view = viewer.camera(grid, plane).view(grid, viewer.pane_px, Look::scan(viewer.window));
    let pixel = (at - rect.min) * pixels_per_point as f32;
    // The uniforms know pixel centres: half a pixel lies between a corner and a centre.
    view.world_from_pixel.transform_point3(DVec3::new(f64::from(pixel.x) - 0.5, f64::from(pixel.y) - 0.5, 0.0))
}

/// Where a place in the patient lies on a pane.
pub(super) fn point_at(
    viewer: &Viewer,
    plane: Plane,
    grid: &Grid,
    rect: Rect,
    place: DVec3,
    pixels_per_point: f32,
) -> Pos2 {
    let view = viewer.camera(grid, plane).view(grid, viewer.pane_px, Look::scan(viewer.window));
    let pixel = view.world_from_pixel.inverse().transform_point3(place);
    rect.min + egui::vec2(pixel.x as f32 + 0.5, pixel.y as f32 + 0.5) / pixels_per_point
}
