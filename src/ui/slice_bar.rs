//! The slice scrubber, under the profile of how much each slice changed.

use eframe::egui::{Rect, Sense, Shape, Slider, Stroke, Ui, Vec2, pos2};
use glam::DVec3;

use super::action::Action;
use super::session::{Explained, Session};
use super::theme;
use super::viewer::Viewer;
use crate::frame::Plane;
use crate::frame::camera::Camera;
use crate::volume::Grid;

const PROFILE_HEIGHT: f32 = 26.0;
/// Room for the name at the left of a slider, and for the number at its right.
pub(super) const NAME_WIDTH: f32 = 64.0;
pub(super) const VALUE_WIDTH: f32 = 118.0;

pub(super) fn slice_bar_ui(ui: &mut Ui, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(scan) = session.scan.ready() else { return };
    let grid = scan.layers.scan.grid;
    let camera = viewer.camera(&grid, viewer.plane);
    let (mut slice, slices) = (camera.slice(&grid) + 1, camera.slices(&grid));
    let run = session.run.ready();
    let strip = run.map(|_| ui.allocate_exact_size(Vec2::new(ui.available_width(), PROFILE_HEIGHT), Sense::hover()).0);
    let track = ui
        .horizontal(|ui| {
            let width = (ui.available_width() - NAME_WIDTH - VALUE_WIDTH).max(80.0);
            let label = ui.add_sized([NAME_WIDTH - 8.0, 20.0], eframe::egui::Label::new("Slice"));
            ui.spacing_mut().slider_width = width;
            let slider = ui.add(Slider::new(&mut slice, 1..=slices).show_value(false)).labelled_by(label.id);
            if slider.changed() {
                actions.push(Action::Slice(slice - 1));
            }
            ui.label(format!("{slice} of {slices}"));
            slider.rect
        })
        .inner;
    if let (Some(run), Some(strip)) = (run.filter(|_| viewer.plane == Plane::Axial), strip) {
        profile_ui(ui, run, &grid, &camera, track_inside(track), strip);
    }
}

/// Where the middle of a slider's handle can be.
pub(super) fn track_inside(slider: Rect) -> Rect {
    // egui: the handle's radius is the rail's height / 2.5, and its middle stays that far from the ends.
    slider.shrink2(Vec2::new(slider.height() / 2.5, 0.0))
}

/// A filled curve of mean |change| per slice, the slab shaded, its peaks dotted, the highest largest.
fn profile_ui(ui: &Ui, run: &Explained, grid: &Grid, camera: &Camera, track: Rect, strip: Rect) {
    let slices = camera.slices(grid);
    let x_from_stack = |k: f64| {
        let [ni, nj, _] = run.result.grid.shape.map(|n| n as f64 / 2.0);
        let place = run.result.grid.world_from_voxel.transform_point3(DVec3::new(ni, nj, k));
        let slice = Camera { center: place, ..*camera }.slice_exact(grid) as f32;
        track.left() + track.width() * (slice / (slices.max(2) - 1) as f32).clamp(0.0, 1.0)
    };
    let painter = ui.painter_at(strip);
    let slab = &run.result.slab;
    let (a, b) = (x_from_stack(slab.start as f64 - 0.5), x_from_stack(slab.end as f64 - 0.5));
    painter.rect_filled(Rect::from_x_y_ranges(a.min(b)..=a.max(b), strip.y_range()), 2.0, theme::SLAB);
    let most = run.change_per_slice_hu.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let points: Vec<_> = run
        .change_per_slice_hu
        .iter()
        .enumerate()
        .map(|(k, change)| pos2(x_from_stack(k as f64), strip.bottom() - change / most * (strip.height() - 8.0)))
        .collect();
    for pair in points.windows(2) {
        let quad = vec![pair[0], pair[1], pos2(pair[1].x, strip.bottom()), pos2(pair[0].x, strip.bottom())];
        painter.add(Shape::convex_polygon(quad, theme::PROFILE.gamma_multiply(0.4), Stroke::NONE));
    }
    for peak in run.peaks() {
        let radius = if peak == run.most_changed_slice { 4.0 } else { 2.5 };
        painter.circle_filled(points[peak], radius, theme::PROFILE);
    }
    painter.add(Shape::line(points, Stroke::new(1.5, theme::PROFILE)));
}
