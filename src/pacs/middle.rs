//! The middle instance of a series, alone: enough for a picture that tells the series from others.

use std::collections::BTreeSet;

use super::choose;
use super::error::Error;
use super::query::Wanted;
use super::secret::Secret;
use super::shelf::Arrival;
use super::source::Source;
use crate::io::study::is_uid;
use crate::job::Monitor;

/// Fetches the instance in the middle of a series, as the bytes of a DICOM file; one of more than `most_bytes` is refused.
pub fn middle(
    source: &Source,
    secret: Option<&Secret>,
    (study_uid, series_uid): (&str, &str),
    most_bytes: usize,
    monitor: &Monitor,
) -> Result<Vec<u8>, Error> {
    source.check()?;
    if !is_uid(study_uid) || !is_uid(series_uid) {
        return Err(Error::asked("a UID has digits and dots, 64 at most"));
    }
    monitor.step("asking what the series holds", 0, 0)?;
    let archive = choose::archive(source, secret)?;
    let mut listed = archive.instances(study_uid, series_uid, monitor)?;
    listed.sort_by_key(|instance| instance.number);
    let none = || Error::refused("the source has no such series, or no instance of it", source);
    let uid = listed.get(listed.len() / 2).ok_or_else(none)?.uid.clone();
    let wanted = Wanted {
        study_uid: study_uid.to_owned(),
        series_uid: series_uid.to_owned(),
        listed,
        missing: BTreeSet::from([uid]),
    };
    let (mut whole, mut coming, mut total) = (None, Vec::new(), 0_usize);
    let done = archive.fetch(&wanted, monitor, &mut |arrival| {
        match arrival {
            Arrival::Begin => coming.clear(),
            Arrival::Bytes(bytes) => {
                total = total.saturating_add(bytes.len());
                if total > most_bytes {
                    let most = most_bytes >> 20;
                    return Err(Error::refused(format!("the instance is larger than {most} MB"), source));
                }
                coming.extend(bytes);
            }
            Arrival::End => {
                whole.get_or_insert_with(|| std::mem::take(&mut coming));
            }
        }
        Ok(monitor.check()?)
    });
    match (whole, done) {
        (Some(bytes), _) => Ok(bytes),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(none()),
    }
}
