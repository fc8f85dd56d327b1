//! The lens: what lies under the pointer, larger, in every pane of its plane at once, each with its own HU.

use egui::{Align2, Rect, Response, Stroke, StrokeKind, Ui, pos2, vec2};
use glam::DVec3;

use super::pixels::picture_ui;
use super::places::point_at;
use super::theme;
use super::widgets::plate;
use crate::frame::camera::Camera;
use crate::frame::paint::probe;
use crate::session::view::Viewer;
use crate::session::view::arrange::Picture;
use crate::volume::Grid;

/// How many times larger than the pane.
const LARGER: f64 = 3.0;
/// Side of the lens, points.
const SIDE: f32 = 150.0;
/// Lenses are told from the panes of the renderer by numbers from here on.
const FIRST_PANE: u64 = 1 << 32;

/// Draws the lens of a pane, by its number, around a place in the patient.
pub(super) fn lens_ui(
    ui: &Ui,
    response: &Response,
    pane: u64,
    picture: &Picture,
    viewer: &Viewer,
    (grid, place): (&Grid, DVec3),
) {
    let scale = ui.ctx().pixels_per_point();
    let at = point_at(viewer, picture.plane, grid, response.rect, place, scale);
    let room = response.rect.shrink(SIDE.min(response.rect.width().min(response.rect.height())) / 2.0);
    let whole = |points: f32| (points * scale).round() / scale;
    let corner = room.clamp(at) - vec2(SIDE, SIDE) / 2.0;
    let corner = pos2(whole(corner.x), whole(corner.y));
    let rect = Rect::from_min_size(corner, vec2(SIDE, SIDE)).intersect(response.rect);
    let now = viewer.camera(grid, picture.plane);
    let camera = Camera { center: place, mm_per_pixel: now.mm_per_pixel / LARGER, ..now };
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 0.0, theme::BLACK);
    picture_ui(ui, &painter, rect, FIRST_PANE + pane, picture, &camera, grid);
    painter.rect_stroke(rect, 0.0, Stroke::new(2.0, theme::DARK.accent), StrokeKind::Inside);
    if let Some(hu) = probe(&picture.layers, picture.look.content, picture.look.step, place) {
        plate(
            &painter,
            rect.center_bottom() - vec2(0.0, 4.0),
            Align2::CENTER_BOTTOM,
            &format!("{hu:.0} HU"),
            theme::DARK.strong,
        );
    }
    if picture.synthetic.is_some() {
        plate(&painter, rect.center_top() + vec2(0.0, 4.0), Align2::CENTER_TOP, "SYNTHETIC", theme::DARK.amber);
    }
}
