//! Lambda: the curve of scores, which carries the number at the playhead, and the slider under it. While a run goes on, its trials
//! appear on the curve.

mod draw;

use egui::{Button, Label, Rect, Role, Sense, Slider, Ui, Vec2, WidgetInfo};

use self::draw::Canvas;
use super::slice_bar::{NAME_WIDTH, VALUE_WIDTH, track_inside};
use crate::frame::lambda_text;
use crate::latent_shift::ScoreKind;
use crate::session::action::{Action, View};
use crate::session::explained::Explained;
use crate::session::model::Model;
use crate::session::shown::{Told, told};
use crate::session::view::curve::Curve;
use crate::session::view::pair::step_beside;
use crate::session::view::{Pace, Viewer};
use crate::settings::ScoredBy;

const CURVE_HEIGHT: f32 = 122.0;
/// The height of the slider's row, points.
const ROW_HEIGHT: f32 = 30.0;

pub(super) fn lambda_bar_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let size = Vec2::new(ui.available_width(), CURVE_HEIGHT);
    let (area, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let told = told(model, viewer);
    let run = told.result();
    let slider = if let Some(run) = run {
        slider_ui(ui, run, viewer, actions)
    } else {
        ui.add_space(ROW_HEIGHT); // the panes keep their size when the slider comes
        Rect::from_x_y_ranges(area.left() + NAME_WIDTH..=area.right() - VALUE_WIDTH, area.y_range())
    };
    let shown = run.filter(|_| model.run.running().is_none() || viewer.older);
    let curve = curve(model, told, shown.is_some(), viewer);
    let kind = shown.map_or(coming(model), |run| run.result().score_kind);
    let canvas = Canvas::new(ui, area, track_inside(slider), &curve, kind.axis());
    canvas.curve();
    let mut words = None;
    if let Some(run) = shown {
        words = Some(at_playhead(told, viewer));
        canvas.marks();
        let hovered = response.hover_pos().map(|pointer| canvas.lambda(pointer.x));
        if let Some(step) = hovered.map(|lambda| run.step_at(lambda).round()).filter(|_| !response.dragged()) {
            let playhead = (run.lambda_at(viewer.step), words.as_deref().unwrap_or_default());
            canvas.hover(run.lambda_at(step), &words_at(told, step, viewer), playhead);
        }
        canvas.playhead(run.lambda_at(viewer.step), words.as_deref().unwrap_or_default());
        if let Some(pointer) = response.interact_pointer_pos() {
            let step = run.step_at(canvas.lambda(pointer.x));
            actions.push(View::Step(settled(step, response.dragged())).into());
        }
    }
    let told = [words, goals(told)].into_iter().flatten().collect::<Vec<_>>().join("; ");
    response.widget_info(|| WidgetInfo {
        current_text_value: Some(told.clone()),
        ..WidgetInfo::labeled(Role::Image, true, name(kind))
    });
}

/// The curve of the result that is shown, or those of two, or what a run that goes on has tried.
fn curve(model: &Model, told: Told<'_>, shown: bool, viewer: &Viewer) -> Curve {
    let logits = viewer.display.logits;
    match (told, model.run.running()) {
        (Told::Pair(_, [a, b]), _) if shown => Curve::of_pair(a, b, logits),
        (Told::Result(_, run), _) if shown => Curve::of(run, logits, &viewer.beside),
        (_, Some(monitor)) => Curve::of_trials(&monitor.curve(), coming(model), logits),
        (_, None) => Curve::of_trials(&[], coming(model), logits),
    }
}

/// Where the searches were to go, in words.
fn goals(told: Told<'_>) -> Option<String> {
    let goal = |run: &Explained| run.report.quality.goal.map(|goal| format!("{goal:.4}"));
    match told {
        Told::Pair(_, [a, b]) => {
            let of = |letter: &str, run: &Explained| goal(run).map(|goal| format!("{letter} {goal}"));
            let both: Vec<String> = [of("A", a), of("B", b)].into_iter().flatten().collect();
            (!both.is_empty()).then(|| format!("goals, dashed: {}", both.join(", ")))
        }
        _ => goal(told.result()?).map(|goal| format!("goal {goal}, dashed")),
    }
}

/// The kind of score that a run gives with what is chosen.
fn coming(model: &Model) -> ScoreKind {
    match model.settings.scored_by {
        ScoredBy::Embedder => ScoreKind::Cosine,
        ScoredBy::Segmenter => ScoreKind::Number,
        ScoredBy::Classifier => ScoreKind::Probability,
    }
}

/// What a screen reader calls the curve.
fn name(kind: ScoreKind) -> &'static str {
    if kind == ScoreKind::Cosine { "Cosine similarity along lambda" } else { "Scores along lambda" }
}

/// "0.8312 at λ -18.6"; between two steps about so much.
fn at_playhead(told: Told<'_>, viewer: &Viewer) -> String {
    let about = if viewer.step.fract() == 0.0 { "" } else { "≈ " };
    format!("{about}{}", words_at(told, viewer.step, viewer))
}

fn words_at(told: Told<'_>, step: f32, viewer: &Viewer) -> String {
    let of = |run: &Explained, step: f32| {
        let scale = run.scale(viewer.display.logits);
        format!("{} at λ {}", scale.text(run.score_at(step)), lambda_text(run.lambda_at(step)))
    };
    match told {
        Told::Pair(_, [a, b]) => format!("A {}, B {}", of(a, step), of(b, step_beside(step, a, b))),
        _ => told.result().map_or_else(String::new, |run| of(run, step)),
    }
}

/// The slider, and play; gives where the slider is.
fn slider_ui(ui: &mut Ui, run: &Explained, viewer: &Viewer, actions: &mut Vec<Action>) -> Rect {
    let steps = &run.result().steps;
    let (first, last) = (steps[0].lambda, steps[steps.len() - 1].lambda);
    let mut lambda = run.lambda_at(viewer.step);
    let slider = ui
        .horizontal(|ui| {
            let width = (ui.available_width() - NAME_WIDTH - VALUE_WIDTH).max(80.0);
            let label = ui.add_sized([NAME_WIDTH - 8.0, 20.0], Label::new("Lambda"));
            ui.spacing_mut().slider_width = width;
            let slider = Slider::new(&mut lambda, first..=last).show_value(false);
            let slider = ui.add_enabled(first < last, slider).labelled_by(label.id);
            let text = if viewer.playing.is_some() { "Pause" } else { "Play" };
            if ui.add_enabled(first < last, Button::new(text)).on_hover_text("Space").clicked() {
                actions.push(View::TogglePlay.into());
            }
            pace_ui(ui, viewer.pace, actions);
            slider
        })
        .inner;
    let step = run.step_at(lambda);
    if slider.drag_stopped() {
        actions.push(View::Step(step.round()).into());
    } else if slider.changed() {
        // A key moves the slider by less than a step: it means the next one.
        let nudged = !slider.dragged() && step.round() == viewer.step;
        let step = if nudged { viewer.step + (step - viewer.step).signum() } else { settled(step, slider.dragged()) };
        actions.push(View::Step(step.clamp(0.0, steps.len() as f32 - 1.0)).into());
    }
    slider.rect
}

/// How it plays.
fn pace_ui(ui: &mut Ui, pace: Pace, actions: &mut Vec<Action>) {
    let mut new = pace;
    ui.menu_button("Pace", |ui| {
        for (speed, name) in [(0.5, "Slow"), (1.0, "Normal"), (2.0, "Fast")] {
            ui.radio_value(&mut new.speed, speed, name);
        }
        ui.separator();
        ui.radio_value(&mut new.once, false, "To and fro");
        ui.radio_value(&mut new.once, true, "Once, to the other end");
    });
    if new != pace {
        actions.push(View::Pace(new).into());
    }
}

/// Between two steps only while it moves: what stands still is always a step that was computed.
fn settled(step: f32, moving: bool) -> f32 {
    if moving { step } else { step.round() }
}
