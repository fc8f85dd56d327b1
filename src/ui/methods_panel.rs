//! Which method is laid over the pictures: the counterfactual's change, or what another method makes of the same class.

use eframe::egui::{ComboBox, ProgressBar, RichText, Role, Ui, WidgetInfo};

use super::progress::progress_text;
use super::theme;
use super::widgets::{error_ui, section_ui};
use crate::latent_shift::saliency::Method;
use crate::session::action::{Action, Place, Run, View};
use crate::session::model::Model;
use crate::session::view::Viewer;
use crate::session::view::display::{Change, Laid};

pub(super) fn methods_panel_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    if model.scan.ready().is_none() {
        return;
    }
    section_ui(ui, "Compare methods", true, |ui| {
        choice_ui(ui, model, viewer.display.laid, actions);
        coming_ui(ui, model, viewer.display.laid, actions);
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
