//! The pixels of a picture on the screen, as the GPU draws them.

use std::sync::Arc;

use eframe::egui_wgpu;
use egui::{Painter, Rect, Ui};

use crate::frame::camera::Camera;
use crate::gpu::PaintSlice;
use crate::session::view::arrange::Picture;
use crate::volume::Grid;

/// The pixels of a pane, within the painter's clip.
pub(super) fn picture_ui(
    ui: &Ui,
    painter: &Painter,
    rect: Rect,
    pane: u64,
    picture: &Picture,
    camera: &Camera,
    grid: &Grid,
) {
    let size = [rect.width(), rect.height()].map(|n| ((n * ui.ctx().pixels_per_point()).round() as u32).max(1));
    let view = camera.view(grid, size, picture.look);
    let paint = PaintSlice { pane, view, layers: Arc::clone(&picture.layers), ctx: ui.ctx().clone() };
    painter.add(egui_wgpu::Callback::new_paint_callback(rect, paint));
}
