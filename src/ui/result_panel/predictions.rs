//! The three scores on an axis that never moves, as probabilities or as logits.

use eframe::egui::{Align2, Id, Rect, RichText, Role, Sense, Shape, Stroke, TextStyle, Ui, Vec2, WidgetInfo, pos2};

use super::super::session::Explained;
use super::super::theme;
use super::super::widgets::meaning_ui;
use crate::latent_shift::ScoreKind;
use crate::latent_shift::search::logit;

const BAR_HEIGHT: f32 = 10.0;

/// How a score is told. Between probabilities near 0 or 1 only logits show a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Scale {
    #[default]
    Probability,
    Logit,
    /// As it is, on an axis with these ends.
    Plain([f64; 2]),
}

impl Scale {
    /// The ends of the axis; both begin their bars at 0.
    fn axis(self) -> [f64; 2] {
        match self {
            Self::Probability => [0.0, 1.0],
            Self::Logit => [-8.0, 8.0],
            Self::Plain(ends) => ends,
        }
    }

    fn of(self, score: f64) -> f64 {
        match self {
            Self::Probability | Self::Plain(_) => score,
            Self::Logit => logit(score),
        }
    }

    /// Places after the point that tell two scores apart.
    fn decimals(self) -> usize {
        match self {
            Self::Probability | Self::Plain(_) => 4,
            Self::Logit => 2,
        }
    }

    /// The axis of numbers that are no probabilities: from 0 to 1, or as far as they go.
    fn around(scores: [f64; 3]) -> Self {
        let far = |end: f64, farther: fn(f64, f64) -> f64| scores.into_iter().fold(end, farther);
        Self::Plain([far(0.0, f64::min), far(1.0, f64::max)])
    }

    /// Where a value lies along the axis, `0..=1`; beyond its ends, at them.
    fn share(self, value: f64) -> f32 {
        let [low, high] = self.axis();
        ((value - low) / (high - low)).clamp(0.0, 1.0) as f32
    }
}

/// The scores; gives how they are told.
pub(super) fn predictions_ui(ui: &mut Ui, run: &Explained) -> Scale {
    let scores = run.result.scores;
    let scale = match run.result.score_kind {
        ScoreKind::Probability => scale_ui(ui),
        ScoreKind::Number => Scale::around([scores.scan, scores.reconstruction, scores.counterfactual]),
        ScoreKind::Cosine => Scale::Plain([-1.0, 1.0]),
    };
    for (name, score, meaning) in [
        ("Scan", scores.scan, "The model's output on the scan itself"),
        ("Reconstruction", scores.reconstruction, "On the autoencoder's copy of the scan, lambda 0"),
        ("Counterfactual", scores.counterfactual, "On the copy, shifted along the gradient"),
    ] {
        score_ui(ui, scale, name, score, meaning);
    }
    axis_ui(ui, scale, run.report.quality.goal);
    scale
}

/// The choice between the two; a score that is no probability has none.
fn scale_ui(ui: &mut Ui) -> Scale {
    let id = Id::unique("scale of scores");
    let mut scale: Scale = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    ui.horizontal(|ui| {
        ui.label("Scores as");
        ui.selectable_value(&mut scale, Scale::Probability, "probability")
            .on_hover_text("On an axis from 0 to 1, whatever the scores are");
        ui.selectable_value(&mut scale, Scale::Logit, "logit")
            .on_hover_text("ln(p / (1 - p)) on an axis from -8 to 8: tells scores near 0 or 1 apart");
    });
    ui.data_mut(|data| data.insert_temp(id, scale));
    scale
}

/// A name, a number, and a bar from 0.
fn score_ui(ui: &mut Ui, scale: Scale, name: &str, score: f64, meaning: &str) {
    let value = scale.of(score);
    let text = format!("{value:.decimals$}", decimals = scale.decimals());
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
        let goal = scale.of(goal);
        let text = format!("Goal of the search {goal:.decimals$}", decimals = scale.decimals());
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn the_axis_stands_whatever_the_scores_are() {
        assert_eq!([0.0, 0.25, 1.0].map(|p| Scale::Probability.share(p)), [0.0, 0.25, 1.0]);
        assert_eq!([-8.0, 0.0, 6.0, 20.0].map(|logit| Scale::Logit.share(logit)), [0.0, 0.5, 0.875, 1.0]);
        assert_eq!(Scale::Logit.of(0.5), 0.0);
        assert!((Scale::Logit.of(0.1) + 9.0_f64.ln()).abs() < 1e-12);
    }
}
