//! The three scores on an axis that never moves, as probabilities or as logits.

use egui::{Align2, Rect, RichText, Role, Sense, Shape, Stroke, TextStyle, Ui, Vec2, WidgetInfo, pos2};

use super::super::theme;
use super::super::widgets::meaning_ui;
use crate::frame::display::Display;
use crate::frame::lambda_text;
use crate::latent_shift::ScoreKind;
use crate::session::action::{Action, View};
use crate::session::explained::Explained;
use crate::session::view::Viewer;
use crate::session::view::scale::Scale;

const BAR_HEIGHT: f32 = 10.0;

/// The three scores of the run, and that of the step that is shown; gives how they are told.
pub(super) fn predictions_ui(ui: &mut Ui, run: &Explained, viewer: &Viewer, actions: &mut Vec<Action>) -> Scale {
    if run.result().score_kind == ScoreKind::Probability {
        scale_ui(ui, viewer.display, actions);
    }
    let (scale, scores) = (run.scale(viewer.display.logits), run.result().scores);
    let shown = format!("Shown, λ {}", lambda_text(run.lambda_at(viewer.step)));
    for (name, score, meaning) in [
        ("Scan", scores.scan, "The model's output on the scan itself"),
        ("Reconstruction", scores.reconstruction, "On the autoencoder's copy of the scan, lambda 0"),
        ("Counterfactual", scores.counterfactual, "On the copy, shifted along the gradient"),
        (&shown, run.score_at(viewer.step), "On the copy as it is shown now: it follows the playhead"),
    ] {
        score_ui(ui, scale, name, score, meaning);
    }
    axis_ui(ui, scale, run.report.quality.goal);
    scale
}

/// The choice between the two; a score that is no probability has none.
fn scale_ui(ui: &mut Ui, display: Display, actions: &mut Vec<Action>) {
    let mut new = display;
    ui.horizontal(|ui| {
        ui.label("Scores as");
        ui.selectable_value(&mut new.logits, false, "probability")
            .on_hover_text("On an axis from 0 to 1, whatever the scores are");
        ui.selectable_value(&mut new.logits, true, "logit")
            .on_hover_text("ln(p / (1 - p)) on an axis from -8 to 8: tells scores near 0 or 1 apart");
    });
    if new != display {
        actions.push(View::Display(new).into());
    }
}

/// A name, a number, and a bar from 0.
fn score_ui(ui: &mut Ui, scale: Scale, name: &str, score: f64, meaning: &str) {
    let value = scale.of(score);
    let text = scale.text(score);
    let height = ui.text_style_height(&TextStyle::Body) + BAR_HEIGHT + 2.0;
    let size = Vec2::new(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo {
        value: Some(value),
        ..WidgetInfo::labeled(Role::Meter, true, format!("Score of the {}", name.to_lowercase()))
    });
    let painter = ui.painter();
    let [body, monospace] = [TextStyle::Body, TextStyle::Monospace].map(|style| style.resolve(ui.style()));
    painter.text(rect.left_top(), Align2::LEFT_TOP, name, body, theme::colors(ui).text);
    painter.text(rect.right_top(), Align2::RIGHT_TOP, &text, monospace, theme::colors(ui).strong);
    let bar = Rect::from_min_max(pos2(rect.left(), rect.bottom() - BAR_HEIGHT), rect.max);
    let x = |value: f64| bar.left() + bar.width() * scale.share(value);
    painter.rect_filled(bar, 2.0, theme::colors(ui).field);
    let filled = Rect::from_two_pos(pos2(x(0.0), bar.top() + 2.0), pos2(x(value), bar.bottom() - 2.0));
    painter.rect_filled(filled, 0.0, theme::colors(ui).accent);
    painter.vline(x(value), bar.y_range(), Stroke::new(2.0, theme::colors(ui).strong));
    let [low, high] = scale.axis();
    if value < low || value > high {
        beyond(ui, bar, if value < low { -1.0 } else { 1.0 });
    }
    meaning_ui(ui, response, meaning);
}

/// An arrow at the end of a bar whose value lies farther out.
fn beyond(ui: &Ui, bar: Rect, side: f32) {
    let tip = if side < 0.0 { bar.left_center() } else { bar.right_center() };
    let base = tip.x - side * BAR_HEIGHT / 2.0;
    let arrow = vec![tip, pos2(base, bar.top()), pos2(base, bar.bottom())];
    ui.painter().add(Shape::convex_polygon(arrow, theme::colors(ui).strong, Stroke::NONE));
}

/// The ends and the middle of the axis, and where the score was to go.
fn axis_ui(ui: &mut Ui, scale: Scale, goal: Option<f64>) {
    let size = Vec2::new(ui.available_width(), theme::SMALL_SIZE + 2.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let [low, high] = scale.axis();
    let ends = [(low, Align2::LEFT_TOP), (f64::midpoint(low, high), Align2::CENTER_TOP), (high, Align2::RIGHT_TOP)];
    for (value, anchor) in ends {
        let at = pos2(rect.left() + rect.width() * scale.share(value), rect.top());
        ui.painter().text(at, anchor, value.to_string(), theme::small(), theme::colors(ui).weak);
    }
    if let Some(goal) = goal {
        let text = format!("Goal of the search {}", scale.text(goal));
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    }
}
