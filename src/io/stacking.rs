//! Slices in order along their normal, and the grid that they make: evenly spaced on one straight line, or refused in words.

use glam::{DAffine3, DMat3, DVec3};

use super::dicom::{Place, Slice};
use super::series::name;
use super::{Note, check_grid};
use crate::volume::Grid;

/// Slices nearer than this lie on each other.
const SAME_PLACE_MM: f64 = 1e-3;
/// Gaps may differ by this share of their median, or by rounding in the files.
const GAP_SHARE: f64 = 0.02;
const GAP_MM: f64 = 0.02;
/// A slice may lie off the straight line through the others by this share of a pixel: more would be seen.
const OFF_LINE_PIXELS: f64 = 0.5;
/// A stack whose slices shift sideways by more than this was acquired with a tilted gantry.
const TILT_DEGREES: f64 = 0.5;

fn position(slice: &Slice) -> DVec3 {
    slice.place.map_or(DVec3::ZERO, |place| place.position)
}

/// The direction of rising slices: from foot to head, from back to front or from left to right, whichever is nearest.
pub(super) fn normal(slices: &[Slice]) -> DVec3 {
    let Some(place) = slices[0].place else { return DVec3::Z };
    let normal = place.along_row.cross(place.down_column).normalize();
    let main = normal.to_array().into_iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() { x } else { best });
    if main < 0.0 { -normal } else { normal }
}

/// Sorts slices of one orientation along their normal; by their positions alone, whatever the files are called.
pub(super) fn sort(slices: &mut [Slice]) {
    slices.sort_by(|a, b| {
        let (a, b) = (position(a).to_array(), position(b).to_array());
        a.iter().zip(&b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    let normal = normal(slices);
    slices.sort_by(|a, b| position(a).dot(normal).total_cmp(&position(b).dot(normal)));
}

/// Whether two slices have the same place along the normal.
pub(super) fn on_each_other(a: &Slice, b: &Slice, normal: DVec3) -> bool {
    (position(a) - position(b)).dot(normal).abs() < SAME_PLACE_MM
}

/// Whether two slices lie at the same place in every direction.
pub(super) fn at_one_place(a: &Slice, b: &Slice) -> bool {
    position(a).distance(position(b)) < SAME_PLACE_MM
}

/// How many places along the normal sorted slices cover.
pub(super) fn places(slices: &[Slice]) -> usize {
    let normal = normal(slices);
    1 + slices.windows(2).filter(|pair| !on_each_other(&pair[0], &pair[1], normal)).count()
}

/// From one slice to the next, of two or more sorted slices; an error where they are not evenly spaced on a straight line.
pub(super) fn step(slices: &[Slice]) -> Result<DVec3, String> {
    let normal = normal(slices);
    let height = |slice: &Slice| position(slice).dot(normal);
    let mut gaps: Vec<f64> = slices.windows(2).map(|w| height(&w[1]) - height(&w[0])).collect();
    gaps.sort_by(f64::total_cmp);
    let (least, median, most) = (gaps[0], gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    if most - least > (GAP_SHARE * median).max(GAP_MM) {
        let wide = slices.windows(2).find(|w| height(&w[1]) - height(&w[0]) > median * (1.0 + GAP_SHARE));
        let after =
            wide.map_or_else(String::new, |w| format!(", after {:.1} mm ({})", height(&w[0]), name(&w[0].path)));
        return Err(format!(
            "slice spacing varies from {least:.2} to {most:.2} mm{after}: slices are missing, or two series are mixed; choose one complete series"
        ));
    }
    let (first, last) = (position(&slices[0]), position(&slices[slices.len() - 1]));
    let step = (last - first) / (slices.len() - 1) as f64;
    let off = |k: usize| position(&slices[k]).distance(first + step * k as f64);
    let worst = (0..slices.len()).map(|k| (off(k), &slices[k])).max_by(|a, b| a.0.total_cmp(&b.0));
    let [dx, dy] = slices[0].spacing_mm;
    if let Some((off_mm, slice)) = worst.filter(|(off_mm, _)| *off_mm > OFF_LINE_PIXELS * dx.max(dy)) {
        return Err(format!(
            "the slice at {:.1} mm ({}) lies {off_mm:.1} mm off the straight line from the first to the last: two series are mixed, or the table moved; choose one complete series",
            height(slice),
            name(&slice.path)
        ));
    }
    Ok(step)
}

/// The grid of sorted slices, one at each place.
pub(super) fn grid(slices: &[Slice], notes: &mut Vec<Note>) -> Result<Grid, String> {
    let [dx, dy] = slices[0].spacing_mm;
    let shape = [slices[0].columns, slices[0].rows, slices.len()];
    let Some(Place { position, along_row, down_column }) = slices[0].place else {
        if slices.len() > 1 {
            return Err(format!("{} slices that do not say where they lie (no ImagePositionPatient)", slices.len()));
        }
        notes.push(Note::serious("the file does not say where it lies: orientation is a guess"));
        let matrix = DMat3::from_diagonal(DVec3::new(-dx, -dy, thickness(&slices[0], notes)));
        return Ok(Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::ZERO) });
    };
    let normal = normal(slices);
    let step = if slices.len() == 1 { normal * thickness(&slices[0], notes) } else { step(slices)? };
    let tilt = (step.dot(normal) / step.length()).clamp(-1.0, 1.0).acos().to_degrees();
    if tilt > TILT_DEGREES {
        notes.push(Note::caution(format!("the gantry was tilted by {tilt:.1} degrees: slices are shown sheared as acquired, and resampled for the networks")));
    }
    let matrix = DMat3::from_cols(along_row * dx, down_column * dy, step);
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, position) };
    check_grid(&grid).map_err(|what| format!("{what}: see ImagePositionPatient of its slices"))?;
    Ok(grid)
}

/// The thickness of a slice that stands alone.
fn thickness(slice: &Slice, notes: &mut Vec<Note>) -> f64 {
    slice.thickness_mm.unwrap_or_else(|| {
        notes.push(Note::serious("the slice does not say how thick it is: 1 mm is assumed"));
        1.0
    })
}
