//! What a DICOM file, or a message of a DICOM peer, says of itself: names of objects, and attributes as text.

use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::Error;
use super::dicom::{Dataset, header};
use super::source::Source;
use super::study::is_uid;
use crate::files;

/// Files of a folder that are looked into for what its series is called.
const MOST_TRIED: usize = 8;

/// The names of one DICOM file, as its beginning says them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Which kind of object it is (SOP Class UID).
    pub class_uid: String,
    /// Which object it is (SOP Instance UID).
    pub uid: String,
    /// The UID of the study; empty where the file names none.
    pub study_uid: String,
    /// The UID of the series; empty where the file names none.
    pub series_uid: String,
    /// How it is written (Transfer Syntax UID).
    pub syntax_uid: String,
    /// Where its data set begins, behind the file meta information, in bytes.
    pub data_at: u64,
}

impl Named {
    /// Reads no more than the beginning of a file; an error says in words what is wrong with it.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let (meta, data, data_at) =
            header::beginning(&Source::File(path.to_owned())).map_err(|refused| refused.at(path))?;
        let unsuitable = |what: &str| Error::Unsuitable { what: what.to_owned(), path: path.to_owned() };
        let uid = |tag: Tag, in_meta: Tag| {
            let said = data.text(tag).or_else(|| meta.text(in_meta)).unwrap_or_default();
            if is_uid(&said) { Some(said) } else { None }
        };
        let uid_of = |tag: Tag| data.text(tag).filter(|said| is_uid(said)).unwrap_or_default();
        let syntax_uid = meta.text(tags::TRANSFER_SYNTAX_UID).filter(|said| is_uid(said));
        Ok(Self {
            class_uid: uid(tags::SOP_CLASS_UID, tags::MEDIA_STORAGE_SOP_CLASS_UID)
                .ok_or_else(|| unsuitable("it does not say which kind of DICOM object it is (SOP Class UID)"))?,
            uid: uid(tags::SOP_INSTANCE_UID, tags::MEDIA_STORAGE_SOP_INSTANCE_UID)
                .ok_or_else(|| unsuitable("it does not say which DICOM object it is (SOP Instance UID)"))?,
            study_uid: uid_of(tags::STUDY_INSTANCE_UID),
            series_uid: uid_of(tags::SERIES_INSTANCE_UID),
            syntax_uid: syntax_uid
                .ok_or_else(|| unsuitable("it does not say how it is written (Transfer Syntax UID)"))?,
            data_at,
        })
    }
}

/// What the series of a folder that is named by a UID is called: "Series 4, Lung 2 mm, 2026-01-31". Nothing of other paths, which have names
/// of people, nor where no file there says it. A description may name the patient: for the screen alone.
pub fn series_name(folder: &Path) -> Option<String> {
    if !folder.file_name()?.to_str().is_some_and(is_uid) {
        return None;
    }
    let paths = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let (_, data, _) = paths.take(MOST_TRIED).find_map(|path| header::beginning(&Source::File(path)).ok())?; // locks and records are no DICOM
    let said =
        |tag: Tag| data.text(tag).filter(|text| !text.is_empty()).map(|text| files::printable(&text).into_owned());
    let (number, description) = (said(tags::SERIES_NUMBER), said(tags::SERIES_DESCRIPTION));
    let date = said(tags::STUDY_DATE).or_else(|| said(tags::SERIES_DATE)).map(|date| day(&date));
    if number.is_none() && description.is_none() {
        return date.map(|date| format!("Series of {date}"));
    }
    let number = number.map_or_else(|| "Series".to_owned(), |number| format!("Series {number}"));
    Some([Some(number), description, date].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// A date as it is written elsewhere: 20260131 is 2026-01-31.
fn day(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..)) {
        (Some(year), Some(month), Some(day)) if date.len() == 8 => format!("{year}-{month}-{day}"),
        _ => date.to_owned(),
    }
}

/// A data set of a few attributes: the answer of a peer, without pixels.
pub struct Message(Dataset);

impl Message {
    /// Reads a data set, or the elements of a command; nothing where the bytes are none.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        header::message(bytes).map(Self)
    }

    /// The value of an attribute as text, without the spaces and zeros around it; nothing where it is absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        self.0.text(tag)
    }

    /// The value of an attribute of two bytes.
    pub fn short(&self, tag: Tag) -> Option<u16> {
        let bytes = self.0.bytes(tag)?;
        Some(u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]))
    }
}
