//! A result as a few lines of plain text, to paste into a report.

use super::report::{NOTICE, Report};
use crate::frame::lambda_text;
use crate::latent_shift::Counterfactual;
use crate::quality::words::lines;

/// Digits of a SHA-256 that tell networks apart for a reader; `result.json` has all.
const DIGITS: usize = 12;

/// Scores, the reconstruction gap, what changed, what a reader must know, and where it came from. It names no patient and no folder.
pub fn reading(report: &Report, result: &Counterfactual) -> String {
    let scores = result.scores;
    let lambda = lambda_text(result.steps[result.chosen].lambda);
    let mut text = vec![
        format!("Counterfactual of \"{}\"", report.target),
        format!(
            "Scores: scan {:.4}, reconstruction {:.4}, counterfactual {:.4} at lambda {lambda}.",
            scores.scan, scores.reconstruction, scores.counterfactual
        ),
        format!("The search stopped because {}.", result.stop),
    ];
    if !result.complete {
        text.push("Partial: the run was cancelled.".to_owned());
    }
    text.extend(report.regions.lines());
    let quality = lines(&report.quality, scores.counterfactual);
    text.extend(quality.iter().map(|line| format!("{}: {}.", line.name, line.value)));
    text.extend(result.which_scan_score().map(|which| format!("The score of the scan is {which}.")));
    text.extend(result.notes().into_iter().map(|note| format!("Note: {note}.")));
    text.extend(report.networks().into_iter().flat_map(|model| &model.notes).map(|note| format!("Note: {note}.")));
    for (what, model) in [("Autoencoder", &report.autoencoder), ("Scored by", &report.scored_by)] {
        let digits = model.sha256.get(..DIGITS).unwrap_or(&model.sha256);
        text.push(format!("{what}: {} (SHA-256 {digits}).", model.name));
    }
    text.push(format!("Parallax {}. {NOTICE}", env!("CARGO_PKG_VERSION")));
    text.join("\n") + "\n"
}
