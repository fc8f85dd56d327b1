//! The page that sends a result to an archive: which objects, to whom, whether they say whose they are; then the answer to each.

use egui::{Align, Button, Context, Frame, Id, Label, Layout, Modal, RichText, Role, ScrollArea, Ui, WidgetInfo};

use super::archive::{progress_ui, source_ui};
use super::theme;
use super::widgets::{error_ui, meaning_ui, note_ui};
use crate::export::Patient;
use crate::io::counted;
use crate::session::action::{Action, Archive as Act, Place, Sheet, View};
use crate::session::archive::Archive;
use crate::session::archive::act::{Send, Sources};
use crate::session::archive::object::Object;
use crate::session::archive::sending::{Answered, can_tell_patient, note};
use crate::session::model::Model;

const MARGIN: i8 = 14;
const WIDTH: f32 = 560.0;
const NAME_WIDTH: f32 = 190.0;
/// What stands around the answers takes so much of the window, points.
const AROUND: f32 = 260.0;

/// Opens the page; says whether something is being sent.
pub(super) fn button_ui(ui: &mut Ui, model: &Model, archive: &Archive, actions: &mut Vec<Action>) {
    let text = if archive.sending.sent.running().is_some() { "Sending…" } else { "Send results…" };
    let help = "Maps, segmentation and animation of the result to a PACS";
    let button = ui.add_enabled(model.run.ready().is_some(), Button::new(text));
    if button.on_hover_text(help).on_disabled_hover_text("There is no result yet").clicked() {
        actions.push(View::Sheet(Sheet::Send).into());
    }
}

pub(super) fn send_ui(ctx: &Context, model: &Model, archive: &Archive, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(Id::unique("send results")).frame(frame).show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new("Send the result to a PACS").heading().color(theme::colors(ui).strong));
        let place = if can_tell_patient(model) { ", and lies in the study of the scan" } else { "" };
        let text = format!("Each object is marked as synthetic and for research{place}");
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        ui.add_space(4.0);
        let answers = archive.sending.answers();
        if archive.sending.sent.running().is_some() || archive.sending.sent.ready().is_some() {
            answers_ui(ui, archive, &answers, ctx.content_rect().height() - AROUND);
        } else {
            choices_ui(ui, model, archive, actions);
        }
        ui.separator();
        foot_ui(ui, model, archive, &answers, actions);
    });
    if modal.should_close() && archive.passwords.asked.is_none() {
        actions.push(View::Sheet(Sheet::Send).into());
    }
}

fn choices_ui(ui: &mut Ui, model: &Model, archive: &Archive, actions: &mut Vec<Action>) {
    if archive.sources.all().is_empty() && archive.sources.kept.running().is_none() {
        note_ui(ui, "No archive is named yet");
        if ui.button("Add a source…").clicked() {
            actions.extend([
                View::Sheet(Sheet::Archive).into(),
                Act::Sources(Sources::Show(true)).into(),
                Act::Sources(Sources::New).into(),
            ]);
        }
    } else {
        source_ui(ui, archive, actions);
    }
    ui.add_space(4.0);
    for object in Object::ALL {
        let mut ticked = archive.sending.objects.contains(&object);
        let tick = ui.checkbox(&mut ticked, object.title());
        meaning_ui(ui, tick, object.describe());
        if ticked != archive.sending.objects.contains(&object) {
            actions.push(Act::Send(Send::Tick(object, ticked)).into());
        }
    }
    ui.add_space(4.0);
    if can_tell_patient(model) {
        let patient = archive.sending.patient;
        let help = "Name, ID, birth date, sex and the study's number, date and description, so that the archive files the objects with the scan";
        for (of, text, meaning) in [
            (
                Patient::LeftOut,
                "The objects name no patient",
                "They keep the study's UID, by which the archive finds the scan",
            ),
            (Patient::Kept, "The objects say whose they are", help),
        ] {
            let choice = ui.radio(patient == of, text);
            let clicked = choice.clicked();
            meaning_ui(ui, choice, meaning);
            if clicked {
                actions.push(Act::Send(Send::Tell(of)).into());
            }
        }
    } else {
        ui.label(RichText::new("The objects name no patient").small());
    }
    if let Some(note) = note(model) {
        note_ui(ui, note);
    }
}

/// What the archive said to each object so far.
fn answers_ui(ui: &mut Ui, archive: &Archive, answers: &[Answered], room: f32) {
    let to = archive.sending.sent.source().map(|source| format!("To {} ({})", source.name, source.address()));
    ui.label(RichText::new(to.unwrap_or_default()).color(theme::colors(ui).text));
    ScrollArea::vertical().max_height(room.max(80.0)).auto_shrink([false, true]).show(ui, |ui| {
        for one in answers {
            answer_ui(ui, one);
        }
    });
}

fn answer_ui(ui: &mut Ui, one: &Answered) {
    let colors = theme::colors(ui);
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(NAME_WIDTH);
            ui.label(RichText::new(&one.name).color(colors.strong));
        });
        ui.vertical(|ui| {
            let color = if one.stored { colors.accent } else { colors.red };
            let words = ui.add(Label::new(RichText::new(&one.words).color(color)).wrap());
            words.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{}: {}", one.name, one.words)));
            words.on_hover_text(&one.uid);
        });
    });
}

fn foot_ui(ui: &mut Ui, model: &Model, archive: &Archive, answers: &[Answered], actions: &mut Vec<Action>) {
    let sending = &archive.sending;
    error_ui(ui, sending.error(), Place::Archive, actions);
    let hindrance = sending.hindrance(model.run.ready().is_some(), archive.source());
    let (running, sent) = (sending.sent.running(), sending.sent.ready().is_some());
    if let Some(monitor) = running {
        progress_ui(ui, "Sending", monitor);
    }
    let stored = answers.iter().filter(|one| one.stored).count();
    let words = match (running, sent) {
        (Some(_), _) => "This page may be closed meanwhile".to_owned(),
        (None, true) => {
            let log = sending.log.as_ref().map(|log| log.display().to_string()).unwrap_or_default();
            let all = counted(answers.len(), "object");
            ui.label(RichText::new(format!("{stored} of {all} stored")).color(theme::colors(ui).strong));
            format!("Written down in {log}")
        }
        (None, false) => hindrance.unwrap_or_default().to_owned(),
    };
    if !words.is_empty() {
        ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
    }
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| buttons_ui(ui, archive, hindrance.is_some(), actions))
    });
}

fn buttons_ui(ui: &mut Ui, archive: &Archive, is_hindered: bool, actions: &mut Vec<Action>) {
    let sending = &archive.sending;
    if ui.button("Close").clicked() {
        actions.push(View::Sheet(Sheet::Send).into());
    }
    if sending.sent.running().is_some() {
        if ui.button("Cancel").clicked() {
            actions.push(Act::Send(Send::Cancel).into());
        }
    } else if sending.sent.ready().is_some() {
        if ui.button("Send again…").clicked() {
            actions.push(Act::Send(Send::Again).into());
        }
    } else {
        let button = Button::new("Send").fill(theme::colors(ui).accent_dim);
        if ui.add_enabled(!is_hindered, button).clicked() {
            actions.push(Act::Send(Send::Start).into());
        }
    }
}
