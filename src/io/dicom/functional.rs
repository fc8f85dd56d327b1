//! The functional groups of enhanced multi-frame files (PS3.3, C.7.6.16): each frame's attributes, as a file of its own has them.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::Refused;
use super::dataset::Dataset;

const SHARED: Tag = tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE;
const PER_FRAME: Tag = tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE;

/// What a file says of all its frames, and of each.
pub(super) struct Frames {
    common: Dataset,
    per_frame: Vec<Dataset>,
}

impl Frames {
    /// Of a file of `count` frames. A file of one frame without functional groups is its own.
    pub(super) fn of(data: Dataset, count: usize) -> Result<Self, Refused> {
        let (shared, per_frame) = (data.items(SHARED).first().cloned(), data.items(PER_FRAME).to_vec());
        if shared.is_none() && per_frame.is_empty() && count > 1 {
            return Err(Refused::Unsuitable(
                "a multi-frame file without functional groups: nothing says where its frames lie; export the series as single slices".to_owned(),
            ));
        }
        if !per_frame.is_empty() && per_frame.len() != count {
            let groups = per_frame.len();
            return Err(Refused::Damaged(format!(
                "PerFrameFunctionalGroupsSequence has {groups} items, NumberOfFrames is {count}"
            )));
        }
        let mut common = data.without(SHARED).without(PER_FRAME);
        if let Some(shared) = &shared {
            flatten(&mut common, shared);
        }
        Ok(Self { common, per_frame })
    }

    /// The attributes of one frame, as if they stood in a file of its own.
    pub(super) fn get(&self, frame: usize) -> Dataset {
        let mut data = self.common.clone();
        if let Some(groups) = self.per_frame.get(frame) {
            flatten(&mut data, groups);
        }
        data
    }
}

/// Takes the attributes of each group in, as if they stood in the file itself.
fn flatten(frame: &mut Dataset, groups: &Dataset) {
    for group in groups.first_items() {
        frame.overlay(group);
    }
}
