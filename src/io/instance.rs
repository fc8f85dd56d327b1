//! A slice as other files refer to it, and what can be the name of a DICOM object.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::dicom::Dataset;

/// A slice as other files refer to it: its file, and its frame there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    pub class_uid: String,
    pub uid: String,
    /// Counted from 1; none where the file is of one frame.
    pub frame: Option<usize>,
}

impl Instance {
    /// Reads which instance a file is; `frame` counts from 1, and is none where the file has but one.
    pub(super) fn of(data: &Dataset, frame: Option<usize>) -> Option<Self> {
        let (class_uid, uid) = uid(data, tags::SOP_CLASS_UID).zip(uid(data, tags::SOP_INSTANCE_UID))?;
        Some(Self { class_uid, uid, frame })
    }
}

/// What an attribute says, where that can be the name of a DICOM object.
pub(super) fn uid(data: &Dataset, tag: Tag) -> Option<String> {
    data.text(tag).filter(|said| is_uid(said))
}

/// Whether a text can be the name of a DICOM object: digits and dots, a digit first, at most 64 (PS3.5, 9.1). What is none would
/// make a file that no PACS takes.
pub fn is_uid(said: &str) -> bool {
    (1..=64).contains(&said.len())
        && said.starts_with(|first: char| first.is_ascii_digit())
        && said.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}
