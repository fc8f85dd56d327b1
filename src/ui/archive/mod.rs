//! The page of archives: a source, what is looked for, the studies that were found, and the series of one as cards.

mod cards;
mod password;
mod sources;
mod studies;

use egui::{
    Align, ComboBox, Context, Frame, Id, Key, Layout, Modal, ProgressBar, RichText, Role, ScrollArea, Spinner,
    TextEdit, Ui, WidgetInfo, vec2,
};

pub(super) use self::password::password_ui;
use super::progress::progress_text;
use super::theme;
use super::widgets::error_ui;
use crate::catalogue::HAS_NETWORK;
use crate::job::Monitor;
use crate::session::action::{Action, Archive as Act, Place, Sheet, View};
use crate::session::archive::Archive;
use crate::session::archive::act::Sources;
use crate::session::archive::form::Form;
use crate::session::model::Model;

const MARGIN: i8 = 14;
const WIDEST: f32 = 1060.0;
/// What stands beside the page takes so much of the window, points.
const BESIDE: f32 = 70.0;
/// What stands above and below the lists takes so much of the window, points.
const AROUND: f32 = 300.0;
const LIST_SHARE: f32 = 0.42;
const GAP: f32 = 10.0;
const SOURCE_WIDTH: f32 = 180.0;

/// Opens the page of archives.
pub(super) fn archive_ui(ctx: &Context, model: &Model, archive: &Archive, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let width = (ctx.content_rect().width() - BESIDE).min(WIDEST);
    let modal = Modal::new(Id::unique("archive")).frame(frame).show(ctx, |ui| {
        ui.set_width(width);
        let room = (ctx.content_rect().height() - AROUND).max(120.0);
        head_ui(ui, archive, actions);
        if archive.sources.shown {
            sources::sources_ui(ui, archive, room, actions);
        } else {
            search_ui(ui, model, archive, room, actions);
        }
        ui.separator();
        foot_ui(ui, archive, actions);
    });
    // Escape closes the question for a password first, which lies over the page.
    if modal.should_close() && archive.passwords.asked.is_none() {
        actions.push(View::Sheet(Sheet::Archive).into());
    }
}

fn head_ui(ui: &mut Ui, archive: &Archive, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let title = if archive.sources.shown { "Sources of scans" } else { "Open from PACS" };
        ui.label(RichText::new(title).heading().color(theme::colors(ui).strong));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let (text, help) = if archive.sources.shown {
                ("Back to the search", "The form and what was found")
            } else {
                ("Sources…", "Add, change, try or remove archives")
            };
            if ui.button(text).on_hover_text(help).clicked() {
                actions.push(Act::Sources(Sources::Show(!archive.sources.shown)).into());
            }
        });
    });
    let text = if HAS_NETWORK {
        "Nothing is asked of an archive before you press Search, and nothing leaves this machine but the question"
    } else {
        "This build of Parallax reaches no network: no archive can be asked"
    };
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    ui.add_space(4.0);
}

/// The form, the studies and the series.
fn search_ui(ui: &mut Ui, model: &Model, archive: &Archive, room: f32, actions: &mut Vec<Action>) {
    if archive.sources.all().is_empty() {
        ui.allocate_ui(vec2(ui.available_width(), room), |ui| {
            ui.set_min_height(room);
            none_ui(ui, archive, actions);
        });
        return;
    }
    source_ui(ui, archive, actions);
    form_ui(ui, archive, actions);
    ui.add_space(4.0);
    let left = ((ui.available_width() - GAP) * LIST_SHARE).round();
    ui.horizontal_top(|ui| {
        ui.set_min_height(room); // nothing moves when answers come
        ui.spacing_mut().item_spacing.x = GAP;
        ui.vertical(|ui| {
            ui.set_width(left);
            studies::studies_ui(ui, archive, room, actions);
        });
        ui.vertical(|ui| {
            ui.set_width(ui.available_width());
            cards::series_ui(ui, model, archive, room, actions);
        });
    });
}

/// What is said while no source is known.
fn none_ui(ui: &mut Ui, archive: &Archive, actions: &mut Vec<Action>) {
    if archive.sources.kept.running().is_some() {
        ui.add(Spinner::new());
        return;
    }
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        ui.add_space(40.0);
        ui.label(RichText::new("No archive is named yet").color(theme::colors(ui).strong));
        let text = "You need its address and, for DIMSE, the AE title under which its administrator has entered you";
        ui.label(RichText::new(text).color(theme::colors(ui).weak));
        ui.add_space(8.0);
        if ui.button("Add a source…").clicked() {
            actions.extend([Act::Sources(Sources::Show(true)).into(), Act::Sources(Sources::New).into()]);
        }
    });
    error_ui(ui, archive.sources.error(), Place::Archive, actions);
}

/// Which archive is asked.
pub(super) fn source_ui(ui: &mut Ui, archive: &Archive, actions: &mut Vec<Action>) {
    let chosen = archive.source().map_or("", |source| source.name.as_str());
    ui.horizontal(|ui| {
        ui.label("Source");
        let list = ComboBox::from_id_salt("Source").width(SOURCE_WIDTH).selected_text(chosen);
        let list = list.show_ui(ui, |ui| {
            for source in archive.sources.all() {
                let shown = ui.selectable_label(source.name == chosen, &source.name);
                if shown.on_hover_text(source.address()).clicked() {
                    actions.push(Act::Choose(source.name.clone()).into());
                }
            }
        });
        list.response.widget_info(|| WidgetInfo {
            current_text_value: Some(chosen.to_owned()),
            ..WidgetInfo::labeled(Role::ComboBox, true, "Source")
        });
        let address = archive.source().map(crate::pacs::Source::address).unwrap_or_default();
        ui.label(RichText::new(address).small().color(theme::colors(ui).weak));
    });
}

fn form_ui(ui: &mut Ui, archive: &Archive, actions: &mut Vec<Action>) {
    const BUTTON: f32 = 76.0;
    const SPACE: f32 = 6.0;
    let mut form = archive.form.clone();
    let mut enter = false;
    let width = ((ui.available_width() - BUTTON - 5.0 * SPACE) / 5.0).floor();
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = SPACE;
        let Form { patient_id, name, accession, days, modality } = &mut form;
        for (title, text, hint) in [
            ("Patient ID", patient_id, ""),
            ("Name", name, "beginning, or * and ?"),
            ("Accession", accession, ""),
            ("Date", days, "20260131 or 20260101-"),
            ("Modality", modality, "CT"),
        ] {
            ui.vertical(|ui| {
                ui.set_width(width);
                let label = ui.label(RichText::new(title).small().color(theme::colors(ui).weak));
                let field = TextEdit::singleline(text).id(Id::unique(("archive form", title))).hint_text(hint);
                let field = ui.add(field.desired_width(f32::INFINITY)).labelled_by(label.id);
                enter |= field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            });
        }
        ui.vertical(|ui| {
            ui.label(RichText::new(" ").small());
            let free = archive.source().is_some() && archive.studies.running().is_none();
            let size = vec2(BUTTON, ui.spacing().interact_size.y);
            let button = egui::Button::new("Search").fill(theme::colors(ui).accent_dim);
            enter |= ui.add_enabled_ui(free, |ui| ui.add_sized(size, button).clicked()).inner;
        });
    });
    if form != archive.form {
        actions.push(Act::Form(form).into());
    }
    if enter {
        actions.push(Act::Search.into());
    }
}

/// What goes on, what went wrong, and the way out.
fn foot_ui(ui: &mut Ui, archive: &Archive, actions: &mut Vec<Action>) {
    let error = if archive.sources.shown { archive.sources.error() } else { archive.error() };
    error_ui(ui, error, Place::Archive, actions);
    if error.is_some()
        && let Some(source) = archive.source().filter(|source| source.secret_kind().is_some())
    {
        let what = source.secret_kind().unwrap_or_default();
        if ui.small_button(format!("Give another {what}…")).clicked() {
            actions.push(Act::AskPassword(source.name.clone()).into());
        }
    }
    let asked = [archive.studies.running(), archive.series.running(), archive.sources.tested.running()];
    let goes_on = match (archive.fetched.running(), asked.into_iter().flatten().next()) {
        (Some(monitor), _) => Some((format!("Fetching {}", archive.fetching), monitor)),
        (None, Some(monitor)) => Some(("Asking the archive".to_owned(), monitor)),
        (None, None) => None,
    };
    if let Some((what, monitor)) = &goes_on {
        progress_ui(ui, what, monitor);
    }
    ui.horizontal(|ui| {
        let words = match &goes_on {
            Some(_) if archive.fetched.running().is_some() => {
                "What came is kept when you cancel; this page may be closed meanwhile"
            }
            _ => "",
        };
        ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Close").clicked() {
                actions.push(View::Sheet(Sheet::Archive).into());
            }
            if goes_on.is_some() && ui.button("Cancel").clicked() {
                actions.push(Act::Cancel.into());
            }
        });
    });
}

/// How far a question is, or a series on its way.
pub(super) fn progress_ui(ui: &mut Ui, what: &str, monitor: &Monitor) {
    let progress = monitor.progress();
    let words = match progress {
        _ if monitor.check().is_err() => format!("{what}: stopping"),
        Some(progress) => format!("{what}: {} {}", progress.phase, progress_text(&progress)),
        None => what.to_owned(),
    };
    let bar = ProgressBar::new(progress.and_then(|p| p.fraction()).unwrap_or(0.0)).animate(false);
    ui.add(bar.text(words).desired_height(ui.spacing().interact_size.y));
}

/// A list with its own bar, as high as there is room, whatever is in it.
fn list(name: &str, room: f32) -> ScrollArea {
    ScrollArea::vertical()
        .id_salt(name.to_owned())
        .max_height(room)
        .min_scrolled_height(room)
        .auto_shrink([false, false])
}
