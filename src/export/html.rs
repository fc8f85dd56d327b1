//! The report as one page of HTML: all it shows is in it, it loads nothing and runs no script.

use std::fmt::Write as _;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::compared::{MaskReport, MaskedMethod};
use super::montage::Story;
use super::page::{self, escape, table};
use super::report::{NOTICE, Report};
use super::{Subject, apng, mp4};
use crate::audit::Against;
use crate::frame::lambda_text;
use crate::job::Monitor;
use crate::latent_shift::Counterfactual;
use crate::quality::regions::{Region, Regions, ThirdsOf, volume_text};
use crate::quality::words::{lines, signed};
use crate::quality::{Drift, Quality};
use crate::stability::{Again, Stability};

/// Of the other outputs; a file of numbers holds them all.
const MOST_ROWS: usize = 20;

pub(super) fn html(subject: &Subject, story: &Story, monitor: &Monitor) -> Result<String> {
    let (result, report) = (&subject.run.result, subject.report);
    let (story, provenance) = (story.usual(), report.provenance());
    let panes = apng::png_bytes(story.montage()?, &provenance)?;
    let ladder = apng::png_bytes(story.ladder(monitor)?, &provenance)?;
    let video = mp4::mp4_bytes(&story.along_lambda(), monitor)?;
    let mut page = page::head(&format!("Parallax: {}", report.target));
    writeln!(page, "<h1>Counterfactual: {}</h1>\n<p class=\"notice\">{NOTICE}</p>", escape(&report.target))?;
    if let Some(inserted) = &report.input.inserted {
        let words = "The scan itself is SYNTHETIC: a finding was drawn into it before it was explained.";
        writeln!(page, "<p class=\"notice\">{words} {}.</p>", escape(&inserted.line()))?;
    }
    page += &scores(report, result);
    page += &picture(
        &panes,
        "Original, counterfactual and difference of the slice that changed most, in the lung and the soft-tissue window",
        if report.input.inserted.is_some() {
            "The slice that changed most, in two windows. All of it is SYNTHETIC: a finding was drawn into the original."
        } else {
            "The slice that changed most, in two windows. What is marked SYNTHETIC was drawn by the autoencoder."
        },
    );
    let video = STANDARD.encode(video);
    writeln!(
        page,
        "<figure><video controls loop muted playsinline src=\"data:video/mp4;base64,{video}\" aria-label=\"The same slice while lambda goes \
         there and back, with the score as a bar\"></video><figcaption>The same slice along lambda. SYNTHETIC.</figcaption></figure>"
    )?;
    page += &curve(result);
    page += &picture(
        &ladder,
        "Slices that changed most, one a row, each as scanned and at lambdas on the way to the counterfactual",
        "The slices that changed most, on the way to the counterfactual.",
    );
    page += &changed_regions(&report.regions, report.stability.as_ref());
    page += &report.mask.as_ref().map_or(String::new(), against_mask);
    page += &quality(&report.quality, report.scores.counterfactual);
    page += &report.drift.as_deref().map_or(String::new(), other_outputs);
    let provenance: Vec<_> = provenance.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    page += &table("Provenance", &["", ""], &provenance);
    page += page::FOOT;
    Ok(page)
}

fn picture(png: &[u8], seen: &str, caption: &str) -> String {
    let (data, seen, caption) = (STANDARD.encode(png), escape(seen), escape(caption));
    format!(
        "<figure><img src=\"data:image/png;base64,{data}\" alt=\"{seen}\"><figcaption>{caption}</figcaption></figure>\n"
    )
}

fn scores(report: &Report, result: &Counterfactual) -> String {
    let scores = result.scores;
    let row = |name: &str, score: f64| vec![name.to_owned(), format!("{score:.4}")];
    let rows = [
        row("Scan", scores.scan),
        row("Reconstruction", scores.reconstruction),
        row("Counterfactual", scores.counterfactual),
    ];
    let lambda = lambda_text(result.steps[result.chosen].lambda);
    let partial = if result.complete { "" } else { " Partial: the run was cancelled." };
    let stop = escape(&format!("Counterfactual at lambda {lambda}. Stopped because {}.{partial}", result.stop));
    let which = result.which_scan_score().map(|which| format!("The score of the scan is {which}."));
    let of_networks = report.networks().into_iter().flat_map(|model| model.notes.clone());
    let notes = which.into_iter().chain(result.notes()).chain(of_networks).collect::<Vec<_>>();
    let notes = notes.iter().map(|note| format!("<p>Note: {}</p>\n", escape(note))).collect::<Vec<_>>().concat();
    format!("{}<p>{stop}</p>\n{notes}", table("Scores", &["", "Score"], &rows))
}

fn quality(quality: &Quality, end: f64) -> String {
    let rows: Vec<_> =
        lines(quality, end).into_iter().map(|line| vec![line.name.to_owned(), line.value, line.meaning]).collect();
    table("Quality", &["", "Value", "What it means"], &rows)
}

/// Where the counterfactual changed, the largest regions first; in how many runs each came again, where that was asked for.
fn changed_regions(regions: &Regions, stability: Option<&Stability>) -> String {
    let row = |(at, region): (usize, &Region)| {
        let again = stability.and_then(|stability| stability.regions.get(at));
        let mut row = vec![
            format!("{}. {}", at + 1, region.place.words),
            region.direction.name().to_owned(),
            volume_text(region.volume_ml),
            format!("{} HU", signed(region.mean_hu, 0)),
            format!("{} HU", signed(f64::from(region.largest_hu), 0)),
            region.slices_text(),
        ];
        row.extend(again.map(Again::text));
        row
    };
    let rows: Vec<_> = regions.list.iter().take(MOST_ROWS).enumerate().map(row).collect();
    let mut columns = vec!["", "Change", "Volume", "Mean", "Largest", "Where"];
    columns.extend(stability.map(|_| "From perturbed starts"));
    let table = if rows.is_empty() {
        "<h2>Changed regions</h2>\n".to_owned()
    } else {
        table("Changed regions", &columns, &rows)
    };
    let count = regions.lines().into_iter().next().unwrap_or_default();
    let thirds = match regions.thirds_of {
        ThirdsOf::Lungs => "the lungs",
        ThirdsOf::Body => "the body as far as the scan shows it",
    };
    format!(
        "{table}<p>{}. Sides are the patient's, by the middle of the body; thirds are those of {thirds}; slices are the scan's, counted \
         from 1.</p>\n",
        escape(&count)
    )
}

/// How well each method agrees with the mask that was given.
fn against_mask(mask: &MaskReport) -> String {
    let row = |method: &MaskedMethod| {
        let Against { dice, iou, energy_inside, chance } = method.against;
        let numbers = [dice, iou, energy_inside, chance].map(|number| format!("{number:.3}"));
        std::iter::once(method.title.to_owned()).chain(numbers).collect::<Vec<_>>()
    };
    let rows: Vec<_> = mask.methods.iter().map(row).collect();
    format!(
        "{}<p>The mask: {}. Dice and IoU are of as many voxels as it has, those where a method is largest; energy is the method's sum.</p>\n",
        table("Against the mask", &["", "Dice", "IoU", "Energy inside", "By chance"], &rows),
        escape(&mask.line())
    )
}

/// The other outputs of the classifier, largest change first.
fn other_outputs(drift: &[Drift]) -> String {
    let mut drift: Vec<&Drift> = drift.iter().collect();
    drift.sort_by(|a, b| b.change().abs().total_cmp(&a.change().abs()));
    let row = |one: &&Drift| {
        let [before, after] = one.scores;
        vec![one.name.clone(), format!("{before:.4}"), format!("{after:.4}"), signed(one.change(), 4)]
    };
    let rows: Vec<_> = drift.iter().take(MOST_ROWS).map(row).collect();
    let table = table("Other outputs", &["", "Reconstruction", "Counterfactual", "Change"], &rows);
    match drift.len().saturating_sub(MOST_ROWS) {
        0 => table,
        more => format!("{table}<p>{more} more outputs moved less.</p>\n"),
    }
}

/// The score along lambda as a drawing: the axis of the score is 0 to 1, and longer only where a score lies beyond.
fn curve(result: &Counterfactual) -> String {
    const LEFT: f64 = 56.0;
    const RIGHT: f64 = 624.0;
    const TOP: f64 = 16.0;
    const BOTTOM: f64 = 224.0;
    let ends = |values: &mut dyn Iterator<Item = f64>, from: [f64; 2]| {
        values.fold(from, |[low, high], x| [low.min(x), high.max(x)])
    };
    let [left, right] = ends(&mut result.steps.iter().map(|step| step.lambda), [0.0, 0.0]);
    let [low, high] = ends(&mut result.steps.iter().map(|step| step.score).chain([result.scores.scan]), [0.0, 1.0]);
    let x = |lambda: f64| LEFT + (RIGHT - LEFT) * (lambda - left) / (right - left).max(f64::MIN_POSITIVE);
    let y = |score: f64| BOTTOM + (TOP - BOTTOM) * (score - low) / (high - low);
    let points: Vec<String> =
        result.steps.iter().map(|step| format!("{:.1},{:.1}", x(step.lambda), y(step.score))).collect();
    let dots = result
        .steps
        .iter()
        .enumerate()
        .map(|(i, step)| {
            let radius = if i == result.chosen { 6 } else { 3 };
            format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"/>", x(step.lambda), y(step.score))
        })
        .collect::<Vec<_>>()
        .concat();
    let label = |x: f64, y: f64, anchor: &str, text: &str| {
        format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text))
    };
    let labels = [
        label(LEFT - 8.0, TOP + 4.0, "end", &format!("{high:.1}")),
        label(LEFT - 8.0, BOTTOM + 4.0, "end", &format!("{low:.1}")),
        label(LEFT, BOTTOM + 20.0, "start", &lambda_text(left)),
        label(RIGHT, BOTTOM + 20.0, "end", &lambda_text(right)),
        label(f64::midpoint(LEFT, RIGHT), BOTTOM + 20.0, "middle", "lambda"),
        label(LEFT + 8.0, TOP + 4.0, "start", result.score_kind.axis()),
    ];
    let (scan_x, scan_y) = (x(0.0), y(result.scores.scan));
    format!(
        "<figure><svg viewBox=\"0 0 640 256\" role=\"img\" aria-label=\"The score along lambda, from {first:.2} to {last:.2}\">\
         <path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/><polyline points=\"{}\"/>{dots}\
         <path class=\"scan\" d=\"M{scan_x:.1} {:.1}l6 6l-6 6l-6 -6z\"/>{}</svg>\
         <figcaption>The score along lambda. The large dot is the counterfactual, the diamond the scan's own score.</figcaption></figure>\n",
        points.join(" "),
        scan_y - 6.0,
        labels.concat(),
        first = result.steps.first().map_or(0.0, |step| step.score),
        last = result.steps.last().map_or(0.0, |step| step.score),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_can_be_taken_for_html() {
        let rows = [vec!["<b>\"&'".to_owned(), "a < b".to_owned()]];
        let table = table("x", &["", ""], &rows);
        assert!(table.contains("<th scope=\"row\">&lt;b&gt;&quot;&amp;&#39;</th><td>a &lt; b</td>"), "{table}");
        let more: Vec<_> = (0..25)
            .map(|i| Drift { name: format!("<{i}>"), logits: [0.0, f64::from(i)], scores: [0.0, f64::from(i)] })
            .collect();
        let outputs = other_outputs(&more);
        assert!(outputs.contains("&lt;24&gt;") && !outputs.contains("&lt;0&gt;") && outputs.contains("5 more outputs"));
    }
}
