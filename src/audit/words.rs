//! An audit for people: a table, and a sentence or two per finding that hide nothing.

use super::metrics::Localisation;
use super::{Method, Report, Summary};

/// What is compared between methods; for each, more is better.
type Measure = (&'static str, fn(&Localisation) -> f64);
const MEASURES: [Measure; 4] = [
    ("Dice", |at| at.dice),
    ("energy inside", |at| at.energy_inside),
    ("energy inside and rim", |at| at.energy_rim),
    ("pointing", |at| at.pointing),
];

/// The whole audit, line by line.
pub fn table(report: &Report) -> String {
    let mut lines = Vec::new();
    for (name, summary) in report.findings.iter().filter(|(_, summary)| summary.cases > 0) {
        lines.push(format!(
            "{:24} {:>6} {:>8} {:>8} {:>9} {:>9}",
            format!("{name}, {}", cases(summary.cases)),
            "Dice",
            "inside",
            "and rim",
            "pointing",
            "sparsity"
        ));
        for (method, at) in &summary.methods {
            lines.push(format!(
                "  {:22} {:6.3} {:8.3} {:8.3} {:9.3} {:9.4}",
                method.words(),
                at.dice,
                at.energy_inside,
                at.energy_rim,
                at.pointing,
                at.sparsity
            ));
        }
        lines.push(format!("  {:22} {2:6.3} {2:8.3} {1:8} {2:9.3}", "chance", "", summary.chance));
        lines.push(String::new());
    }
    lines.extend(report.findings.values().map(|summary| summary.summary.clone()));
    lines.join("\n")
}

fn cases(n: usize) -> String {
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
    let reached = (of.validity * of.cases as f64).round();
    let scores = &of.scores;
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
    let Some(ours) = of.methods.get(&Method::LatentShift) else { return String::new() };
    let mut behind = Vec::new();
    for (measure, value) in MEASURES {
        let others = of.methods.iter().filter(|(method, _)| **method != Method::LatentShift);
        let ahead: Vec<String> = others
            .map(|(method, at)| (method, value(at)))
            .filter(|(_, theirs)| (theirs * 100.0).round() > (value(ours) * 100.0).round())
            .map(|(method, theirs)| format!("{} ({theirs:.2})", method.words()))
            .collect();
        if !ahead.is_empty() {
            behind.push(format!("in {measure} ({:.2}) to {}", value(ours), ahead.join(" and ")));
        }
    }
    if of.methods.len() == 1 {
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
    if of.scores.truth.is_nan() {
        return String::new();
    }
    let inside = &of.hu_error.inside;
    let nearer = if inside.detail_kept < inside.no_change { "nearer to" } else { "no nearer to" };
    format!(
        "Inside the finding the change brings the scan {nearer} the truth: {:.0} HU away, {:.0} HU without any change; outside, \
         where nothing should change, it adds {:.1} HU.",
        inside.detail_kept,
        inside.no_change,
        (of.hu_error.outside.detail_kept - of.hu_error.outside.no_change).max(0.0)
    )
}
