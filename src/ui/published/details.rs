//! What is known of one published network.

use egui::{Label, RichText, Ui};

use crate::catalogue::{self, Entry, Is, shown};
use crate::session::action::{Action, Published, Run};
use crate::session::published::PublishedPage;
use crate::ui::theme;
use crate::ui::widgets::note_ui;

const NAME_WIDTH: f32 = 76.0;
/// Digits of a SHA-256 that are shown.
const DIGITS: usize = 16;

pub(super) fn details_ui(ui: &mut Ui, page: &PublishedPage, actions: &mut Vec<Action>) {
    let Some(entry) = page.entry() else { return };
    ui.label(RichText::new(&entry.name).heading().color(theme::colors(ui).strong));
    ui.label(&entry.what);
    ui.add_space(4.0);
    if let Some(why) = &entry.not_yet {
        note_ui(ui, &format!("Parallax does not run it yet: {why}"));
    }
    fact_ui(ui, "Use", article(&entry.role));
    fact_ui(ui, "Trained on", &entry.fed);
    fact_ui(ui, "Licence", &entry.licence.name);
    if let Some(limits) = &entry.licence.limits {
        row_ui(ui, "Limits", |ui| {
            ui.vertical(|ui| {
                ui.add(Label::new(RichText::new(limits).color(theme::colors(ui).amber)).wrap());
                let mut accepted = page.accepted;
                let tick =
                    ui.add_enabled_ui(!entry.files.is_empty(), |ui| ui.checkbox(&mut accepted, "These limits suit me"));
                if tick.inner.changed() {
                    actions.push(Run::Published(Published::Accept(accepted)).into());
                }
            });
        });
    }
    fact_ui(ui, "Size", &size(entry));
    for file in &entry.files {
        fact_ui(ui, if file.is == Is::Weights { "Weights" } else { "Config" }, &file.name);
        row_ui(ui, "", |ui| {
            ui.add(Label::new(RichText::new(known_by(file)).small().color(theme::colors(ui).weak)).wrap());
        });
    }
    row_ui(ui, "Source", |ui| {
        ui.vertical(|ui| {
            ui.add(Label::new(&entry.page).wrap());
            if ui.small_button("Show in the browser").clicked() {
                actions.push(Run::Published(Published::ShowSource).into());
            }
        });
    });
    if let Some(got) = page.brought() {
        ui.add_space(4.0);
        for file in &got.files {
            let words = format!("{}: {}; {}", file.published.name, file.here.words(), file.checked.words());
            ui.label(RichText::new(words).small().color(theme::colors(ui).strong));
        }
        if got.card.as_ref().is_some_and(|(_, same)| !same) {
            note_ui(ui, "A model card was there before, and is left as it is");
        }
    }
}

fn article(role: &str) -> &'static str {
    match role {
        "autoencoder" => "an autoencoder",
        "classifier" => "a classifier",
        "segmenter" => "a segmenter",
        _ => "an encoder without a head",
    }
}

fn size(entry: &Entry) -> String {
    match (entry.size(), entry.files.as_slice()) {
        (Some(size), _) => size,
        (None, []) => "not known; its source has the files".to_owned(),
        (None, _) => "not published; the progress bar says it".to_owned(),
    }
}

/// By what the file will be known to be the right one.
fn known_by(file: &catalogue::Published) -> String {
    let of_packages = match file.parts.len() {
        0 => String::new(),
        parts => {
            let bytes = file.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add);
            format!("joined from {parts} Python packages of {} in all; ", shown(bytes))
        }
    };
    let digits = file.sha256.as_deref().or(file.sha256_begins.as_deref());
    match digits {
        Some(digits) => format!("{of_packages}SHA-256 {}…", digits.get(..DIGITS).unwrap_or(digits)),
        None => format!("{of_packages}no one publishes its SHA-256; the first download records it"),
    }
}

fn fact_ui(ui: &mut Ui, name: &str, value: &str) {
    row_ui(ui, name, |ui| {
        ui.add(Label::new(value).wrap());
    });
}

fn row_ui(ui: &mut Ui, name: &str, value: impl FnOnce(&mut Ui)) {
    ui.horizontal_top(|ui| {
        let width = ui.available_width();
        ui.scope(|ui| {
            ui.set_width(NAME_WIDTH);
            ui.label(RichText::new(name).small().color(theme::colors(ui).weak));
        });
        ui.vertical(|ui| {
            ui.set_width((width - NAME_WIDTH - 12.0).max(0.0));
            value(ui);
        });
    });
}
