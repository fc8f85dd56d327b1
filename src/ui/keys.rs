//! Keys, and files dropped on the window.

use eframe::egui::{Align2, Color32, Context, FontId, Key, LayerId, Modifiers, Order, Ui};

use super::action::{Action, Wanted};
use super::session::Session;
use super::theme;
use super::viewer::Viewer;
use super::widgets::ink;
use crate::frame::{PRESETS, Plane};

const NUMBERS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// What was pressed, unless it belongs to a text field or a focused slider.
pub(super) fn keys(ctx: &Context, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    if ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::O)) {
        actions.push(Action::Ask(Wanted::ScanFile));
    }
    if ctx.egui_wants_keyboard_input() {
        return;
    }
    let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    for (key, (_, window)) in NUMBERS.into_iter().zip(PRESETS) {
        if pressed(key) {
            actions.push(Action::Window(window));
        }
    }
    for (key, plane) in [(Key::A, Plane::Axial), (Key::C, Plane::Coronal), (Key::S, Plane::Sagittal)] {
        if pressed(key) {
            actions.push(Action::Plane(plane));
        }
    }
    for (key, slices) in [(Key::ArrowUp, 1), (Key::ArrowDown, -1), (Key::PageUp, 10), (Key::PageDown, -10)] {
        if pressed(key) {
            actions.push(Action::Scroll(slices));
        }
    }
    let Some(run) = session.run.ready() else { return };
    let last = run.result.steps.len() as f32 - 1.0;
    for (key, step) in [
        (Key::ArrowLeft, viewer.step.ceil() - 1.0),
        (Key::ArrowRight, viewer.step.floor() + 1.0),
        (Key::Home, 0.0),
        (Key::End, last),
    ] {
        if pressed(key) {
            actions.push(Action::Step(step.clamp(0.0, last)));
        }
    }
    if pressed(Key::Space) {
        actions.push(Action::TogglePlay);
    }
}

/// Opens what is dropped; says so while something is held over the window.
pub(super) fn dropped(ui: &Ui, actions: &mut Vec<Action>) {
    let (held, path) = ui.input(|input| {
        let path = input.raw.dropped_files.first().map(|file| file.path().to_path_buf());
        (!input.raw.hovered_files.is_empty(), path)
    });
    if held {
        let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, ui.scope_id().with("drop")));
        let all = ui.ctx().content_rect();
        painter.rect_filled(all, 0.0, Color32::from_black_alpha(160));
        painter.text(all.center(), Align2::CENTER_CENTER, "Drop to open", FontId::proportional(28.0), theme::STRONG);
        ink(
            &painter,
            all.center() + eframe::egui::vec2(0.0, 30.0),
            Align2::CENTER_CENTER,
            "a scan file or a DICOM folder",
            theme::WEAK,
        );
    }
    actions.extend(path.map(Action::Open));
}
