//! The cache of fetched series: one folder of the user's own, bounded in bytes, that a command empties.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::error::Error;
use super::setting::Setting;
use super::shelf;
use super::source::Source;
use crate::catalogue::data_folder;

/// The folder of everything that was fetched and not put elsewhere. `None` where the system names no folder for data.
fn root() -> Option<PathBuf> {
    Some(data_folder()?.join("pacs"))
}

/// The folder of one series in the cache. That of its source is named by a hash, as two archives may hold the same series.
pub(super) fn folder_of(source: &Source, study_uid: &str, series_uid: &str) -> Result<PathBuf, Error> {
    let root = root()
        .ok_or_else(|| Error::asked("this system names no folder for data; choose one").about(&[Setting::Folder]))?;
    let of_source = hex::encode(Sha256::digest(format!("{} {}", source.name, source.address())));
    Ok(root.join(&of_source[..16]).join(study_uid).join(series_uid))
}

/// What was cleared away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleared {
    pub series: usize,
    pub bytes: u64,
    /// Series that another process fills, which stay.
    pub busy: usize,
}

/// Deletes every series that no one fills at this moment.
pub fn clear() -> Result<Cleared, Error> {
    let Some(root) = root() else { return Ok(Cleared { series: 0, bytes: 0, busy: 0 }) };
    let all = series(&root);
    let mut cleared = Cleared { series: 0, bytes: 0, busy: 0 };
    for one in &all {
        if shelf::is_busy(&one.folder) {
            cleared.busy += 1;
            continue;
        }
        remove(&one.folder)?;
        cleared.series += 1;
        cleared.bytes += one.bytes;
    }
    Ok(cleared)
}

/// Deletes the series that were used longest ago until no more than `most_bytes` are left; never `newest`, and none that is being filled.
pub(super) fn trim(most_bytes: u64, newest: &Path) -> Result<(), Error> {
    let Some(root) = root() else { return Ok(()) };
    let mut all = series(&root);
    all.sort_by_key(|one| one.used);
    let mut total: u64 = all.iter().map(|one| one.bytes).sum();
    for one in all {
        if total <= most_bytes {
            break;
        }
        if one.folder != newest && !shelf::is_busy(&one.folder) {
            remove(&one.folder)?;
            total = total.saturating_sub(one.bytes);
        }
    }
    Ok(())
}

struct Kept {
    folder: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// All series of the cache: root, source, study, series.
fn series(root: &Path) -> Vec<Kept> {
    let within = |folder: PathBuf| -> Vec<PathBuf> {
        // What cannot be read is not there.
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let folders = within(root.to_owned()).into_iter().flat_map(within).flat_map(within);
    folders
        .map(|folder| {
            let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let bytes = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
            let used = shelf::used(&folder).unwrap_or(SystemTime::UNIX_EPOCH);
            Kept { folder, bytes, used }
        })
        .collect()
}

/// Removes a series, and the folders of its study and source where nothing else is in them.
fn remove(folder: &Path) -> Result<(), Error> {
    std::fs::remove_dir_all(folder).map_err(Error::io("cannot delete", folder))?;
    for above in folder.ancestors().skip(1).take(2) {
        if std::fs::remove_dir(above).is_err() {
            break; // others lie there
        }
    }
    Ok(())
}
