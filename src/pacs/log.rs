//! The log of what was sent: one line of JSON for each object, only ever added to.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::source::Source;
use crate::catalogue::data_folder;
use crate::export::write::make_private_folder;

/// Where the log lies: `pacs-sent.jsonl` in the data folder. `None` where the system names no such folder.
pub fn sent_log() -> Option<PathBuf> {
    Some(data_folder()?.join("pacs-sent.jsonl"))
}

/// Adds a line: which object went where, when, by which user of this system, and the answer. It names no patient and no file.
pub(super) fn add(path: &Path, source: &Source, object: &Outgoing, answer: &Answer) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)
            .map_err(|error| Error::File { what: format!("{error:#}"), path: folder.to_owned() })?;
    }
    let line = json!({
        "time": utc(SystemTime::now()),
        "os_user": user(),
        "source": source.name,
        "address": source.address(),
        "study_uid": object.named.study_uid,
        "series_uid": object.named.series_uid,
        "sop_class_uid": object.named.class_uid,
        "sop_instance_uid": object.named.uid,
        "bytes": object.bytes,
        "answer": answer.word(),
        "words": answer.words(),
    });
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let cannot = |cause| Error::io("cannot write the log of what is sent", path)(cause);
    let mut file = options.open(path).map_err(cannot)?;
    // One call for the whole line: lines of two processes do not mix.
    file.write_all(format!("{line}\n").as_bytes()).map_err(cannot)
}

/// Who runs this program, as the system calls them.
fn user() -> String {
    let said = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let said = said.filter(|said| !said.is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // A variable says what anyone sets; the owner of this process' own files says who it is.
        let uid = std::fs::metadata("/proc/self").map(|found| found.uid()).ok();
        match (said, uid) {
            (Some(said), Some(uid)) => format!("{said} (uid {uid})"),
            (None, Some(uid)) => format!("uid {uid}"),
            (said, None) => said.unwrap_or_default(),
        }
    }
    #[cfg(not(unix))]
    said.unwrap_or_default()
}

/// "2026-01-31T12:00:00Z". Source of the calendar: Howard Hinnant, `chrono`-Compatible Low-Level Date Algorithms, `civil_from_days`.
fn utc(time: SystemTime) -> String {
    let secs = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_written_as_the_calendar_has_it() {
        for (secs, said) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(secs)), said);
        }
    }
}
