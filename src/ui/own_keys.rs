//! The keys, to be changed: which command has which, and a sheet that takes a new one.

use egui::{Align2, Button, Context, Event, Grid, Id, Key, Modifiers, RichText, Role, ScrollArea, TextEdit};
use egui::{Ui, WidgetInfo, Window};

use super::commands::commands;
use super::key_names::text;
use super::theme;
use super::widgets::holds_words;
use crate::session::Session;
use crate::session::action::{Action, Setting, Sheet, View};
use crate::settings::OwnKeys;

/// Held, it shows the original; it is no command's.
const BLINK: Key = Key::B;
const LIST_HEIGHT: f32 = 420.0;
const KEY_SIZE: [f32; 2] = [150.0, 22.0];

/// What is typed, which command waits for its key, and why a key was not taken.
#[derive(Clone, Default)]
struct Draft {
    text: String,
    waiting: Option<String>,
    refused: Option<String>,
}

/// The list of all commands that can be done now, each with its key as a button that takes another one.
pub(super) fn own_keys_ui(ctx: &Context, session: &Session, actions: &mut Vec<Action>) {
    let id = Id::unique("own keys");
    let mut draft: Draft = ctx.data(|data| data.get_temp(id)).unwrap_or_default();
    let own = &session.model.settings.keys;
    let waits = draft.waiting.is_some();
    let mut new = draft.waiting.clone().and_then(|name| pressed(ctx, &name, own, &mut draft));
    let mut open = waits || !ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
    let window = Window::new("Change the keys").open(&mut open).collapsible(false);
    window.anchor(Align2::CENTER_CENTER, [0.0; 2]).show(ctx, |ui| {
        let search = ui.add(TextEdit::singleline(&mut draft.text).hint_text("Find a command"));
        search.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Find a command"));
        ScrollArea::vertical().max_height(LIST_HEIGHT).show(ui, |ui| list_ui(ui, session, &mut draft, &mut new));
        ui.separator();
        if let Some(name) = &draft.waiting {
            ui.label(format!("Press the new key of \"{name}\". Esc leaves it as it is, Backspace takes its key away."));
        } else if let Some(refused) = &draft.refused {
            ui.label(RichText::new(refused).color(theme::colors(ui).red));
        }
        if ui.add_enabled(!own.0.is_empty(), Button::new("All keys as at first")).clicked() {
            new = Some(OwnKeys::default());
        }
    });
    if let Some(new) = new {
        actions.push(Setting::Keys(new).into());
    }
    if !open {
        actions.push(View::Sheet(Sheet::OwnKeys).into());
        draft = Draft::default();
    }
    ctx.data_mut(|data| data.insert_temp(id, draft));
}

fn list_ui(ui: &mut Ui, session: &Session, draft: &mut Draft, new: &mut Option<OwnKeys>) {
    let own = &session.model.settings.keys;
    let mut all = commands(session);
    all.retain(|command| holds_words(&command.name, &draft.text));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    Grid::new("keys of commands").num_columns(3).striped(true).show(ui, |ui| {
        for command in all {
            ui.label(&command.name);
            let waits = draft.waiting.as_ref() == Some(&command.name);
            let key = if waits { "press a key…".to_owned() } else { command.key_text() };
            let told = if key.is_empty() { "none" } else { &key };
            let name = format!("Key of {}: {told}", command.name);
            let button = ui.add(Button::new(key).min_size(KEY_SIZE.into()).selected(waits));
            button.widget_info(|| WidgetInfo::labeled(Role::Button, true, name.clone()));
            if button.clicked() {
                (draft.waiting, draft.refused) = (Some(command.name.clone()), None);
            }
            if own.0.contains_key(&command.name) {
                let usual = ui.button("Usual key");
                let name = format!("Usual key of {}", command.name);
                usual.widget_info(|| WidgetInfo::labeled(Role::Button, true, name.clone()));
                if usual.clicked() {
                    *new = Some(own.without(&command.name));
                }
            }
            ui.end_row();
        }
    });
}

/// The key that was pressed for a command, as the keys are with it.
fn pressed(ctx: &Context, name: &str, own: &OwnKeys, draft: &mut Draft) -> Option<OwnKeys> {
    let press = ctx.input_mut(|input| {
        let at = input.events.iter().position(|event| matches!(event, Event::Key { pressed: true, .. }))?;
        match input.events.remove(at) {
            Event::Key { key, modifiers, .. } => Some((modifiers, key)),
            _ => None,
        }
    });
    let (modifiers, key) = press?;
    draft.waiting = None;
    match key {
        Key::Escape => None,
        Key::Backspace => Some(own.with(name, "")),
        BLINK if modifiers.is_none() => {
            draft.refused = Some("B shows the original while it is held; choose another key".to_owned());
            None
        }
        _ => Some(own.with(name, &text((modifiers, key)))),
    }
}
