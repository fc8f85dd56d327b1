//! Tables of what a source has, for people.

use crate::pacs::{Series, Study};

pub(super) fn studies(all: &[Study]) -> Vec<String> {
    let head = ["DATE", "PATIENT", "ID", "ACCESSION", "MODALITIES", "SERIES", "IMAGES", "DESCRIPTION", "STUDY"];
    let row = |study: &Study| {
        [
            study.date.clone(),
            study.patient_name.clone(),
            study.patient_id.clone(),
            study.accession.clone(),
            study.modalities.clone(),
            number(study.series),
            number(study.instances),
            study.description.clone(),
            study.study_uid.clone(),
        ]
    };
    table(head, all.iter().map(row))
}

pub(super) fn series(all: &[Series]) -> Vec<String> {
    let head = ["NUMBER", "MODALITY", "IMAGES", "BODY PART", "DESCRIPTION", "SERIES"];
    let row = |series: &Series| {
        [
            series.number.clone(),
            series.modality.clone(),
            number(series.instances),
            series.body_part.clone(),
            series.description.clone(),
            series.series_uid.clone(),
        ]
    };
    table(head, all.iter().map(row))
}

/// Many sources do not say how many there are.
fn number(of: Option<u64>) -> String {
    of.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

/// Columns as wide as their widest value, 40 letters at most; the last one, which is copied, is whole.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    const WIDEST: usize = 40;
    let cut = |(at, text): (usize, String)| -> String {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if at + 1 == N { text } else { text.chars().take(WIDEST).collect() }
    };
    let rows: Vec<Vec<String>> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .map(|row| row.into_iter().enumerate().map(cut).collect())
        .collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
