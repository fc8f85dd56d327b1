//! What maps and segmentations share: many slices in one object, each with its place and its source (PS3.3, C.7.6.16 and C.7.6.17).

use std::collections::BTreeSet;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::element::{Element, Object, code, item, longs, object, pointer, sequence, short, text};
use super::header::{Header, Series};
use super::planes::Planes;

/// One slice of the scan's, and the segment that it shows where there are segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) slice: usize,
    pub(super) segment: Option<u16>,
}

pub(super) struct Multiframe<'a> {
    pub(super) header: &'a Header<'a>,
    pub(super) series: &'a Series,
    pub(super) planes: &'a Planes,
}

impl Multiframe<'_> {
    /// All but the pixels; `shared` holds for every frame.
    pub(super) fn object(&self, frames: &[Frame], shared: Vec<Element>) -> Object {
        let slices: BTreeSet<usize> = frames.iter().map(|frame| frame.slice).collect();
        let rank = |slice: usize| slices.range(..=slice).count() as u32;
        let groups = frames.iter().map(|frame| self.groups(*frame, rank(frame.slice))).collect();
        let shared = shared.into_iter().chain([
            item(tags::PIXEL_MEASURES_SEQUENCE, self.planes.measures()),
            item(tags::PLANE_ORIENTATION_SEQUENCE, [self.planes.orientation()]),
        ]);
        let mut object = self.header.object(self.series, 1);
        object.extend(self.header.frame_of_reference());
        object.extend(self.dimensions(frames.iter().any(|frame| frame.segment.is_some())));
        object.extend([
            text(tags::NUMBER_OF_FRAMES, frames.len().to_string()),
            item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared),
            sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups),
        ]);
        object.extend(self.header.referenced_series(slices));
        object
    }

    /// What tells frames apart: the segment, and the place along the slices.
    fn dimensions(&self, segmented: bool) -> [Element; 2] {
        let uid = self.header.uids.of_run(&format!("{} dimensions", self.series.name));
        let organization = text(tags::DIMENSION_ORGANIZATION_UID, uid);
        let dimension = |pointed: Tag, within: Tag, label: &str| {
            object([
                organization.clone(),
                pointer(tags::DIMENSION_INDEX_POINTER, pointed),
                pointer(tags::FUNCTIONAL_GROUP_POINTER, within),
                text(tags::DIMENSION_DESCRIPTION_LABEL, label),
            ])
        };
        let segment = segmented
            .then(|| dimension(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment"));
        let place = dimension(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Slice");
        let dimensions = segment.into_iter().chain([place]).collect();
        [
            item(tags::DIMENSION_ORGANIZATION_SEQUENCE, [organization.clone()]),
            sequence(tags::DIMENSION_INDEX_SEQUENCE, dimensions),
        ]
    }

    /// What one frame says for itself; `rank` is that of its slice among those held, from 1.
    fn groups(&self, Frame { slice, segment }: Frame, rank: u32) -> Object {
        let index = segment.map(u32::from).into_iter().chain([rank]).collect();
        let mut groups = object([
            item(tags::PLANE_POSITION_SEQUENCE, [self.planes.position(slice)]),
            item(tags::FRAME_CONTENT_SEQUENCE, [longs(tags::DIMENSION_INDEX_VALUES, index)]),
        ]);
        groups.extend(self.header.source_beneath(slice).map(|source| {
            let derived_by = code(tags::DERIVATION_CODE_SEQUENCE, self.series.derived_by);
            item(tags::DERIVATION_IMAGE_SEQUENCE, [source, derived_by])
        }));
        groups.extend(segment.map(|segment| {
            let number = short(tags::REFERENCED_SEGMENT_NUMBER, segment);
            item(tags::SEGMENT_IDENTIFICATION_SEQUENCE, [number])
        }));
        groups
    }
}
