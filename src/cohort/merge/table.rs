//! One row per case: what a cohort's manifest says of it, and every number of its result. Times stand in a table of their own, so that this
//! one is the same whoever computed it.

use anyhow::Result;

use crate::cohort::aligned::{LaidBy, Shares};
use crate::cohort::case::Kept;
use crate::cohort::manifest::Row;
use crate::cohort::numbers::Numbers;
use crate::export::as_text;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Number(f64),
    Whole(i64),
    Truth(bool),
    Nothing,
}

/// What the cells of a column hold where they hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    Text,
    Number,
    Whole,
    Truth,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<(String, CellKind)>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        i64::try_from(number).map_or(Self::Nothing, Self::Whole)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Cell {
    fn csv(&self) -> String {
        match self {
            Self::Text(text) => as_text(text),
            Self::Number(number) => number.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::Nothing => String::new(),
        }
    }
}

/// Columns after those of the manifest.
const NUMBERS: [(&str, CellKind); 34] = [
    ("status", CellKind::Text),
    ("target", CellKind::Text),
    ("score_scan", CellKind::Number),
    ("score_reconstruction", CellKind::Number),
    ("score_counterfactual", CellKind::Number),
    ("reconstruction_gap", CellKind::Number),
    ("score_change", CellKind::Number),
    ("logit_change", CellKind::Number),
    ("goal", CellKind::Number),
    ("goal_reached", CellKind::Truth),
    ("lambda", CellKind::Number),
    ("stop", CellKind::Text),
    ("trials", CellKind::Whole),
    ("steps", CellKind::Whole),
    ("mean_change_hu", CellKind::Number),
    ("largest_change_hu", CellKind::Number),
    ("changed_body_share", CellKind::Number),
    ("change_in_lungs", CellKind::Number),
    ("change_in_body", CellKind::Number),
    ("change_around", CellKind::Number),
    ("aligned_by", CellKind::Text),
    ("sparsity", CellKind::Number),
    ("latents_moved", CellKind::Number),
    ("monotonicity", CellKind::Number),
    ("regions", CellKind::Whole),
    ("outlier", CellKind::Number),
    ("warnings", CellKind::Text),
    ("scan_sha256", CellKind::Text),
    ("autoencoder", CellKind::Text),
    ("autoencoder_sha256", CellKind::Text),
    ("scored_by", CellKind::Text),
    ("scored_by_sha256", CellKind::Text),
    ("series", CellKind::Text),
    ("error", CellKind::Text),
];
/// The column whose cells are known only when all rows are read.
const OUTLIER: &str = "outlier";

impl Table {
    /// A table for the cases of a manifest with these further columns. One that is called as one of ours is told apart.
    pub(super) fn new(further: &[String]) -> Self {
        let ours = |name: &str| name == "id" || NUMBERS.iter().any(|(known, _)| *known == name);
        let named = |name: &String| if ours(name) { format!("manifest_{name}") } else { name.clone() };
        let known = NUMBERS.map(|(name, kind)| (name.to_owned(), kind));
        let further = further.iter().map(|name| (named(name), CellKind::Text));
        let columns = std::iter::once(("id".to_owned(), CellKind::Text)).chain(further).chain(known).collect();
        Self { columns, rows: Vec::new() }
    }

    fn begun(row: &Row) -> Vec<Cell> {
        std::iter::once(&row.id).chain(&row.further).map(|text| Cell::Text(text.clone())).collect()
    }

    /// A case that is not done: why, where it failed.
    pub(super) fn add_undone(&mut self, row: &Row, status: &str, error: &str) {
        let mut cells = Self::begun(row);
        cells.push(status.into());
        cells.resize(self.columns.len() - 1, Cell::Nothing);
        cells.push(if error.is_empty() { Cell::Nothing } else { error.into() });
        self.rows.push(cells);
    }

    pub(super) fn add(&mut self, row: &Row, kept: &Kept, numbers: &Numbers) {
        let of = numbers;
        let share = |share: fn(&Shares) -> f64| Cell::from(kept.shares.as_ref().map(share));
        let laid_by = match kept.laid_by {
            LaidBy::BodyAndLungs => "body and lungs",
            LaidBy::Body => "body",
        };
        let series = &kept.asked["series"];
        let series = if series.is_null() { Cell::Nothing } else { Cell::Text(series.to_string().replace('"', "")) };
        let mut cells = Self::begun(row);
        cells.extend([
            "done".into(),
            of.target.as_str().into(),
            of.scores.scan.into(),
            of.scores.reconstruction.into(),
            of.scores.counterfactual.into(),
            of.reconstruction_gap.into(),
            of.score_change.into(),
            of.logit_change.into(),
            of.goal.into(),
            of.goal_reached.map_or(Cell::Nothing, Cell::Truth),
            of.lambda.into(),
            of.stop.as_str().into(),
            of.walk.len().into(),
            of.lambdas.len().into(),
            of.mean_change_hu.into(),
            of.largest_change_hu.into(),
            of.changed_body_share.into(),
            share(|of| of.lungs),
            share(|of| of.body),
            share(|of| of.around),
            laid_by.into(),
            of.sparsity.into(),
            of.latents_moved.into(),
            of.monotonicity.into(),
            of.regions.list.len().into(),
            Cell::Nothing,
            of.input.warnings.join("; ").as_str().into(),
            of.input.sha256.as_str().into(),
            of.autoencoder.name.as_str().into(),
            of.autoencoder.sha256.as_str().into(),
            of.scored_by.name.as_str().into(),
            of.scored_by.sha256.as_str().into(),
            series,
            Cell::Nothing,
        ]);
        self.rows.push(cells);
    }

    /// Says how far out each row is; of rows that are not done nothing.
    pub(super) fn set_outliers(&mut self, far: &[Option<f64>]) {
        let Some(at) = self.columns.iter().position(|(name, _)| name == OUTLIER) else { return };
        for (row, far) in self.rows.iter_mut().zip(far) {
            row[at] = (*far).into();
        }
    }

    /// Comma-separated, one line of names first; a text that a spreadsheet would compute is marked as text.
    pub(super) fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|(name, _)| as_text(name)))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::csv))?;
        }
        Ok(writer.into_inner()?)
    }
}

/// When, where and how long: a row per case that is done.
pub(super) fn times() -> Table {
    let columns = [
        ("id", CellKind::Text),
        ("seconds", CellKind::Number),
        ("search_seconds", CellKind::Number),
        ("peak_bytes", CellKind::Whole),
        ("threads", CellKind::Whole),
        ("device", CellKind::Text),
        ("finished", CellKind::Text),
    ];
    Table { columns: columns.map(|(name, kind)| (name.to_owned(), kind)).into(), rows: Vec::new() }
}

pub(super) fn time_row(kept: &Kept, numbers: &Numbers) -> Vec<Cell> {
    let run: f64 = numbers.seconds_per_phase.iter().map(|(_, secs)| secs).sum();
    vec![
        kept.id.as_str().into(),
        kept.secs.into(),
        run.into(),
        kept.peak_bytes.map_or(Cell::Nothing, |bytes| (bytes as usize).into()),
        numbers.threads.into(),
        numbers.device.as_str().into(),
        kept.finished.as_str().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_begins_like_a_formula_is_text_and_numbers_stay_numbers() {
        let table = Table {
            columns: vec![("=a".to_owned(), CellKind::Text), ("n".to_owned(), CellKind::Number)],
            rows: vec![vec!["=1+1".into(), (-0.5).into()], vec!["a,\"b".into(), Cell::Nothing]],
        };
        assert_eq!(String::from_utf8(table.csv().unwrap()).unwrap(), "'=a,n\r\n'=1+1,-0.5\r\n\"a,\"\"b\",\r\n");
    }
}
