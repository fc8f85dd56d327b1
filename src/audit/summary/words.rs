//! An audit for people: tables, and a sentence or two per finding that hide nothing.

use super::estimate::{Interval, text};
use super::{Measured, Report, Summary};
use crate::audit::Method;
use crate::audit::curves::SHARES;
use crate::audit::metrics::Localisation;

/// What is compared between methods; for each, more is better.
type Measure = (&'static str, fn(&Localisation) -> f64);
const MEASURES: [Measure; 4] = [
    ("Dice", |at| at.dice),
    ("energy inside", |at| at.energy_inside),
    ("energy inside and rim", |at| at.energy_rim),
    ("pointing", |at| at.pointing),
];

/// Columns under names, each line with as many cells; the first names it.
pub struct Table {
    pub columns: Vec<&'static str>,
    pub lines: Vec<Vec<String>>,
}

/// The whole audit, line by line.
pub fn table(report: &Report) -> String {
    let mut blocks = Vec::new();
    for (name, summary) in report.findings.iter().filter(|(_, summary)| summary.cases > 0) {
        blocks.push(aligned(&format!("{name}, {}", cases(summary.cases)), &localisation(summary)));
        blocks.push(aligned("counterfactual", &counterfactual(summary)));
        blocks.push(realism(summary).join("\n"));
        blocks.push(String::new());
    }
    blocks.extend(notes(report));
    blocks.extend(report.findings.values().map(|summary| summary.summary.clone()));
    blocks.join("\n")
}

/// What a reader of the tables must know.
pub fn notes(report: &Report) -> Vec<String> {
    let settings = &report.settings;
    let mut notes = vec![format!(
        "Numbers in brackets are 95 % intervals: percentiles of the means of {} resamples of the cases. Fewer than {} cases have none.",
        settings.bootstrap_resamples, settings.bootstrap_least_cases
    )];
    notes.extend(report.absent.iter().map(|(method, why)| format!("{} is absent: {why}.", method.words())));
    if settings.curves.is_some() {
        notes.push(format!(
            "Deletion and insertion are areas under the score at {} shares of the voxels: less, and more, is better.",
            SHARES.len()
        ));
    }
    notes
}

/// Where each method points.
pub fn localisation(of: &Summary) -> Table {
    let (means, intervals) = (&of.means, &of.intervals);
    let with_curves = means.methods.values().any(|measured| measured.deletion.is_some());
    let mut columns = vec!["", "Dice", "IoU", "inside", "and rim", "pointing", "sparsity"];
    columns.extend(if with_curves { vec!["deletion", "insertion"] } else { Vec::new() });
    let line = |(method, mean): (&Method, &Measured<f64>)| {
        let interval = &intervals.methods[method];
        let mut line = vec![method.words()];
        line.push(text(mean.at.dice, interval.at.dice, 3));
        line.push(text(mean.at.iou, interval.at.iou, 3));
        line.push(text(mean.at.energy_inside, interval.at.energy_inside, 3));
        line.push(text(mean.at.energy_rim, interval.at.energy_rim, 3));
        line.push(text(mean.at.pointing, interval.at.pointing, 3));
        line.push(text(mean.at.sparsity, interval.at.sparsity, 4));
        let areas = [(mean.deletion, interval.deletion), (mean.insertion, interval.insertion)];
        line.extend(areas.into_iter().filter_map(|(mean, interval)| Some(text(mean?, interval.flatten(), 3))));
        line
    };
    let mut lines: Vec<Vec<String>> = means.methods.iter().map(line).collect();
    let mut chance = vec!["chance".to_owned()];
    chance.push(text(means.chance, intervals.chance, 3));
    chance.push(text(means.chance_iou, intervals.chance_iou, 3));
    chance.push(text(means.chance, intervals.chance, 3));
    chance.push(String::new());
    chance.push(text(means.chance, intervals.chance, 3));
    chance.resize(columns.len(), String::new());
    lines.push(chance);
    Table { columns, lines }
}

/// What the counterfactuals are worth: name, number and meaning.
pub fn counterfactual(of: &Summary) -> Table {
    let (means, intervals) = (&of.means, &of.intervals);
    let line = |name: &str, mean: f64, interval: Interval, decimals: usize, meaning: &str| {
        vec![name.to_owned(), text(mean, interval, decimals), meaning.to_owned()]
    };
    let (inside, of_inside) = (&means.hu_error.inside, &intervals.hu_error.inside);
    let (outside, of_outside) = (&means.hu_error.outside, &intervals.hu_error.outside);
    let mut lines = vec![
        line("validity", means.validity, intervals.validity, 2, "share of the cases whose score came to the target"),
        line("proximity", means.proximity_hu, intervals.proximity_hu, 1, "HU, mean change in the body"),
        line("sparsity", means.sparsity, intervals.sparsity, 4, "share of the voxels that holds 90 % of the change"),
        line(
            "changed",
            means.changed_body_share,
            intervals.changed_body_share,
            3,
            "share of the body that changed by more than 10 HU",
        ),
        line("drift", means.drift, intervals.drift, 3, "mean change of the other scores"),
        line("monotonicity", means.monotonicity, intervals.monotonicity, 2, "share of the path that the score follows"),
        line(
            "reconstruction gap",
            means.reconstruction_gap,
            intervals.reconstruction_gap,
            3,
            "what the autoencoder alone moves the score",
        ),
    ];
    let (scores, of_scores) = (&means.scores, &intervals.scores);
    lines.push(line("score of the scan", scores.scan, of_scores.scan, 2, ""));
    lines.push(line("of the reconstruction", scores.reconstruction, of_scores.reconstruction, 2, ""));
    lines.push(line("of the counterfactual", scores.counterfactual, of_scores.counterfactual, 2, ""));
    if !scores.truth.is_nan() {
        lines.push(line("without the finding", scores.truth, of_scores.truth, 2, ""));
        let kept = "HU from the truth inside the finding, with the change added";
        lines.push(line("error inside", inside.detail_kept, of_inside.detail_kept, 0, kept));
        lines.push(line("unchanged", inside.no_change, of_inside.no_change, 0, "HU, of the scan as it is"));
        lines.push(line("error outside", outside.detail_kept, of_outside.detail_kept, 1, "HU, beyond its rim"));
        lines.push(line("unchanged outside", outside.no_change, of_outside.no_change, 1, "HU, of the scan as it is"));
    }
    lines.push(line("seconds", means.seconds, intervals.seconds, 1, "of the search"));
    Table { columns: vec!["", "", ""], lines }
}

/// How far counterfactuals are from scans in the classifier's features, in words; each beside its scale.
pub fn realism(of: &Summary) -> Vec<String> {
    let realism = &of.realism;
    if let Some(why) = &realism.why_not {
        return vec![format!("No Frechet distance: {why}.")];
    }
    let distance = |name: &str, ours: Option<f64>, unchanged: Option<f64>| {
        Some(format!("Frechet distance to {name}: {:.3}, of the unchanged scans {:.3}.", ours?, unchanged?))
    };
    let mut lines = vec![format!(
        "In the {} features of the classifier, of {}, which so few bias upwards; the unchanged scans give the scale.",
        realism.features,
        cases(realism.cases)
    )];
    lines.extend(distance("reconstructions", realism.counterfactual_to_reconstruction, realism.scan_to_reconstruction));
    lines.extend(distance("scans without the finding", realism.counterfactual_to_truth, realism.scan_to_truth));
    lines
}

/// A table of text, its columns as wide as they must be.
fn aligned(title: &str, table: &Table) -> String {
    let mut lines = vec![table.columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    title.clone_into(&mut lines[0][0]);
    lines.extend(table.lines.iter().cloned());
    lines[1..].iter_mut().for_each(|line| line[0].insert_str(0, "  "));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let text = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

pub(super) fn cases(n: usize) -> String {
    if n == 1 { "1 case".to_owned() } else { format!("{n} cases") }
}

/// What the numbers of one finding say.
pub(super) fn summary(name: &str, of: &Summary) -> String {
    let missed = match of.missed {
        0 => String::new(),
        1 => " One more is not explained: its reconstruction scores no higher than the target already.".to_owned(),
        n => format!(" {n} more are not explained: their reconstructions score no higher than the target already."),
    };
    if of.cases == 0 {
        return format!("{name}: no case was explained.{missed}");
    }
    let reached = (of.means.validity * of.cases as f64).round();
    let scores = &of.means.scores;
    let without =
        if scores.truth.is_nan() { String::new() } else { format!("; without the finding {:.2}", scores.truth) };
    let said = format!(
        "{name}: the score reaches the target in {reached} of {} (scan {:.2}, reconstruction {:.2}, counterfactual {:.2}{without}).",
        cases(of.cases),
        scores.scan,
        scores.reconstruction,
        scores.counterfactual,
    );
    let sentences = [said, comparison(of), truth(of)];
    sentences.into_iter().filter(|sentence| !sentence.is_empty()).collect::<Vec<_>>().join(" ") + &missed
}

/// Where latent shift is behind a saliency method, by which and by how much. What two decimals cannot tell apart is even.
fn comparison(of: &Summary) -> String {
    let Some(Measured { at: ours, .. }) = of.means.methods.get(&Method::LatentShift) else { return String::new() };
    let mut behind = Vec::new();
    for (measure, value) in MEASURES {
        let others = of.means.methods.iter().filter(|(method, _)| **method != Method::LatentShift);
        let ahead: Vec<String> = others
            .map(|(method, measured)| (method, value(&measured.at)))
            .filter(|(_, theirs)| (theirs * 100.0).round() > (value(ours) * 100.0).round())
            .map(|(method, theirs)| format!("{} ({theirs:.2})", method.words()))
            .collect();
        if !ahead.is_empty() {
            behind.push(format!("in {measure} ({:.2}) to {}", value(ours), ahead.join(" and ")));
        }
    }
    if of.means.methods.len() == 1 {
        String::new()
    } else if behind.is_empty() {
        "Latent shift points at the finding at least as well as every saliency method here, by every measure."
            .to_owned()
    } else {
        format!("Latent shift loses {}.", behind.join("; "))
    }
}

/// Whether the picture came nearer to the true one, where that is known.
fn truth(of: &Summary) -> String {
    if of.means.scores.truth.is_nan() {
        return String::new();
    }
    let inside = &of.means.hu_error.inside;
    let nearer = if inside.detail_kept < inside.no_change { "nearer to" } else { "no nearer to" };
    format!(
        "Inside the finding the change brings the scan {nearer} the truth: {:.0} HU away, {:.0} HU without any change; outside, \
         where nothing should change, it adds {:.1} HU.",
        inside.detail_kept,
        inside.no_change,
        (of.means.hu_error.outside.detail_kept - of.means.hu_error.outside.no_change).max(0.0)
    )
}
