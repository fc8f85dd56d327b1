//! The pictures: panes side by side on one plane, linked, with what a reader needs burnt on top.

use std::sync::Arc;

use eframe::egui::{
    Align2, Label, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Response, RichText, Role, Sense, Stroke, Ui,
    WidgetInfo, pos2, vec2,
};
use eframe::{egui, egui_wgpu};
use glam::DVec3;

use super::action::Action;
use super::session::Session;
use super::theme;
use super::viewer::{Picture, Viewer};
use super::widgets::ink;
use crate::frame::camera::Camera;
use crate::frame::{Content, Plane, Shade, Window, colormap, lambda_text};
use crate::gpu::{self, PaintSlice};
use crate::volume::Grid;

/// A drag over so many points doubles a window, or moves it by its width: slow in narrow windows, quick in wide ones.
const POINTS_PER_WIDTH: f32 = 250.0;
/// A drag of this many points doubles the zoom.
const POINTS_PER_DOUBLING: f64 = 120.0;
/// Wheels that count in points: so many are one slice.
const POINTS_PER_SLICE: f32 = 40.0;
const MARGIN: f32 = 8.0;

/// Fills what is left of the window with panes.
pub(super) fn panes_ui(ui: &mut Ui, session: &Session, viewer: &mut Viewer, actions: &mut Vec<Action>) {
    let Some(scan) = session.scan.ready() else { return };
    let grid = scan.layers.base.grid;
    let pictures = viewer.pictures(session);
    let all = ui.available_rect_before_wrap();
    ui.allocate_rect(all, Sense::hover());
    let width = (all.width() - theme::GAP * (pictures.len() as f32 - 1.0)) / pictures.len() as f32;
    viewer.probe = None;
    let mut responses = Vec::new();
    for (i, picture) in pictures.iter().enumerate() {
        let left = all.left() + i as f32 * (width + theme::GAP);
        let rect = Rect::from_min_size(pos2(left, all.top()), vec2(width, all.height()));
        let pixels = (rect.size() * ui.ctx().pixels_per_point()).round();
        viewer.pane_px = [(pixels.x as u32).max(1), (pixels.y as u32).max(1)];
        let response = ui.interact(rect, ui.scope_id().with(picture.title), Sense::click_and_drag());
        let camera = viewer.camera(&grid);
        response.widget_info(|| WidgetInfo {
            current_text_value: Some(words(picture, &camera, &grid)),
            ..WidgetInfo::labeled(Role::Image, true, format!("{} pane", picture.title))
        });
        draw(ui, rect, i, picture, &camera, &grid);
        navigate(ui, &response, viewer, &grid, actions);
        responses.push(response);
    }
    if let Some(place) = viewer.probe {
        for response in responses.iter().filter(|response| !response.hovered()) {
            mark(ui, response.rect, viewer, &grid, place);
        }
    }
}

fn draw(ui: &mut Ui, rect: Rect, index: usize, picture: &Picture, camera: &Camera, grid: &Grid) {
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 0.0, theme::BLACK);
    let size = [rect.width(), rect.height()].map(|n| ((n * ui.ctx().pixels_per_point()).round() as u32).max(1));
    let view = camera.view(grid, size, picture.content, picture.shade);
    let pane = index as u64;
    let paint = PaintSlice { pane, view, layers: Arc::clone(&picture.layers), ctx: ui.ctx().clone() };
    painter.add(egui_wgpu::Callback::new_paint_callback(rect, paint));
    let inner = rect.shrink(MARGIN);
    if let Some(words) = gpu::words(ui.ctx(), pane) {
        let words = Label::new(RichText::new(words).color(theme::STRONG)).selectable(false);
        ui.put(inner.shrink2(vec2(3.0 * MARGIN, 0.0)), words);
    }
    ink(&painter, inner.left_top(), Align2::LEFT_TOP, picture.title, theme::STRONG);
    if let Some(tag) = synthetic_tag(picture) {
        ink(&painter, inner.right_top(), Align2::RIGHT_TOP, &tag, theme::AMBER);
    }
    let [left, right, top, bottom] = camera.letters(grid);
    ink(&painter, inner.left_center(), Align2::LEFT_CENTER, left, theme::STRONG);
    ink(&painter, inner.right_center(), Align2::RIGHT_CENTER, right, theme::STRONG);
    ink(&painter, inner.center_top() + vec2(0.0, 18.0), Align2::CENTER_TOP, top, theme::STRONG);
    ink(&painter, inner.center_bottom(), Align2::CENTER_BOTTOM, bottom, theme::STRONG);
    ink(&painter, inner.left_bottom(), Align2::LEFT_BOTTOM, &slice_text(camera, grid), theme::STRONG);
    scale_bar(&painter, inner, camera.mm_per_pixel * f64::from(ui.ctx().pixels_per_point()));
    if let Shade::Difference { scale_hu } = picture.shade {
        color_bar(&painter, inner, scale_hu);
    }
}

/// On every pane of generated pixels, always.
fn synthetic_tag(picture: &Picture) -> Option<String> {
    let is = if picture.blended { "≈" } else { "=" };
    picture.synthetic.map(|lambda| format!("SYNTHETIC  λ {is} {}", lambda_text(lambda)))
}

fn slice_text(camera: &Camera, grid: &Grid) -> String {
    format!("{} {}/{}", plane_name(camera.plane), camera.slice(grid) + 1, camera.slices(grid))
}

/// What is written on a pane, for those who do not see it.
fn words(picture: &Picture, camera: &Camera, grid: &Grid) -> String {
    let [left, right, top, bottom] = camera.letters(grid);
    let edges = format!("left {left}, right {right}, top {top}, bottom {bottom}");
    [synthetic_tag(picture), Some(slice_text(camera, grid)), Some(edges)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}

pub(super) fn plane_name(plane: Plane) -> &'static str {
    match plane {
        Plane::Axial => "Axial",
        Plane::Coronal => "Coronal",
        Plane::Sagittal => "Sagittal",
    }
}

/// 5 cm, or 1 cm where that is too long, at the bottom right.
fn scale_bar(painter: &egui::Painter, inner: Rect, mm_per_point: f64) {
    let fits = |mm: &f64| mm / mm_per_point < f64::from(inner.width()) / 3.0;
    let Some(mm) = [50.0, 10.0].into_iter().find(fits) else { return };
    let end = inner.right_bottom();
    let start = end - vec2((mm / mm_per_point) as f32, 0.0);
    painter.line_segment([start, end], Stroke::new(4.0, theme::BLACK));
    painter.line_segment([start, end], Stroke::new(2.0, theme::STRONG));
    ink(painter, end - vec2(0.0, 6.0), Align2::RIGHT_BOTTOM, &format!("{:.0} cm", mm / 10.0), theme::STRONG);
}

/// The colours of the difference with their HU, above the middle of the right edge.
fn color_bar(painter: &egui::Painter, inner: Rect, scale_hu: f32) {
    let height = inner.height() / 4.0;
    let bar = Rect::from_min_size(pos2(inner.right() - 10.0, inner.top() + 26.0), vec2(10.0, height));
    let rows = height.max(1.0) as usize;
    for row in 0..rows {
        let share = 1.0 - 2.0 * (row as f32 + 0.5) / rows as f32;
        let color = colormap::color(share * scale_hu, Shade::Difference { scale_hu });
        let color = egui::Color32::from(egui::Rgba::from_srgba_unmultiplied(
            (color[0] * 255.0) as u8,
            (color[1] * 255.0) as u8,
            (color[2] * 255.0) as u8,
            255,
        ));
        let y = bar.top() + row as f32;
        painter.rect_filled(Rect::from_min_max(pos2(bar.left(), y), pos2(bar.right(), y + 1.0)), 0.0, color);
    }
    for (share, text) in
        [(0.0, format!("+{scale_hu:.0} HU")), (0.5, "0".to_owned()), (1.0, format!("−{scale_hu:.0} HU"))]
    {
        let at = pos2(bar.left() - 4.0, bar.top() + share * height);
        ink(painter, at, Align2::RIGHT_CENTER, &text, theme::STRONG);
    }
}

/// Wheel: slices. Left drag: window. Right drag, or wheel with Ctrl: zoom. Middle drag: pan. Double click: the whole slice.
fn navigate(ui: &Ui, response: &Response, viewer: &mut Viewer, grid: &Grid, actions: &mut Vec<Action>) {
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
        actions.push(Action::Pan([f64::from(drag.x) * pixels_per_point, f64::from(drag.y) * pixels_per_point]));
    }
    if response.double_clicked() {
        actions.push(Action::Fit);
    }
    let Some(pointer) = response.hover_pos() else { return };
    viewer.probe = Some(place_at(viewer, grid, response.rect, pointer, pixels_per_point));
    let zoom = ui.input(egui::InputState::zoom_delta);
    if zoom != 1.0 {
        actions.push(Action::Zoom(f64::from(zoom)));
    }
    let wheel = ui.input(wheel_slices);
    if wheel != 0.0 {
        actions.push(Action::Wheel(wheel));
    }
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
fn place_at(viewer: &Viewer, grid: &Grid, rect: Rect, at: Pos2, pixels_per_point: f64) -> DVec3 {
    let view = viewer.camera(grid).view(grid, viewer.pane_px, Content::Base, Shade::Grey(viewer.window));
    let pixel = (at - rect.min) * pixels_per_point as f32;
    // The uniforms know pixel centres: half a pixel lies between a corner and a centre.
    view.world_from_pixel.transform_point3(DVec3::new(f64::from(pixel.x) - 0.5, f64::from(pixel.y) - 0.5, 0.0))
}

/// A cross where the pointer is in another pane.
fn mark(ui: &Ui, rect: Rect, viewer: &Viewer, grid: &Grid, place: DVec3) {
    let view = viewer.camera(grid).view(grid, viewer.pane_px, Content::Base, Shade::Grey(viewer.window));
    let pixel = view.world_from_pixel.inverse().transform_point3(place);
    let per_point = ui.ctx().pixels_per_point();
    let at = rect.min + vec2(pixel.x as f32 + 0.5, pixel.y as f32 + 0.5) / per_point;
    let painter = ui.painter_at(rect);
    for arm in [vec2(6.0, 0.0), vec2(0.0, 6.0)] {
        painter.line_segment([at - arm, at + arm], Stroke::new(3.0, theme::BLACK));
        painter.line_segment([at - arm, at + arm], Stroke::new(1.0, theme::ACCENT));
    }
}
