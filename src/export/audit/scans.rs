//! Whether a classifier sees findings in scans: the table of scores by dial, and its drawings.

use std::fmt::Write as _;

use super::drawn;
use super::plots::{self, Band, Curve};
use crate::audit::scans::{AtDial, Detection, ScansReport, words};
use crate::audit::summary::estimate::Interval;
use crate::export::page::escape;

/// Colours of the score and of the area, among those of the page.
const SCORE: usize = 0;
const AREA: usize = 1;
/// What tells nothing apart has this area.
const BLIND_AREA: f64 = 0.5;

/// Each finding with its verdict, its table and its drawings; then what was left out.
pub(super) fn detection(report: &ScansReport) -> String {
    let mut page = String::new();
    for (name, detection) in &report.detection {
        page += &drawn(&format!("What the classifier sees: {name}"), &words::scores(detection));
        let label = format!("By the score of {:?}, of the scans' own means. ", detection.label);
        let meaning = "AUROC: how often a scan with the finding scores above one without. Raised: above the same scan without it.";
        // A String takes all.
        writeln!(page, "<p>{}</p>\n<p>{}</p>", escape(&words::verdict(name, detection)), escape(&(label + meaning)))
            .ok();
        page += &pictures(name, detection);
    }
    page += &left_out(report);
    page
}

/// Score and area against the dial; of masks, the score without and with one.
fn pictures(name: &str, detection: &Detection) -> String {
    let of_dials = |of: &dyn Fn(&AtDial) -> Option<(f64, Interval)>| -> Vec<([f64; 2], Interval)> {
        let point = |at: &AtDial| {
            let (value, interval) = of(at)?;
            Some(([f64::from(at.dial?), value], interval))
        };
        detection.dials.iter().filter_map(point).collect()
    };
    let scores = of_dials(&|at| Some((at.mean_score, at.mean_score_interval)));
    if scores.is_empty() {
        let band = |at: &AtDial| Band {
            name: if at.present { "with a mask" } else { "without a mask" }.to_owned(),
            color: SCORE,
            mean: at.mean_score,
            interval: at.mean_score_interval,
        };
        let bands: Vec<Band> = detection.dials.iter().map(band).collect();
        let drawn = plots::bands(&format!("Score of {name}"), &bands, f64::NAN);
        return format!("<div class=\"plots\">\n{drawn}</div>\n");
    }
    let areas = of_dials(&|at| Some((at.auroc?, at.auroc_interval)));
    let axes = |upwards| ["dial, 0 as scanned to 1 severe", upwards];
    let score = Curve { name: "mean score".to_owned(), color: SCORE, points: scores };
    let score = plots::against(&format!("Score of {name} against its dial"), axes("score"), &score, f64::NAN);
    let area = Curve { name: "AUROC".to_owned(), color: AREA, points: areas };
    let area = if area.points.is_empty() {
        String::new()
    } else {
        let title = format!("How well the score tells scans with {name} from scans as they are");
        plots::against(&title, axes("AUROC"), &area, BLIND_AREA)
    };
    format!("<div class=\"plots\">\n{score}{area}</div>\n")
}

fn left_out(report: &ScansReport) -> String {
    let mut lines = words::left_out(&report.skipped).into_iter();
    let Some(head) = lines.next() else { return String::new() };
    let items: Vec<String> = lines.map(|line| format!("<li>{}</li>", escape(line.trim()))).collect();
    format!("<h2>{}</h2>\n<ul>\n{}\n</ul>\n", escape(&head), items.join("\n"))
}
