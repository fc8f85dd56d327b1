//! Asks for the password or the token of a source, in a field that shows no letter.

use egui::text_edit::TextEditState;
use egui::{Align, Button, Context, Frame, Id, Key, Layout, Modal, RichText, TextEdit, Ui};

use crate::pacs::Secret;
use crate::session::action::{Action, Archive as Act};
use crate::session::archive::passwords::{Asked, Passwords};
use crate::ui::theme;

const MARGIN: i8 = 14;
const WIDTH: f32 = 380.0;

/// What is typed. It is forgotten when the question goes.
#[derive(Clone, Default)]
struct Draft {
    typed: String,
    keep: bool,
}

/// Asks, while something is asked.
pub(in crate::ui) fn password_ui(ctx: &Context, passwords: &Passwords, actions: &mut Vec<Action>) {
    let id = Id::unique("password of a source");
    let Some(asked) = &passwords.asked else {
        forget(ctx, id);
        return;
    };
    let mut draft: Draft = ctx.data(|data| data.get_temp(id)).unwrap_or_default();
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(id.with("modal")).frame(frame).show(ctx, |ui| {
        ui.set_width(WIDTH);
        question_ui(ui, id, asked, &mut draft)
    });
    let done = match modal.inner {
        Some(true) if !draft.typed.is_empty() => {
            Some(Act::Password { secret: Secret::new(std::mem::take(&mut draft.typed)), keep: draft.keep })
        }
        Some(false) => Some(Act::NoPassword),
        _ if modal.should_close() => Some(Act::NoPassword),
        _ => None,
    };
    if let Some(done) = done {
        actions.push(done.into());
        forget(ctx, id);
    } else {
        ctx.data_mut(|data| data.insert_temp(id, draft));
    }
}

/// Takes what was typed out of memory, and what the field could undo to.
fn forget(ctx: &Context, id: Id) {
    ctx.data_mut(|data| data.remove::<Draft>(id));
    TextEditState::default().store(ctx, id.with("text"));
}

/// The question; gives whether it was answered, or put away.
fn question_ui(ui: &mut Ui, id: Id, asked: &Asked, draft: &mut Draft) -> Option<bool> {
    let Asked { source, what, why, .. } = asked;
    let title = format!("The {what} of {}", source.name);
    let label = ui.label(RichText::new(&title).heading().color(theme::colors(ui).strong));
    ui.label(RichText::new(source.address()).small().color(theme::colors(ui).weak));
    if !why.is_empty() {
        ui.label(RichText::new(why).small().color(theme::colors(ui).weak));
    }
    let field = TextEdit::singleline(&mut draft.typed).id(id.with("text")).password(true);
    let field = ui.add(field.desired_width(f32::INFINITY)).labelled_by(label.id);
    let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if ui.memory(|memory| memory.focused().is_none()) {
        field.request_focus();
    }
    let help = "Unticked, it is known until this window is closed; it is never in a file of Parallax";
    ui.checkbox(&mut draft.keep, "Keep it in this system's keyring").on_hover_text(help);
    let pressed = ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let cancels = ui.button("Leave it").clicked();
            let button = Button::new("Continue").fill(theme::colors(ui).accent_dim);
            let goes_on = ui.add_enabled(!draft.typed.is_empty(), button).clicked();
            (goes_on, cancels)
        })
    });
    match pressed.inner.inner {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ if enter => Some(true),
        _ => None,
    }
}
