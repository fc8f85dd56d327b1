//! The window presets: a list that a person may change, and take along as JSON.

use egui::{Align2, Button, Context, DragValue, Grid, Id, RichText, Role, TextEdit, Ui, WidgetInfo, Window};

use super::theme;
use crate::session::action::{Action, Setting, Sheet, View};
use crate::settings::{CENTER_HU, MOST_PRESETS, Preset, Presets, WIDTH_HU, presets_from_json};
use crate::{frame, pipeline};

const NAME_SIZE: [f32; 2] = [150.0, 24.0];

/// What is typed as JSON, and why it was not taken.
#[derive(Clone, Default)]
struct Draft {
    text: String,
    error: Option<String>,
}

pub(super) fn presets_ui(ctx: &Context, presets: &Presets, shown: frame::Window, actions: &mut Vec<Action>) {
    let (mut open, mut new) = (true, presets.clone());
    let window =
        Window::new("Window presets").open(&mut open).collapsible(false).anchor(Align2::CENTER_CENTER, [0.0; 2]);
    window.show(ctx, |ui| {
        list_ui(ui, &mut new.0);
        ui.horizontal(|ui| {
            if ui.add_enabled(new.0.len() < MOST_PRESETS, Button::new("Add the shown window")).clicked() {
                new.0.push(Preset { name: "Own".to_owned(), window: shown });
            }
            if ui.button("All as at first").clicked() {
                new = Presets::default();
            }
            if ui.button("Copy as JSON").clicked() {
                ui.copy_text(serde_json::to_string_pretty(&new).expect("names and finite numbers are JSON"));
            }
        });
        json_ui(ui, &mut new);
    });
    if new != *presets {
        actions.push(Setting::Presets(new).into());
    }
    if !open {
        actions.push(View::Sheet(Sheet::Presets).into());
    }
}

fn list_ui(ui: &mut Ui, presets: &mut Vec<Preset>) {
    let mut removed = None;
    Grid::new("presets").num_columns(5).show(ui, |ui| {
        ui.label(RichText::new("Key").color(theme::colors(ui).weak));
        let head =
            ["Name", "Centre", "Width"].map(|name| ui.label(RichText::new(name).color(theme::colors(ui).weak)).id);
        ui.end_row();
        for (i, preset) in presets.iter_mut().enumerate() {
            ui.label(if i < 9 { (i + 1).to_string() } else { String::new() });
            // A grid gives a bare field no more room than its head has.
            ui.add_sized(NAME_SIZE, TextEdit::singleline(&mut preset.name)).labelled_by(head[0]);
            let number = |value, range| DragValue::new(value).range(range).max_decimals(0).suffix(" HU");
            ui.add(number(&mut preset.window.center_hu, CENTER_HU)).labelled_by(head[1]);
            ui.add(number(&mut preset.window.width_hu, WIDTH_HU)).labelled_by(head[2]);
            let button = ui.button("Remove");
            button.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Remove {}", preset.name)));
            if button.clicked() {
                removed = Some(i);
            }
            ui.end_row();
        }
    });
    if let Some(i) = removed {
        presets.remove(i);
    }
}

/// A list from elsewhere takes this one's place.
fn json_ui(ui: &mut Ui, presets: &mut Presets) {
    let id = Id::unique("presets as JSON");
    let mut draft: Draft = ui.data_mut(|data| data.get_temp(id)).unwrap_or_default();
    ui.horizontal(|ui| {
        let label = ui.label("From JSON");
        ui.add(TextEdit::singleline(&mut draft.text).hint_text("paste a list here")).labelled_by(label.id);
        if ui.add_enabled(!draft.text.trim().is_empty(), Button::new("Take")).clicked() {
            draft = match presets_from_json(&draft.text) {
                Ok(read) => {
                    *presets = read;
                    Draft::default()
                }
                Err(error) => Draft { error: Some(pipeline::in_words(&error)), ..draft.clone() },
            };
        }
    });
    if let Some(error) = &draft.error {
        ui.label(RichText::new(error).color(theme::colors(ui).red));
    }
    ui.data_mut(|data| data.insert_temp(id, draft));
}
