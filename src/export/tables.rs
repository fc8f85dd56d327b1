//! The numbers of a run as tables: comma-separated, one line of names first.

use anyhow::Result;
use glam::DVec3;

use super::{File, Run};

pub(super) const NAMES: &[&str] = &["curve.csv", "profile.csv", "drift.csv"];

pub(super) fn files(run: &Run) -> Result<Vec<File>> {
    let tables = [curve(run)?, profile(run)?, drift(run)?];
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
fn as_text(name: &str) -> String {
    let begins_formula = name.starts_with(['=', '+', '-', '@']);
    if begins_formula { format!("'{name}") } else { name.to_owned() }
}

/// The score along lambda, and which step is the counterfactual.
fn curve(run: &Run) -> Result<Vec<u8>> {
    let steps = run.result.steps.iter().enumerate();
    let row = |(at, step): (usize, &crate::latent_shift::Step)| {
        [step.lambda.to_string(), step.score.to_string(), (at == run.result.chosen).to_string()]
    };
    table(["lambda", "score", "counterfactual"], steps.map(row))
}

/// The change of each slice of the networks' stack, and where the middle of the slice lies, RAS+.
fn profile(run: &Run) -> Result<Vec<u8>> {
    let grid = &run.result.grid;
    let middle = [0, 1].map(|axis| (grid.shape[axis] as f64 - 1.0) / 2.0);
    let changes = run.result.change_per_slice_hu();
    let row = |(slice, change): (usize, &f32)| {
        let place = grid.world_from_voxel.transform_point3(DVec3::new(middle[0], middle[1], slice as f64));
        [slice.to_string(), place.x.to_string(), place.y.to_string(), place.z.to_string(), change.to_string()]
    };
    table(["slice", "right_mm", "anterior_mm", "superior_mm", "mean_change_hu"], changes.iter().enumerate().map(row))
}

/// The classifier's other outputs at lambda 0 and at the counterfactual; names alone where a segmenter gave the score.
fn drift(run: &Run) -> Result<Vec<u8>> {
    let rows = run.report.drift.iter().flatten().map(|drift| {
        let [before, after] = drift.scores;
        let [logit_before, logit_after] = drift.logits;
        let numbers = [before, after, drift.change(), logit_before, logit_after, logit_after - logit_before];
        let [a, b, c, d, e, f] = numbers.map(|number| number.to_string());
        [as_text(&drift.name), a, b, c, d, e, f]
    });
    let names = ["output", "before", "after", "change", "logit_before", "logit_after", "logit_change"];
    table(names, rows)
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
