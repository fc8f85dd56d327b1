//! The palette: everything that can be done, found by its name.

use egui::{Align, Context, Frame, Id, Key, Layout, Modal, Modifiers, RichText, ScrollArea, TextEdit, Ui};

use super::commands::{Command, commands};
use super::theme;
use super::widgets::holds_words;
use crate::session::Session;
use crate::session::action::{Action, Sheet, View};

const WIDTH: f32 = 460.0;
const HEIGHT: f32 = 360.0;

/// What is typed, and which of the commands found is chosen.
#[derive(Clone, Default)]
struct Draft {
    text: String,
    at: usize,
}

pub(super) fn palette_ui(ctx: &Context, session: &Session, actions: &mut Vec<Action>) {
    let id = Id::unique("palette");
    let mut draft: Draft = ctx.data(|data| data.get_temp(id)).unwrap_or_default();
    let frame = Frame::popup(&ctx.global_style()).inner_margin(10);
    let modal = Modal::new(id).frame(frame).show(ctx, |ui| {
        ui.set_width(WIDTH);
        let moved = moved(ui);
        let field = TextEdit::singleline(&mut draft.text).id(id.with("text")).hint_text("What shall be done?");
        let field = ui.add(field.desired_width(f32::INFINITY));
        field.request_focus();
        if field.changed() {
            draft.at = 0;
        }
        let found = found(session, &draft.text);
        draft.at = draft.at.saturating_add_signed(moved).min(found.len().saturating_sub(1));
        let enter = ui.input(|input| input.key_pressed(Key::Enter));
        let mut done = enter.then(|| found.get(draft.at)).flatten();
        ScrollArea::vertical().max_height(HEIGHT).min_scrolled_height(HEIGHT).auto_shrink([false, true]).show(
            ui,
            |ui| {
                for (at, command) in found.iter().enumerate() {
                    if row_ui(ui, command, at == draft.at) {
                        done = Some(command);
                    }
                    if at == draft.at && moved != 0 {
                        ui.scroll_to_cursor(None); // keys may have moved it out of view
                    }
                }
            },
        );
        if found.is_empty() {
            ui.label(RichText::new("nothing of that name can be done now").small().color(theme::colors(ui).weak));
        }
        done.map(|command| command.action.clone())
    });
    let close = modal.should_close();
    match modal.inner {
        Some(action) => {
            // The palette goes first: what is done may be another sheet.
            actions.extend([View::Sheet(Sheet::Palette).into(), action]);
            draft = Draft::default();
        }
        None if close => {
            actions.push(View::Sheet(Sheet::Palette).into());
            draft = Draft::default();
        }
        None => {}
    }
    ctx.data_mut(|data| data.insert_temp(id, draft));
}

/// Rows down, or up, that were asked for by keys.
fn moved(ui: &Ui) -> isize {
    let count = |key| ui.input_mut(|input| input.count_and_consume_key(Modifiers::NONE, key)) as isize;
    count(Key::ArrowDown) - count(Key::ArrowUp)
}

/// Commands whose names hold every word, each name once.
fn found(session: &Session, text: &str) -> Vec<Command> {
    let mut found: Vec<Command> = commands(session)
        .into_iter()
        .filter(|command| command.action != View::Sheet(Sheet::Palette).into() && holds_words(&command.name, text))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// One command with its key; gives whether it was pressed.
fn row_ui(ui: &mut Ui, command: &Command, on: bool) -> bool {
    let row = ui.horizontal(|ui| {
        let pressed = ui.selectable_label(on, &command.name);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new(command.key_text()).small().color(theme::colors(ui).weak));
        });
        pressed.clicked()
    });
    row.inner
}
