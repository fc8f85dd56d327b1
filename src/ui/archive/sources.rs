//! The list of sources, and the fields of one that is added or changed.

use egui::{Align, Button, Checkbox, Grid, Label, Layout, RichText, Role, TextEdit, Ui, WidgetInfo};

use super::list;
use crate::pacs::{Retrieve, Source};
use crate::session::action::{Action, Archive as Act, View, Wanted};
use crate::session::archive::Archive;
use crate::session::archive::act::Sources;
use crate::session::archive::draft::{Draft, Knows, Protocol};
use crate::ui::theme;
use crate::ui::widgets::{meaning_ui, note_ui};

const FIELD: f32 = 380.0;

pub(super) fn sources_ui(ui: &mut Ui, archive: &Archive, room: f32, actions: &mut Vec<Action>) {
    // As high as the search with its form, so that nothing moves.
    list("sources", room + 84.0).show(ui, |ui| match &archive.sources.draft {
        Some(draft) => draft_ui(ui, draft, actions),
        None => all_ui(ui, archive, actions),
    });
}

fn all_ui(ui: &mut Ui, archive: &Archive, actions: &mut Vec<Action>) {
    for source in archive.sources.all() {
        row_ui(ui, archive, source, actions);
        ui.separator();
    }
    if let Some(note) = archive.sources.kept.ready().and_then(|kept| kept.note.as_ref()) {
        note_ui(ui, note);
    }
    if ui.button("Add a source…").clicked() {
        actions.push(Act::Sources(Sources::New).into());
    }
}

fn row_ui(ui: &mut Ui, archive: &Archive, source: &Source, actions: &mut Vec<Action>) {
    let list = &archive.sources;
    let name = &source.name;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.label(RichText::new(name).color(theme::colors(ui).strong));
            ui.label(RichText::new(source.how()).small().color(theme::colors(ui).weak));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let mut button = |ui: &mut Ui, text: &str, act: Act| {
                let button = ui.button(text);
                let named = format!("{} {name}", text.trim_end_matches('…'));
                button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &named));
                if button.clicked() {
                    actions.push(act.into());
                }
            };
            if list.removing.as_ref() == Some(name) {
                button(ui, "Keep", Act::Sources(Sources::Leave));
                button(ui, "Really remove", Act::Sources(Sources::Remove(name.clone())));
                return;
            }
            button(ui, "Remove…", Act::Sources(Sources::AskRemove(name.clone())));
            button(ui, "Change…", Act::Sources(Sources::Edit(name.clone())));
            if source.secret_kind().is_some() {
                button(ui, "Password…", Act::AskPassword(name.clone()));
            }
            button(ui, "Try", Act::Sources(Sources::Test(name.clone())));
        });
    });
    let tested = list.tested.source().is_some_and(|tested| tested == source);
    if let Some(said) = list.tested.ready().filter(|_| tested) {
        ui.label(RichText::new(said.as_str()).small().color(theme::colors(ui).accent));
    }
}

fn draft_ui(ui: &mut Ui, draft: &Draft, actions: &mut Vec<Action>) {
    let mut new = draft.clone();
    Grid::new("source").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
        text_ui(ui, "Called here", &mut new.name, "letters, digits, - and _");
        ui.label("Protocol");
        ui.horizontal(|ui| {
            ui.selectable_value(&mut new.protocol, Protocol::Web, "DICOMweb");
            ui.selectable_value(&mut new.protocol, Protocol::Dimse, "DIMSE");
        });
        ui.end_row();
        match new.protocol {
            Protocol::Web => web_ui(ui, &mut new),
            Protocol::Dimse => dimse_ui(ui, &mut new),
        }
        if new.protocol == Protocol::Web || new.tls {
            for (name, path, wanted) in [
                ("Authority", &mut new.authority, Wanted::SourceAuthority),
                ("Certificate", &mut new.certificate, Wanted::SourceCertificate),
                ("Its key", &mut new.key, Wanted::SourceKey),
            ] {
                file_ui(ui, name, path, wanted, actions);
            }
        }
    });
    if new != *draft {
        actions.push(Act::Sources(Sources::Change(Box::new(new))).into());
    }
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        if ui.add(Button::new("Keep the source").fill(theme::colors(ui).accent_dim)).clicked() {
            actions.push(Act::Sources(Sources::Keep).into());
        }
        if ui.button("Leave it").clicked() {
            actions.push(Act::Sources(Sources::Leave).into());
        }
    });
}

fn web_ui(ui: &mut Ui, new: &mut Draft) {
    text_ui(ui, "Address", &mut new.url, "https://pacs.hospital.org/dicom-web: what /studies is appended to");
    ui.label("It knows you by");
    ui.horizontal(|ui| {
        ui.selectable_value(&mut new.knows, Knows::No, "nothing, or a certificate");
        ui.selectable_value(&mut new.knows, Knows::Password, "user and password");
        ui.selectable_value(&mut new.knows, Knows::Token, "a token");
    });
    ui.end_row();
    if new.knows == Knows::Password {
        text_ui(ui, "User", &mut new.user, "");
    }
    if new.knows != Knows::No {
        ui.label("");
        let tick = ui.add(Checkbox::new(&mut new.unencrypted, "May be asked over plain http"));
        meaning_ui(ui, tick, "password or token can then be read by anyone on the way");
        ui.end_row();
    }
}

fn dimse_ui(ui: &mut Ui, new: &mut Draft) {
    text_ui(ui, "Host", &mut new.host, "name or address of the archive's machine");
    text_ui(ui, "Port", &mut new.port, "104");
    text_ui(ui, "Its AE title", &mut new.called, "CTARCHIVE");
    text_ui(ui, "Your AE title", &mut new.calling, "as its administrator has entered it");
    ui.label("Series come by");
    ui.horizontal(|ui| {
        let any = ui.selectable_value(&mut new.retrieve, Retrieve::Any, "either");
        meaning_ui(ui, any, "C-GET where the archive offers it, else C-MOVE where a port is named");
        ui.selectable_value(&mut new.retrieve, Retrieve::Get, "C-GET");
        ui.selectable_value(&mut new.retrieve, Retrieve::Move, "C-MOVE");
    });
    ui.end_row();
    if new.retrieve != Retrieve::Get {
        text_ui(ui, "Receive at port", &mut new.receive_port, "for C-MOVE: the port that the archive knows of you");
    }
    ui.label("");
    ui.checkbox(&mut new.tls, "Over TLS");
    ui.end_row();
}

fn text_ui(ui: &mut Ui, name: &str, text: &mut String, hint: &str) {
    let label = ui.label(name);
    ui.add(TextEdit::singleline(text).hint_text(hint.to_owned()).desired_width(FIELD)).labelled_by(label.id);
    ui.end_row();
}

/// The path of a certificate, which a dialog may choose.
fn file_ui(ui: &mut Ui, name: &str, path: &mut String, wanted: Wanted, actions: &mut Vec<Action>) {
    const BROWSE: f32 = 86.0;
    let label = ui.add(Label::new(name));
    ui.horizontal(|ui| {
        let hint =
            if wanted == Wanted::SourceAuthority { "the system's, or a PEM file" } else { "none, or a PEM file" };
        let field = TextEdit::singleline(path).hint_text(hint).desired_width(FIELD - BROWSE);
        ui.add(field).labelled_by(label.id);
        let browse = ui.button("Browse…").on_hover_text("Choose with a dialog");
        let named = format!("Browse: {}", name.to_lowercase());
        browse.widget_info(|| WidgetInfo::labeled(Role::Button, true, &named));
        if browse.clicked() {
            actions.push(View::Ask(wanted).into());
        }
    });
    ui.end_row();
}
