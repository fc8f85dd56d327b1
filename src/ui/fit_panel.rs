//! Whether the scan and the networks fit: five lines at most, the worst first, and the check of the reconstruction.

use eframe::egui::{Button, ProgressBar, RichText, Ui};

use super::action::{Action, Place};
use super::compute_panel::progress_text;
use super::input_panel::notes_ui;
use super::session::Session;
use super::theme;
use super::widgets::error_ui;

pub(super) fn fit_panel_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let (fit, kept) = (&session.fitting.fit, &session.fitting.kept);
    let looking = fit.running().is_some();
    let notes = session.fit_notes();
    if notes.is_empty() && !looking && fit.error().is_none() {
        return;
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.label(RichText::new("Fit of scan and networks").color(theme::colors(ui).strong));
        if looking {
            ui.spinner();
        }
    });
    notes_ui(ui, &notes, "on the fit");
    error_ui(ui, fit.error().or(kept.error()), Place::Fit, actions);
    if session.autoencoder.ready().is_none() {
        return;
    }
    if let Some(monitor) = kept.running() {
        let progress = monitor.progress();
        let (phase, fraction) = progress.map_or(("waiting", None), |p| (p.phase, p.fraction()));
        let text = progress.map_or_else(String::new, |progress| progress_text(&progress));
        ui.label(RichText::new(phase).small().color(theme::colors(ui).weak));
        ui.add(ProgressBar::new(fraction.unwrap_or(0.0)).animate(false).text(text));
        if ui.button("Stop the check").clicked() {
            actions.push(Action::StopReconstruction);
        }
    } else if kept.ready().is_none() {
        let can = session.run.running().is_none() && !looking;
        let hover = "Sends the scan through the autoencoder and the classifier: PSNR, slope, offset, and the score before and after. It takes \
                     about as long as the beginning of a run";
        let button = ui.add_enabled(can, Button::new("Check the reconstruction"));
        if button.on_hover_text(hover).on_disabled_hover_text("It waits for the work that goes on").clicked() {
            actions.push(Action::CheckReconstruction);
        }
    }
}
