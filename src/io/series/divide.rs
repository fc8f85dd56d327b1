//! A group of slices as stacks: copies are dropped; reconstructions, passes, phases and points in time are told apart by what
//! the files say, never by their names. Slicer's rule: slices are divided only where that leaves regular stacks.

use std::collections::BTreeMap;

use glam::DVec3;

use super::candidate::Candidate;
use super::group::Group;
use super::rounding;
use super::stack::{NoStack, at_one_place, extent_mm, is_even, normal, on_each_other, places, position, sort};
use crate::io::dicom::{ATTRIBUTES, Attribute, Slice, decode, name_of};
use crate::io::{Error, Note, counted};
use crate::job::Monitor;

/// A part of a comb of two series has at least so many slices; fewer may be any scanner's habit.
const FEWEST_OF_A_COMB: usize = 3;

/// Every stack that a group holds, each with what was found on the way.
pub(super) fn stacks(group: Group, monitor: &Monitor) -> Result<Vec<Candidate>, Error> {
    let Group { mut slices, mut notes } = group;
    sort(&mut slices);
    if slices[0].place.is_none() || places(&slices) == slices.len() && is_one(&slices) {
        return Ok(vec![Candidate::new(slices, notes)]);
    }
    if places(&slices) < slices.len() {
        if let Some(why) = piled(&slices) {
            return Ok(vec![Candidate::unusable(slices, notes, why.into())]);
        }
        // Slices of two phases may show the same, as air above the head does, and both are needed to tell the phases apart.
        slices = without_copies(slices, |a, b| a.attributes == b.attributes, &mut notes, monitor)?;
        if places(&slices) == slices.len() && is_one(&slices) {
            return Ok(vec![Candidate::new(slices, notes)]);
        }
    }
    if let Some((by, parts)) = division(&slices) {
        let total = slices.len();
        let names = by.iter().map(|attribute| name_of(ATTRIBUTES[*attribute])).collect::<Vec<_>>().join(" and ");
        let mut found = Vec::new();
        for part in parts {
            let note = Note::caution(format!(
                "the series holds several stacks, told apart by {names}: {} of one taken, {} of others left out",
                counted(part.len(), "slice"),
                counted(total - part.len(), "slice")
            ));
            let notes = notes.iter().cloned().chain([note]).collect();
            found.extend(stacks(Group { slices: part, notes }, monitor)?);
        }
        return Ok(found);
    }
    if places(&slices) < slices.len() {
        slices = without_copies(slices, |_, _| true, &mut notes, monitor)?;
    }
    let along = normal(&slices);
    let Some(index) = slices.windows(2).position(|pair| on_each_other(&pair[0], &pair[1], along)) else {
        return Ok(vec![Candidate::new(slices, notes)]);
    };
    let why = NoStack::mixed(&slices, index);
    Ok(vec![Candidate::unusable(slices, notes, why)])
}

/// Why slices lie on each other, where the rounding of an exporter laid them there.
fn piled(slices: &[Slice]) -> Option<String> {
    let spacing_mm = slices[0].between_slices_mm.or(slices[0].thickness_mm)?;
    let positions: Vec<DVec3> = slices.iter().map(position).collect();
    rounding::piled(&positions, normal(slices), spacing_mm)
}

/// Whether sorted slices, one at each place, are one stack: evenly spaced, and no comb of two.
fn is_one(slices: &[Slice]) -> bool {
    is_even(slices) && !(0..ATTRIBUTES.len()).any(|attribute| is_comb(slices, attribute))
}

/// Whether an attribute divides evenly spaced slices into stacks that lie between each other: two scans of one patient on one
/// grid. Parts that lie one behind the other are one scan.
fn is_comb(slices: &[Slice], by: Attribute) -> bool {
    if slices.iter().all(|slice| slice.attributes[by] == slices[0].attributes[by]) {
        return false;
    }
    let parts = parts(slices, &[by]);
    let along = normal(slices);
    let extents: Vec<_> = parts.iter().map(|part| extent_mm(part, along)).collect();
    let overlap = |a: &[f64; 2], b: &[f64; 2]| a[1].min(b[1]) - a[0].max(b[0]);
    parts.iter().all(|part| part.len() >= FEWEST_OF_A_COMB && is_even(part))
        && extents.windows(2).all(|pair| {
            let shorter = (pair[0][1] - pair[0][0]).min(pair[1][1] - pair[1][0]);
            overlap(&pair[0], &pair[1]) > shorter / 2.0
        })
}

/// The attribute, or the two, by which most slices are of regular stacks; and the parts, the larger ones first.
fn division(slices: &[Slice]) -> Option<(Vec<Attribute>, Vec<Vec<Slice>>)> {
    let varying: Vec<Attribute> = (0..ATTRIBUTES.len())
        .filter(|by| slices.iter().any(|slice| slice.attributes[*by] != slices[0].attributes[*by]))
        .collect();
    let ones = varying.iter().map(|a| vec![*a]).collect::<Vec<_>>();
    let twos = varying.iter().enumerate().flat_map(|(k, a)| varying[k + 1..].iter().map(|b| vec![*a, *b]));
    [ones, twos.collect()].into_iter().find_map(|ways| best(slices, ways))
}

fn best(slices: &[Slice], ways: Vec<Vec<Attribute>>) -> Option<(Vec<Attribute>, Vec<Vec<Slice>>)> {
    let all_at_one_place = places(slices) == 1;
    let regular = |part: &&Vec<Slice>| part.len() > 1 && is_even(part) || part.len() == 1 && all_at_one_place;
    let mut best: Option<(usize, Vec<Attribute>, Vec<Vec<Slice>>)> = None;
    for by in ways {
        let parts = parts(slices, &by);
        let score: usize = parts.iter().filter(regular).map(Vec::len).sum();
        if parts.len() > 1 && score * 2 > slices.len() && best.as_ref().is_none_or(|(most, ..)| score > *most) {
            best = Some((score, by, parts));
        }
    }
    best.map(|(_, by, mut parts)| {
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        (by, parts)
    })
}

/// Slices by what they say of the attributes, in the order of what they say: 9 comes before 10.
fn parts(slices: &[Slice], by: &[Attribute]) -> Vec<Vec<Slice>> {
    let mut parts: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
    for slice in slices {
        let said = by.iter().map(|attribute| slice.attributes[*attribute].clone().map(|said| (said.len(), said)));
        parts.entry(said.collect::<Vec<_>>()).or_default().push(slice.clone());
    }
    parts.into_values().collect()
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
    let read = |slice: &Slice| decode(slice).map_err(|refused| refused.at(slice.stored.source.path()));
    let mut kept: Vec<Slice> = Vec::with_capacity(total);
    let mut differing = false;
    for (i, slice) in slices.into_iter().enumerate() {
        let mut here = kept.iter().rev().take_while(|other| !differing && on_each_other(other, &slice, along));
        if let Some(other) = here.find(|other| alike(other, &slice)) {
            monitor.step("comparing slices at one place", i, total)?;
            if at_one_place(other, &slice) && read(other)?.hu == read(&slice)?.hu {
                continue;
            }
            differing = true;
        }
        kept.push(slice);
    }
    if kept.len() < total {
        let dropped = counted(total - kept.len(), "slice");
        notes.push(Note::caution(format!(
            "of slices that lie at one place and show the same, one was kept: {dropped} left out"
        )));
    }
    Ok(kept)
}
