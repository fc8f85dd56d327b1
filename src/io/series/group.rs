//! Slices that may be one stack: of one patient, study, series and frame of reference, of one size, spacing and orientation.
//! Spacing and orientation are compared by tolerance, for two exporters of one scan round differently.

use std::collections::{BTreeMap, BTreeSet};

use glam::DVec3;

use crate::io::Note;
use crate::io::dicom::{Place, Slice};

/// Spacings of one stack differ by less than this share: a tenth of a pixel over 512 pixels.
const SPACING_SHARE: f64 = 2e-4;
/// Directions of one stack differ by less than this: what three written decimals leave, and a quarter of what a gantry tilts at
/// the least.
const DIRECTION: f64 = 2e-3;
/// Fewer files than this, each of a series of its own, are no series that lost its name.
const FEWEST_ALONE: usize = 3;

/// Slices that may be one stack, in no order.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) slices: Vec<Slice>,
    pub(super) notes: Vec<Note>,
}

/// Groups slices. The order of the groups is that of their series' numbers and UIDs.
pub(super) fn groups(slices: Vec<Slice>) -> Vec<Group> {
    let mut named: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
    for slice in completed(slices) {
        let ids = [&slice.patient, &slice.study, &slice.series, &slice.frame_of_reference].map(Clone::clone);
        let key =
            (slice.series_number, ids, slice.modality.clone(), slice.rows(), slice.columns(), slice.place.is_some());
        named.entry(key).or_default().push(slice);
    }
    let groups = named.into_values().flat_map(alike);
    let (alone, mut groups): (Vec<_>, Vec<_>) = groups.partition(|slices| slices.len() == 1);
    let (together, still_alone) = reunited(alone.into_iter().flatten().collect());
    groups.extend(still_alone.into_iter().map(|slice| vec![slice]));
    let groups = groups.into_iter().map(|slices| Group { slices, notes: Vec::new() });
    groups.chain(together).collect()
}

/// Gives slices that do not name their patient, study or frame of reference those of their series, where it has one alone.
fn completed(mut slices: Vec<Slice>) -> Vec<Slice> {
    let fields: [fn(&mut Slice) -> &mut String; 3] =
        [|slice| &mut slice.patient, |slice| &mut slice.study, |slice| &mut slice.frame_of_reference];
    for field in fields {
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for slice in &mut slices {
            named.entry(slice.series.clone()).or_default().insert(field(slice).clone());
        }
        for slice in slices.iter_mut().filter(|slice| !slice.series.is_empty()) {
            let mut others = named[&slice.series].iter().filter(|said| !said.is_empty());
            if let (true, Some(only), None) = (field(slice).is_empty(), others.next(), others.next()) {
                field(slice).clone_from(only);
            }
        }
    }
    slices
}

/// Divides slices by spacing and orientation.
fn alike(slices: Vec<Slice>) -> Vec<Vec<Slice>> {
    let mut groups: Vec<Vec<Slice>> = Vec::new();
    for slice in slices {
        match groups.iter_mut().rev().find(|group| lies_alike(&group[0], &slice)) {
            Some(group) => group.push(slice),
            None => groups.push(vec![slice]),
        }
    }
    groups
}

/// Whether two slices have one spacing and one orientation.
pub(super) fn lies_alike(a: &Slice, b: &Slice) -> bool {
    has_spacing_of(a, b) && has_orientation_of(a, b)
}

pub(super) fn has_spacing_of(a: &Slice, b: &Slice) -> bool {
    a.spacing_mm.iter().zip(&b.spacing_mm).all(|(a, b)| (a - b).abs() <= SPACING_SHARE * a)
}

pub(super) fn has_orientation_of(a: &Slice, b: &Slice) -> bool {
    let near = |a: DVec3, b: DVec3| (a - b).length() < DIRECTION;
    match (&a.place, &b.place) {
        (Some(a), Some(b)) => directions(a).into_iter().zip(directions(b)).all(|(a, b)| near(a, b)),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn directions(place: &Place) -> [DVec3; 2] {
    [place.along_row, place.down_column]
}

/// Files that stand alone in their series, together again: some anonymisers give each file a series, a study, a frame of
/// reference or a patient of its own. What is of several patients is taken together only where all name one series. Gives the groups, and what stays alone.
fn reunited(alone: Vec<Slice>) -> (Vec<Group>, Vec<Slice>) {
    let mut buckets: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
    let mut of_series: BTreeMap<String, usize> = BTreeMap::new();
    for slice in alone.iter().filter(|slice| !slice.series.is_empty()) {
        *of_series.entry(slice.series.clone()).or_default() += 1;
    }
    for slice in alone {
        let is_shared = of_series.get(&slice.series).is_some_and(|files| *files >= FEWEST_ALONE);
        let owner = if is_shared { slice.series.clone() } else { slice.patient.clone() };
        let key = (is_shared, owner, slice.modality.clone(), slice.rows(), slice.columns(), slice.place.is_some());
        buckets.entry(key).or_default().push(slice);
    }
    let (mut together, mut still_alone) = (Vec::new(), Vec::new());
    for slices in buckets.into_values().flat_map(alike) {
        if slices.len() < FEWEST_ALONE || slices[0].place.is_none() {
            still_alone.extend(slices);
            continue;
        }
        let (own, one) = if slices.iter().any(|slice| slice.patient != slices[0].patient) {
            ("patient, study, frame of reference or number of the series", "series UID")
        } else {
            ("series", "patient")
        };
        let note = format!(
            "each of {} files names a {own} of its own: they were taken together because they are of one {one}, size, spacing and orientation",
            slices.len()
        );
        together.push(Group { slices, notes: vec![Note::serious(note)] });
    }
    (together, still_alone)
}
