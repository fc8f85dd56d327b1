//! The mouse on a pane. Wheel: slices. Left drag: window. Right drag, or wheel with Ctrl: zoom. Middle drag: pan. Double click:
//! the whole slice. Click, where several planes are shown: the place where they cross.

use eframe::egui::{self, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Response, Ui};
use glam::DVec3;

use super::action::Action;
use super::display::Layout;
use super::viewer::Viewer;
use crate::frame::{Look, Plane, Window};
use crate::volume::Grid;

/// A drag over so many points doubles a window, or moves it by its width: slow in narrow windows, quick in wide ones.
const POINTS_PER_WIDTH: f32 = 250.0;
/// A drag of this many points doubles the zoom.
const POINTS_PER_DOUBLING: f64 = 120.0;
/// Wheels that count in points: so many are one slice.
const POINTS_PER_SLICE: f32 = 40.0;

/// Acts on what the mouse does; gives the place under the pointer.
pub(super) fn navigate(
    ui: &Ui,
    response: &Response,
    plane: Plane,
    viewer: &Viewer,
    grid: &Grid,
    actions: &mut Vec<Action>,
) -> Option<DVec3> {
    let drag = response.drag_delta();
    let pixels_per_point = f64::from(ui.ctx().pixels_per_point());
    if response.dragged_by(PointerButton::Primary) && drag != egui::Vec2::ZERO {
        let Window { center_hu, width_hu } = viewer.window;
        let hu_per_point = width_hu.max(POINTS_PER_WIDTH / 4.0) / POINTS_PER_WIDTH;
        actions.push(Action::Window(Window {
            center_hu: center_hu + drag.y * hu_per_point,
            width_hu: width_hu + drag.x * hu_per_point,
        }));
    }
    if response.dragged_by(PointerButton::Secondary) && drag.y != 0.0 {
        actions.push(Action::Zoom((f64::from(-drag.y) / POINTS_PER_DOUBLING).exp2()));
    }
    if response.dragged_by(PointerButton::Middle) && drag != egui::Vec2::ZERO {
        let pixels = [f64::from(drag.x) * pixels_per_point, f64::from(drag.y) * pixels_per_point];
        actions.push(Action::Pan(plane, pixels));
    }
    if response.double_clicked() {
        actions.push(Action::Fit);
    }
    let pointer = response.hover_pos()?;
    let place = place_at(viewer, plane, grid, response.rect, pointer, pixels_per_point);
    if viewer.display.layout == Layout::Planes && response.clicked() && !response.double_clicked() {
        actions.push(Action::Cursor(place));
    }
    let zoom = ui.input(egui::InputState::zoom_delta);
    if zoom != 1.0 {
        actions.push(Action::Zoom(f64::from(zoom)));
    }
    let wheel = ui.input(wheel_slices);
    if wheel != 0.0 {
        actions.push(Action::Wheel(plane, wheel));
    }
    Some(place)
}

/// Slices that the wheel has turned in this frame; up is positive.
fn wheel_slices(input: &egui::InputState) -> f32 {
    let turned = |event: &egui::Event| match event {
        egui::Event::MouseWheel { unit, delta, modifiers, .. } if !modifiers.contains(Modifiers::COMMAND) => match unit
        {
            MouseWheelUnit::Point => delta.y / POINTS_PER_SLICE,
            MouseWheelUnit::Line | MouseWheelUnit::Page => delta.y,
        },
        _ => 0.0,
    };
    input.events.iter().map(turned).sum()
}

/// Where in the patient a point of a pane lies.
fn place_at(viewer: &Viewer, plane: Plane, grid: &Grid, rect: Rect, at: Pos2, pixels_per_point: f64) -> DVec3 {
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
