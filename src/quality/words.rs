//! The numbers of quality in words: each with its name and a line that says what it means.

use super::{CHANGED_HU, Quality};

/// What no body, or no logit, gives.
const NONE: &str = "none";

/// A number with its name and what it means.
pub struct Line {
    pub name: &'static str,
    pub value: String,
    pub meaning: String,
}

/// All of them, in the order that people read them.
/// `end` is the score of the counterfactual.
pub fn lines(quality: &Quality, end: f64) -> Vec<Line> {
    let line = |name, value: String, meaning: &str| Line { name, value, meaning: meaning.to_owned() };
    let share = |share: f64| if share.is_nan() { NONE.to_owned() } else { format!("{:.1} %", 100.0 * share) };
    let mean = quality.mean_change_hu;
    let (reached, aim) = match (quality.goal, quality.goal_reached) {
        (Some(goal), Some(reached)) => {
            (reached_text(goal, end, end - quality.score_change, reached), format!("{goal:.4}"))
        }
        _ => ("no goal".to_owned(), "none, since lambda was given as a range".to_owned()),
    };
    let changed = format!("Share of the body's voxels that changed by more than {CHANGED_HU} HU");
    vec![
        line(
            "Goal reached",
            reached,
            &format!("Whether the score came to its goal or beyond: {aim}. A search ends within 2 % of the way"),
        ),
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

/// "yes" where the score came to its goal or beyond; where it only came near enough for the search to end, how near.
fn reached_text(goal: f64, end: f64, start: f64, reached: bool) -> String {
    let beyond = if goal < start { end <= goal } else { end >= goal };
    match (beyond, reached) {
        (true, _) => "yes".to_owned(),
        (false, true) => format!("nearly, {end:.3} of {goal:.3}"),
        (false, false) => "no".to_owned(),
    }
}

/// A number with its sign; what rounds to nothing has none.
pub fn signed(number: f64, decimals: usize) -> String {
    let text = format!("{number:+.decimals$}");
    if text.bytes().any(|c| (b'1'..=b'9').contains(&c)) { text } else { text.replace(['+', '-'], "") }
}

#[cfg(test)]
mod tests {
    use super::{reached_text, signed};

    #[test]
    fn a_goal_that_was_only_nearly_reached_says_how_nearly() {
        assert_eq!(reached_text(0.1, 0.099, 0.9, true), "yes");
        assert_eq!(reached_text(0.1, 0.102, 0.9, true), "nearly, 0.102 of 0.100");
        assert_eq!(reached_text(0.9, 0.91, 0.2, true), "yes");
        assert_eq!(reached_text(0.9, 0.5, 0.2, false), "no");
    }

    #[test]
    fn what_rounds_to_nothing_has_no_sign() {
        assert_eq!(signed(-0.0004, 3), "0.000");
        assert_eq!(signed(0.0, 2), "0.00");
        assert_eq!(signed(-0.0006, 3), "-0.001");
        assert_eq!(signed(12.5, 1), "+12.5");
        assert_eq!(signed(f64::NAN, 1), "NaN");
    }
}
