//! Why files and series cannot be opened, in words.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::group::{has_orientation_of, has_spacing_of};
use super::stack::{normal, position};
use crate::io::dicom::{Refused, Slice};

/// How many reasons a message lists.
const NAMED: usize = 3;

/// Why files were left out, with counts, the most frequent first. It names no file: names of files name patients.
pub(super) fn counted(skipped: &[Refused], foreign: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for refused in skipped {
        *counts.entry(refused.reason()).or_default() += 1;
    }
    if foreign > 0 {
        counts.insert(Refused::Foreign.reason(), foreign);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let listed = counts.iter().take(NAMED).map(|(reason, count)| format!("{count} x {reason}"));
    let more = (counts.len() > NAMED).then(|| format!("{} more reasons", counts.len() - NAMED));
    listed.chain(more).collect::<Vec<_>>().join("; ")
}

/// Where a stack has a gap and a slice of the same series that was put elsewhere lies in it, says so with what differs.
pub(super) fn name_misfits(candidates: &mut [Candidate]) {
    for index in 0..candidates.len() {
        let stack = &candidates[index];
        let Some(gap) = stack.stack.as_ref().err().and_then(|why| why.gap) else { continue };
        let Some([below, above]) = stack.slices.get(gap..gap + 2).and_then(|pair| <&[Slice; 2]>::try_from(pair).ok())
        else {
            continue;
        };
        let along = normal(&stack.slices);
        let span = position(below).dot(along)..position(above).dot(along);
        let others = candidates.iter().enumerate().filter(|(other, _)| *other != index);
        let misfit = others.flat_map(|(_, other)| &other.slices).find_map(|slice| {
            let lies_there = slice.series == below.series && span.contains(&position(slice).dot(along));
            difference(below, slice).filter(|_| lies_there)
        });
        if let (Some(what), Err(why)) = (misfit, &mut candidates[index].stack) {
            why.and(&format!("; the slice that belongs there has {what}"));
        }
    }
}

/// What keeps a slice from being of another's stack.
fn difference(of: &Slice, slice: &Slice) -> Option<String> {
    let ([x, y], [u, v]) = (slice.spacing_mm, of.spacing_mm);
    if !has_spacing_of(of, slice) {
        return Some(format!("PixelSpacing {y}\\{x}, where the others have {v}\\{u}"));
    }
    if (slice.rows(), slice.columns()) != (of.rows(), of.columns()) {
        let ([a, b], [c, d]) = ([slice.rows(), slice.columns()], [of.rows(), of.columns()]);
        return Some(format!("{a} Rows and {b} Columns, where the others have {c} and {d}"));
    }
    if !has_orientation_of(of, slice) {
        return Some("another ImageOrientationPatient".to_owned());
    }
    if let (Some(one), Some(other)) = (slice.series_number, of.series_number)
        && one != other
    {
        return Some(format!("SeriesNumber {one}, where the others have {other}"));
    }
    if slice.modality != of.modality {
        return Some("another Modality".to_owned());
    }
    let names = [
        (&slice.study, &of.study, "StudyInstanceUID"),
        (&slice.frame_of_reference, &of.frame_of_reference, "FrameOfReferenceUID"),
        (&slice.patient, &of.patient, "PatientID"),
    ];
    names.into_iter().find(|(a, b, _)| a != b).map(|(.., tag)| format!("another {tag}"))
}
