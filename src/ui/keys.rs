//! Keys, and files dropped on the window.

use eframe::egui::{Align2, Color32, Context, FontId, Key, LayerId, Modifiers, Order, Popup, Ui};

use super::action::{Action, Wanted};
use super::display::Display;
use super::session::Session;
use super::theme;
use super::viewer::Viewer;
use super::widgets::ink;
use crate::frame::{PRESETS, Plane, Sampling};

const NUMBERS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// What was pressed. Plain keys belong to a text field or slider while one has the focus.
pub(super) fn keys(ctx: &Context, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    let pressed = |modifiers, key| ctx.input_mut(|input| input.consume_key(modifiers, key));
    // The longer combination first: egui lets the shorter one match it too.
    if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::O) {
        actions.push(Action::Ask(Wanted::ScanFolder));
    }
    if pressed(Modifiers::COMMAND, Key::O) {
        actions.push(Action::Ask(Wanted::ScanFile));
    }
    if pressed(Modifiers::COMMAND, Key::Enter) && session.missing().is_none() {
        actions.push(Action::Explain);
    }
    if ctx.egui_wants_keyboard_input() {
        return;
    }
    let cancel = match (session.run.running(), session.scan.running()) {
        (Some(_), _) => Some(Action::Cancel),
        (None, Some(_)) => Some(Action::CancelOpening),
        (None, None) => None,
    };
    // An open list is closed first.
    if let Some(cancel) = cancel.filter(|_| !Popup::is_any_open(ctx))
        && pressed(Modifiers::NONE, Key::Escape)
    {
        actions.push(cancel);
    }
    let mut on = |key, action: Action| {
        if pressed(Modifiers::NONE, key) {
            actions.push(action);
        }
    };
    for (key, (_, window)) in NUMBERS.into_iter().zip(PRESETS) {
        on(key, Action::Window(window));
    }
    on(Key::A, Action::Plane(Plane::Axial));
    on(Key::C, Action::Plane(Plane::Coronal));
    on(Key::S, Action::Plane(Plane::Sagittal));
    on(Key::F, Action::Fit);
    on(Key::J, Action::MostChanged);
    on(Key::ArrowUp, Action::Scroll(1));
    on(Key::ArrowDown, Action::Scroll(-1));
    on(Key::PageUp, Action::Scroll(10));
    on(Key::PageDown, Action::Scroll(-10));
    on(Key::Home, Action::Slice(0));
    on(Key::End, Action::Slice(usize::MAX));
    display_keys(&mut on, viewer.display);
    let Some(run) = session.run.ready() else { return };
    let last = run.result.steps.len() as f32 - 1.0;
    on(Key::ArrowLeft, Action::Step((viewer.step.ceil() - 1.0).max(0.0)));
    on(Key::ArrowRight, Action::Step((viewer.step.floor() + 1.0).min(last)));
    if last > 0.0 {
        on(Key::Space, Action::TogglePlay);
    }
}

/// What the panes show.
fn display_keys(on: &mut impl FnMut(Key, Action), now: Display) {
    let flipped = match now.sampling {
        Sampling::Linear => Sampling::Nearest,
        Sampling::Nearest => Sampling::Linear,
    };
    for (key, then) in [
        (Key::L, Display { layout: now.layout.next(), ..now }),
        (Key::D, Display { detail_kept: !now.detail_kept, ..now }),
        (Key::O, Display { overlay: !now.overlay, ..now }),
        (Key::M, Display { projection: !now.projection, ..now }),
        (Key::N, Display { sampling: flipped, ..now }),
        (Key::W, now.swiping(now.swipe.is_none())),
    ] {
        on(key, Action::Display(then));
    }
}

/// Whether the original shall stand in the counterfactual's place: while B is held.
pub(super) fn blinks(ctx: &Context) -> bool {
    !ctx.egui_wants_keyboard_input() && ctx.input(|input| input.key_down(Key::B))
}

/// Opens what is dropped; says so while something is held over the window.
pub(super) fn dropped(ui: &Ui, actions: &mut Vec<Action>) {
    let (held, paths) = ui.input(|input| {
        let paths: Vec<_> = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect();
        (!input.raw.hovered_files.is_empty(), paths)
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
            "a scan file, a DICOM folder, or a model card",
            theme::WEAK,
        );
    }
    if !paths.is_empty() {
        actions.push(Action::Drop(paths));
    }
}
