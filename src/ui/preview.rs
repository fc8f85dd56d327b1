//! What the middle of the window shows while a large scan is being opened: one slice of it.

use std::sync::Arc;

use eframe::egui::{Align2, Sense, Ui, vec2};

use super::compute_panel::progress_text;
use super::display::{Layout, Picture, Shown};
use super::panes::{MARGIN, draw, name};
use super::theme;
use super::widgets::ink;
use crate::frame::camera::Camera;
use crate::frame::{Layers, Look, Plane, Window};
use crate::io::Preview;
use crate::job::Monitor;
use crate::volume::Grid;
use crate::volume::orientation::{AxisCodes, axis_codes};

/// A slice that is there, ready to be drawn.
pub(super) struct EarlySlice {
    /// Of the whole scan.
    grid: Grid,
    layers: Arc<Layers>,
    window: Window,
}

impl From<Preview> for EarlySlice {
    fn from(Preview { slice, grid, window_hu }: Preview) -> Self {
        let layers = Arc::new(Layers { scan: slice, shift: None });
        Self { grid, layers, window: Window::stored(window_hu) }
    }
}

/// The plane that a scan's slices lie in.
pub(super) fn plane_of_slices(grid: &Grid) -> Plane {
    let AxisCodes([_, _, (world, _)]) = axis_codes(grid);
    [Plane::Sagittal, Plane::Coronal, Plane::Axial][world]
}

/// Fills what is left of the window with the slice, placed as it will be in the scan.
pub(super) fn preview_ui(ui: &mut Ui, early: &EarlySlice, monitor: &Monitor) {
    const PANE: u64 = u64::MAX - 1; // none of the arrangement's
    let rect = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(rect, Sense::hover());
    let EarlySlice { grid, layers, window } = early;
    let picture = Picture {
        title: "Preview",
        shown: Shown::Original,
        plane: plane_of_slices(grid),
        layers: Arc::clone(layers),
        look: Look::scan(*window),
        synthetic: None,
        blended: false,
    };
    let pixels = (rect.size() * ui.ctx().pixels_per_point()).round();
    let fit = Camera::fit(grid, picture.plane, [(pixels.x as u32).max(1), (pixels.y as u32).max(1)]);
    let camera = fit.at_slice_of(grid, layers.scan.grid.center());
    name(&response, &picture, &camera, grid, Layout::Single(picture.shown));
    draw(ui, rect, PANE, &picture, &camera, grid, true);
    let words = match monitor.progress() {
        Some(progress) => format!("Opening: {} {}", progress.phase, progress_text(&progress)),
        None => "Opening".to_owned(),
    };
    let at = rect.shrink(MARGIN).left_top() + vec2(0.0, 20.0);
    ink(&ui.painter_at(rect), at, Align2::LEFT_TOP, &words, theme::DARK.amber);
}

#[cfg(test)]
mod tests {
    use glam::{DAffine3, DMat3, DVec3};

    use super::*;

    #[test]
    fn the_plane_is_the_one_that_the_slices_were_taken_in() {
        let (x, y, z) = (DVec3::X, DVec3::Y, DVec3::Z);
        for (columns, plane) in [
            ([-x, -y, z], Plane::Axial),
            ([x, z, -y], Plane::Coronal),
            ([-y, z, x], Plane::Sagittal),
            ([x, y, (z + 0.3 * y).normalize()], Plane::Axial),
        ] {
            let matrix = DMat3::from_cols(columns[0], columns[1], columns[2]);
            let grid =
                Grid { shape: [5, 6, 7], world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::ZERO) };
            assert_eq!(plane_of_slices(&grid), plane, "{columns:?}");
        }
    }
}
