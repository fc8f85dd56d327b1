//! What came of the run: the three scores, always together, why the search stopped, what a reader must know; then what it is
//! worth, what else moved, and where it came from.

mod drift;
mod predictions;
mod provenance;
mod quality;
mod regions;

use egui::{RichText, Ui};

use super::theme;
use super::widgets::{Chosen, error_ui, is_low, note_ui, path_field_ui, section_ui};
use crate::export::reading::reading;
use crate::frame::lambda_text;
use crate::io::counted;
use crate::job::duration;
use crate::session::action::{Action, Export, Place, Run, Setting, View, Wanted};
use crate::session::explained::Explained;
use crate::session::model::Model;
use crate::session::picture::PictureFile;
use crate::session::view::Viewer;

/// The field of a picture's path.
pub(super) const SAVE_AS: &str = "Save as";

pub(super) fn result_panel_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    ui.label(RichText::new("Result").heading().color(theme::colors(ui).strong));
    let Some(run) = model.run.ready() else {
        let text = "The scores of the scan, of its reconstruction and of the counterfactual will stand here.";
        ui.label(RichText::new(text).color(theme::colors(ui).weak));
        return;
    };
    if model.run.running().is_some() {
        note_ui(ui, "This is the result before the run that goes on");
    }
    ui.label(RichText::new(&run.asked().target).color(theme::colors(ui).strong));
    let scale = predictions::predictions_ui(ui, run, viewer, actions);
    run_ui(ui, run, actions);
    if let Some(other) = &model.aside {
        aside_ui(ui, other, actions);
    }
    ui.add_space(4.0);
    section_ui(ui, "Changed regions", true, |ui| {
        let on_their_way = (model.repeating.is_of(run), model.regrouping.coming_hu());
        regions::regions_ui(ui, &run.report, on_their_way, viewer, actions);
    });
    section_ui(ui, "Quality", true, |ui| {
        quality::quality_ui(ui, &run.report.quality, run.result().scores.counterfactual);
    });
    section_ui(ui, "Other outputs", true, |ui| {
        drift::drift_ui(ui, run.report.drift.as_deref(), scale, &viewer.beside, actions);
    });
    section_ui(ui, "Provenance", false, |ui| provenance::provenance_ui(ui, &run.report));
}

fn run_ui(ui: &mut Ui, run: &Explained, actions: &mut Vec<Action>) {
    let result = run.result();
    let lambda = result.steps[result.chosen].lambda;
    ui.label(format!("Counterfactual at λ {}", lambda_text(lambda)));
    if !result.complete {
        note_ui(ui, "Partial: the run was cancelled");
    }
    ui.label(format!("Stopped because {}", result.stop));
    if let Some(which) = result.which_scan_score() {
        let text = format!("The score of the scan is {which}");
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    }
    let text = format!(
        "{}, {}, {}",
        counted(result.walk.len(), "trial"),
        counted(result.steps.len(), "step"),
        duration(run.run.timing.seconds())
    );
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    let models = format!("By {} and {}", run.asked().autoencoder.name, run.asked().scored_by.name);
    ui.label(RichText::new(models).small().color(theme::colors(ui).weak));
    let help = "Scores, gap, what changed, notes and where it came from, as text for a report";
    if ui.button("Copy report text").on_hover_text(help).clicked() {
        ui.copy_text(reading(&run.report, run.result()));
    }
    let most = run.most_changed_slice;
    let change = run.change_per_slice_hu[most];
    ui.label(format!("Changed most on average: {}, by {change:.1} HU", run.scan.axial(most)));
    let help = "Where the largest region changed most; without one, the slice that did (key J)";
    if ui.button("Show the largest change").on_hover_text(help).clicked() {
        actions.push(View::MostChanged.into());
    }
    for note in run.report.networks().into_iter().flat_map(|model| &model.notes) {
        ui.label(RichText::new(note).small().color(theme::colors(ui).weak));
    }
    for note in result.notes() {
        note_ui(ui, &note);
    }
}

/// The other result, and a way to it.
fn aside_ui(ui: &mut Ui, other: &Explained, actions: &mut Vec<Action>) {
    ui.add_space(8.0);
    let what = if other.result().complete { "The result before" } else { "What the cancelled run found" };
    let (steps, score) = (other.result().steps.len(), other.result().scores.counterfactual);
    ui.label(
        RichText::new(format!("{what}: {}, {}, {score:.4}", other.asked().target, counted(steps, "step")))
            .small()
            .color(theme::colors(ui).weak),
    );
    if ui.button("Show the other result").clicked() {
        actions.push(Run::SwapResults.into());
    }
    if ui.button("Compare with it").on_hover_text("Both side by side, with linked slices and lambda").clicked() {
        actions.push(Run::CompareOther.into());
    }
}

/// Saves the panes; it stands below the result and is always seen.
pub(super) fn picture_ui(ui: &mut Ui, file: &PictureFile, has_scan: bool, actions: &mut Vec<Action>) {
    if !has_scan {
        return; // there is nothing to save
    }
    // In a low window the result needs the room.
    section_ui(ui, "Picture", !is_low(ui), |ui| save_ui(ui, file, actions));
}

fn save_ui(ui: &mut Ui, file: &PictureFile, actions: &mut Vec<Action>) {
    let mut measured = file.measured;
    let tick = ui.checkbox(&mut measured, "With measurements");
    if tick.on_hover_text("A picture is of the panes as they are shown, with their annotations: with this also rulers, angles and regions, with their numbers").changed() {
        actions.push(Setting::PictureMeasured(measured).into());
    }
    match path_field_ui(ui, SAVE_AS, Some("Save picture"), "path of a .png file", Some(&file.suggested)) {
        Some(Chosen::Path(path)) => actions.push(Export::SavePicture { path, replace: false }.into()),
        Some(Chosen::Browse) => actions.push(View::Ask(Wanted::Picture).into()),
        None => {}
    }
    let saved = &file.saved;
    if saved.running().is_some() {
        ui.spinner();
    } else if let Some(path) = saved.ready() {
        ui.label(RichText::new(format!("Saved {}", path.display())).small().color(theme::colors(ui).text));
    }
    if file.copied.running().is_some() {
        ui.spinner();
    } else if file.copied.ready().is_some() && file.copied.error().is_none() {
        ui.label(RichText::new("The picture is on the clipboard").small().color(theme::colors(ui).text));
    }
    error_ui(ui, saved.error().or(file.copied.error()), Place::Picture, actions);
    ui.add_space(4.0);
}
