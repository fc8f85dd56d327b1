//! Which two results stand side by side, and the way out of it.

use eframe::egui::{RichText, Ui};

use super::theme;
use super::widgets::error_ui;
use crate::frame::lambda_text;
use crate::session::action::{Action, Place, Run};
use crate::session::model::Model;
use crate::session::view::Viewer;
use crate::session::view::pair::{step_beside, words};

pub(super) fn compare_bar_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    error_ui(ui, model.beside.error(), Place::Comparison, actions);
    let Some((a, b)) = model.run.ready().zip(model.beside.ready()) else { return };
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
