//! Slices in order along their normal, and the grid that they make.

use glam::{DAffine3, DMat3, DVec3};

use super::line::{self, Line, Misfit, Uneven};
use super::row::Row;
use crate::io::dicom::{Place, Slice};
use crate::io::{Note, check_grid};
use crate::volume::Grid;

/// Slices nearer than this lie on each other.
const SAME_PLACE_MM: f64 = 1e-3;
/// A slice is axial where its normal lies this near to the body's axis: 30 degrees, as gantries tilt.
const AXIAL_COSINE: f64 = 0.86;

/// A grid that slices make.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    /// Where the slices lie evenly; else of as many slices with the median gap, which [`Uneven`] makes even.
    pub(super) grid: Grid,
    pub(super) uneven: Option<Uneven>,
    pub(super) notes: Vec<Note>,
}

/// Why slices make no grid.
#[derive(Debug, Clone)]
pub(super) struct NoStack {
    /// Without the name of a file, for a note.
    pub(super) what: String,
    /// With the names of files, for an error on screen.
    pub(super) named: String,
    /// The slice before a gap.
    pub(super) gap: Option<usize>,
}

impl From<String> for NoStack {
    fn from(what: String) -> Self {
        Self { named: what.clone(), what, gap: None }
    }
}

impl NoStack {
    fn of(misfit: &Misfit, slices: &[Slice]) -> Self {
        Self {
            what: misfit.words(&format!("slice {} of the stack", misfit.slice + 1)),
            named: misfit.words(&slices[misfit.slice].stored.source.name()),
            gap: Some(misfit.slice),
        }
    }

    /// Slices lie on each other, and nothing tells them apart: the one at `index` and the next.
    pub(super) fn mixed(slices: &[Slice], index: usize) -> Self {
        let words = |one: &str, other: &str| {
            format!(
                "slices lie on each other and differ ({one} and {other}): phases are mixed, and no kernel, thickness, acquisition number or time tells them apart; choose the files of one"
            )
        };
        let name = |index: usize| slices[index].stored.source.name();
        Self {
            what: words(&format!("slice {} of the stack", index + 1), "the next"),
            named: words(&name(index), &name(index + 1)),
            gap: None,
        }
    }

    /// Adds what else is known.
    pub(super) fn and(&mut self, more: &str) {
        self.what.push_str(more);
        self.named.push_str(more);
    }
}

pub(super) fn position(slice: &Slice) -> DVec3 {
    slice.place.map_or(DVec3::ZERO, |place| place.position)
}

/// The direction of rising slices: from foot to head, from back to front or from left to right, whichever is nearest.
pub(super) fn normal(slices: &[Slice]) -> DVec3 {
    let Some(place) = slices.first().and_then(|slice| slice.place) else { return DVec3::Z };
    let normal = place.along_row.cross(place.down_column).normalize();
    let main = normal.to_array().into_iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() { x } else { best });
    if main < 0.0 { -normal } else { normal }
}

/// Whether slices lie across the body's axis.
pub(super) fn is_axial(slices: &[Slice]) -> bool {
    normal(slices).z.abs() >= AXIAL_COSINE
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

/// From the first to the last place of sorted slices along the normal, mm.
pub(super) fn extent_mm(slices: &[Slice], normal: DVec3) -> [f64; 2] {
    let ends = [slices.first(), slices.last()].map(|slice| slice.map_or(0.0, |slice| position(slice).dot(normal)));
    [ends[0].min(ends[1]), ends[0].max(ends[1])]
}

/// The grid of sorted slices, one at each place.
pub(super) fn stack(slices: &[Slice]) -> Result<Stack, NoStack> {
    let first = slices.first().ok_or_else(|| "no slices".to_owned())?;
    let [dx, dy] = first.spacing_mm;
    let shape = [first.columns(), first.rows(), slices.len()];
    let mut notes = Vec::new();
    let Some(Place { position: place, along_row, down_column }) = first.place else {
        if slices.len() > 1 {
            return Err(
                format!("{} slices that do not say where they lie (no ImagePositionPatient)", slices.len()).into()
            );
        }
        notes.push(Note::serious("the file does not say where it lies: orientation is a guess"));
        let matrix = DMat3::from_diagonal(DVec3::new(-dx, -dy, thickness(first, &mut notes)));
        let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::ZERO) };
        return Ok(Stack { grid, uneven: None, notes });
    };
    let normal = normal(slices);
    let (origin, step, uneven) = if slices.len() == 1 {
        (place, normal * thickness(first, &mut notes), None)
    } else {
        let positions: Vec<DVec3> = slices.iter().map(position).collect();
        let line = line::of(&Row {
            positions: &positions,
            normal,
            pixel_mm: first.spacing_mm,
            spacing_mm: first.between_slices_mm,
            thickness_mm: first.thickness_mm,
        });
        let line = line.map_err(|misfit| NoStack::of(&misfit, slices))?;
        match line {
            Line::Even { origin, step, note } => {
                notes.extend(note);
                (origin, step, None)
            }
            Line::Uneven(uneven) => {
                notes.push(line::uneven_note(&uneven));
                (uneven.origin, uneven.step(), Some(uneven))
            }
        }
    };
    let matrix = DMat3::from_cols(along_row * dx, down_column * dy, step);
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, origin) };
    check_grid(&grid).map_err(|what| format!("{what}: see ImagePositionPatient of its slices"))?;
    Ok(Stack { grid, uneven, notes })
}

/// Whether sorted slices, one at each place, are evenly spaced as they are.
pub(super) fn is_even(slices: &[Slice]) -> bool {
    places(slices) == slices.len() && stack(slices).is_ok_and(|stack| stack.uneven.is_none())
}

/// The thickness of a slice that stands alone.
fn thickness(slice: &Slice, notes: &mut Vec<Note>) -> f64 {
    slice.between_slices_mm.or(slice.thickness_mm).unwrap_or_else(|| {
        notes.push(Note::serious("the slice does not say how thick it is: 1 mm is assumed"));
        1.0
    })
}
