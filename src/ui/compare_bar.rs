//! What stands above the bars: which two results are compared, and the way out of it; that a run is looked at before it has ended; or that
//! something else is chosen than what the pictures are of.

use egui::{RichText, Ui};

use super::theme;
use super::widgets::error_ui;
use crate::frame::lambda_text;
use crate::session::action::{Action, Place, Run, View};
use crate::session::model::Model;
use crate::session::shown::{Told, told};
use crate::session::view::Viewer;
use crate::session::view::pair::{step_beside, words};

pub(super) fn compare_bar_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    error_ui(ui, model.beside.error(), Place::Comparison, actions);
    so_far_ui(ui, model, viewer, actions);
    if let Told::Result(_, run) = told(model, viewer)
        && let Some(words) = model.unlike(run)
    {
        ui.label(RichText::new(words).color(theme::colors(ui).amber));
    }
    let Told::Pair(_, [a, b]) = told(model, viewer) else { return };
    ui.horizontal_wrapped(|ui| {
        let steps = [viewer.step, step_beside(viewer.step, a, b)];
        for (((letter, words), run), step) in ["A", "B"].into_iter().zip(words(a, b)).zip([a, b]).zip(steps) {
            let score = run.scale(viewer.display.logits).text(run.score_at(step));
            ui.label(RichText::new(letter).strong().color(theme::colors(ui).strong));
            ui.label(format!("{words}: {score} at λ {}", lambda_text(run.lambda_at(step))));
            ui.add_space(12.0);
        }
        let help = "Lambda goes along both by the same share of the way. Esc shows A alone again";
        if ui.button("Stop comparing").on_hover_text(help).clicked() {
            actions.push(Run::StopComparing.into());
        }
    });
}

/// While a run goes on beside an older result: which of them the panes show, and the way to the other.
fn so_far_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(so_far) = model.sketching.drawn.ready().filter(|_| model.run.ready().is_some()) else { return };
    ui.horizontal_wrapped(|ui| {
        let lambda = lambda_text(so_far.lambda);
        let (words, button) = if viewer.older {
            (format!("The result before. The run that goes on is at λ {lambda}"), "Show what is computed")
        } else {
            (format!("Computing: what the run has drawn so far, at λ {lambda}"), "Show the result before")
        };
        ui.label(RichText::new(words).color(theme::colors(ui).amber));
        if ui
            .button(button)
            .on_hover_text("The result before stays, and is shown again if the run is cancelled")
            .clicked()
        {
            actions.push(View::Older(!viewer.older).into());
        }
    });
}
