//! The study that a DICOM scan is of: what results must say to lie beside it, and what they may say of the patient.

use std::collections::HashSet;
use std::fmt;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::counted;
use super::dicom::{Slice, header};
use super::instance::uid;
pub use super::instance::{Instance, is_uid};
use crate::files;

/// All that is ever taken of patient and study: what a PACS files by. Whatever else a file says stays in it.
pub const FILED_BY: [Tag; 10] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::STUDY_DESCRIPTION,
    tags::ACCESSION_NUMBER,
];

/// Said again of all that is derived from an image that was ever compressed with loss (PS3.3, C.7.6.1.1.5).
const LOSS: [Tag; 3] =
    [tags::LOSSY_IMAGE_COMPRESSION, tags::LOSSY_IMAGE_COMPRESSION_RATIO, tags::LOSSY_IMAGE_COMPRESSION_METHOD];

/// What one attribute says.
pub type Attribute = (Tag, String);

#[derive(Clone)]
pub struct Study {
    pub uid: String,
    /// In which the scan lies; nothing where it says no place.
    pub frame_of_reference_uid: Option<String>,
    pub series_uid: String,
    /// The file of each slice along the scan's third axis, with its frame there; none at all where a file has no name, or two
    /// slices have the same.
    pub instances: Vec<Instance>,
    /// What the scan says of `FILED_BY`. It names the patient.
    pub filed_by: Vec<Attribute>,
    /// How the scan was compressed with loss; empty where it never was.
    pub loss: Vec<Attribute>,
    /// How the patient lay, as DICOM says it: "HFS" is head first, on the back (PS3.3, C.7.3.1.1.2).
    pub position: Option<String>,
}

/// Names no patient: it may end in a log.
impl fmt::Debug for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Study of {}", counted(self.instances.len(), "slice"))
    }
}

impl Study {
    /// Reads it from the slices of one series, in their order; `None` where the series does not say which study it is of.
    /// Where slices are not `as_stored` but resampled, no file stands for one.
    pub(super) fn of(slices: &[Slice], as_stored: bool) -> Option<Self> {
        let first = slices.first()?;
        let data = header::read(&first.stored.source).ok()?.data; // it was read a moment ago; a file that went since names no study
        let said =
            |tags: &[Tag]| -> Vec<Attribute> { tags.iter().filter_map(|&tag| Some((tag, data.text(tag)?))).collect() };
        let mut loss = said(&LOSS);
        if first.stored.syntax.is_lossy() {
            loss.retain(|(tag, _)| *tag != LOSS[0]);
            loss.insert(0, (LOSS[0], "01".to_owned()));
        } else if loss.first().is_none_or(|(_, said)| said != "01") {
            loss.clear();
        }
        let instances: Option<Vec<Instance>> = slices.iter().map(|slice| slice.instance.clone()).collect();
        let apart = |all: &Vec<Instance>| {
            all.iter().map(|one| (&one.uid, one.frame)).collect::<HashSet<_>>().len() == all.len()
        };
        Some(Self {
            uid: uid(&data, tags::STUDY_INSTANCE_UID)?,
            frame_of_reference_uid: uid(&data, tags::FRAME_OF_REFERENCE_UID).filter(|_| first.place.is_some()),
            series_uid: uid(&data, tags::SERIES_INSTANCE_UID)?,
            instances: instances.filter(|all| as_stored && apart(all)).unwrap_or_default(),
            filed_by: said(&FILED_BY),
            loss,
            position: data.text(tags::PATIENT_POSITION),
        })
    }

    /// Whose scan it is and of which day, in a line: "Muster, Petra; 4711; born 1950-01-31; F; study of 2026-02-01". Nothing where the
    /// files say none of it. It names the patient.
    pub fn patient_words(&self) -> Option<String> {
        let said = |tag| {
            let found = self.filed_by.iter().find(|(known, _)| *known == tag).map(|(_, value)| value.trim());
            found.filter(|value| !value.is_empty())
        };
        let words = [
            said(tags::PATIENT_NAME).map(person),
            said(tags::PATIENT_ID).map(|id| files::printable(id).into_owned()),
            said(tags::PATIENT_BIRTH_DATE).map(|date| format!("born {}", day(date))),
            said(tags::PATIENT_SEX).map(|sex| files::printable(sex).into_owned()),
            said(tags::STUDY_DATE).map(|date| format!("study of {}", day(date))),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// "Muster, Petra M." of "Muster^Petra^M." (PS3.5, 6.2: the parts of a name).
pub fn person(name: &str) -> String {
    let mut parts = name.split('^').map(str::trim).filter(|part| !part.is_empty());
    let family = parts.next().unwrap_or("No name");
    let given = parts.collect::<Vec<_>>().join(" ");
    let name = if given.is_empty() { family.to_owned() } else { format!("{family}, {given}") };
    files::printable(&name).into_owned()
}

/// "2026-01-31" of "20260131"; what is no date stays as it is.
pub fn day(date: &str) -> String {
    let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    if is_date { format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]) } else { files::printable(date).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_are_shown_as_people_write_them() {
        assert_eq!(person("Muster^Petra^M."), "Muster, Petra M.");
        assert_eq!((person(""), person("^^"), person("Solo")), ("No name".into(), "No name".into(), "Solo".into()));
        assert!(!person("Evil\u{1b}[2J^\u{202e}x").contains(['\u{1b}', '\u{202e}']));
        assert_eq!((day("20260131"), day(""), day("2026é31")), ("2026-01-31".into(), String::new(), "2026é31".into()));
    }
}
