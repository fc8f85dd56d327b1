//! An audit of scans for people: a table of scores against the dial, what the methods find, and all that was left out.

use super::{AtDial, Detection, ScansReport, Skipped};
use crate::audit::summary::estimate::text;
use crate::audit::summary::words::{self as of_methods, Table};

/// From here on a classifier tells scans with a finding from scans without.
const SEES: f64 = 0.9;
/// Below, it does so hardly better than by chance.
const BLIND: f64 = 0.7;
/// So many reasons are listed; all are in the files.
const MOST_LISTED: usize = 20;

/// The whole audit, line by line.
pub fn table(report: &ScansReport) -> String {
    let mut lines = Vec::new();
    for (name, detection) in &report.detection {
        lines.extend(aligned(name, detection));
        lines.push(verdict(name, detection));
        lines.push(String::new());
    }
    lines.push(of_methods::table(&report.report));
    lines.extend(left_out(&report.skipped));
    let notes = report.notes.iter().map(|said| format!("note: {}: {}", said.scan, said.note));
    lines.extend(notes.take(MOST_LISTED));
    lines.join("\n")
}

/// The scores of a finding: a line for each dial, or for scans without a mask and with one.
pub fn scores(detection: &Detection) -> Table {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let line = |at: &AtDial| {
        let what = match (at.dial, at.present) {
            (Some(0.0), _) => "as scanned".to_owned(),
            (Some(dial), _) => format!("dial {dial}"),
            (None, true) => "with a mask".to_owned(),
            (None, false) => "without a mask".to_owned(),
        };
        vec![
            what,
            at.scans.to_string(),
            text(at.mean_score, at.mean_score_interval, 2),
            or_dash(at.auroc.map(|area| text(area, at.auroc_interval, 2))),
            or_dash(at.raised.map(|share| format!("{:.0} %", 100.0 * share))),
            or_dash(at.mean_strength_hu.map(|hu| format!("{hu:+.0}"))),
            or_dash(at.mean_volume_ml.map(|ml| format!("{ml:.1}"))),
        ]
    };
    let columns = vec!["", "scans", "score", "AUROC", "raised", "HU", "ml"];
    Table { columns, lines: detection.dials.iter().map(line).collect() }
}

/// The scores of a finding as lines of a terminal, below the name of the finding and of its class.
fn aligned(name: &str, detection: &Detection) -> Vec<String> {
    let Table { columns, lines } = scores(detection);
    let line = |cells: &[&str]| {
        let [what, scans, score, area, raised, hu, ml] = cells else { return String::new() };
        format!("  {what:<18} {scans:>5} {score:>20} {area:>20} {raised:>7} {hu:>8} {ml:>8}")
    };
    let head = format!("{name}, by the score of {:?}\n{}", detection.label, line(&columns));
    let rest = lines.iter().map(|cells| line(&cells.iter().map(String::as_str).collect::<Vec<_>>()));
    [head].into_iter().chain(rest).collect()
}

/// Whether the classifier sees the finding, at the highest dial.
pub fn verdict(name: &str, detection: &Detection) -> String {
    let Some((at, area)) = detection.dials.iter().rev().find_map(|at| Some((at, at.auroc?))) else {
        return format!("{name}: no scan with it can be held against one without it.");
    };
    let how = at.dial.map_or("where it is marked".to_owned(), |dial| format!("at a dial of {dial}"));
    let sees = match area {
        area if area >= SEES => "sees it",
        area if area >= BLIND => "sees it in part",
        area if area > 1.0 - BLIND => "hardly sees it",
        _ => "takes it for the opposite: its score falls",
    };
    if at.auroc_interval.is_none() {
        return format!("{name}: AUROC {area:.2} {how}, of too few scans to say whether the classifier sees it.");
    }
    format!("{name}: the classifier {sees} {how} (AUROC {area:.2}).")
}

/// What was left out, each with its reason.
pub fn left_out(skipped: &[Skipped]) -> Vec<String> {
    let line = |skipped: &Skipped| {
        let what = skipped.finding.as_ref().map_or(String::new(), |finding| format!(", {finding}"));
        let at = skipped.dial.map_or(String::new(), |dial| format!(" at {dial}"));
        let seed = skipped.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
        format!("  {}{what}{at}{seed}: {}", skipped.scan, skipped.reason)
    };
    let head = (!skipped.is_empty()).then(|| format!("Left out: {}", skipped.len()));
    let more = skipped.len().saturating_sub(MOST_LISTED);
    let rest = (more > 0).then(|| format!("  and {more} more; --json and --scores list all"));
    head.into_iter().chain(skipped.iter().take(MOST_LISTED).map(line)).chain(rest).collect()
}
