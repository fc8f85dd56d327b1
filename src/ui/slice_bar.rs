//! The slice scrubber, under the profile of how much each slice changed, and the slab that may change next, to drag.

use std::ops::Range;

use egui::{CursorIcon, Id, Rect, Role, Sense, Shape, Slider, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, pos2};
use glam::DVec3;

use super::theme;
use crate::frame::Plane;
use crate::frame::camera::Camera;
use crate::session::action::{Action, Setting, View};
use crate::session::explained::Explained;
use crate::session::model::Model;
use crate::session::shown::told;
use crate::session::view::Viewer;
use crate::volume::Grid;

const PROFILE_HEIGHT: f32 = 26.0;
/// How near to an end of the slab it is taken hold of, points.
const GRIP: f32 = 6.0;
/// Room for the name at the left of a slider, and for the number at its right.
pub(super) const NAME_WIDTH: f32 = 64.0;
pub(super) const VALUE_WIDTH: f32 = 168.0;

pub(super) fn slice_bar_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(scan) = model.scan.ready() else { return };
    let grid = scan.layers.scan.grid;
    let camera = viewer.camera(&grid, viewer.plane);
    let (mut slice, slices) = (camera.slice(&grid) + 1, camera.slices(&grid));
    let run = told(model, viewer).result();
    let has_strip = run.is_some() || model.slab.is_some();
    let size = Vec2::new(ui.available_width(), PROFILE_HEIGHT);
    let strip = has_strip.then(|| ui.allocate_exact_size(size, Sense::hover()).0);
    let track = ui
        .horizontal(|ui| {
            let width = (ui.available_width() - NAME_WIDTH - VALUE_WIDTH).max(80.0);
            let label = ui.add_sized([NAME_WIDTH - 8.0, 20.0], egui::Label::new("Slice"));
            ui.spacing_mut().slider_width = width;
            let slider = ui.add(Slider::new(&mut slice, 1..=slices).show_value(false)).labelled_by(label.id);
            if slider.changed() {
                actions.push(View::Slice(slice - 1).into());
            }
            let along = match viewer.plane {
                Plane::Axial => camera.center.z,
                Plane::Coronal => camera.center.y,
                Plane::Sagittal => camera.center.x,
            };
            ui.label(format!("{slice} of {slices} ({along:.1} mm)"));
            slider.rect
        })
        .inner;
    let Some(strip) = strip.filter(|_| viewer.plane == Plane::Axial) else { return };
    let axis = Axis { stack: scan.input.prepared.volume.grid, grid, camera, track: track_inside(track) };
    if let Some(run) = run {
        profile_ui(ui, run, &Axis { stack: run.result().grid, ..axis }, strip);
    }
    if let Some(slab) = &model.slab {
        slab_ui(ui, slab, &axis, strip, actions);
    }
}

/// Where slices of the stack lie along the slider, which counts the scan's.
#[derive(Clone, Copy)]
struct Axis {
    stack: Grid,
    grid: Grid,
    camera: Camera,
    track: Rect,
}

impl Axis {
    /// Beyond the slider too.
    fn x(&self, k: f64) -> f32 {
        let [ni, nj, _] = self.stack.shape.map(|n| n as f64 / 2.0);
        let place = self.stack.world_from_voxel.transform_point3(DVec3::new(ni, nj, k));
        let slice = Camera { center: place, ..self.camera }.slice_exact(&self.grid) as f32;
        let last = (self.camera.slices(&self.grid).max(2) - 1) as f32;
        self.track.left() + self.track.width() * slice / last
    }

    /// The inverse of `x`, which is a straight line.
    fn k(&self, x: f32) -> f64 {
        let (at_0, at_1) = (self.x(0.0), self.x(1.0));
        f64::from((x - at_0) / (at_1 - at_0))
    }
}

/// What of the slab is dragged.
#[derive(Clone, Copy, PartialEq)]
enum Grip {
    First,
    Last,
    Whole,
}

/// The slab of the next run: a frame whose ends and whole can be dragged. The fields of step 3 do the same by keyboard.
fn slab_ui(ui: &Ui, slab: &Range<usize>, axis: &Axis, strip: Rect, actions: &mut Vec<Action>) {
    let (first, last) = (axis.x(slab.start as f64 - 0.5), axis.x(slab.end as f64 - 0.5));
    let frame = Rect::from_x_y_ranges(first.min(last)..=first.max(last), strip.y_range());
    let painter = ui.painter_at(strip.expand2(Vec2::new(GRIP, 0.0)));
    painter.rect_stroke(frame, 2.0, Stroke::new(1.5, theme::colors(ui).accent), StrokeKind::Inside);
    let end = |x: f32| Rect::from_x_y_ranges(x - GRIP..=x + GRIP, strip.y_range());
    // The ends come last: they lie on top.
    for (grip, rect, name, cursor) in [
        (Grip::Whole, frame, "Slab that may change", CursorIcon::Grab),
        (Grip::First, end(first), "First slice of the slab", CursorIcon::ResizeHorizontal),
        (Grip::Last, end(last), "Last slice of the slab", CursorIcon::ResizeHorizontal),
    ] {
        let id = Id::unique(("slab", name));
        let response = ui.interact(rect, id, Sense::DRAG).on_hover_cursor(cursor);
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
        let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) else { continue };
        let k = axis.k(pointer.x);
        if response.drag_started() {
            let from = ui.input(|input| input.pointer.press_origin()).map_or(k, |from| axis.k(from.x));
            ui.data_mut(|data| data.insert_temp(id, (slab.start, slab.end, from)));
        }
        let Some((start, end, from)) = ui.data(|data| data.get_temp::<(usize, usize, f64)>(id)) else { continue };
        let new = dragged(&(start..end), grip, (k - from).round() as isize, axis.stack.shape[2]);
        if new != *slab {
            actions.push(Setting::Slab(Some(new)).into());
        }
    }
}

/// The slab after a drag over so many slices, within the stack and never empty.
fn dragged(slab: &Range<usize>, grip: Grip, by: isize, slices: usize) -> Range<usize> {
    match grip {
        Grip::First => slab.start.saturating_add_signed(by).min(slab.end - 1)..slab.end,
        Grip::Last => slab.start..slab.end.saturating_add_signed(by).clamp(slab.start + 1, slices),
        Grip::Whole => {
            let start = slab.start.saturating_add_signed(by).min(slices - slab.len());
            start..start + slab.len()
        }
    }
}

/// Where the middle of a slider's handle can be.
pub(super) fn track_inside(slider: Rect) -> Rect {
    // egui: the handle's radius is the rail's height / 2.5, and its middle stays that far from the ends.
    slider.shrink2(Vec2::new(slider.height() / 2.5, 0.0))
}

/// A filled curve of mean |change| per slice, the slab behind it shaded, its peaks dotted, the highest largest.
fn profile_ui(ui: &Ui, run: &Explained, axis: &Axis, strip: Rect) {
    let x_from_stack = |k: f64| axis.x(k).clamp(axis.track.left(), axis.track.right());
    let painter = ui.painter_at(strip);
    let slab = &run.result().slab;
    let (a, b) = (x_from_stack(slab.start as f64 - 0.5), x_from_stack(slab.end as f64 - 0.5));
    painter.rect_filled(Rect::from_x_y_ranges(a.min(b)..=a.max(b), strip.y_range()), 2.0, theme::colors(ui).slab);
    let most = run.change_per_slice_hu.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let points: Vec<_> = run
        .change_per_slice_hu
        .iter()
        .enumerate()
        .map(|(k, change)| pos2(x_from_stack(k as f64), strip.bottom() - change / most * (strip.height() - 8.0)))
        .collect();
    for pair in points.windows(2) {
        let quad = vec![pair[0], pair[1], pos2(pair[1].x, strip.bottom()), pos2(pair[0].x, strip.bottom())];
        painter.add(Shape::convex_polygon(quad, theme::colors(ui).profile.gamma_multiply(0.4), Stroke::NONE));
    }
    for peak in run.peaks() {
        let radius = if peak == run.most_changed_slice { 4.0 } else { 2.5 };
        painter.circle_filled(points[peak], radius, theme::colors(ui).profile);
    }
    painter.add(Shape::line(points, Stroke::new(1.5, theme::colors(ui).profile)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dragged_slab_stays_in_the_stack_and_holds_a_slice() {
        let slab = 20..28;
        assert_eq!(dragged(&slab, Grip::First, -3, 134), 17..28);
        assert_eq!(dragged(&slab, Grip::First, 50, 134), 27..28);
        assert_eq!(dragged(&slab, Grip::First, -50, 134), 0..28);
        assert_eq!(dragged(&slab, Grip::Last, 5, 134), 20..33);
        assert_eq!(dragged(&slab, Grip::Last, -50, 134), 20..21);
        assert_eq!(dragged(&slab, Grip::Last, 500, 134), 20..134);
        assert_eq!(dragged(&slab, Grip::Whole, -500, 134), 0..8);
        assert_eq!(dragged(&slab, Grip::Whole, 500, 134), 126..134);
        assert_eq!(dragged(&(0..134), Grip::Whole, 5, 134), 0..134);
    }
}
