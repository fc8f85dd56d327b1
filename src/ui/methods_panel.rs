//! Which method is laid over the pictures: the counterfactual's change, or what another method makes of the same class; and how each agrees
//! with a mask.

use egui::{ComboBox, Label, ProgressBar, RichText, Role, Sense, Ui, WidgetInfo};

use super::progress::progress_text;
use super::theme;
use super::widgets::{Chosen, error_ui, meaning_ui, note_ui, path_field_ui, section_ui};
use crate::audit::Against;
use crate::frame::display::{Change, Laid};
use crate::latent_shift::saliency::Method;
use crate::session::action::{Action, Place, Run, View, Wanted};
use crate::session::model::Model;
use crate::session::view::Viewer;

pub(super) fn methods_panel_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    if model.scan.ready().is_none() {
        return;
    }
    section_ui(ui, "Compare methods", true, |ui| {
        choice_ui(ui, model, viewer.display.laid, actions);
        coming_ui(ui, model, viewer.display.laid, actions);
        mask_ui(ui, model, actions);
    });
}

/// The one control.
fn choice_ui(ui: &mut Ui, model: &Model, laid: Laid, actions: &mut Vec<Action>) {
    let subject = model.subject();
    let agreement = model.run.ready().is_some_and(|run| run.agreement.is_some());
    ui.label(RichText::new("Method shown").small().color(theme::colors(ui).weak));
    let list = ComboBox::from_id_salt("Method shown").width(ui.available_width()).selected_text(laid.title());
    let list = list.show_ui(ui, |ui| {
        let others = Method::ALL.map(Laid::By);
        for choice in [Laid::Change, Laid::Agreement].into_iter().chain(others) {
            let why = match choice {
                Laid::Change => None,
                Laid::Agreement => (!agreement).then_some("Repeat the run first, under Advanced of step 3"),
                Laid::By(_) => subject.as_ref().err().copied(),
            };
            let row = ui.add_enabled_ui(why.is_none(), |ui| ui.selectable_label(laid == choice, choice.title())).inner;
            let row = row.on_hover_text(choice.describe());
            if row.on_disabled_hover_text(why.unwrap_or_default()).clicked() {
                actions.push(View::Change(Change::Laid(choice)).into());
            }
        }
    });
    let enabled = ui.is_enabled();
    list.response.widget_info(|| WidgetInfo {
        current_text_value: Some(laid.title().to_owned()),
        ..WidgetInfo::labeled(Role::ComboBox, enabled, "Method shown")
    });
    ui.label(RichText::new(laid.describe()).small().color(theme::colors(ui).weak));
}

/// How far the map is that was asked for, and a way to stop it.
fn coming_ui(ui: &mut Ui, model: &Model, laid: Laid, actions: &mut Vec<Action>) {
    let coming = &model.methods.coming;
    if let (Some(monitor), Laid::By(_)) = (coming.running(), laid) {
        let progress = monitor.progress();
        let phase = progress.map_or("waiting for what goes on", |progress| progress.phase);
        let far = progress.map(|progress| progress_text(&progress)).unwrap_or_default();
        ui.label(RichText::new(format!("{phase} {far}")).small().color(theme::colors(ui).strong));
        ui.add(ProgressBar::new(progress.and_then(|progress| progress.fraction()).unwrap_or(0.0)).animate(false));
        if ui.button("Stop the method").clicked() {
            actions.push(Run::StopMethod.into());
        }
    }
    error_ui(ui, coming.error(), Place::Method, actions);
}

/// The mask, and what was measured by it.
fn mask_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let masking = &model.masking;
    let opened = masking.mask.ready();
    let current = opened.and_then(|opened| opened.path());
    match path_field_ui(ui, "Mask", None, "of what should be found; Enter", current) {
        Some(Chosen::Path(path)) => actions.push(Run::LoadMask(path).into()),
        Some(Chosen::Browse) => actions.push(View::Ask(Wanted::Mask).into()),
        None => {}
    }
    if masking.mask.running().is_some() || masking.measured.running().is_some() {
        ui.spinner();
    }
    let report = masking.report();
    let small = |ui: &mut Ui, text: &str| ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    for note in opened.iter().flat_map(|opened| &opened.mask.notes) {
        note_ui(ui, &note.text);
    }
    if let Some(opened) = opened {
        small(ui, &format!("Held against {}:", opened.name()));
    }
    for method in report.iter().flat_map(|report| &report.methods) {
        let Against { dice, iou, energy_inside, .. } = method.against;
        let text = format!("{}  Dice {dice:.2}  IoU {iou:.2}  inside {energy_inside:.2}", method.title);
        let row = ui.add(Label::new(RichText::new(text).small()).sense(Sense::focusable_noninteractive()));
        row.widget_info(|| WidgetInfo::labeled(Role::Status, true, method.line()));
        meaning_ui(ui, row, &method.line());
    }
    match (opened, report) {
        (Some(_), Some(_)) => {
            small(ui, "Dice and IoU are of as many voxels as the mask has, those where a method is largest.");
        }
        (Some(_), None) if model.run.ready().is_none() && model.methods.all().is_empty() => {
            small(ui, "Compute a counterfactual, or show a method, to hold it against the mask.");
        }
        _ => {}
    }
    if opened.is_some() && ui.button("Remove the mask").clicked() {
        actions.push(Run::ForgetMask.into());
    }
    error_ui(ui, masking.mask.error().or(masking.measured.error()), Place::Mask, actions);
}
