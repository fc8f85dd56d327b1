//! The export dialog: what is written, how it looks, where to; then how far it is, and what came of it.

mod choices;
mod work;

use eframe::egui::{Align, Button, Context, Frame, Id, Layout, Modal, ProgressBar, RichText, ScrollArea, Ui};

use self::work::Written;
pub(super) use self::work::{Act, ExportDialog};
use super::action::{Action, Place};
use super::compute_panel::progress_text;
use super::session::Session;
use super::theme;
use super::widgets::{error_ui, note_ui};
use crate::export::Patient;
use crate::io::counted;
use crate::job::Monitor;

const KINDS_WIDTH: f32 = 310.0;
const MARGIN: i8 = 14;
const STYLE_WIDTH: f32 = 380.0;
/// Of the window, for what stands around the choices.
const AROUND: f32 = 250.0;

/// Opens the dialog; says whether an export goes on.
pub(super) fn button_ui(ui: &mut Ui, session: &Session, dialog: &ExportDialog, actions: &mut Vec<Action>) {
    let text = if dialog.written.running().is_some() { "Exporting…" } else { "Export…" };
    let help = "Pictures, animations, volumes and numbers of the result, into a folder (Ctrl+E)";
    let button = ui.add_enabled(session.run.ready().is_some(), Button::new(text));
    if button.on_hover_text(help).on_disabled_hover_text("There is no result yet").clicked() {
        actions.push(Action::ExportDialog);
    }
    ui.add_space(4.0);
}

pub(super) fn export_dialog_ui(ctx: &Context, session: &Session, dialog: &ExportDialog, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(Id::unique("export dialog")).frame(frame).show(ctx, |ui| {
        let mut new = session.settings.export.clone();
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
        if new != session.settings.export {
            actions.push(Action::Export(Act::Choose(new)));
        }
        foot_ui(ui, session, dialog, actions);
    });
    if modal.should_close() {
        actions.push(Action::ExportDialog);
    }
}

fn foot_ui(ui: &mut Ui, session: &Session, dialog: &ExportDialog, actions: &mut Vec<Action>) {
    error_ui(ui, dialog.error(), Place::Export, actions);
    match (dialog.written.running(), dialog.written.ready()) {
        (Some(monitor), _) => progress_ui(ui, monitor, actions),
        (None, Some(written)) => written_ui(ui, written, actions),
        (None, None) => start_ui(ui, session, dialog, actions),
    }
}

/// What is in the folder, and the way to begin.
fn start_ui(ui: &mut Ui, session: &Session, dialog: &ExportDialog, actions: &mut Vec<Action>) {
    if let Some(found) = dialog.found.ready() {
        if !found.names.is_empty() {
            let text = format!("Already in this folder: {}", found.names.join(", "));
            ui.label(RichText::new(text).small().color(theme::colors(ui).amber));
            let mut may = dialog.may_replace;
            if ui.checkbox(&mut may, "Replace these files").changed() {
                actions.push(Action::Export(Act::Replace(may)));
            }
        } else if !found.has_folder && !session.settings.export.folder.as_os_str().is_empty() {
            ui.label(RichText::new("This folder will be made").small().color(theme::colors(ui).weak));
        }
    }
    if work::can_tell_patient(session) {
        let mut tells = dialog.patient == Patient::Kept;
        let help = "Name, ID, birth date, sex and the study's number, date and description, so that a PACS files them with the scan. Every visit begins without";
        if ui.checkbox(&mut tells, "DICOM files say whose they are").on_hover_text(help).changed() {
            actions.push(Action::Export(Act::Tell(if tells { Patient::Kept } else { Patient::LeftOut })));
        }
    }
    if let Some(note) = work::note(session) {
        note_ui(ui, note);
    }
    let hindrance = dialog.hindrance(session);
    buttons_ui(ui, hindrance.unwrap_or_default(), actions, |ui, actions| {
        if ui.add_enabled(hindrance.is_none(), Button::new("Export").fill(theme::colors(ui).accent_dim)).clicked() {
            actions.push(Action::Export(Act::Start));
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
            actions.push(Action::Export(Act::Cancel));
        }
    });
}

fn written_ui(ui: &mut Ui, written: &Written, actions: &mut Vec<Action>) {
    let (count, folder) = (written.names.len(), written.folder.display());
    ui.label(RichText::new(format!("{} written to {folder}", counted(count, "file"))).color(theme::colors(ui).strong));
    ui.label(RichText::new(written.names.join(", ")).small());
    buttons_ui(ui, "", actions, |ui, actions| {
        if ui.button("Export again").clicked() {
            actions.push(Action::Export(Act::Again));
        }
        if ui.button("Show in folder").clicked() {
            actions.push(Action::Export(Act::ShowFolder));
        }
    });
}

/// Words at the left; at the right the buttons, the one that closes the dialog last.
fn buttons_ui(ui: &mut Ui, words: &str, actions: &mut Vec<Action>, buttons: impl FnOnce(&mut Ui, &mut Vec<Action>)) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Close").clicked() {
                actions.push(Action::ExportDialog);
            }
            buttons(ui, actions);
        });
    });
}
