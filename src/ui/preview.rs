//! What the middle of the window shows while a large scan is being opened: one slice of it.

use std::sync::Arc;

use egui::{Align2, Sense, Ui, vec2};

use super::panes::{MARGIN, draw, name};
use super::progress::progress_text;
use super::theme;
use super::widgets::ink;
use crate::frame::Look;
use crate::frame::camera::Camera;
use crate::frame::display::{Layout, Shown};
use crate::job::Monitor;
use crate::session::arriving::{EarlySlice, plane_of_slices};
use crate::session::view::arrange::{Labels, Picture};

/// Fills what is left of the window with the slice, placed as it will be in the scan.
pub(super) fn preview_ui(ui: &mut Ui, early: &EarlySlice, monitor: &Monitor) {
    const PANE: u64 = u64::MAX - 1; // none of the arrangement's
    let rect = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(rect, Sense::hover());
    let EarlySlice { grid, layers, window } = early;
    let picture = Picture {
        title: "Preview".into(),
        shown: Shown::Original,
        plane: plane_of_slices(grid),
        layers: Arc::clone(layers),
        look: Look::scan(*window),
        synthetic: None,
        blended: false,
        score: None,
        labels: Labels::ALL,
    };
    let pixels = (rect.size() * ui.ctx().pixels_per_point()).round();
    let fit = Camera::fit(grid, picture.plane, [(pixels.x as u32).max(1), (pixels.y as u32).max(1)]);
    let camera = fit.at_slice_of(grid, layers.scan.grid.center());
    name(&response, &picture, &camera, grid, Layout::Single(picture.shown));
    draw(ui, rect, PANE, &picture, (&camera, grid), true, None);
    let words = match monitor.progress() {
        Some(progress) => format!("Opening: {} {}", progress.phase, progress_text(&progress)),
        None => "Opening".to_owned(),
    };
    let at = rect.shrink(MARGIN).left_top() + vec2(0.0, 20.0);
    ink(&ui.painter_at(rect), at, Align2::LEFT_TOP, &words, theme::DARK.amber);
}
