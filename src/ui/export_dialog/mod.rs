//! The export dialog: what is written, how it looks, where to; then how far it is, and what came of it.

mod choices;

use egui::{Align, Button, Context, Frame, Id, Layout, Modal, ProgressBar, RichText, ScrollArea, Ui};

use super::progress::progress_text;
use super::theme;
use super::widgets::{error_ui, note_ui};
use crate::export::Patient;
use crate::io::counted;
use crate::job::Monitor;
use crate::session::action::{Action, Export, Place, Setting, Sheet, View};
use crate::session::exporting::{self, Exporting, Written};
use crate::session::model::Model;

const KINDS_WIDTH: f32 = 310.0;
const MARGIN: i8 = 14;
const STYLE_WIDTH: f32 = 380.0;
/// What stands around the choices takes so much of the window, points.
const AROUND: f32 = 250.0;

/// Opens the dialog; says whether an export goes on.
pub(super) fn button_ui(ui: &mut Ui, model: &Model, dialog: &Exporting, actions: &mut Vec<Action>) {
    let text = if dialog.written.running().is_some() { "Exporting…" } else { "Export…" };
    let help = "Pictures, animations, volumes and numbers of the result, into a folder (Ctrl+E)";
    let button = ui.add_enabled(model.run.ready().is_some(), Button::new(text));
    if button.on_hover_text(help).on_disabled_hover_text("There is no result yet").clicked() {
        actions.push(View::Sheet(Sheet::Export).into());
    }
}

pub(super) fn export_dialog_ui(ctx: &Context, model: &Model, dialog: &Exporting, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(Id::unique("export dialog")).frame(frame).show(ctx, |ui| {
        let mut new = model.settings.export.clone();
        ui.label(RichText::new("Export the result").heading().color(theme::colors(ui).strong));
        ui.add_space(4.0);
        ui.add_enabled_ui(dialog.written.running().is_none(), |ui| {
            let room = (ctx.content_rect().height() - AROUND).max(0.0);
            ScrollArea::vertical().max_height(room).show(ui, |ui| {
                ui.horizontal_top(|ui| {
                    ui.vertical(|ui| {
                        ui.set_width(KINDS_WIDTH);
                        choices::kinds_ui(ui, &mut new.kinds);
                    });
                    ui.vertical(|ui| {
                        ui.set_width(STYLE_WIDTH);
                        choices::preview_ui(ui, dialog, new.style.layout);
                        choices::style_ui(ui, &mut new);
                    });
                });
            });
            ui.separator();
            choices::folder_ui(ui, &mut new.folder, actions);
        });
        if new != model.settings.export {
            actions.push(Setting::Exports(new).into());
        }
        foot_ui(ui, model, dialog, actions);
    });
    if modal.should_close() {
        actions.push(View::Sheet(Sheet::Export).into());
    }
}

fn foot_ui(ui: &mut Ui, model: &Model, dialog: &Exporting, actions: &mut Vec<Action>) {
    error_ui(ui, dialog.error(), Place::Export, actions);
    match (dialog.written.running(), dialog.written.ready()) {
        (Some(monitor), _) => progress_ui(ui, monitor, actions),
        (None, Some(written)) => written_ui(ui, written, actions),
        (None, None) => start_ui(ui, model, dialog, actions),
    }
}

/// What is in the folder, and the way to begin.
fn start_ui(ui: &mut Ui, model: &Model, dialog: &Exporting, actions: &mut Vec<Action>) {
    if let Some(found) = dialog.found.ready() {
        if !found.names.is_empty() {
            let text = format!("Already in this folder: {}", found.names.join(", "));
            ui.label(RichText::new(text).small().color(theme::colors(ui).amber));
            let mut may = dialog.may_replace;
            if ui.checkbox(&mut may, "Replace these files").changed() {
                actions.push(Export::Replace(may).into());
            }
        } else if !found.has_folder && !model.settings.export.folder.as_os_str().is_empty() {
            ui.label(RichText::new("This folder will be made").small().color(theme::colors(ui).weak));
        }
    }
    if exporting::can_tell_patient(model) {
        let mut tells = dialog.patient == Patient::Kept;
        let help = "Name, ID, birth date, sex and the study's number, date and description, so that a PACS files them with the scan. Every visit begins without";
        if ui.checkbox(&mut tells, "DICOM files say whose they are").on_hover_text(help).changed() {
            actions.push(Export::Tell(if tells { Patient::Kept } else { Patient::LeftOut }).into());
        }
    }
    if let Some(note) = exporting::note(model) {
        note_ui(ui, note);
    }
    let hindrance = dialog.hindrance(model);
    buttons_ui(ui, hindrance.unwrap_or_default(), actions, |ui, actions| {
        if ui.add_enabled(hindrance.is_none(), Button::new("Export").fill(theme::colors(ui).accent_dim)).clicked() {
            actions.push(Export::Start.into());
        }
    });
}

fn progress_ui(ui: &mut Ui, monitor: &Monitor, actions: &mut Vec<Action>) {
    let progress = monitor.progress();
    let bar = ProgressBar::new(progress.and_then(|p| p.fraction()).unwrap_or(0.0)).animate(false);
    ui.label(RichText::new(progress.map_or("waiting", |p| p.phase)).color(theme::colors(ui).strong));
    ui.add(if let Some(progress) = progress { bar.text(progress_text(&progress)) } else { bar });
    let stopping = monitor.check().is_err();
    let text = if stopping { "Stopping after this piece of work" } else { "Nothing is written before all is made" };
    buttons_ui(ui, text, actions, |ui, actions| {
        if ui.add_enabled(!stopping, Button::new("Cancel the export")).clicked() {
            actions.push(Export::Cancel.into());
        }
    });
}

fn written_ui(ui: &mut Ui, written: &Written, actions: &mut Vec<Action>) {
    let (count, folder) = (written.names.len(), written.folder.display());
    ui.label(RichText::new(format!("{} written to {folder}", counted(count, "file"))).color(theme::colors(ui).strong));
    ui.label(RichText::new(written.names.join(", ")).small());
    buttons_ui(ui, "", actions, |ui, actions| {
        if ui.button("Export again").clicked() {
            actions.push(Export::Again.into());
        }
        if ui.button("Show in folder").clicked() {
            actions.push(Export::ShowFolder.into());
        }
        if ui.button("Send results…").on_hover_text("Maps, segmentation and animation to a PACS").clicked() {
            actions.extend([View::Sheet(Sheet::Export).into(), View::Sheet(Sheet::Send).into()]);
        }
    });
}

/// Words at the left; at the right the buttons, the one that closes the dialog last.
fn buttons_ui(ui: &mut Ui, words: &str, actions: &mut Vec<Action>, buttons: impl FnOnce(&mut Ui, &mut Vec<Action>)) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Close").clicked() {
                actions.push(View::Sheet(Sheet::Export).into());
            }
            buttons(ui, actions);
        });
    });
}
