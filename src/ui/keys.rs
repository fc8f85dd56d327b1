//! Keys, and files dropped on the window.

use egui::{Align2, Color32, Context, FontId, Key, LayerId, Modifiers, Order, Popup, Ui};

use super::commands::commands;
use super::theme;
use super::widgets::ink;
use crate::session::Session;
use crate::session::action::{Action, Run, View};
use crate::session::view::Viewer;

/// What was pressed. Plain keys belong to a text field or slider while one has the focus. Presses within one frame all count.
pub(super) fn keys(ctx: &Context, session: &Session, actions: &mut Vec<Action>) {
    let typing = ctx.egui_wants_keyboard_input();
    // Escape closes what is open before it cancels anything.
    if Popup::is_any_open(ctx) {
        return;
    }
    if let Some(sheet) = session.sheet
        && ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape))
    {
        actions.push(View::Sheet(sheet).into());
    }
    for command in commands(session) {
        let Some((modifiers, key)) = command.key.filter(|_| command.everywhere || !typing) else { continue };
        let presses = ctx.input_mut(|input| input.count_and_consume_key(modifiers, key));
        actions.extend(std::iter::repeat_n(command.action, presses));
    }
}

/// The original stands in the counterfactual's place while B is held.
pub(super) fn blinks(ctx: &Context, viewer: &Viewer, actions: &mut Vec<Action>) {
    let held = !ctx.egui_wants_keyboard_input() && ctx.input(|input| input.key_down(Key::B));
    if held != viewer.blink {
        actions.push(View::Blink(held).into());
    }
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
        painter.text(
            all.center(),
            Align2::CENTER_CENTER,
            "Drop to open",
            FontId::proportional(28.0),
            theme::DARK.strong,
        );
        ink(
            &painter,
            all.center() + egui::vec2(0.0, 30.0),
            Align2::CENTER_CENTER,
            "a scan file, a DICOM folder, a session, a cohort, or a model card",
            theme::DARK.weak,
        );
    }
    if !paths.is_empty() {
        actions.push(Run::Drop(paths).into());
    }
}
