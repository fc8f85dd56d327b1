//! What the middle of the window says while no scan is open.

use egui::{Align, Button, Layout, RichText, Ui, vec2};

use super::{cohort, gallery_panel, published, theme};
use crate::session::Session;
use crate::session::action::{Action, Run, Setting, Sheet, View, Wanted};

/// How many of the newest results are shown, and how wide their rows are, points.
const RESULTS: usize = 3;
const RESULTS_WIDTH: f32 = 360.0;

pub(super) fn start_panel_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let model = &session.model;
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        ui.add_space((ui.available_height() * 0.25).max(20.0));
        ui.label(RichText::new("Parallax").size(34.0).color(theme::colors(ui).strong));
        ui.label(
            RichText::new("What would this scan look like, had the model scored it otherwise?")
                .color(theme::colors(ui).weak),
        );
        ui.add_space(18.0);
        for (text, wanted) in [("Open a CT file…", Wanted::ScanFile), ("Open a DICOM folder…", Wanted::ScanFolder)]
        {
            if ui.add(Button::new(RichText::new(text).strong()).min_size([240.0, 34.0].into())).clicked() {
                actions.push(View::Ask(wanted).into());
            }
        }
        let button = Button::new(RichText::new("Open from PACS…").strong()).min_size([240.0, 34.0].into());
        if ui.add(button).on_hover_text("Find a scan in a hospital's archive, and fetch it").clicked() {
            actions.push(View::Sheet(Sheet::Archive).into());
        }
        ui.label(RichText::new("or drop a scan here").color(theme::colors(ui).weak));
        ui.add_space(10.0);
        let demo = ui
            .button("Show me a demo")
            .on_hover_text("A drawn chest with fluid beside the lung, and networks that come with Parallax");
        if demo.clicked() {
            actions.push(Run::Demo.into());
        }
        ui.add_space(2.0);
        published::button_ui(ui, &session.published, actions);
        cohort::button_ui(ui, &session.cohort, actions);
        let study = ui.button("Reader study…");
        if study.on_hover_text("Results shown blinded and in random order, with questions to a reader").clicked() {
            actions.push(View::Sheet(Sheet::Study).into());
        }
        if session.gallery.kept.ready().is_some_and(|kept| !kept.is_empty()) {
            ui.add_space(18.0);
            ui.label(RichText::new("Results kept").color(theme::colors(ui).weak));
            ui.allocate_ui(vec2(RESULTS_WIDTH, 0.0), |ui| {
                gallery_panel::rows_ui(ui, model, &session.gallery, RESULTS, actions);
            });
        }
        let recent = &model.settings.recent;
        if !recent.is_empty() {
            ui.add_space(18.0);
            ui.label(RichText::new("Opened lately").color(theme::colors(ui).weak));
            for path in recent {
                if ui.button(session.recent.name(path)).on_hover_text(path.display().to_string()).clicked() {
                    actions.push(Run::Open(path.clone()).into());
                }
            }
            if ui.small_button("Forget these").clicked() {
                actions.push(Setting::ForgetRecent.into());
            }
        }
    });
}
