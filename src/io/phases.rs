//! Slices that lie on each other: copies are dropped, and of the phases of a series one is kept, told apart by what the files
//! say, never by their names. Slicer's rule: a series is split only where that leaves a regular stack.

use std::collections::BTreeMap;
use std::path::Path;

use super::dicom::{PHASE_TAGS, Slice, pixels};
use super::series::name;
use super::stacking::{at_one_place, normal, on_each_other, places, step};
use super::{Error, Note};
use crate::job::Monitor;

/// Of sorted slices one at each place; `path` is what was opened.
pub(super) fn one_at_each_place(
    slices: Vec<Slice>,
    path: &Path,
    notes: &mut Vec<Note>,
    monitor: &Monitor,
) -> Result<Vec<Slice>, Error> {
    if slices[0].place.is_none() || places(&slices) == slices.len() {
        return Ok(slices);
    }
    // Slices of two phases may show the same, as air above the head does, and both are needed to tell the phases apart.
    let slices = without_copies(slices, |a, b| a.phase == b.phase, notes, monitor)?;
    if places(&slices) == slices.len() {
        return Ok(slices);
    }
    for (which, (_, tag)) in PHASE_TAGS.iter().enumerate() {
        if let Some(phase) = largest_regular(&slices, which) {
            notes.push(Note::caution(format!(
                "the series holds several phases, told apart by {tag}: {} slices of one were opened, {} slices of others left out",
                phase.len(),
                slices.len() - phase.len()
            )));
            return Ok(phase);
        }
    }
    let slices = without_copies(slices, |_, _| true, notes, monitor)?;
    let along = normal(&slices);
    let Some(pair) = slices.windows(2).find(|pair| on_each_other(&pair[0], &pair[1], along)) else {
        return Ok(slices);
    };
    let what = format!(
        "slices lie on each other and differ ({} and {}): phases are mixed, and no acquisition number or time tells them apart; choose the files of one",
        name(&pair[0].path),
        name(&pair[1].path)
    );
    Err(Error::Unsuitable { what, path: path.to_owned() })
}

/// Drops slices that show just what another at their place shows, up to the first that differs: from there on it would be
/// decoding whole phases to find what is known. Only slices that are `alike` are compared.
fn without_copies(
    slices: Vec<Slice>,
    alike: impl Fn(&Slice, &Slice) -> bool,
    notes: &mut Vec<Note>,
    monitor: &Monitor,
) -> Result<Vec<Slice>, Error> {
    let (total, along) = (slices.len(), normal(&slices));
    let read = |slice: &Slice| pixels(slice).map_err(|refused| refused.at(&slice.path));
    let mut kept: Vec<Slice> = Vec::with_capacity(total);
    let mut differing = false;
    for (i, slice) in slices.into_iter().enumerate() {
        let mut here = kept.iter().rev().take_while(|other| !differing && on_each_other(other, &slice, along));
        if let Some(other) = here.find(|other| alike(other, &slice)) {
            monitor.step("comparing slices at one place", i, total)?;
            if at_one_place(other, &slice) && read(other)? == read(&slice)? {
                continue;
            }
            differing = true;
        }
        kept.push(slice);
    }
    if kept.len() < total {
        let dropped = total - kept.len();
        notes
            .push(Note::caution(format!("{dropped} slices lie where others do and show the same: they were left out")));
    }
    Ok(kept)
}

/// The largest part, by one of the phase tags, that is a regular stack by itself and covers most of the places. The first of
/// equal ones: the earliest.
fn largest_regular(slices: &[Slice], which: usize) -> Option<Vec<Slice>> {
    let mut parts: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
    for slice in slices {
        let said = slice.phase[which].as_deref();
        // By length first, so that 9 comes before 10.
        parts.entry((said.map(str::len), said)).or_default().push(slice.clone());
    }
    let most = places(slices) / 2 + 1;
    let regular =
        |part: &Vec<Slice>| part.len() >= most && places(part) == part.len() && (part.len() == 1 || step(part).is_ok());
    parts.into_values().rev().filter(regular).max_by_key(Vec::len)
}
