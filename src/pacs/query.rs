//! What is asked of a source, and the studies and series that it says it has.

use std::collections::BTreeSet;

use super::error::Error;
use crate::files;
use crate::io::study::is_uid;

/// More answers than this are never taken.
#[cfg(feature = "network")]
pub(super) const MOST_ANSWERS: usize = 10_000;
/// Longer than any value of these attributes (PS3.5, 6.2), with room for many.
const LONGEST: usize = 1000;

/// What studies or series must be, to be found. What is not said may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub patient_id: Option<String>,
    /// `*` stands for any letters and `?` for one; without either, names that begin so are meant.
    pub patient_name: Option<String>,
    pub accession: Option<String>,
    pub days: Option<Days>,
    pub modality: Option<String>,
    pub study_uid: Option<String>,
    pub series_uid: Option<String>,
    /// How many answers are taken; 0 means ten thousand.
    pub limit: usize,
}

/// A day of a study, or the days from one to another, each included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days(String);

impl Days {
    /// Reads `20260131`, `2026-01-31`, `20260101-20260131`, `2026-01-01:2026-01-31`, and either open at one end: `20260101-`.
    pub fn read(said: &str) -> Result<Self, Error> {
        let wrong = || {
            let shown = files::printable(said);
            Error::asked(format!("\"{shown}\" is no date; write 20260131, or 20260101-20260131 for all days between"))
        };
        let day = |text: &str| -> Option<String> {
            let digits: String = text.chars().filter(|c| *c != '-').collect();
            let is_day = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
            let (month, of_month) = (digits.get(4..6)?, digits.get(6..8)?);
            let fits = ("01"..="12").contains(&month) && ("01"..="31").contains(&of_month);
            (is_day && fits && (text.len() == 8 || text.len() == 10)).then_some(digits)
        };
        if let Some(one) = day(said) {
            return Ok(Self(one));
        }
        let dashes = said.matches('-').count();
        let (from, to) = match said.split_once(':') {
            Some(halves) => halves,
            None if dashes == 1 => said.split_once('-').ok_or_else(wrong)?,
            None => return Err(wrong()),
        };
        let end = |text: &str| if text.is_empty() { Some(String::new()) } else { day(text) };
        let (from, to) = (end(from).ok_or_else(wrong)?, end(to).ok_or_else(wrong)?);
        if from.is_empty() && to.is_empty() || !from.is_empty() && !to.is_empty() && from > to {
            return Err(wrong());
        }
        Ok(Self(format!("{from}-{to}")))
    }

    /// Writes the days as DICOM does (PS3.4, C.2.2.2.5).
    #[cfg(feature = "network")]
    pub(super) fn said(&self) -> &str {
        &self.0
    }
}

/// A study that a source has.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Study {
    pub study_uid: String,
    pub patient_name: String,
    pub patient_id: String,
    pub date: String,
    pub time: String,
    pub accession: String,
    pub description: String,
    /// All of its series', joined by "/".
    pub modalities: String,
    /// The number of series that the source names; many name none.
    pub series: Option<u64>,
    pub instances: Option<u64>,
}

/// A series that a source has.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Series {
    pub study_uid: String,
    pub series_uid: String,
    pub number: String,
    pub modality: String,
    pub description: String,
    pub body_part: String,
    /// The number of instances that the source names; many name none, and some a wrong one.
    pub instances: Option<u64>,
}

/// An instance of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) uid: String,
    /// Empty where the source does not say.
    pub(super) class_uid: String,
    /// The place in the series (Instance Number), where the source says it.
    pub(super) number: Option<i64>,
}

/// Instances of one series that are to be fetched.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "network"), expect(dead_code, reason = "without a network nothing is asked for"))]
pub(super) struct Wanted {
    pub(super) study_uid: String,
    pub(super) series_uid: String,
    /// All that the source lists.
    pub(super) listed: Vec<Instance>,
    /// The instances that are not here yet; never empty.
    pub(super) missing: BTreeSet<String>,
}

impl Wanted {
    /// Whether the series is fetched as a whole.
    #[cfg(feature = "network")]
    pub(super) fn is_whole(&self) -> bool {
        self.missing.len() == self.listed.len()
    }
}

/// The answers of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    pub all: Vec<T>,
    /// Whether the source has more than were taken.
    pub more: bool,
    /// How many answers said no study or series by a name that DICOM allows, and are left out.
    pub unnamed: usize,
}

impl Query {
    /// Refuses, in words, what no source can be asked.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (what, uid) in [("study", &self.study_uid), ("series", &self.series_uid)] {
            if let Some(uid) = uid.as_deref().filter(|uid| !is_uid(uid)) {
                let shown = files::printable(uid);
                return Err(Error::asked(format!(
                    "\"{shown}\" is no UID of a {what}; one has digits and dots, 64 at most"
                )));
            }
        }
        let texts = [&self.patient_id, &self.patient_name, &self.accession, &self.modality];
        for text in texts.into_iter().flatten() {
            if text.chars().any(|c| c.is_control() || c == '\\') || text.len() > LONGEST {
                return Err(Error::asked(
                    "what is looked for holds a control character or a backslash, or is too long".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// How many answers are taken.
    #[cfg(feature = "network")]
    pub(super) fn most(&self) -> usize {
        if self.limit == 0 { MOST_ANSWERS } else { self.limit.min(MOST_ANSWERS) }
    }

    /// The patient's name as it is matched.
    #[cfg(feature = "network")]
    pub(super) fn name_pattern(&self) -> Option<String> {
        let name = self.patient_name.as_ref()?;
        Some(if name.contains(['*', '?']) { name.clone() } else { format!("{name}*") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_people_write_them() {
        for (said, read) in [
            ("20260131", "20260131"),
            ("2026-01-31", "20260131"),
            ("20260101-20260131", "20260101-20260131"),
            ("2026-01-01:2026-01-31", "20260101-20260131"),
            ("20260101-", "20260101-"),
            (":2026-01-31", "-20260131"),
        ] {
            assert_eq!(Days::read(said).unwrap().0, read, "{said}");
        }
        for wrong in [
            "",
            "-",
            "2026",
            "20261331",
            "20260132-",
            "20260131-20260101",
            "1-2",
            "2026-01",
            "20260101-20260131-",
            "\u{1b}[2J",
        ] {
            assert!(Days::read(wrong).is_err(), "{wrong:?}");
        }
    }
}
