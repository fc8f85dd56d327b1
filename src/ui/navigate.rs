//! The mouse on a pane: slices, window, zoom, pan, where the planes cross. `help.rs` says which does what.

use egui::{self, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Response, Stroke, StrokeKind, Ui};
use glam::DVec3;

use super::measure::Pencil;
use super::places::place_at;
use super::theme;
use crate::frame::Window;
use crate::frame::paint::probe;
use crate::session::action::{Action, View};
use crate::session::view::Viewer;
use crate::session::view::arrange::Picture;
use crate::settings::Mouse;
use crate::volume::Grid;

/// A drag over so many points doubles a window, or moves it by its width: slow in narrow windows, quick in wide ones.
const POINTS_PER_WIDTH: f32 = 250.0;
/// A drag of this many points doubles the zoom.
const POINTS_PER_DOUBLING: f64 = 120.0;
/// Wheels that count in points: so many are one slice.
const POINTS_PER_SLICE: f32 = 40.0;

/// A pane under the mouse.
pub(super) struct Pane<'a> {
    pub(super) response: &'a Response,
    pub(super) picture: &'a Picture,
    pub(super) viewer: &'a Viewer,
    pub(super) grid: &'a Grid,
    pub(super) mouse: Mouse,
}

/// What a drag does.
#[derive(Clone, Copy, PartialEq)]
enum Drag {
    Window,
    /// The window of what lies in a box.
    Box,
    /// A measurement.
    Draw,
    Zoom,
    Pan,
    Cursor,
}

#[derive(Clone, Copy)]
struct Begun {
    what: Drag,
    from: Pos2,
}

impl Pane<'_> {
    /// Acts on what the mouse does; gives the place under the pointer.
    pub(super) fn act(&self, ui: &Ui, actions: &mut Vec<Action>) -> Option<DVec3> {
        let response = self.response;
        self.drag(ui, actions);
        if response.double_clicked() {
            let display = self.viewer.display.maximised(self.picture.shown);
            actions.extend([View::Plane(self.picture.plane).into(), View::Display(display).into()]);
        }
        let pointer = response.hover_pos()?;
        let place = self.place(ui, pointer);
        let place_of = |at| self.place(ui, at);
        let measured = self.pencil(&place_of).hover(ui, pointer, actions);
        if response.clicked() && !response.double_clicked() && !measured {
            actions.push(View::Cursor(place).into());
        }
        let zoom = ui.input(egui::InputState::zoom_delta);
        if zoom != 1.0 {
            actions.push(View::Zoom(f64::from(zoom), Some(place)).into());
        }
        let [slices, steps] = ui.input(wheel);
        if slices != 0.0 {
            actions.push(View::Wheel(self.picture.plane, slices).into());
        }
        if steps != 0.0 {
            actions.push(View::WheelLambda(steps).into());
        }
        Some(place)
    }

    fn drag(&self, ui: &Ui, actions: &mut Vec<Action>) {
        let Some(Begun { what, from }) = self.drag_of(ui) else { return };
        let by = self.response.drag_delta();
        let pixels_per_point = f64::from(ui.ctx().pixels_per_point());
        match what {
            Drag::Box => self.drag_box(ui, from, actions),
            Drag::Draw => self.pencil(&|at| self.place(ui, at)).drag(from, actions),
            _ if by == egui::Vec2::ZERO => {}
            Drag::Window => {
                let Window { center_hu, width_hu } = self.viewer.window;
                let hu_per_point = width_hu.max(POINTS_PER_WIDTH / 4.0) / POINTS_PER_WIDTH;
                actions.push(
                    View::Window(Window {
                        center_hu: center_hu + by.y * hu_per_point,
                        width_hu: width_hu + by.x * hu_per_point,
                    })
                    .into(),
                );
            }
            Drag::Zoom => {
                let factor = (f64::from(-by.y) / POINTS_PER_DOUBLING).exp2();
                actions.push(View::Zoom(factor, Some(self.place(ui, from))).into());
            }
            Drag::Pan => {
                let pixels = [f64::from(by.x) * pixels_per_point, f64::from(by.y) * pixels_per_point];
                actions.push(View::Pan(self.picture.plane, pixels).into());
            }
            Drag::Cursor => {
                if let Some(at) = self.response.interact_pointer_pos() {
                    actions.push(View::Cursor(self.place(ui, at)).into());
                }
            }
        }
    }

    /// What the drag going on does: by button, scheme, and the keys held when it began.
    fn drag_of(&self, ui: &Ui) -> Option<Begun> {
        let id = self.response.id.with("drag");
        if self.response.drag_started() {
            let from = ui.input(|input| input.pointer.press_origin());
            let begun = self.drag_begun(ui).zip(from).map(|(what, from)| Begun { what, from });
            ui.data_mut(|data| data.insert_temp(id, begun));
        }
        let going = self.response.dragged() || self.response.drag_stopped();
        if going { ui.data(|data| data.get_temp::<Option<Begun>>(id)).flatten() } else { None }
    }

    fn drag_begun(&self, ui: &Ui) -> Option<Drag> {
        let by = |button| self.response.drag_started_by(button);
        let held = ui.input(|input| input.modifiers);
        let [left, right] = match self.mouse {
            Mouse::Pacs => [Drag::Window, Drag::Zoom],
            Mouse::Research => [Drag::Cursor, Drag::Window],
        };
        match () {
            () if by(PointerButton::Middle) || (by(PointerButton::Primary) && held.shift) => Some(Drag::Pan),
            () if by(PointerButton::Primary) && held.command => Some(Drag::Box),
            () if by(PointerButton::Primary) && self.viewer.measurements.tool.is_some() => Some(Drag::Draw),
            () if by(PointerButton::Primary) => Some(left),
            () => by(PointerButton::Secondary).then_some(right),
        }
    }

    fn pencil<'a>(&'a self, place: &'a dyn Fn(Pos2) -> DVec3) -> Pencil<'a> {
        Pencil { response: self.response, picture: self.picture, viewer: self.viewer, grid: self.grid, place }
    }

    /// Draws the box while it is dragged; at its end, takes the window of what lies in it.
    fn drag_box(&self, ui: &Ui, from: Pos2, actions: &mut Vec<Action>) {
        const SAMPLES: usize = 64;
        let Some(to) = self.response.interact_pointer_pos() else { return };
        let area = Rect::from_two_pos(from, to).intersect(self.response.rect);
        if !self.response.drag_stopped() {
            let painter = ui.painter_at(self.response.rect);
            painter.rect_stroke(area, 0.0, Stroke::new(1.0, theme::DARK.accent), StrokeKind::Inside);
            return;
        }
        let at = |i: usize, n: usize| (i as f32 + 0.5) / n as f32;
        let places = (0..SAMPLES * SAMPLES).map(|n| {
            let share = egui::vec2(at(n % SAMPLES, SAMPLES), at(n / SAMPLES, SAMPLES));
            self.place(ui, area.min + share * area.size())
        });
        let look = self.picture.look;
        let values = places.filter_map(|place| probe(&self.picture.layers, look.content, look.step, place));
        if let Some(window) = Window::of(values.collect()) {
            actions.push(View::Window(window).into());
        }
    }

    fn place(&self, ui: &Ui, at: Pos2) -> DVec3 {
        let pixels_per_point = f64::from(ui.ctx().pixels_per_point());
        place_at(self.viewer, self.picture.plane, self.grid, self.response.rect, at, pixels_per_point)
    }
}

/// Slices, and with Shift steps along lambda, that the wheel has turned in this frame; up is positive.
fn wheel(input: &egui::InputState) -> [f32; 2] {
    let mut turned = [0.0; 2];
    for event in &input.events {
        let egui::Event::MouseWheel { unit, delta, modifiers, .. } = event else { continue };
        if modifiers.contains(Modifiers::COMMAND) {
            continue; // a zoom
        }
        // Some systems turn a wheel sideways while Shift is held.
        let delta = if delta.y == 0.0 { delta.x } else { delta.y };
        let by = match unit {
            MouseWheelUnit::Point => delta / POINTS_PER_SLICE,
            MouseWheelUnit::Line | MouseWheelUnit::Page => delta,
        };
        turned[usize::from(modifiers.shift)] += by;
    }
    turned
}
