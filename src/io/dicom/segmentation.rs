//! DICOM segmentations: which voxels their segments hold, all together (PS3.3, A.51).

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use glam::{DAffine3, DMat3, DVec3};

use super::functional::Frames;
use super::header::{self, Header};
use super::parse::Pixels;
use super::syntax::Packing;
use super::{Dataset, Refused, name_of};
use crate::io::reserve;
use crate::io::source::Source;
use crate::volume::Grid;

/// Frames nearer than this along the normal are of one slice; decimal strings round.
const SAME_SLICE_MM: f64 = 1e-2;
/// Slices may lie off their even places by this share of a gap: frames that are rounded, and no more.
const OFF_SHARE: f64 = 0.05;
/// More slices than any segmentation spans.
const MOST_SLICES: f64 = 8192.0;

/// Segments on a grid of their own, from the first slice that holds any to the last.
#[derive(Debug, Clone)]
pub(in crate::io) struct Segmentation {
    pub(in crate::io) grid: Grid,
    pub(in crate::io) inside: Vec<bool>,
    pub(in crate::io) segments: usize,
}

/// Where a frame lies.
struct Plane {
    /// Centre of its first pixel, RAS+ mm.
    corner: DVec3,
    /// From pixel to pixel along a row, and down a column, mm.
    steps: [DVec3; 2],
}

/// Reads a segmentation; nothing where a file is none.
pub(in crate::io) fn read(source: &Source) -> Result<Option<Segmentation>, Refused> {
    let header = match header::read(source) {
        Ok(header) => header,
        Err(Refused::Foreign | Refused::Directory) => return Ok(None),
        Err(refused) => return Err(refused),
    };
    if header.data.text(tags::SOP_CLASS_UID).as_deref() != Some(uids::SEGMENTATION_STORAGE) {
        return Ok(None);
    }
    if header.data.text(tags::SEGMENTATION_TYPE).is_some_and(|kind| kind != "BINARY") {
        return Err(unsuitable("a segmentation of fractions, where a binary one is wanted; export it as BINARY"));
    }
    let size = [whole(&header.data, tags::COLUMNS)?, whole(&header.data, tags::ROWS)?];
    let count = whole(&header.data, tags::NUMBER_OF_FRAMES)?;
    let bits = bits(source, &header, size[0].saturating_mul(size[1]).saturating_mul(count))?;
    let segments = header.data.items(tags::SEGMENT_SEQUENCE).len();
    let frames = Frames::of(header.data, count)?;
    let planes = (0..count).map(|frame| plane(&frames.get(frame))).collect::<Result<Vec<_>, _>>()?;
    let (grid, slices) = stacked(&planes, size, spacing_mm(&frames)?)?;
    let pixels = size[0] * size[1];
    let mut inside = reserve(grid.len()).map_err(Refused::Unsuitable)?;
    inside.resize(grid.len(), false);
    for (frame, slice) in slices.into_iter().enumerate() {
        for (pixel, voxel) in inside.iter_mut().skip(slice * pixels).take(pixels).enumerate() {
            let at = frame * pixels + pixel;
            *voxel |= bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        }
    }
    Ok(Some(Segmentation { grid, inside, segments }))
}

fn unsuitable(what: &str) -> Refused {
    Refused::Unsuitable(what.to_owned())
}

/// A whole number from 1 on.
fn whole(data: &Dataset, tag: Tag) -> Result<usize, Refused> {
    match data.number(tag)? {
        Some(number) if (1.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0 => Ok(number as usize),
        _ => Err(Refused::Damaged(format!("{} is missing, or no number of pixels or frames", name_of(tag)))),
    }
}

/// Eight pixels a byte, the first in the lowest bit, and frames without a gap between them (PS3.5, 8.1.1 and D).
fn bits(source: &Source, header: &Header, pixels: usize) -> Result<Vec<u8>, Refused> {
    let wanted = pixels.div_ceil(8);
    let is_plain = header.syntax.packing == Packing::Plain && header.deflated_from.is_none();
    if header.data.number(tags::BITS_ALLOCATED)? != Some(1.0) || !is_plain {
        return Err(unsuitable(
            "a segmentation that is packed, or has more than one bit for a pixel; save it uncompressed, one bit for a pixel",
        ));
    }
    let Some(Pixels { offset, length: Some(length), .. }) = header.pixels else {
        return Err(Refused::Damaged("its pixels are missing".to_owned()));
    };
    if length < wanted as u64 {
        return Err(Refused::Damaged(format!("its pixels take {length} bytes, where {wanted} are needed")));
    }
    let mut bytes = reserve(wanted).map_err(Refused::Unsuitable)?;
    bytes.resize(wanted, 0);
    let loaded = source.load().and_then(|loaded| loaded.read_exact_at(&mut bytes, offset));
    loaded.map_err(|error| Refused::Damaged(format!("its pixels cannot be read ({error})")))?;
    Ok(bytes)
}

/// Between slices, as the file says: none where it says nothing.
fn spacing_mm(frames: &Frames) -> Result<Option<f64>, Refused> {
    let data = frames.get(0);
    let said = match data.number(tags::SPACING_BETWEEN_SLICES)? {
        Some(spacing_mm) => Some(spacing_mm),
        None => data.number(tags::SLICE_THICKNESS)?,
    };
    Ok(said.filter(|spacing_mm| *spacing_mm > 0.0))
}

/// DICOM counts x to the patient's left and y to the back; RAS+ the other way.
fn ras([x, y, z]: [f64; 3]) -> DVec3 {
    DVec3::new(-x, -y, z)
}

fn plane(frame: &Dataset) -> Result<Plane, Refused> {
    let missing = |tag: Tag| Refused::Damaged(format!("{} of a frame is missing", name_of(tag)));
    let position = tags::IMAGE_POSITION_PATIENT;
    let corner = frame.exactly::<3>(position)?.ok_or_else(|| missing(position))?;
    let orientation = tags::IMAGE_ORIENTATION_PATIENT;
    let [a, b, c, d, e, f] = frame.exactly::<6>(orientation)?.ok_or_else(|| missing(orientation))?;
    let [rows_mm, columns_mm] = frame.exactly::<2>(tags::PIXEL_SPACING)?.ok_or_else(|| missing(tags::PIXEL_SPACING))?;
    let steps = [ras([a, b, c]) * columns_mm, ras([d, e, f]) * rows_mm];
    Ok(Plane { corner: ras(corner), steps })
}

/// The grid that frames lie on, and the slice of each.
fn stacked(planes: &[Plane], [columns, rows]: [usize; 2], said_mm: Option<f64>) -> Result<(Grid, Vec<usize>), Refused> {
    let first = planes.first().ok_or_else(|| Refused::Damaged("it has no frames".to_owned()))?;
    let normal = first.steps[0].cross(first.steps[1]).normalize_or_zero();
    let heights: Vec<f64> = planes.iter().map(|plane| plane.corner.dot(normal)).collect();
    let mut sorted = heights.clone();
    sorted.sort_by(f64::total_cmp);
    let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > SAME_SLICE_MM);
    let least = gaps.fold(f64::INFINITY, f64::min);
    // What is said may be the thickness alone: slices that lie nearer to each other say more.
    let step_mm = match said_mm {
        Some(said) if said <= least * (1.0 + OFF_SHARE) => said,
        _ if least.is_finite() => least,
        said => said.unwrap_or(1.0),
    };
    let (lowest, highest) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
    let span = (highest - lowest) / step_mm;
    if !(0.0..MOST_SLICES).contains(&span) {
        return Err(unsuitable("a segmentation whose frames lie further apart than any scan is long"));
    }
    let corner = first.corner + normal * (lowest - first.corner.dot(normal));
    let near = |a: DVec3, b: DVec3| (a - b).abs().max_element() <= OFF_SHARE * step_mm.max(first.steps[0].length());
    let mut slices = Vec::with_capacity(planes.len());
    for (plane, height) in planes.iter().zip(heights) {
        let slice = ((height - lowest) / step_mm).round();
        let even = near(plane.corner, corner + normal * (slice * step_mm));
        if !even || !near(plane.steps[0], first.steps[0]) || !near(plane.steps[1], first.steps[1]) {
            return Err(unsuitable(
                "a segmentation whose frames do not lie evenly behind one another; resample it to even slices",
            ));
        }
        slices.push(slice as usize);
    }
    let axes = DMat3::from_cols(first.steps[0], first.steps[1], normal * step_mm);
    let shape = [columns, rows, span.round() as usize + 1];
    Ok((Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(axes, corner) }, slices))
}
