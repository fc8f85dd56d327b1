//! Where the scan would change, as a binary segmentation: one segment for each changed region (PS3.3, A.51).

use anyhow::Result;
use dicom_dictionary_std::{tags, uids};

use super::element::{
    Code, Object, Stored, byte_pixels, check_bytes, code, empty, file, object, sequence, short, text,
};
use super::header::{Header, Series};
use super::multiframe::{Frame, Multiframe};
use super::planes::Planes;
use crate::job::Monitor;
use crate::quality::regions::{Direction, Regions, SMALLER_BRIGHTER, SMALLER_DARKER};
use crate::volume::Grid;

/// PS3.16, CID 7203.
const SEGMENTED: Code = Code("113076", "DCM", "Segmentation");
/// PS3.16, CID 7150.
const CATEGORY: Code = Code("309825002", "SCT", "Spatial and Relational Concept");

/// What the regions of a direction are called.
fn kind(direction: Direction) -> Code {
    match direction {
        Direction::Darker => Code("LOWER_HU", "99PARALLAX", "Lower in the counterfactual"),
        Direction::Brighter => Code("HIGHER_HU", "99PARALLAX", "Higher in the counterfactual"),
    }
}

/// A region, or all smaller ones of a direction.
struct Segment {
    /// The label that the regions give its voxels.
    value: u8,
    direction: Direction,
    label: String,
    description: String,
}

/// The regions on the scan's grid: each of its voxels takes the region of the networks' voxel that it lies in.
pub(super) fn change(
    regions: &Regions,
    grid: &Grid,
    header: &Header,
    planes: &Planes,
    monitor: &Monitor,
) -> Result<Vec<u8>> {
    let threshold_hu = regions.threshold_hu;
    let series = Series {
        name: "change",
        class_uid: uids::SEGMENTATION_STORAGE,
        modality: "SEG",
        number: "9003",
        description: "SYNTHETIC change - research",
        image_type: "DERIVED\\PRIMARY",
        derived_by: SEGMENTED,
        derivation: format!(
            "Connected regions where counterfactual minus reconstruction is above {threshold_hu} HU, or below -{threshold_hu} HU."
        ),
    };
    let labels = regions.labels_on(grid, monitor)?;
    let segments = segments(regions, &labels);
    let (frames, bits) = segmented(&segments, &labels, planes.pixels())?;
    let mut object = Multiframe { header, series: &series, planes }.object(&frames, Vec::new());
    let stored = Stored { samples: 1, photometric: "MONOCHROME2", bits: 1, signed: false };
    object.extend(stored.elements(planes.size));
    object.extend([
        text(tags::CONTENT_LABEL, "CHANGE"),
        text(tags::CONTENT_DESCRIPTION, format!("Regions that changed by more than {threshold_hu} HU")),
        empty(tags::CONTENT_CREATOR_NAME),
        text(tags::SEGMENTATION_TYPE, "BINARY"),
        text(tags::SEGMENTS_OVERLAP, "NO"),
        sequence(
            tags::SEGMENT_SEQUENCE,
            (1..).zip(&segments).map(|(number, segment)| segment.object(number, threshold_hu)).collect(),
        ),
        byte_pixels(bits.bytes),
    ]);
    file(object)
}

/// One for each region of the list, and one for the smaller ones of either direction where there are any. An object needs a segment:
/// where nothing changed, one of smaller ones holds nothing.
fn segments(regions: &Regions, labels: &[u8]) -> Vec<Segment> {
    let listed = (1..).zip(&regions.list).map(|(value, region)| Segment {
        value,
        direction: region.direction,
        label: format!("SYNTHETIC region {value}, {}", region.direction.name()),
        description: region.line(),
    });
    let smaller = [(SMALLER_DARKER, Direction::Darker), (SMALLER_BRIGHTER, Direction::Brighter)];
    let smaller = smaller.map(|(value, direction)| Segment {
        value,
        direction,
        label: format!("SYNTHETIC smaller regions, {}", direction.name()),
        description: "All that is in no region of its own".to_owned(),
    });
    let mut is_there = [false; 256];
    for label in labels {
        is_there[usize::from(*label)] = true;
    }
    let [darker, brighter] = smaller;
    let needs_one = regions.list.is_empty() && !is_there[usize::from(SMALLER_BRIGHTER)];
    let darker = (needs_one || is_there[usize::from(SMALLER_DARKER)]).then_some(darker);
    let brighter = is_there[usize::from(SMALLER_BRIGHTER)].then_some(brighter);
    listed.chain(darker).chain(brighter).collect()
}

impl Segment {
    fn object(&self, number: u16, threshold_hu: f32) -> Object {
        let bound = match self.direction {
            Direction::Darker => format!("below -{threshold_hu}"),
            Direction::Brighter => format!("above {threshold_hu}"),
        };
        let description = format!("{}. Counterfactual minus reconstruction {bound} HU.", self.description);
        object([
            short(tags::SEGMENT_NUMBER, number),
            text(tags::SEGMENT_LABEL, &self.label),
            text(tags::SEGMENT_DESCRIPTION, description),
            text(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC"),
            text(tags::SEGMENT_ALGORITHM_NAME, format!("Parallax latent shift, change {bound} HU")),
            code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, CATEGORY),
            code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, kind(self.direction)),
        ])
    }
}

/// Eight pixels a byte, the first in the lowest bit, and frames without a gap between them (PS3.5, 8.1.1 and D). Rows are not made whole
/// bytes: OHIF 3.13 refuses frames that are not of the scan's own size, and shows these.
#[derive(Default)]
struct Packed {
    bytes: Vec<u8>,
    bits: usize,
}

impl Packed {
    fn push(&mut self, bit: bool) {
        if self.bits.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(byte) = self.bytes.last_mut() {
            *byte |= u8::from(bit) << (self.bits % 8);
        }
        self.bits += 1;
    }
}

/// The slices that hold something of a segment, segment by segment, and their pixels. An object needs a frame: where nothing
/// is held, the first slice stands for all.
fn segmented(segments: &[Segment], labels: &[u8], pixels: usize) -> Result<(Vec<Frame>, Packed)> {
    let slices: Vec<&[u8]> = labels.chunks(pixels.max(1)).collect();
    let held = |slice: &[u8]| {
        let mut held = [false; 256];
        for label in slice {
            held[usize::from(*label)] = true;
        }
        held
    };
    let held: Vec<[bool; 256]> = slices.iter().map(|slice| held(slice)).collect();
    let mut frames = Vec::new();
    for (number, segment) in (1..).zip(segments) {
        let of_slices = held.iter().enumerate().filter(|(_, held)| held[usize::from(segment.value)]);
        frames.extend(of_slices.map(|(slice, _)| Frame { slice, segment: Some(number) }));
    }
    if frames.is_empty() {
        frames.push(Frame { slice: 0, segment: Some(1) });
    }
    if pixels.is_multiple_of(8) && !(frames.len() * pixels / 8).is_multiple_of(2) {
        fill_up(&mut frames, segments.len(), slices.len());
    }
    check_bytes(frames.len().saturating_mul(pixels).div_ceil(8))?;
    let mut bits = Packed::default();
    for frame in &frames {
        let segment = frame.segment.and_then(|number| segments.get(usize::from(number) - 1));
        let value = segment.map_or(SMALLER_DARKER, |segment| segment.value);
        let slice = slices.get(frame.slice).copied().unwrap_or_default();
        for label in slice {
            bits.push(*label == value);
        }
    }
    Ok((frames, bits))
}

/// Adds a frame that holds nothing, so that the pixels end without the byte that makes an odd number of them even: OHIF 3.13 divides all bytes
/// by the frames, takes a remainder for damage, and asks for single frames, which Orthanc 1.10 refuses. Where each segment is held by every
/// slice, there is none to add.
fn fill_up(frames: &mut Vec<Frame>, segments: usize, slices: usize) {
    let is_free = |(segment, slice): &(u16, usize)| {
        !frames.iter().any(|frame| (frame.segment, frame.slice) == (Some(*segment), *slice))
    };
    let segments = (1..=u16::try_from(segments).unwrap_or(u16::MAX)).rev();
    let free = segments.flat_map(|segment| (0..slices).map(move |slice| (segment, slice))).find(is_free);
    if let Some((segment, slice)) = free {
        let at = frames.partition_point(|frame| (frame.segment, frame.slice) < (Some(segment), slice));
        frames.insert(at, Frame { slice, segment: Some(segment) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(value: u8) -> Segment {
        Segment { value, direction: Direction::Darker, label: String::new(), description: String::new() }
    }

    #[test]
    fn pixels_are_packed_from_the_lowest_bit_across_rows_and_frames() {
        let mut packed = Packed::default();
        (0..11).for_each(|at| packed.push([0, 6, 9].contains(&at)));
        assert_eq!(packed.bytes, [0b0100_0001, 0b0000_0010]);
    }

    #[test]
    fn segments_hold_their_own_voxels_and_only_slices_that_have_any() {
        let segments = [segment(1), segment(2), segment(SMALLER_BRIGHTER)];
        // Three slices of two pixels.
        let (frames, bits) = segmented(&segments, &[0, 0, 2, 1, 1, SMALLER_BRIGHTER], 2).unwrap();
        let held: Vec<_> = frames.iter().map(|frame| (frame.segment, frame.slice)).collect();
        assert_eq!(held, [(Some(1), 1), (Some(1), 2), (Some(2), 1), (Some(3), 2)]);
        // 01 10 10 01, from the lowest bit.
        assert_eq!((bits.bytes, bits.bits), (vec![0b1001_0110], 8));
        let (frames, bits) = segmented(&[segment(SMALLER_DARKER)], &[0; 6], 2).unwrap();
        assert_eq!((frames.len(), bits.bytes), (1, vec![0]));
    }

    #[test]
    fn a_frame_of_nothing_makes_an_odd_number_of_bytes_even() {
        // Three slices of eight pixels: the region lies in the last one, and then in all.
        let held = |labels: &[u8]| {
            let (frames, bits) = segmented(&[segment(1)], labels, 8).unwrap();
            (frames.iter().map(|frame| frame.slice).collect::<Vec<_>>(), bits.bytes)
        };
        assert_eq!(held(&[[0; 8], [0; 8], [1; 8]].concat()), (vec![0, 2], vec![0, 0xff]));
        assert_eq!(held(&[[0; 8], [1; 8], [1; 8]].concat()), (vec![1, 2], vec![0xff, 0xff]));
        assert_eq!(held(&[1; 24]), (vec![0, 1, 2], vec![0xff; 3]), "no slice is free");
        // Frames that are no whole bytes are left as they are.
        let (frames, _) = segmented(&[segment(1)], &[0, 0, 1], 1).unwrap();
        assert_eq!(frames.len(), 1);
    }
}
