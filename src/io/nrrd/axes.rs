//! Which axes of a NRRD file are the patient's, which one counts volumes, and where the voxels lie.

use glam::{DAffine3, DMat3, DVec3};

use super::super::fault::Fault;
use super::super::plan::Order;
use super::super::units::{Unit, in_millimetres, place, triple};
use super::super::{Geometry, Note};
use super::header::{Header, shortened};
use crate::volume::Grid;

/// The most axes that a NRRD file has (`NRRD_DIM_MAX`).
const MOST_AXES: usize = 16;
/// What `kinds` say of an axis that counts volumes, or samples in time.
const COUNTING: [&str; 4] = ["list", "time", "none", "???"];

/// The axes by what they are for.
pub(super) struct Axes {
    pub(super) shape: [usize; 3],
    pub(super) volumes: usize,
    pub(super) order: Order,
    /// The three axes of space among all.
    pub(super) places: [usize; 3],
}

impl Axes {
    pub(super) fn of(header: &Header) -> Result<Self, Fault> {
        let sizes = header.sizes()?;
        let unsuitable = |what: String| Fault::Unsuitable(what);
        if !(3..=MOST_AXES).contains(&sizes.len()) {
            return Err(unsuitable(format!("{} dimensions, where a scan has three", sizes.len())));
        }
        let kinds: Vec<String> =
            header.field("kinds").unwrap_or("").split_whitespace().map(str::to_ascii_lowercase).collect();
        let places = spatial(header, &sizes, &kinds)?;
        let shape = places.map(|axis| sizes[axis]);
        let others: Vec<usize> = (0..sizes.len()).filter(|axis| !places.contains(axis) && sizes[*axis] > 1).collect();
        let (volumes, order) = match others[..] {
            [] => (1, Order::Volumes),
            [axis] => {
                if let Some(kind) = kinds.get(axis).filter(|kind| !counts(kind)) {
                    return Err(unsuitable(format!(
                        "{} numbers for each voxel (kinds: {}), as colours and vectors have; save one volume of Hounsfield \
                         units alone",
                        sizes[axis],
                        shortened(kind)
                    )));
                }
                let order = if axis < places[0] { Order::Interleaved } else { Order::Volumes };
                if axis > places[0] && axis < places[2] {
                    return Err(unsuitable("volumes that lie between the axes of space".to_owned()));
                }
                (sizes[axis], order)
            }
            _ => return Err(unsuitable(format!("{} dimensions ({sizes:?}), where a scan has three", sizes.len()))),
        };
        Ok(Self { shape, volumes, order, places })
    }
}

/// The axes of space: those with a direction, else those whose kind says so, else the first three.
fn spatial(header: &Header, sizes: &[usize], kinds: &[String]) -> Result<[usize; 3], Fault> {
    let is_spatial: Vec<bool> = if let Some(vectors) = directions(header)? {
        if vectors.len() != sizes.len() {
            let said = vectors.len();
            return Err(Fault::Damaged(format!("{said} space directions, where the file has {} axes", sizes.len())));
        }
        vectors.iter().map(Option::is_some).collect()
    } else if kinds.len() == sizes.len() && kinds.iter().filter(|kind| is_space(kind)).count() == 3 {
        kinds.iter().map(|kind| is_space(kind)).collect()
    } else {
        (0..sizes.len()).map(|axis| axis < 3).collect()
    };
    let axes: Vec<usize> = (0..sizes.len()).filter(|axis| is_spatial[*axis]).collect();
    let three = <[usize; 3]>::try_from(axes.as_slice());
    three.map_err(|_other_count| Fault::Unsuitable(format!("{} axes of space, where a scan has three", axes.len())))
}

/// ITK calls the fourth axis of a file of several volumes a "domain", as the first three.
fn counts(kind: &str) -> bool {
    COUNTING.contains(&kind) || is_space(kind)
}

fn is_space(kind: &str) -> bool {
    kind == "domain" || kind == "space"
}

/// `space directions`: a vector for each axis of space, none for the others; none at all where the field is not there.
fn directions(header: &Header) -> Result<Option<Vec<Option<DVec3>>>, Fault> {
    let Some(said) = header.field("space directions") else { return Ok(None) };
    let wrong = || Fault::Damaged(format!("space directions: {}", shortened(said)));
    let (mut vectors, mut rest) = (Vec::new(), said.trim_start());
    while !rest.is_empty() {
        let (one, behind) = if rest.starts_with('(') {
            rest.split_once(')').ok_or_else(wrong)?
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        vectors.push(match one.strip_prefix('(') {
            Some(numbers) => Some(direction(numbers).ok_or_else(wrong)?),
            None if one.eq_ignore_ascii_case("none") => None,
            None => return Err(wrong()),
        });
        if vectors.len() > MOST_AXES {
            return Err(wrong());
        }
        rest = behind.trim_start();
    }
    // Some programs write "(nan,nan,nan)" where an axis has no direction.
    Ok(Some(vectors.into_iter().map(|vector| vector.filter(|vector| !vector.is_nan())).collect()))
}

/// A vector of `space directions`. An axis along time alone has no direction in space: NaN. One along both is none that can
/// be shown.
fn direction(said: &str) -> Option<DVec3> {
    match vector(said)? {
        (DVec3::ZERO, time) if time != 0.0 => Some(DVec3::NAN),
        (in_space, time) => (time == 0.0 || time.is_nan()).then_some(in_space),
    }
}

/// "1,0,0" with a time of 0, or "1,0,0,5", whose last number is that of time.
fn vector(said: &str) -> Option<(DVec3, f64)> {
    let numbers: Vec<f64> = said.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [x, y, z] => Some((DVec3::new(x, y, z), 0.0)),
        [x, y, z, time] => Some((DVec3::new(x, y, z), time)),
        _ => None,
    }
}

/// Where the voxels lie, in RAS+ millimetres.
pub(super) fn grid(
    header: &Header,
    shape: [usize; 3],
    places: [usize; 3],
    notes: &mut Vec<Note>,
) -> Result<(Grid, Geometry), String> {
    let ras_from_space = ras_from_space(header, notes)?;
    let vectors = directions(header).map_err(|fault| fault.to_string())?;
    let (matrix, geometry) = match vectors {
        Some(vectors) => {
            let column = |axis: usize| vectors[places[axis]].unwrap_or(DVec3::ZERO);
            (DMat3::from_cols(column(0), column(1), column(2)), Geometry::Header)
        }
        None => (DMat3::from_diagonal(spacings(header, places)?), Geometry::Spacing),
    };
    let origin = match header.field("space origin") {
        None => None,
        Some(said) => {
            let numbers = said.strip_prefix('(').and_then(|said| said.strip_suffix(')'));
            let (in_space, _time) =
                numbers.and_then(vector).ok_or_else(|| format!("space origin: {}", shortened(said)))?;
            Some(in_space)
        }
    };
    let (signs, known) = ras_from_space;
    let world_from_voxel =
        DAffine3::from_mat3_translation(DMat3::from_diagonal(signs) * matrix, signs * origin.unwrap_or(DVec3::ZERO));
    let unit = unit(header, notes);
    let grid = in_millimetres(Grid { shape, world_from_voxel }, unit.as_ref(), notes)?;
    let geometry = if known { geometry } else { Geometry::Spacing };
    if geometry == Geometry::Spacing {
        let column = |axis: usize| place(grid.world_from_voxel.matrix3.col(axis).to_array());
        notes.push(Note::serious(format!(
            "the header says nothing of the patient's orientation: left and right are a guess, and so are front and back. The \
             axes are taken to step by {}, {} and {} mm towards right, front and head, as ITK does",
            column(0),
            column(1),
            column(2)
        )));
    } else if origin.is_none() {
        notes.push(Note::caution("the header says no space origin: the first voxel is taken to lie at (0, 0, 0)"));
    }
    Ok((grid, geometry))
}

/// The signs that bring the file's space to RAS, and whether the header says them. Without a word it is LPS, as ITK takes it.
fn ras_from_space(header: &Header, notes: &mut Vec<Note>) -> Result<(DVec3, bool), String> {
    let Some(said) = header.field("space") else { return Ok((DVec3::new(-1.0, -1.0, 1.0), false)) };
    let lower = said.to_ascii_lowercase();
    let name = lower.strip_suffix("-time").unwrap_or(&lower);
    match name {
        "right-anterior-superior" | "ras" | "rast" => Ok((DVec3::ONE, true)),
        "left-anterior-superior" | "las" | "last" => Ok((DVec3::new(-1.0, 1.0, 1.0), true)),
        "left-posterior-superior" | "lps" | "lpst" => Ok((DVec3::new(-1.0, -1.0, 1.0), true)),
        "scanner-xyz" | "3d-right-handed" | "3d-left-handed" => {
            notes.push(Note::serious(format!("space: {name} names no side of the patient")));
            Ok((DVec3::new(-1.0, -1.0, 1.0), false))
        }
        _ => Err(format!("space: {}, which is none that NRRD has", shortened(said))),
    }
}

/// `spacings` of the three axes.
fn spacings(header: &Header, places: [usize; 3]) -> Result<DVec3, String> {
    let said = header.field("spacings").ok_or("the header says no spacing (neither space directions nor spacings)")?;
    let all: Vec<f64> = said.split_whitespace().map(|number| number.parse().unwrap_or(f64::NAN)).collect();
    let three = places.map(|axis| all.get(axis).copied().unwrap_or(f64::NAN));
    if three.iter().any(|mm| mm.is_nan() || *mm <= 0.0) {
        return Err(format!("spacings: {} ({}), where a scan has numbers above 0", shortened(said), triple(three)));
    }
    Ok(DVec3::from_array(three))
}

/// The unit of `space units`; none where that is millimetres or not said. Axes of several units have none, with a word.
fn unit(header: &Header, notes: &mut Vec<Note>) -> Option<Unit> {
    let said = header.field("space units")?;
    let mut names = said.split('"').filter(|name| !name.trim().is_empty());
    let first = names.next()?;
    if let Some(other) = names.take(2).find(|name| name != &first) {
        let (one, other) = (shortened(first), shortened(other));
        notes.push(Note::serious(format!(
            "space units: axes in \"{one}\" and in \"{other}\": all are taken to be in millimetres, as programs do that ignore the unit"
        )));
        return None;
    }
    let mm = match first.trim() {
        "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometers" => 1e-3,
        "cm" | "centimeter" | "centimeters" => 10.0,
        "m" | "meter" | "meters" => 1e3,
        _ => return None,
    };
    Some(Unit { name: format!("{} (space units)", shortened(first)), mm })
}
