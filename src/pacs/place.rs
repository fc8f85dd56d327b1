//! `pacs:SOURCE/STUDY/SERIES`: the name of a series in an archive, where a path of a scan is expected.

use std::path::Path;

use super::error::Error;
use crate::files;
use crate::io::study::is_uid;

/// A study or a series of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name of the source.
    pub source: String,
    pub study_uid: String,
    /// None means all series of the study.
    pub series_uid: Option<String>,
}

const PREFIX: &str = "pacs:";

impl Address {
    /// Reads what is typed in the place of a scan; nothing where it is a path.
    pub fn of_scan(scan: &Path) -> Option<Result<Self, Error>> {
        let said = scan.to_str()?.strip_prefix(PREFIX)?;
        Some(Self::read(said))
    }

    fn read(said: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::asked(format!(
                "\"pacs:{}\" names no series; it looks like pacs:SOURCE/STUDY/SERIES",
                files::printable(said)
            ))
        };
        let (source, place) = said.split_once('/').ok_or_else(wrong)?;
        let found = Self::of_place(source, place)?;
        if found.series_uid.is_none() { Err(wrong()) } else { Ok(found) }
    }

    /// Reads `STUDY` or `STUDY/SERIES` of a source.
    pub fn of_place(source: &str, place: &str) -> Result<Self, Error> {
        let (study, series) = match place.trim_end_matches('/').split_once('/') {
            Some((study, series)) => (study, Some(series)),
            None => (place.trim_end_matches('/'), None),
        };
        for (what, uid) in [("study", Some(study)), ("series", series)] {
            if let Some(uid) = uid.filter(|uid| !is_uid(uid)) {
                let shown = files::printable(uid);
                return Err(Error::asked(format!(
                    "\"{shown}\" is no UID of a {what}; one has digits and dots, 64 at most"
                )));
            }
        }
        Ok(Self { source: source.to_owned(), study_uid: study.to_owned(), series_uid: series.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_of_a_source_is_read_and_a_path_is_none() {
        assert!(Address::of_scan(Path::new("/data/pacs/1.2")).is_none());
        let found = Address::of_scan(Path::new("pacs:ward-3/1.2.3/4.5")).unwrap().unwrap();
        assert_eq!((found.source.as_str(), found.study_uid.as_str()), ("ward-3", "1.2.3"));
        assert_eq!(found.series_uid.as_deref(), Some("4.5"));
        for wrong in
            ["pacs:", "pacs:a", "pacs:a/1.2", "pacs:a/../4", "pacs:a/1.2/../..", "pacs:a/1.2/3/4", "pacs:a/.1/2"]
        {
            assert!(Address::of_scan(Path::new(wrong)).unwrap().is_err(), "{wrong}");
        }
    }
}
