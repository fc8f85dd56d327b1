//! Lambda: the curve of scores, and the slider under it. While a run goes on, its trials appear on the curve.

use eframe::egui::{Align2, Button, Label, Rect, Role, Sense, Shape, Slider, Stroke, Ui, Vec2, WidgetInfo, pos2};

use super::action::Action;
use super::session::{Explained, Session};
use super::slice_bar::{NAME_WIDTH, VALUE_WIDTH, track_inside};
use super::theme;
use super::viewer::{Pace, Viewer};
use super::widgets::ink;
use crate::frame::lambda_text;
use crate::job::CurvePoint;
use crate::latent_shift::ScoreKind;
use crate::settings::ScoredBy;

const CURVE_HEIGHT: f32 = 96.0;
/// Of the line below the curve where lambdas stand.
const AXIS_HEIGHT: f32 = 18.0;
/// Of the slider and its button.
const ROW_HEIGHT: f32 = 30.0;
/// Dash and gap of the line of the goal.
const DASH: f32 = 5.0;
/// Between the playhead at either end and the words beside it.
const CLEAR: f32 = 6.0;

pub(super) fn lambda_bar_ui(ui: &mut Ui, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    let area = Vec2::new(ui.available_width(), CURVE_HEIGHT);
    let (curve, response) = ui.allocate_exact_size(area, Sense::click_and_drag());
    let run = session.run.ready();
    let goal = run.and_then(|run| run.report.quality.goal);
    let embeds = session.settings.scored_by == ScoredBy::Embedder;
    let coming = if embeds { ScoreKind::Cosine } else { ScoreKind::Probability };
    let shown = run.filter(|_| session.run.running().is_none());
    let axis = shown.map_or(coming, |run| run.result.score_kind).axis();
    response.widget_info(|| WidgetInfo {
        current_text_value: goal.map(|goal| format!("goal {goal:.4}, dashed")),
        ..WidgetInfo::labeled(Role::Image, true, name(axis))
    });
    let slider = if let Some(run) = run {
        slider_ui(ui, run, viewer, actions)
    } else {
        ui.add_space(ROW_HEIGHT); // the panes keep their size when the slider comes
        Rect::from_x_y_ranges(curve.left() + NAME_WIDTH..=curve.right() - VALUE_WIDTH, curve.y_range())
    };
    let track = track_inside(slider);
    if let Some(monitor) = session.run.running() {
        let mut points = monitor.curve();
        points.sort_by(|a, b| a.lambda.total_cmp(&b.lambda));
        curve_ui(ui, curve, track, &points, None, None);
    } else if let Some(run) = run {
        let steps = &run.result.steps;
        let (first, last) = (steps[0].lambda, steps[steps.len() - 1].lambda);
        if let Some(pointer) = response.interact_pointer_pos()
            && first < last
        {
            let share = f64::from((pointer.x - track.left()) / track.width()).clamp(0.0, 1.0);
            let step = run.step_at(first + (last - first) * share);
            actions.push(Action::Step(settled(step, response.dragged())));
        }
        let points: Vec<_> = steps.iter().map(|step| CurvePoint { lambda: step.lambda, score: step.score }).collect();
        curve_ui(ui, curve, track, &points, Some(run), Some(run.lambda_at(viewer.step)));
    } else {
        curve_ui(ui, curve, track, &[], None, None);
    }
    let at = pos2(curve.left() + 4.0, curve.center().y);
    ink(&ui.painter_at(curve), at, Align2::LEFT_CENTER, axis, theme::DARK.weak);
}

/// For a screen reader.
fn name(axis: &str) -> String {
    if axis == ScoreKind::Cosine.axis() { "Cosine similarity along lambda" } else { "Scores along lambda" }.to_owned()
}

/// The slider, and play; gives where the slider is.
fn slider_ui(ui: &mut Ui, run: &Explained, viewer: &Viewer, actions: &mut Vec<Action>) -> Rect {
    let steps = &run.result.steps;
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
                actions.push(Action::TogglePlay);
            }
            pace_ui(ui, viewer.pace, actions);
            slider
        })
        .inner;
    let step = run.step_at(lambda);
    if slider.drag_stopped() {
        actions.push(Action::Step(step.round()));
    } else if slider.changed() {
        // A key moves the slider by less than a step: it means the next one.
        let nudged = !slider.dragged() && step.round() == viewer.step;
        let step = if nudged { viewer.step + (step - viewer.step).signum() } else { settled(step, slider.dragged()) };
        actions.push(Action::Step(step.clamp(0.0, steps.len() as f32 - 1.0)));
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
        actions.push(Action::Pace(new));
    }
}

/// Between two steps only while it moves: what stands still is always a step that was computed.
fn settled(step: f32, moving: bool) -> f32 {
    if moving { step } else { step.round() }
}

/// Scores over lambda, dots where they were computed; the scan's own score is a diamond left of the axis, so that the gap
/// which the autoencoder makes is seen; the goal, dashed; and the playhead.
fn curve_ui(ui: &Ui, area: Rect, track: Rect, points: &[CurvePoint], run: Option<&Explained>, playhead: Option<f64>) {
    let painter = ui.painter_at(area);
    painter.rect_filled(area, 2.0, theme::DARK.field);
    let Some((first, last)) = points.first().zip(points.last()).map(|(a, b)| (a.lambda, b.lambda)) else {
        let text = "The score along lambda appears here as it is found";
        painter.text(area.center(), Align2::CENTER_CENTER, text, theme::small(), theme::DARK.weak);
        return;
    };
    let scan = run.map(|run| run.result.scores.scan);
    let goal = run.and_then(|run| run.report.quality.goal);
    let scores = || points.iter().map(|p| p.score).chain(goal);
    let (low, high) = (scores().fold(f64::INFINITY, f64::min), scores().fold(f64::NEG_INFINITY, f64::max));
    let span = (high - low).max(1e-6);
    let inner = Rect::from_min_max(area.min + Vec2::new(0.0, 14.0), area.max - Vec2::new(0.0, AXIS_HEIGHT + 8.0));
    let y = |score: f64| inner.bottom() - inner.height() * ((score - low) / span) as f32;
    let x = |lambda: f64| match last - first {
        0.0 => track.right(),
        width => track.left() + track.width() * ((lambda - first) / width) as f32,
    };
    let places: Vec<_> = points.iter().map(|p| pos2(x(p.lambda), y(p.score))).collect();
    painter.add(Shape::line(places.clone(), Stroke::new(1.5, theme::DARK.accent)));
    for place in &places {
        painter.circle_filled(*place, 3.0, theme::DARK.accent);
    }
    for (score, at) in [(high, inner.top()), (low, inner.bottom())] {
        ink(&painter, pos2(area.left() + 4.0, at), Align2::LEFT_CENTER, &format!("{score:.4}"), theme::DARK.weak);
    }
    if let Some(goal) = goal {
        let line = [pos2(track.left(), y(goal)), pos2(track.right(), y(goal))];
        painter.extend(Shape::dashed_line(&line, Stroke::new(1.0, theme::DARK.amber), DASH, DASH));
        let at = pos2(track.center().x, y(goal) - 2.0);
        ink(&painter, at, Align2::CENTER_BOTTOM, &format!("goal {goal:.4}"), theme::DARK.amber);
    }
    if let Some(scan) = scan {
        // The gap may dwarf the curve: then the diamond stays at the edge, and its number says how far off it is.
        let at =
            pos2(area.left() + NAME_WIDTH - 4.0, y(scan).clamp(area.top() + 8.0, area.bottom() - AXIS_HEIGHT - 2.0));
        let diamond = [(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)].map(|(x, y)| at + Vec2::new(x, y)).to_vec();
        painter.add(Shape::convex_polygon(diamond, theme::DARK.strong, Stroke::NONE));
        let words = pos2(track.left() + CLEAR, at.y);
        ink(&painter, words, Align2::LEFT_CENTER, &format!("scan {scan:.4}"), theme::DARK.strong);
    }
    for (lambda, aside, anchor) in [(first, CLEAR, Align2::LEFT_BOTTOM), (last, -CLEAR, Align2::RIGHT_BOTTOM)] {
        let at = pos2(x(lambda) + aside, area.bottom() - 2.0);
        ink(&painter, at, anchor, &format!("λ {}", lambda_text(lambda)), theme::DARK.weak);
    }
    if let Some(lambda) = playhead {
        painter.line_segment(
            [pos2(x(lambda), area.top()), pos2(x(lambda), area.bottom())],
            Stroke::new(1.5, theme::DARK.strong),
        );
        let at = pos2(area.right() - 6.0, area.center().y);
        ink(&painter, at, Align2::RIGHT_CENTER, &format!("λ {}", lambda_text(lambda)), theme::DARK.strong);
    }
}
