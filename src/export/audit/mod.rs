//! The report of an audit as one page of HTML: all it shows is in it, it loads nothing and runs no script.

mod plots;
mod scans;

use std::fmt::Write as _;

use anyhow::Result;

use self::plots::{Band, Dot, Line};
use super::page::{self, escape, table};
use crate::audit::curves::SHARES;
use crate::audit::scans::ScansReport;
use crate::audit::summary::Measured;
use crate::audit::summary::estimate::Interval;
use crate::audit::summary::words::{self, Table};
use crate::audit::{Audit, Case, Method, Report, Summary};

/// What the report adds to the page's own style: a colour for each method, and lines that have no ends filled.
const STYLE: &str = "<style>.m0{--c:#00697a}.m1{--c:#b3541e}.m2{--c:#7a4fa3}.m3{--c:#2e7d32}.m4{--c:#b0005e}.m5{--c:#6b6b00}\
                     @media (prefers-color-scheme: dark){.m0{--c:#40c8e0}.m1{--c:#ff9a5c}.m2{--c:#c4a0ee}.m3{--c:#7fd384}.m4{--c:#ff7ab8}.m5{--c:#d8d05a}}\
                     svg .m{fill:var(--c);stroke:var(--c)}svg polyline.m{fill:none;stroke-width:2}svg .k{fill:none;stroke:var(--c);stroke-width:2}\
                     svg .grid{stroke:var(--line);fill:none}svg .chance{stroke:var(--warn);stroke-dasharray:4 3;fill:none}svg text.m{stroke:none}\
                     .plots{display:flex;flex-wrap:wrap;gap:1rem}.plots figure{flex:1 1 20rem;margin:0.5rem 0;max-width:34rem}</style>\n";

/// The page of an audit of scans: whether the classifier sees each finding comes before what the methods make of it.
pub fn scans_html(report: &ScansReport, audit: &Audit) -> Result<String> {
    page_of(&report.report, audit, &scans::detection(report))
}

/// The page. Every scan of an audit with seeds is a drawn one.
pub fn html(report: &Report, audit: &Audit) -> Result<String> {
    page_of(report, audit, "")
}

/// The page, with `first` before the findings.
fn page_of(report: &Report, audit: &Audit, first: &str) -> Result<String> {
    let mut page = page::head("Parallax: audit");
    page += STYLE;
    writeln!(page, "<h1>How true explanations are</h1>\n<p class=\"notice\">{}</p>", escape(report.notice))?;
    let counterfactuals = "SYNTHETIC: counterfactuals are drawn by the autoencoder, and show no patient.";
    let drawn = match report.seeds {
        Some([start, end]) => {
            format!("SYNTHETIC: all scans are phantoms, drawn from the seeds {start} to {}. ", end - 1)
        }
        None => String::new(),
    };
    writeln!(page, "<p class=\"notice\">{}{counterfactuals}</p>", escape(&drawn))?;
    for note in words::notes(report) {
        writeln!(page, "<p>{}</p>", escape(&note))?;
    }
    page += first;
    for (name, summary) in &report.findings {
        let cases: Vec<&Case> = audit.cases.iter().filter(|case| case.finding == *name).collect();
        page += &finding(name, summary, &cases)?;
    }
    page += &settings(report)?;
    page += page::FOOT;
    Ok(page)
}

fn finding(name: &str, summary: &Summary, cases: &[&Case]) -> Result<String> {
    let mut page = String::new();
    writeln!(page, "<h2>{}</h2>\n<p>{}</p>", escape(name), escape(&summary.summary))?;
    if summary.cases == 0 {
        return Ok(page);
    }
    page += &drawn(&format!("Where methods point: {name}"), &words::localisation(summary));
    page += "<div class=\"plots\">\n";
    page += &measure(summary, "Dice at matched area", |of| (of.at.dice, summary.means.chance), |of| of.at.dice);
    page += &measure(summary, "IoU at matched area", |of| (of.at.iou, summary.means.chance_iou), |of| of.at.iou);
    let energy = |of: &Measured<f64>| (of.at.energy_inside, summary.means.chance);
    page += &measure(summary, "Energy inside", energy, |of| of.at.energy_inside);
    page += "</div>\n";
    page += &curves(cases);
    page += &drawn(&format!("What counterfactuals are worth: {name}"), &words::counterfactual(summary));
    for line in words::realism(summary) {
        writeln!(page, "<p>{}</p>", escape(&line))?;
    }
    page += &against_dial(cases);
    Ok(page)
}

fn drawn(title: &str, of: &Table) -> String {
    table(title, &of.columns, &of.lines)
}

/// The place of a method among those that have colours.
fn color(method: Method) -> usize {
    Method::ALL.iter().position(|one| *one == method).unwrap_or_default()
}

/// One measure of each method with its interval, and what chance scores.
fn measure(
    summary: &Summary,
    title: &str,
    mean: impl Fn(&Measured<f64>) -> (f64, f64),
    interval: impl Fn(&Measured<Interval>) -> Interval,
) -> String {
    let mut chance = 0.0;
    let band = |(method, measured): (&Method, &Measured<f64>)| {
        let (mean, by_chance) = mean(measured);
        chance = by_chance;
        let interval = summary.intervals.methods.get(method).and_then(&interval);
        Band { name: method.words(), color: color(*method), mean, interval }
    };
    let bands: Vec<Band> = summary.means.methods.iter().map(band).collect();
    plots::bands(title, &bands, chance)
}

/// The mean score along deletion and insertion, by method; nothing where they were not asked for.
fn curves(cases: &[&Case]) -> String {
    let Some(first) = cases.first().filter(|case| !case.curves.is_empty()) else { return String::new() };
    let lines = |which: fn(&crate::audit::curves::Curves) -> &Vec<f64>| -> Vec<Line> {
        let line = |(method, _): &(Method, _)| {
            let of_cases: Vec<&Vec<f64>> = cases
                .iter()
                .filter_map(|case| case.curves.iter().find(|(of, _)| of == method))
                .map(|(_, curves)| which(curves))
                .collect();
            let mean = |at: usize| of_cases.iter().map(|scores| scores[at]).sum::<f64>() / of_cases.len() as f64;
            let points = SHARES.iter().enumerate().map(|(at, share)| [*share, mean(at)]).collect();
            Line { name: method.words(), color: color(*method), points }
        };
        first.curves.iter().map(line).collect()
    };
    let deletion = plots::lines(
        "Deletion: the score as voxels become lung, the largest of each method first",
        ["share of voxels", "score"],
        &lines(|of| &of.deletion),
    );
    let insertion = plots::lines(
        "Insertion: the score as voxels come back to the blurred scan, the largest first",
        ["share of voxels", "score"],
        &lines(|of| &of.insertion),
    );
    format!("<div class=\"plots\">\n{deletion}{insertion}</div>\n")
}

/// The scores of each case against how severe its finding was drawn; nothing where no one drew it.
fn against_dial(cases: &[&Case]) -> String {
    type Series = (&'static str, usize, fn(&Case) -> f64);
    const SERIES: [Series; 3] = [
        ("scan", 0, |case| case.scores.scan),
        ("reconstruction", 2, |case| case.scores.reconstruction),
        ("counterfactual", 1, |case| case.scores.counterfactual),
    ];
    let mut dots = Vec::new();
    for case in cases {
        let Some(dial) = case.dial else { continue };
        dots.extend(SERIES.map(|(_, color, score)| Dot { color, at: [f64::from(dial), score(case)] }));
    }
    if dots.is_empty() {
        return String::new();
    }
    let names = SERIES.map(|(name, color, _)| (name.to_owned(), color));
    let drawn =
        plots::dots("The score against the dial of the finding", ["dial, 0 none to 1 severe", "score"], &names, &dots);
    format!("<div class=\"plots\">\n{drawn}</div>\n")
}

/// Every number that the result rests on.
fn settings(report: &Report) -> Result<String> {
    let mut rows =
        vec![vec!["Program".to_owned(), report.program.clone()], vec!["Search".to_owned(), report.search.clone()]];
    for (name, model) in [("Autoencoder", &report.models.autoencoder), ("Classifier", &report.models.classifier)] {
        rows.push(vec![name.to_owned(), format!("{}, SHA-256 {}", model.name, model.sha256)]);
    }
    let settings = serde_json::to_value(&report.settings)?;
    let words = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "none".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.extend(
        settings.as_object().into_iter().flatten().map(|(name, value)| vec![name.replace('_', " "), words(value)]),
    );
    Ok(table("Settings", &["", ""], &rows))
}
