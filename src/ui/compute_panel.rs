//! Step 3: what may change, how far, and the run itself.

use std::ops::Range;

use eframe::egui::{Button, DragValue, ProgressBar, RichText, Ui};

use super::action::{Action, Place};
use super::fit_panel::serious_ui;
use super::session::Session;
use super::theme;
use super::viewer::Viewer;
use super::widgets::{close_together, error_ui, step_heading_ui};
use crate::frame::Plane;
use crate::job::{Monitor, Progress, duration};
use crate::latent_shift::{Options, Outside, SearchWay, StepsIn};
use crate::nn::device;

/// Slices that "around this slice" takes on each side.
const AROUND: usize = 4;

pub(super) fn compute_panel_ui(ui: &mut Ui, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    step_heading_ui(ui, 3, "Counterfactual");
    slab_ui(ui, session, viewer, actions);
    options_ui(ui, session, actions);
}

/// The run itself; it stands below the steps and is always seen.
pub(super) fn run_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    if let Some(monitor) = session.run.running() {
        progress_ui(ui, monitor, actions);
    } else {
        // What comes and goes stands above the button, which stays where it is.
        let missing = session.missing();
        serious_ui(ui, session);
        if let Some(missing) = missing {
            ui.label(RichText::new(missing).small().color(theme::colors(ui).weak));
        }
        let button = Button::new(RichText::new("Compute counterfactual").strong()).fill(theme::colors(ui).accent_dim);
        if wide_ui(ui, missing.is_none(), button) {
            actions.push(Action::Explain);
        }
    }
    if device::is_gpu() {
        ui.label(RichText::new(format!("Networks run on {}", device::name())).small().color(theme::colors(ui).weak));
    }
    error_ui(ui, session.run.error(), Place::Run, actions);
    ui.add_space(4.0);
}

/// Which slices may change, counted from 0 in the stack that the networks see.
fn slab_ui(ui: &mut Ui, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(scan) = session.scan.ready() else { return };
    let slices = scan.stack_slices();
    let all = session.slab.is_none();
    ui.horizontal_wrapped(|ui| {
        ui.label("Slices that may change");
        if ui.selectable_label(all, "all").clicked() {
            actions.push(Action::Slab(None));
        }
        if ui.selectable_label(!all, "slab").clicked() && all {
            actions.push(Action::Slab(Some(around(session, viewer))));
        }
    });
    let Some(slab) = &session.slab else { return };
    let (mut first, mut last) = (slab.start, slab.end - 1);
    ui.horizontal(|ui| {
        // A number that is half typed moves nothing.
        let number = |n| DragValue::new(n).range(0..=slices - 1).update_while_editing(false);
        let from = ui.label("From");
        ui.add(number(&mut first)).labelled_by(from.id);
        let to = ui.label("to");
        ui.add(number(&mut last)).labelled_by(to.id);
        ui.label(RichText::new(format!("of 0 to {}", slices - 1)).small().color(theme::colors(ui).weak));
    });
    if (first, last) != (slab.start, slab.end - 1) {
        actions.push(Action::Slab(Some(moved(slab, first, last, slices))));
    }
    outside_ui(ui, &session.settings.options, actions);
    let axial = viewer.plane == Plane::Axial;
    let button = ui.add_enabled(axial, Button::new("Around the shown slice"));
    if button.on_disabled_hover_text("Show the axial plane first").clicked() {
        actions.push(Action::Slab(Some(around(session, viewer))));
    }
}

/// What the slices outside the slab are.
fn outside_ui(ui: &mut Ui, options: &Options, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        ui.label("Slices outside");
        for (outside, name) in [(Outside::Scan, "as scanned"), (Outside::Reconstruction, "reconstructed")] {
            let on = options.outside() == outside;
            if ui.selectable_label(on, name).on_hover_text(outside.describe()).clicked() && !on {
                actions.push(Action::Options(Options { outside: Some(outside), ..options.clone() }));
            }
        }
    });
}

/// The slab with another first or last slice. An end that is moved beyond the other takes the whole slab along.
fn moved(slab: &Range<usize>, first: usize, last: usize, slices: usize) -> Range<usize> {
    if first <= last {
        first..last + 1
    } else if first == slab.start {
        last.saturating_sub(slab.len() - 1)..last + 1
    } else {
        first..(first + slab.len()).min(slices)
    }
}

/// The stack's slices next to the one shown.
fn around(session: &Session, viewer: &Viewer) -> Range<usize> {
    let Some(scan) = session.scan.ready() else { return 0..1 };
    let slices = scan.stack_slices();
    let place = scan.input.prepared.volume.grid.voxel_from_world().transform_point3(viewer.cursor).z;
    let shown = (place.round().max(0.0) as usize).min(slices - 1);
    shown.saturating_sub(AROUND)..(shown + AROUND).min(slices)
}

fn options_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let options = &session.settings.options;
    let mut new = options.clone();
    ui.horizontal_wrapped(|ui| {
        close_together(ui);
        let label = ui.label("Drop of the score");
        let hover = "How much the score shall fall; negative to raise it";
        let lowest = if new.search == SearchWay::Reference && new.range.is_none() { 0.0 } else { -1.0 };
        ui.add(DragValue::new(&mut new.drop).range(lowest..=1.0).speed(0.01))
            .labelled_by(label.id)
            .on_hover_text(hover);
        let label = ui.label("Steps");
        ui.add(DragValue::new(&mut new.steps).range(2..=200))
            .labelled_by(label.id)
            .on_hover_text("Images from the counterfactual to lambda 0, or along the range");
    });
    ui.horizontal(|ui| {
        close_together(ui);
        let label = ui.label("Floor");
        let hover =
            "A score below this is low enough. The published search stops at once where the score begins below it";
        ui.add(DragValue::new(&mut new.floor).range(0.0..=0.5).speed(0.005)).labelled_by(label.id).on_hover_text(hover);
        let label = ui.label("Change up to");
        let hover = "Largest change of the image, as a share of it: of the slab, or of the whole scan as published";
        let mut percent = new.max_change * 100.0;
        let value = DragValue::new(&mut percent).range(0.1..=100.0).speed(0.1).suffix(" %");
        if ui.add(value).labelled_by(label.id).on_hover_text(hover).changed() {
            new.max_change = percent / 100.0;
        }
    });
    ui.horizontal_wrapped(|ui| {
        ui.label("Search");
        let way = |ui: &mut Ui, current: &mut Options, way, name: &str, hover: &str| {
            let on = current.range.is_none() && current.search == way;
            if ui.selectable_label(on, name).on_hover_text(hover).clicked() {
                (current.range, current.search) = (None, way);
            }
        };
        let hover = "The gradient taken anew a few times on the way: slower, and truer to what lies ahead";
        way(ui, &mut new, SearchWay::Path, "path", hover);
        way(ui, &mut new, SearchWay::Aim, "aimed", "Along one gradient, then bracketed: few trials");
        way(ui, &mut new, SearchWay::Reference, "as published", "The published walk with every stop rule");
        if ui.selectable_label(new.range.is_some(), "range").on_hover_text("No search: sweep a given range").clicked() {
            new.range.get_or_insert([-100.0, 0.0]);
        }
    });
    let has_deviations = session.autoencoder.ready().is_some_and(|loaded| loaded.model.network.has_deviations());
    if has_deviations || new.steps_in == StepsIn::Deviations {
        let mut in_deviations = new.steps_in == StepsIn::Deviations;
        let tick = ui.checkbox(&mut in_deviations, "Lambda in standard deviations");
        if tick.on_hover_text(StepsIn::Deviations.describe()).changed() {
            new.steps_in = if in_deviations { StepsIn::Deviations } else { StepsIn::Latents };
        }
    }
    if new.range.is_none() {
        let hover = "As many steps to the other side of lambda 0, where the score goes the other way";
        ui.checkbox(&mut new.both, "Both ways from lambda 0").on_hover_text(hover);
    }
    if let Some([min, max]) = &mut new.range {
        ui.horizontal(|ui| {
            let label = ui.label("Lambda from");
            ui.add(DragValue::new(min).range(f64::MIN..=*max).update_while_editing(false)).labelled_by(label.id);
            let label = ui.label("up to");
            ui.add(DragValue::new(max).range(*min..=f64::MAX).update_while_editing(false)).labelled_by(label.id);
        });
    }
    if new != *options {
        actions.push(Action::Options(new));
    }
}

fn progress_ui(ui: &mut Ui, monitor: &Monitor, actions: &mut Vec<Action>) {
    let progress = monitor.progress();
    let (phase, fraction) = progress.map_or(("waiting", None), |p| (p.phase, p.fraction()));
    ui.label(RichText::new(phase).color(theme::colors(ui).strong));
    let bar = ProgressBar::new(fraction.unwrap_or(0.0)).animate(false);
    ui.add(if let Some(progress) = progress { bar.text(progress_text(&progress)) } else { bar });
    let stopping = monitor.check().is_err();
    let button = Button::new(if stopping { "Stopping after this piece of work" } else { "Cancel" });
    if wide_ui(ui, !stopping, button) {
        actions.push(Action::Cancel);
    }
    ui.label(RichText::new("What the search has found is kept").small().color(theme::colors(ui).weak));
}

/// A button as wide as the panel; true when it is clicked.
fn wide_ui(ui: &mut Ui, enabled: bool, button: Button) -> bool {
    ui.add_enabled_ui(enabled, |ui| ui.add_sized([ui.available_width(), 30.0], button).clicked()).inner
}

/// "12 of 40, 3 s left"; where the end is not known, how many.
pub(super) fn progress_text(progress: &Progress) -> String {
    let Progress { done, total, .. } = *progress;
    match (total, progress.left()) {
        (0, _) if done == 0 => String::new(),
        (0, _) => format!("{done} done"),
        (_, Some(left)) => format!("{done} of {total}, {} left", duration(left.as_secs_f64())),
        _ => format!("{done} of {total}"),
    }
}

#[cfg(test)]
mod tests {
    use super::moved;

    #[test]
    fn an_end_of_a_slab_moved_beyond_the_other_takes_it_along() {
        assert_eq!(moved(&(20..28), 22, 27, 134), 22..28);
        assert_eq!(moved(&(20..28), 100, 27, 134), 100..108);
        assert_eq!(moved(&(20..28), 130, 27, 134), 130..134);
        assert_eq!(moved(&(20..28), 20, 5, 134), 0..6);
        assert_eq!(moved(&(20..28), 20, 12, 134), 5..13);
    }
}
