//! The numbers of a run as tables: comma-separated, one line of names first.

use anyhow::Result;
use glam::DVec3;

use super::compared::MethodReport;
use super::{File, Subject};
use crate::quality::regions::Region;

pub(super) const NAMES: &[&str] = &["curve.csv", "profile.csv", "drift.csv", "regions.csv", "methods.csv"];

pub(super) fn files(subject: &Subject) -> Result<Vec<File>> {
    let tables = [curve(subject)?, profile(subject)?, drift(subject)?, regions(subject)?, methods(subject)?];
    Ok(NAMES.iter().zip(tables).map(|(name, bytes)| File::new(*name, bytes)).collect())
}

fn table<const N: usize>(names: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(names)?;
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(writer.into_inner()?)
}

/// A name as a cell that a spreadsheet shows and never computes: an apostrophe stands before what would begin a formula.
/// Source: OWASP, "CSV Injection".
pub fn as_text(name: &str) -> String {
    let begins_formula = name.starts_with(['=', '+', '-', '@']);
    if begins_formula { format!("'{name}") } else { name.to_owned() }
}

/// The score along lambda, and which step is the counterfactual.
fn curve(subject: &Subject) -> Result<Vec<u8>> {
    let steps = subject.run.result.steps.iter().enumerate();
    let row = |(at, step): (usize, &crate::latent_shift::Step)| {
        [step.lambda.to_string(), step.score.to_string(), (at == subject.run.result.chosen).to_string()]
    };
    table(["lambda", "score", "counterfactual"], steps.map(row))
}

/// The change of each slice of the networks' stack, and where the middle of the slice lies, RAS+.
fn profile(subject: &Subject) -> Result<Vec<u8>> {
    let grid = &subject.run.result.grid;
    let middle = [0, 1].map(|axis| (grid.shape[axis] as f64 - 1.0) / 2.0);
    let changes = subject.run.result.change_per_slice_hu();
    let row = |(slice, change): (usize, &f32)| {
        let place = grid.world_from_voxel.transform_point3(DVec3::new(middle[0], middle[1], slice as f64));
        [slice.to_string(), place.x.to_string(), place.y.to_string(), place.z.to_string(), change.to_string()]
    };
    table(["slice", "right_mm", "anterior_mm", "superior_mm", "mean_change_hu"], changes.iter().enumerate().map(row))
}

/// The classifier's other outputs at lambda 0 and at the counterfactual; names alone where a segmenter gave the score.
fn drift(subject: &Subject) -> Result<Vec<u8>> {
    let rows = subject.report.drift.iter().flatten().map(|drift| {
        let [before, after] = drift.scores;
        let [logit_before, logit_after] = drift.logits;
        let numbers = [before, after, drift.change(), logit_before, logit_after, logit_after - logit_before];
        let [a, b, c, d, e, f] = numbers.map(|number| number.to_string());
        [as_text(&drift.name), a, b, c, d, e, f]
    });
    let names = ["output", "before", "after", "change", "logit_before", "logit_after", "logit_change"];
    table(names, rows)
}

/// The changed regions, largest first. Slices are counted from 1, as the window counts those of the scan; millimetres are RAS+.
fn regions(subject: &Subject) -> Result<Vec<u8>> {
    let row = |(number, region): (usize, &Region)| {
        let numbers = [region.volume_ml, region.mean_hu, region.amount_hu_ml];
        let [volume, mean, amount] = numbers.map(|number| number.to_string());
        let largest = region.largest_hu.to_string();
        let [first, last] = region.slices.map(|slice| slice.to_string());
        let [right, anterior, superior] = region.peak_mm.map(|mm| mm.to_string());
        let again = subject.report.stability.as_ref().and_then(|stability| stability.regions.get(number - 1));
        let [found_in, of_runs] = again
            .map_or([String::new(), String::new()], |again| [again.found_in, again.of].map(|runs| runs.to_string()));
        let lungs = region.place.lung_share.map_or(String::new(), |share| share.to_string());
        let (place, direction) = (region.place.words.clone(), region.direction.name().to_owned());
        [
            number.to_string(),
            place,
            direction,
            volume,
            mean,
            largest,
            amount,
            first,
            last,
            right,
            anterior,
            superior,
            lungs,
            found_in,
            of_runs,
        ]
    };
    let names = [
        "region",
        "place",
        "direction",
        "volume_ml",
        "mean_change_hu",
        "largest_change_hu",
        "amount_hu_ml",
        "first_slice",
        "last_slice",
        "peak_right_mm",
        "peak_anterior_mm",
        "peak_superior_mm",
        "lung_share",
        "found_in_runs",
        "of_runs",
    ];
    table(names, (1..).zip(&subject.report.regions.list).map(row))
}

/// The counterfactual and the other methods that were asked for: what a mask says of each, where one was given, and the numbers of its map.
fn methods(subject: &Subject) -> Result<Vec<u8>> {
    let (maps, mask) = (subject.report.methods.as_deref().unwrap_or_default(), subject.report.mask.as_ref());
    let measured = |name: &str| mask.and_then(|mask| mask.methods.iter().find(|method| method.method == name));
    let row = |name: &str, map: Option<&MethodReport>| {
        let against = measured(name).map(|method| method.against);
        let of_mask = against.map(|of| [of.dice, of.iou, of.energy_inside, of.chance].map(|number| number.to_string()));
        let [dice, iou, energy, chance] = of_mask.unwrap_or_default();
        let of_map = map.map(|map| [f64::from(map.largest), map.mean, map.sparsity].map(|number| number.to_string()));
        let [largest, mean, sparsity] = of_map.unwrap_or_default();
        [name.to_owned(), dice, iou, energy, chance, largest, mean, sparsity]
    };
    let ours = std::iter::once(row("counterfactual", None));
    let names = ["method", "dice", "iou", "energy_inside", "chance", "largest_logit", "mean_logit", "sparsity"];
    table(names, ours.chain(maps.iter().map(|map| row(map.method, Some(map)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_like_a_formula_is_text() {
        for (name, cell) in [("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"), ("-1", "'-1"), ("@a", "'@a"), ("+b", "'+b")] {
            assert_eq!(as_text(name), cell);
        }
        assert_eq!(as_text("Pleurisy; pleural effusion"), "Pleurisy; pleural effusion");
    }
}
