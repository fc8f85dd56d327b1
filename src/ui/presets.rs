//! The window presets: a list that a person may change, and take along as JSON.

use anyhow::{Context as _, ensure};
use eframe::egui::{Align2, Button, Context, DragValue, Grid, Id, RichText, Role, TextEdit, Ui, WidgetInfo, Window};

use super::action::Action;
use super::theme;
use super::viewer::{CENTER_HU, WIDTH_HU};
use crate::settings::{Preset, Presets};
use crate::{files, frame, pipeline};

/// More than anyone looks through.
const MOST: usize = 40;
/// Forty presets with the longest names take a tenth of this.
const MOST_BYTES: usize = 1 << 20;
/// What a preset's button has room for, several times.
const MOST_LETTERS: usize = 100;
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
            if ui.add_enabled(new.0.len() < MOST, Button::new("Add the shown window")).clicked() {
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
        actions.push(Action::Presets(new));
    }
    if !open {
        actions.push(Action::EditPresets);
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

/// Presets from a text, as `Copy as JSON` gives them; an error says what is wrong with it.
pub fn presets_from_json(text: &str) -> anyhow::Result<Presets> {
    ensure!(text.len() <= MOST_BYTES, "a text of {} bytes; a list of presets has {MOST_BYTES} at most", text.len());
    let presets: Presets = serde_json::from_str(text).context(
        "this is no list of presets; one looks like [{\"name\": \"Lung\", \"center_hu\": -600, \"width_hu\": 1500}]",
    )?;
    ensure!((1..=MOST).contains(&presets.0.len()), "{} presets; there may be 1 to {MOST}", presets.0.len());
    for Preset { name, window } in &presets.0 {
        ensure!(!name.trim().is_empty(), "a preset has no name; give each one");
        let (shown, letters) = (files::printable(name), name.chars().count());
        ensure!(letters <= MOST_LETTERS, "a preset's name has {letters} letters; there may be {MOST_LETTERS} at most");
        ensure!(
            name.chars().all(files::is_plain),
            "the name \"{shown}\" holds a control character or one that turns the direction of a text; leave it out"
        );
        for (what, value, range) in [("centre", window.center_hu, CENTER_HU), ("width", window.width_hu, WIDTH_HU)] {
            let (low, high) = (range.start(), range.end());
            ensure!(range.contains(&value), "{name} has a {what} of {value} HU; it must lie between {low} and {high}");
        }
    }
    Ok(presets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_from_json_as_it_was() {
        let presets = Presets::default();
        let text = serde_json::to_string_pretty(&presets).unwrap();
        assert_eq!(presets_from_json(&text).unwrap(), presets);
        let lung = r#"[{ "name": "Lung", "center_hu": -600, "width_hu": 1500 }]"#;
        assert_eq!(presets_from_json(lung).unwrap().0[0], presets.0[1]);
    }

    #[test]
    fn what_is_no_list_of_presets_is_refused_in_words() {
        let one = |name: &str, center: &str, width: &str| {
            format!(r#"{{ "name": "{name}", "center_hu": {center}, "width_hu": {width} }}"#)
        };
        for (text, why) in [
            ("[{".to_owned(), "no list of presets"),
            ("[]".to_owned(), "0 presets"),
            (format!("[{}]", one(" ", "0", "9")), "no name"),
            (format!("[{}]", one("\\u001b[2J", "0", "9")), "\"\\u001b[2J\" holds a control character"),
            (format!("[{}]", one(&"A".repeat(101), "0", "9")), "101 letters"),
            (format!("[{}]", one("A", "0", "0")), "A has a width of 0 HU"),
            (format!("[{}]", one("A", "1e30", "9")), "A has a centre of"),
        ] {
            let error = format!("{:#}", presets_from_json(&text).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
