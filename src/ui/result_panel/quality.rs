//! What the counterfactual is worth, in numbers, each with a line that says what it means.

use eframe::egui::{Align2, Role, Sense, TextStyle, Ui, Vec2, WidgetInfo};

use super::super::theme;
use super::super::widgets::{meaning_ui, signed};
use crate::quality::{CHANGED_HU, Quality};

/// What no body, or no logit, gives.
const NONE: &str = "none";

struct Line {
    name: &'static str,
    value: String,
    meaning: String,
}

pub(super) fn quality_ui(ui: &mut Ui, quality: &Quality) {
    for line in lines(quality) {
        line_ui(ui, &line);
    }
}

fn lines(quality: &Quality) -> Vec<Line> {
    let line = |name, value: String, meaning: &str| Line { name, value, meaning: meaning.to_owned() };
    let share = |share: f64| if share.is_nan() { NONE.to_owned() } else { format!("{:.1} %", 100.0 * share) };
    let mean = quality.mean_change_hu;
    let (reached, aim) = match (quality.goal, quality.goal_reached) {
        (Some(goal), Some(reached)) => (if reached { "yes" } else { "no" }, format!("{goal:.4}")),
        _ => ("no goal", "none, since lambda was given as a range".to_owned()),
    };
    let changed = format!("Share of the body's voxels that changed by more than {CHANGED_HU} HU");
    vec![
        line("Goal reached", reached.to_owned(), &format!("Whether the score came to its goal or beyond: {aim}")),
        line("Change of score", signed(quality.score_change, 4), "Counterfactual minus reconstruction"),
        line(
            "Change of logit",
            quality.logit_change.map_or(NONE.to_owned(), |change| signed(change, 2)),
            "The same in logits, which tell scores near 0 or 1 apart; a segmenter's score has none",
        ),
        line(
            "Reconstruction gap",
            format!("{:.4}", quality.reconstruction_gap),
            "How far the autoencoder alone moved the score: scan against reconstruction",
        ),
        line(
            "Mean change in body",
            if mean.is_nan() { NONE.to_owned() } else { format!("{mean:.1} HU") },
            "Mean size of the change over the body: the nearer a counterfactual, the better",
        ),
        line(
            "Largest change",
            format!("{} HU", signed(f64::from(quality.largest_change_hu), 0)),
            "The voxel that changed most, with its sign",
        ),
        line("Body changed", share(quality.changed_body_share), &changed),
        line(
            "90 % of the change in",
            share(quality.sparsity),
            "Share of all voxels, the most changed ones, that holds 90 % of the change: small where little was touched",
        ),
        line(
            "Latents moved",
            share(quality.latents_moved),
            "How far the latents were shifted, as a share of their own length",
        ),
        line(
            "Monotonicity",
            share(quality.monotonicity),
            "Share of neighbouring steps in which the score rises with lambda: 100 % where it follows the path",
        ),
    ]
}

/// A name and a value on one line, which the focus can rest on.
fn line_ui(ui: &mut Ui, line: &Line) {
    let size = Vec2::new(ui.available_width(), ui.text_style_height(&TextStyle::Body));
    let (rect, response) = ui.allocate_exact_size(size, Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo {
        current_text_value: Some(line.value.clone()),
        ..WidgetInfo::labeled(Role::Status, true, line.name)
    });
    let [body, monospace] = [TextStyle::Body, TextStyle::Monospace].map(|style| style.resolve(ui.style()));
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, line.name, body, theme::TEXT);
    ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, &line.value, monospace, theme::STRONG);
    meaning_ui(ui, response, &line.meaning);
}
