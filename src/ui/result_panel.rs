//! What came of the run: the three scores, always together, why the search stopped, and what a reader must know.

use eframe::egui::{Rect, RichText, Sense, Ui, Vec2, pos2};

use super::action::{Action, Place, Wanted};
use super::picture::PictureFile;
use super::session::{Explained, Session};
use super::theme;
use super::widgets::{Chosen, duration, error_ui, note_ui, path_field_ui};
use crate::frame::lambda_text;

pub(super) fn result_panel_ui(ui: &mut Ui, session: &Session, file: &PictureFile, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    ui.label(RichText::new("Result").heading().color(theme::STRONG));
    if let Some(run) = session.run.ready() {
        run_ui(ui, run, actions);
        if let Some(other) = &session.aside {
            aside_ui(ui, other, actions);
        }
    } else {
        let text = "The scores of the scan, of its reconstruction and of the counterfactual will stand here.";
        ui.label(RichText::new(text).color(theme::WEAK));
    }
    ui.add_space(8.0);
    picture_ui(ui, file, actions);
}

fn run_ui(ui: &mut Ui, run: &Explained, actions: &mut Vec<Action>) {
    let result = &run.result;
    ui.label(RichText::new(&run.target).color(theme::STRONG));
    let scores = result.scores;
    score_ui(ui, "Scan", scores.scan, "The model's output on the scan itself");
    score_ui(ui, "Reconstruction", scores.reconstruction, "On the autoencoder's copy of the scan, lambda 0");
    score_ui(ui, "Counterfactual", scores.counterfactual, "On the copy, shifted along the gradient");
    let lambda = result.steps[result.chosen].lambda;
    ui.label(format!("Counterfactual at λ {}", lambda_text(lambda)));
    if !result.complete {
        note_ui(ui, "Partial: the run was cancelled");
    }
    ui.label(format!("Stopped because {}", result.stop));
    let text = format!("{} trials, {} steps, {}", result.walk.len(), result.steps.len(), duration(run.seconds));
    ui.label(RichText::new(text).small().color(theme::WEAK));
    ui.label(RichText::new(format!("By {}", run.models.join(" and "))).small().color(theme::WEAK));
    let most = run.most_changed_slice;
    let change = run.change_per_slice_hu[most];
    ui.label(format!("Slice {most} of the stack changed most: {change:.1} HU on average"));
    if ui.button("Show the most changed slice").clicked() {
        actions.push(Action::MostChanged);
    }
    for note in result.notes() {
        note_ui(ui, &note);
    }
}

/// The other result, and a way to it.
fn aside_ui(ui: &mut Ui, other: &Explained, actions: &mut Vec<Action>) {
    ui.add_space(8.0);
    let what = if other.result.complete { "The result before" } else { "What the cancelled run found" };
    let (steps, score) = (other.result.steps.len(), other.result.scores.counterfactual);
    ui.label(RichText::new(format!("{what}: {}, {steps} steps, {score:.4}", other.target)).small().color(theme::WEAK));
    if ui.button("Show the other result").clicked() {
        actions.push(Action::SwapResults);
    }
}

/// A name, a number, and a bar on a fixed axis from 0 to 1.
fn score_ui(ui: &mut Ui, name: &str, score: f64, help: &str) {
    ui.horizontal(|ui| {
        ui.label(name).on_hover_text(help);
        ui.with_layout(eframe::egui::Layout::right_to_left(eframe::egui::Align::Center), |ui| {
            ui.label(RichText::new(format!("{score:.4}")).monospace().color(theme::STRONG));
        });
    });
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 6.0), Sense::hover());
    let share = score.clamp(0.0, 1.0) as f32;
    ui.painter().rect_filled(rect, 3.0, theme::FIELD);
    let filled = Rect::from_min_max(rect.min, pos2(rect.left() + rect.width() * share, rect.bottom()));
    ui.painter().rect_filled(filled, 3.0, theme::ACCENT);
}

fn picture_ui(ui: &mut Ui, file: &PictureFile, actions: &mut Vec<Action>) {
    ui.label(RichText::new("Picture").heading().color(theme::STRONG));
    let text = "The panes as they are shown, with their annotations, as PNG.";
    ui.label(RichText::new(text).small().color(theme::WEAK));
    match path_field_ui(ui, "Save as", Some("Save picture"), "path of a .png file", Some(&file.suggested)) {
        Some(Chosen::Path(path)) => actions.push(Action::SavePicture { path, replace: false }),
        Some(Chosen::Browse) => actions.push(Action::Ask(Wanted::Picture)),
        None => {}
    }
    let saved = &file.saved;
    if saved.running().is_some() {
        ui.spinner();
    } else if let Some(path) = saved.ready() {
        ui.label(RichText::new(format!("Saved {}", path.display())).small().color(theme::TEXT));
    }
    error_ui(ui, saved.error(), Place::Picture, actions);
}
