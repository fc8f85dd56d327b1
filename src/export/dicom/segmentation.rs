//! Where the scan would change most, as a binary segmentation: one segment for lower HU, one for higher (PS3.3, A.51).

use anyhow::Result;
use dicom_dictionary_std::{tags, uids};

use super::element::{Code, Object, Stored, byte_pixels, code, empty, file, object, sequence, short, text};
use super::header::{Header, Series};
use super::multiframe::{Frame, Multiframe};
use super::planes::Planes;
use crate::quality::CHANGED_HU;
use crate::volume::Volume;

/// Of the scale of the difference: as a width at half of the height.
const SHARE: f32 = 0.5;
/// PS3.16, CID 7203.
const SEGMENTED: Code = Code("113076", "DCM", "Segmentation");
/// PS3.16, CID 7150.
const CATEGORY: Code = Code("309825002", "SCT", "Spatial and Relational Concept");

/// A sign of the change, and what a segment of it is called.
struct Segment {
    sign: f32,
    label: &'static str,
    kind: Code,
}

const SEGMENTS: [Segment; 2] = [
    Segment {
        sign: -1.0,
        label: "SYNTHETIC change to lower HU",
        kind: Code("LOWER_HU", "99PARALLAX", "Lower in the counterfactual"),
    },
    Segment {
        sign: 1.0,
        label: "SYNTHETIC change to higher HU",
        kind: Code("HIGHER_HU", "99PARALLAX", "Higher in the counterfactual"),
    },
];

pub(super) fn change(difference: &Volume, scale_hu: f32, header: &Header, planes: &Planes) -> Result<Vec<u8>> {
    let threshold_hu = threshold_hu(scale_hu);
    let chosen = format!(
        "half of the scale of the difference, within which 99.9 % of all changes lie; {CHANGED_HU} HU at least, about the noise of a chest CT"
    );
    let series = Series {
        name: "change",
        class_uid: uids::SEGMENTATION_STORAGE,
        modality: "SEG",
        number: "9003",
        description: "SYNTHETIC change - research",
        image_type: "DERIVED\\PRIMARY",
        derived_by: SEGMENTED,
        derivation: format!(
            "Where counterfactual minus reconstruction is {threshold_hu} HU or more, of either sign: {chosen}."
        ),
    };
    let (frames, bits) = segmented(difference, threshold_hu);
    let segments =
        (1..).zip(&SEGMENTS).map(|(number, segment)| segment.object(number, threshold_hu, &chosen)).collect();
    let mut object = Multiframe { header, series: &series, planes }.object(&frames, Vec::new());
    let stored = Stored { samples: 1, photometric: "MONOCHROME2", bits: 1, signed: false };
    object.extend(stored.elements(planes.size));
    object.extend([
        text(tags::CONTENT_LABEL, "CHANGE"),
        text(tags::CONTENT_DESCRIPTION, format!("Change of {threshold_hu} HU or more")),
        empty(tags::CONTENT_CREATOR_NAME),
        text(tags::SEGMENTATION_TYPE, "BINARY"),
        text(tags::SEGMENTS_OVERLAP, "NO"),
        sequence(tags::SEGMENT_SEQUENCE, segments),
        byte_pixels(packed(&bits)),
    ]);
    file(object)
}

/// In whole HU, so that what is written is what was done.
fn threshold_hu(scale_hu: f32) -> f32 {
    (SHARE * scale_hu).round().max(CHANGED_HU)
}

impl Segment {
    fn holds(&self, change_hu: f32, threshold_hu: f32) -> bool {
        change_hu * self.sign >= threshold_hu
    }

    fn object(&self, number: u16, threshold_hu: f32, chosen: &str) -> Object {
        let bound = if self.sign < 0.0 { format!("<= -{threshold_hu}") } else { format!(">= {threshold_hu}") };
        object([
            short(tags::SEGMENT_NUMBER, number),
            text(tags::SEGMENT_LABEL, self.label),
            text(
                tags::SEGMENT_DESCRIPTION,
                format!("Counterfactual minus reconstruction {bound} HU. The threshold is {chosen}."),
            ),
            text(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC"),
            text(tags::SEGMENT_ALGORITHM_NAME, format!("Parallax latent shift, change {bound} HU")),
            code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, CATEGORY),
            code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, self.kind),
        ])
    }
}

/// The slices that hold something of a segment, segment by segment, and their pixels. An object needs a frame: where nothing
/// is held, the first slice stands for all.
fn segmented(difference: &Volume, threshold_hu: f32) -> (Vec<Frame>, Vec<bool>) {
    let [ni, nj, nk] = difference.grid.shape;
    let (mut frames, mut bits) = (Vec::new(), Vec::new());
    for (number, segment) in (1..).zip(&SEGMENTS) {
        for slice in 0..nk {
            let voxels = slice * ni * nj..(slice + 1) * ni * nj;
            let held: Vec<bool> = voxels.map(|at| segment.holds(difference.voxels.at(at), threshold_hu)).collect();
            if held.contains(&true) {
                frames.push(Frame { slice, segment: Some(number) });
                bits.extend(held);
            }
        }
    }
    if frames.is_empty() {
        frames.push(Frame { slice: 0, segment: Some(1) });
        bits = vec![false; ni * nj];
    }
    (frames, bits)
}

/// Eight pixels a byte, the first in the lowest bit, and frames without a gap between them (PS3.5, 8.1.1 and D).
fn packed(bits: &[bool]) -> Vec<u8> {
    let byte = |eight: &[bool]| eight.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
    bits.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::volume::Grid;

    #[test]
    fn pixels_are_packed_from_the_lowest_bit_across_rows_and_frames() {
        let mut bits = [false; 11];
        bits[0] = true;
        bits[6] = true;
        bits[9] = true;
        assert_eq!(packed(&bits), [0b0100_0001, 0b0000_0010]);
    }

    #[test]
    fn segments_hold_the_changes_of_their_sign_and_nothing_below_the_threshold() {
        let grid = Grid { shape: [2, 1, 3], world_from_voxel: DAffine3::IDENTITY };
        let volume = |hu: [f32; 6]| Volume::from_f32(grid, hu.to_vec());
        let (frames, bits) = segmented(&volume([0.0, 29.9, 30.0, -31.0, -40.0, 0.0]), 30.0);
        let held: Vec<_> = frames.iter().map(|frame| (frame.segment, frame.slice)).collect();
        assert_eq!(held, [(Some(1), 1), (Some(1), 2), (Some(2), 1)]);
        assert_eq!(bits, [false, true, true, false, true, false]);
        let (frames, bits) = segmented(&volume([0.0; 6]), 30.0);
        assert_eq!((frames.len(), bits), (1, vec![false; 2]));
    }

    #[test]
    fn the_threshold_is_never_within_the_noise() {
        assert_eq!(threshold_hu(500.4), 250.0);
        assert_eq!(threshold_hu(1.0), CHANGED_HU);
    }
}
