//! The report of a cohort as one page of HTML: outliers first, then what all cases have in common. It loads nothing and runs no script.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bootstrap::{Estimate, FEWEST, REPLICATES};
use super::groups::{self, MEASURES};
use super::outliers::{self, FAR, quantile};
use super::pictures::{HEIGHT_PX, Picture, WIDTH_PX};
use super::{Cell, Merged, alignment, figures};
use crate::cohort::aligned::LaidBy;
use crate::cohort::place::CohortFolder;
use crate::export::page::{self, escape, table};
use crate::export::report::NOTICE;
use crate::job::duration;

/// The report shows as many failed cases, outlying cases and pairs of outputs as this; the tables hold all.
const MOST_SHOWN: usize = 20;
/// Pictures that a case may have, the one that says most first.
const PICTURES: [&str; 4] = ["report.html", "panes.png", "ladder.png", "lambda.gif"];

/// An atlas in the report.
pub(super) struct Seen {
    pub(super) title: String,
    pub(super) cases: usize,
    pub(super) picture: Picture,
    pub(super) difference: Option<Picture>,
}

pub(super) fn html(merged: &Merged, place: &CohortFolder, drawings: &[String], pictures: &[Seen]) -> String {
    let mut html = page::head("Parallax: a cohort");
    let (cases, line) = (counted(merged.manifest.rows.len()), escape(&merged.line()));
    // A String takes all.
    writeln!(
        html,
        "<h1>A cohort of {cases}</h1>
<p class=\"notice\">{NOTICE}</p>
<p>{line}.</p>"
    )
    .ok();
    html += &outlying(merged, place);
    html += &undone(merged);
    if merged.done() > 0 {
        html += &scores(merged);
        html += &stops(merged);
        html += &cost(merged);
        html += &aligned(merged, drawings);
        html += &atlases(merged, pictures);
        html += &held_against_each_other(merged);
        html += &networks(merged);
    }
    html + page::FOOT
}

fn counted(cases: usize) -> String {
    if cases == 1 { "1 case".to_owned() } else { format!("{cases} cases") }
}

/// A link from the report to a file of a case. Ids are safe in paths.
fn link(place: &CohortFolder, id: &str) -> String {
    let picture = PICTURES.iter().find(|name| place.case(id).join(name).is_file());
    let to = picture.map_or_else(|| format!("../cases/{id}/"), |name| format!("../cases/{id}/{name}"));
    format!("<a href=\"{to}\">{}</a>", escape(id))
}

/// Rows whose first cell is a link.
fn linked(title: &str, columns: &[&str], rows: &[(String, Vec<String>)]) -> String {
    let names =
        columns.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect::<Vec<_>>().concat();
    let mut html = format!("<h2>{}</h2>\n<table>\n<tr>{names}</tr>", escape(title));
    for (link, cells) in rows {
        let cells = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect::<Vec<_>>().concat();
        // A String takes all.
        writeln!(html, "<tr><th scope=\"row\">{link}</th>{cells}</tr>").ok();
    }
    html + "</table>\n"
}

fn outlying(merged: &Merged, place: &CohortFolder) -> String {
    let mut far: Vec<_> = merged.far.iter().enumerate().filter_map(|(row, far)| Some((row, (*far)?))).collect();
    far.retain(|(_, far)| far.deviations > FAR);
    far.sort_by(|a, b| b.1.deviations.total_cmp(&a.1.deviations));
    if far.is_empty() {
        return format!(
            "<h2>Outliers</h2>\n<p>No case is more than {FAR} robust deviations from the median by any number.</p>\n"
        );
    }
    let row = |(row, far): &(usize, outliers::Far)| {
        let name = outliers::MEASURES[far.measure];
        let value = match merged.column(name).get(*row) {
            Some(Cell::Number(value)) => format!("{value:.4}"),
            _ => String::new(),
        };
        let id = &merged.manifest.rows[*row].id;
        let middle = outliers::median(merged.numbers(name));
        (link(place, id), vec![name.to_owned(), value, format!("{middle:.4}"), format!("{:.1}", far.deviations)])
    };
    let rows: Vec<_> = far.iter().take(MOST_SHOWN).map(row).collect();
    let table = linked("Outliers", &["", "By", "Value", "Median", "Deviations"], &rows);
    let more = far.len().saturating_sub(MOST_SHOWN);
    let more = if more > 0 { format!(" {more} more are in table.csv.") } else { String::new() };
    format!(
        "{table}<p>Cases more than {FAR} robust deviations (by the median absolute deviation) from the median, by the number that stands out \
         most.{more}</p>\n"
    )
}

fn undone(merged: &Merged) -> String {
    let rows: Vec<Vec<String>> = merged
        .failed
        .iter()
        .chain(&merged.damaged)
        .take(MOST_SHOWN)
        .map(|(id, why)| vec![id.clone(), why.clone()])
        .collect();
    let more = (merged.failed.len() + merged.damaged.len()).saturating_sub(MOST_SHOWN);
    let more = if more > 0 { format!("<p>{more} more are in table.csv.</p>\n") } else { String::new() };
    if rows.is_empty() { String::new() } else { table("Failed or damaged", &["", "Why"], &rows) + &more }
}

/// "0.81 (0.72 to 0.88)".
fn words(estimate: Option<Estimate>) -> String {
    match estimate {
        None => "not known".to_owned(),
        Some(Estimate { mean, interval: Some([low, high]), .. }) => format!("{mean:.3} ({low:.3} to {high:.3})"),
        Some(Estimate { mean, interval: None, .. }) => format!("{mean:.3}"),
    }
}

fn scores(merged: &Merged) -> String {
    let rows: Vec<Vec<String>> = MEASURES
        .iter()
        .zip(&merged.all.measures)
        .take(3)
        .map(|((_, title), measure)| vec![(*title).to_owned(), words(measure.estimate())])
        .collect();
    let mut html = table("Validity and scores", &["", "Mean, and 95 % interval"], &rows);
    let columns = ["score_scan", "score_reconstruction", "score_counterfactual"];
    let all: Vec<Vec<f64>> = columns.iter().map(|column| merged.numbers(column)).collect();
    let ends = all.iter().flatten().fold([0.0_f64, 1.0], |[low, high], x| [low.min(*x), high.max(*x)]);
    let titles = ["Scan", "Reconstruction", "Counterfactual"];
    html += "<figure>";
    for (title, values) in titles.iter().zip(&all) {
        html += &figures::histogram(title, values, ends);
    }
    html += "<figcaption>How many cases have which score. The reconstruction gap is what the autoencoder alone did to the score.</figcaption></figure>\n";
    html + &format!(
        "<p>Intervals are where 95 % of {REPLICATES} replicates of a Poisson bootstrap over the cases lie; of fewer than {FEWEST} cases there is \
         none.</p>\n"
    )
}

fn stops(merged: &Merged) -> String {
    let mut stops: Vec<(&String, &usize)> = merged.stops.iter().collect();
    stops.sort_by(|a, b| b.1.cmp(a.1));
    let rows: Vec<Vec<String>> = stops.into_iter().map(|(stop, cases)| vec![stop.clone(), cases.to_string()]).collect();
    table("Why searches stopped", &["", "Cases"], &rows)
}

fn cost(merged: &Merged) -> String {
    let cells = |column: usize| -> Vec<f64> {
        let number = |row: &Vec<Cell>| match row[column] {
            Cell::Number(number) => Some(number),
            Cell::Whole(number) => Some(number as f64),
            _ => None,
        };
        merged.times.rows.iter().filter_map(number).collect()
    };
    let (secs, bytes) = (cells(1), cells(3));
    let seconds = |share: f64| format!("{:.1} s", quantile(secs.clone(), share));
    let memory = |share: f64| {
        if bytes.is_empty() {
            "not known".to_owned()
        } else {
            format!("{:.2} GB", quantile(bytes.clone(), share) / 1e9)
        }
    };
    let rows = [
        vec!["Time of a case".to_owned(), seconds(0.5), seconds(0.95), seconds(1.0)],
        vec!["Most memory of a case".to_owned(), memory(0.5), memory(0.95), memory(1.0)],
    ];
    let all = duration(secs.iter().sum());
    format!(
        "{}<p>All cases together took {all}.</p>\n",
        table("Time and memory", &["", "Median", "95 %", "Most"], &rows)
    )
}

fn aligned(merged: &Merged, drawings: &[String]) -> String {
    let Some(matrix) = drawings.first() else { return String::new() };
    let mut pairs: Vec<alignment::Pair> = merged.alignment.pairs().collect();
    let size = |pair: &alignment::Pair| pair.relative.map_or(0.0, |of| of.mean.abs());
    pairs.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let row = |pair: &alignment::Pair| {
        vec![
            pair.target.clone(),
            pair.output.clone(),
            words(Some(pair.change)),
            words(pair.relative),
            pair.change.cases.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = pairs.iter().take(MOST_SHOWN).map(row).collect();
    let columns =
        ["Explained", "Moved with it", "Change of its score", "For each unit of the target's change", "Cases"];
    format!(
        "<h2>Counterfactual alignment</h2>\n<figure>{matrix}<figcaption>By how much the other outputs (columns) move for each unit by which the \
         score of a target (row) is moved: red with it, blue against it, full colour from 1 on. A dot says that the 95 % interval leaves 0 out. \
         Rows and columns that are alike stand together (average linkage). At most {} of each are shown; alignment.csv has all.</figcaption></figure>\n{}",
        alignment::MOST_SHOWN,
        table("The strongest pairs", &columns, &rows)
    )
}

fn image(picture: &Picture, seen: &str) -> String {
    let data = STANDARD.encode(&picture.png);
    format!(
        "<img width=\"{WIDTH_PX}\" height=\"{HEIGHT_PX}\" src=\"data:image/png;base64,{data}\" alt=\"{}\">",
        escape(seen)
    )
}

fn atlases(merged: &Merged, pictures: &[Seen]) -> String {
    let mut html = "<h2>Where the classifier looks</h2>\n".to_owned();
    for Seen { title, cases, picture, difference } in pictures {
        let seen = format!("{title}: mean size of change from the front, from the side and from below");
        // A String takes all.
        write!(html, "<figure>{}", image(picture, &seen)).ok();
        if let Some(difference) = difference {
            let seen = format!("{title}: where it is above or below the rest");
            writeln!(
                html,
                "<br>{}<figcaption>{}, {}. Above: mean |counterfactual - reconstruction|, full colour at {:.1} HU. Below: how much more (red) or \
                 less (blue) than in all other cases, full colour at {:.1} HU, pale where the 95 % interval holds 0. One place in twenty is not pale \
                 by chance.</figcaption></figure>",
                image(difference, &seen),
                escape(title),
                counted(*cases),
                picture.scale_hu,
                difference.scale_hu
            )
            .ok();
        } else {
            writeln!(
                html,
                "<figcaption>{}, {}. Mean |counterfactual - reconstruction|, full colour at {:.1} HU.</figcaption></figure>",
                escape(title),
                counted(*cases),
                picture.scale_hu
            )
            .ok();
        }
    }
    let by_body = merged.column("aligned_by").iter().filter(|cell| **cell == Cell::from("body")).count();
    let by_body = match by_body {
        0 => String::new(),
        n => format!(
            " In {} no lungs were found ({:?}): they are scaled by the height of the body in the scan.",
            counted(n),
            LaidBy::Body
        ),
    };
    html + &format!(
        "<p>From the front, from the side and from below, as means along the line of sight, behind them the mean scan; the patient's right, or \
         front, is on the left. All patients are scaled to one frame: left to right and back to front by the outline of the body, from below to \
         above by the lungs.{by_body}</p>\n"
    )
}

/// The measures of every group, and by how much each differs from the rest.
fn held_against_each_other(merged: &Merged) -> String {
    let mut html = String::new();
    for column in &merged.columns {
        let mut rows = Vec::new();
        for (value, group) in &column.groups {
            for (number, (_, title)) in MEASURES.iter().enumerate() {
                let (ours, all) = (&group.measures[number], &merged.all.measures[number]);
                let beyond = ours.beyond_the_rest(all);
                let clear = if beyond.is_some_and(|beyond| beyond.is_clear()) { "yes" } else { "no" };
                let (value, cases) = (groups::shown(value).to_owned(), group.cases.to_string());
                rows.push(vec![
                    value,
                    cases,
                    (*title).to_owned(),
                    words(ours.estimate()),
                    words(beyond),
                    clear.to_owned(),
                ]);
            }
        }
        let columns = ["", "Cases", "Measure", "Mean", "More than the rest", "Clear of 0"];
        html += &table(&format!("By {}", column.name), &columns, &rows);
    }
    html
}

fn networks(merged: &Merged) -> String {
    let mut seen = std::collections::BTreeMap::<[String; 3], usize>::new();
    for kind in ["autoencoder", "scored_by"] {
        let (names, hashes) = (merged.column(kind), merged.column(&format!("{kind}_sha256")));
        for pair in names.into_iter().zip(hashes) {
            if let (Cell::Text(name), Cell::Text(hash)) = pair {
                *seen.entry([kind.replace('_', " "), name, hash]).or_default() += 1;
            }
        }
    }
    let rows: Vec<Vec<String>> =
        seen.into_iter().map(|([kind, name, hash], cases)| vec![kind, name, hash, cases.to_string()]).collect();
    table("Networks", &["", "Name", "SHA-256", "Cases"], &rows)
}
