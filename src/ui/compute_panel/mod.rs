//! Step 3: what may change, how far, and the run itself.

mod options;
mod slab;

use egui::text::{LayoutJob, TextFormat};
use egui::{Button, Label, ProgressBar, RichText, TextStyle, Ui};

use self::options::{beyond, options_ui};
use self::slab::slab_ui;

use super::fit_panel::serious_ui;
use super::progress::progress_text;
use super::theme;
use super::widgets::{Fold, error_ui, folding_heading_ui};
use crate::frame::lambda_text;
use crate::job::{Monitor, duration};
use crate::nn::device;
use crate::session::action::{Action, Place, Run};
use crate::session::model::Model;
use crate::session::model::pace::RunPace;
use crate::session::view::Viewer;

pub(super) fn compute_panel_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let fold = if model.run.ready().is_some() { Fold::WithResult } else { Fold::ByHand };
    if !folding_heading_ui(ui, 3, "Counterfactual", fold) {
        summary_ui(ui, model);
        return;
    }
    slab_ui(ui, model, viewer, actions);
    options_ui(ui, model, actions);
}

/// The run itself; it stands below the steps and is always seen.
pub(super) fn run_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    if let Some(monitor) = model.run.running() {
        progress_ui(ui, monitor, model.pace, actions);
    } else {
        // What comes and goes stands above the button, which stays where it is.
        let missing = model.missing();
        serious_ui(ui, model);
        if let Some(missing) = missing {
            ui.label(RichText::new(missing).small().color(theme::colors(ui).weak));
        }
        let known = model.shows_known_demo();
        if known {
            let text = "This result came with Parallax.";
            ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        }
        let words = if known { "Compute it again" } else { "Compute counterfactual" };
        let button = Button::new(RichText::new(words).strong()).fill(theme::colors(ui).accent_dim);
        if wide_ui(ui, missing.is_none(), button) {
            actions.push(Run::Explain.into());
        }
    }
    repeating_ui(ui, model, actions);
    if device::is_gpu() {
        ui.label(RichText::new(format!("Networks run on {}", device::name())).small().color(theme::colors(ui).weak));
    }
    error_ui(ui, model.run.error(), Place::Run, actions);
    ui.add_space(4.0);
}

/// How far the repetitions of the result are, and a way to stop them.
fn repeating_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let repeating = &model.repeating.repeated;
    if let Some(monitor) = repeating.running() {
        let progress = monitor.progress();
        let far = progress.map(|progress| progress_text(&progress)).unwrap_or_default();
        ui.label(
            RichText::new(format!("Repeating from perturbed starts {far}")).small().color(theme::colors(ui).strong),
        );
        ui.add(ProgressBar::new(progress.and_then(|progress| progress.fraction()).unwrap_or(0.0)).animate(false));
        let stopping = monitor.check().is_err();
        let button = Button::new(if stopping { "Stopping the repeats" } else { "Stop repeating" });
        if ui.add_enabled(!stopping, button).on_hover_text("The result stays, with the runs that were made").clicked() {
            actions.push(Run::StopRepeating.into());
        }
    }
    error_ui(ui, repeating.error(), Place::Repeats, actions);
}

/// What is left of the step where it is folded: the aim, and what may change.
fn summary_ui(ui: &mut Ui, model: &Model) {
    let options = &model.settings.options;
    let aim = match (options.range, options.drop < 0.0) {
        (Some([first, last]), _) => format!("Lambda from {} to {}", lambda_text(first), lambda_text(last)),
        (None, true) => "Raise the score".to_owned(),
        (None, false) => "Lower the score".to_owned(),
    };
    let slices = if model.slab.is_some() { "within a slab" } else { "all slices may change" };
    ui.label(RichText::new(format!("{aim}; {slices}")).small().color(theme::colors(ui).weak));
    if let Some(more) = beyond(model) {
        ui.label(RichText::new(more).small().color(theme::colors(ui).weak));
    }
}

/// One bar for the whole run, and what it does now.
fn progress_ui(ui: &mut Ui, monitor: &Monitor, pace: Option<RunPace>, actions: &mut Vec<Action>) {
    let progress = monitor.progress();
    let phase = progress.map_or("waiting", |p| p.phase);
    let far = progress.map(|progress| progress_text(&progress)).unwrap_or_default();
    // One line, cut to the width: a longer one would push the bar out of the panel.
    let mut words = LayoutJob::default();
    let body = TextFormat::simple(TextStyle::Body.resolve(ui.style()), theme::colors(ui).strong);
    words.append(phase, 0.0, body);
    words.append(&far, 8.0, TextFormat::simple(theme::small(), theme::colors(ui).weak));
    let told = format!("{phase} {far}");
    ui.add(Label::new(words).truncate().show_tooltip_when_elided(false)).on_hover_text(told);
    let share = pace.map_or(0.0, |pace| pace.share());
    ui.add(ProgressBar::new(share).animate(false).text(pace.map_or_else(String::new, |pace| pace_text(&pace))));
    let stopping = monitor.check().is_err();
    let button = Button::new(if stopping { "Stopping after this piece of work" } else { "Cancel" });
    if wide_ui(ui, !stopping, button) {
        actions.push(Run::Cancel.into());
    }
    // A line of its own in either case: nothing moves when it comes.
    let words = if monitor.curve().is_empty() { "" } else { "What the search has found is kept" };
    ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
}

/// A button as wide as the panel; true when it is clicked.
fn wide_ui(ui: &mut Ui, enabled: bool, button: Button) -> bool {
    ui.add_enabled_ui(enabled, |ui| ui.add_sized([ui.available_width(), 30.0], button).clicked()).inner
}

/// "12 s, 20 to 45 s left".
fn pace_text(pace: &RunPace) -> String {
    let elapsed = duration(pace.elapsed_secs());
    match pace.left_secs() {
        Some([from, to]) if to < 60.0 && from >= 1.0 => format!("{elapsed}, {from:.0} to {to:.0} s left"),
        Some([from, to]) if from >= 60.0 => {
            format!("{elapsed}, {:.0} to {:.0} min left", from / 60.0, (to / 60.0).ceil())
        }
        Some([_, to]) => format!("{elapsed}, up to {} left", duration(to)),
        None => elapsed,
    }
}
