//! Where the instances of one series arrive: a folder of files that are whole, each under its UID.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::error::Error;
use crate::export::write::{self, make_private_folder};
use crate::files;
use crate::io::Named;

/// More than any instance has.
const MOST_BYTES: u64 = 16 << 30;
const MOST_RECORD_BYTES: u64 = 16 << 20;
const RECORD: &str = "series.json";
const LOCK: &str = ".lock";
const ENDING: &str = "dcm";

/// What comes from a source while a series is fetched.
#[derive(Debug)]
pub(super) enum Arrival {
    /// An instance begins. What is left of one before it was cut.
    #[cfg_attr(not(feature = "network"), expect(dead_code, reason = "nothing arrives in a build without network"))]
    Begin,
    #[cfg_attr(not(feature = "network"), expect(dead_code, reason = "nothing arrives in a build without network"))]
    Bytes(Vec<u8>),
    /// The instance is whole.
    #[cfg_attr(not(feature = "network"), expect(dead_code, reason = "nothing arrives in a build without network"))]
    End,
}

/// Which instances were whole when a series was fetched, and how many bytes each has.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    instances: BTreeMap<String, u64>,
}

/// The folder of one series, this process' alone while it is filled.
pub(super) struct Shelf {
    folder: PathBuf,
    /// Held, not used: it is let go when the shelf is.
    _lock: File,
    study_uid: String,
    series_uid: String,
    /// What is here, by UID, with its bytes.
    here: BTreeMap<String, u64>,
    /// The instances that may come; any other is left out.
    listed: BTreeSet<String>,
    /// How many of them were here before any came.
    before: usize,
    arriving: Option<(NamedTempFile, u64)>,
    pub(super) twice: usize,
    pub(super) foreign: usize,
    pub(super) came: usize,
    pub(super) came_bytes: u64,
}

impl Shelf {
    /// Opens the folder of a series, which is made where it is not there, and looks which instances are in it.
    pub(super) fn open(folder: &Path, study_uid: &str, series_uid: &str) -> Result<Self, Error> {
        make_folder(folder)?;
        let lock = lock(folder)?;
        let mut shelf = Self {
            folder: folder.to_owned(),
            _lock: lock,
            study_uid: study_uid.to_owned(),
            series_uid: series_uid.to_owned(),
            here: BTreeMap::new(),
            listed: BTreeSet::new(),
            before: 0,
            arriving: None,
            twice: 0,
            foreign: 0,
            came: 0,
            came_bytes: 0,
        };
        shelf.look()?;
        Ok(shelf)
    }

    /// Which whole instances lie here. What a killed run left is swept away.
    fn look(&mut self) -> Result<(), Error> {
        let cannot = Error::io("cannot read the folder", &self.folder);
        let record = read_record(&self.folder);
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)?.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(PREFIX) {
                std::fs::remove_file(&path).ok(); // it stays, and harms no one
                continue;
            }
            let Some(uid) = name.strip_suffix(".dcm") else { continue };
            let Ok(length) = entry.metadata().map(|found| found.len()) else { continue };
            // What a loss of power cut is shorter than the record says, or cannot be read.
            let is_whole = match record.instances.get(uid) {
                Some(bytes) => *bytes == length,
                None => Named::of(&path).is_ok_and(|named| named.uid == uid && named.series_uid == self.series_uid),
            };
            if is_whole {
                self.here.insert(uid.to_owned(), length);
            }
        }
        Ok(())
    }

    /// Says which instances the series has.
    pub(super) fn expect(&mut self, listed: impl IntoIterator<Item = String>) {
        self.listed = listed.into_iter().collect();
        self.before = self.listed.iter().filter(|uid| self.here.contains_key(*uid)).count();
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Listed instances that are not here.
    pub(super) fn missing(&self) -> BTreeSet<String> {
        self.listed.iter().filter(|uid| !self.here.contains_key(*uid)).cloned().collect()
    }

    /// How many of the listed instances are here.
    pub(super) fn count(&self) -> usize {
        self.before + self.came
    }

    /// Takes what comes; whether an instance is whole now. It gets its name when it says that it is of this series.
    pub(super) fn take(&mut self, arrival: Arrival) -> Result<bool, Error> {
        match arrival {
            Arrival::Begin => {
                let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&self.folder);
                self.arriving = Some((file.map_err(Error::io("cannot write into", &self.folder))?, 0));
                Ok(false)
            }
            Arrival::Bytes(bytes) => {
                let cannot = Error::io("cannot write into", &self.folder);
                let Some((file, length)) = &mut self.arriving else { return Ok(false) };
                *length = length.saturating_add(bytes.len() as u64);
                if *length > MOST_BYTES {
                    let what = format!("an instance is longer than {} GB", MOST_BYTES >> 30);
                    return Err(Error::File { what, path: self.folder.clone() });
                }
                file.write_all(&bytes).map_err(cannot)?;
                Ok(false)
            }
            Arrival::End => self.keep().map(|()| true),
        }
    }

    fn keep(&mut self) -> Result<(), Error> {
        let Some((file, length)) = self.arriving.take() else { return Ok(()) };
        let named = match Named::of(file.path()) {
            Ok(named) if named.series_uid == self.series_uid && named.study_uid == self.study_uid => named,
            _ => {
                self.foreign += 1;
                return Ok(());
            }
        };
        if !self.listed.contains(&named.uid) {
            self.foreign += 1;
        } else if self.here.contains_key(&named.uid) {
            self.twice += 1;
        } else {
            let path = self.folder.join(&named.uid).with_added_extension(ENDING);
            file.persist(&path).map_err(|error| Error::io("cannot write", &path)(error.error))?;
            self.here.insert(named.uid, length);
            self.came += 1;
            self.came_bytes += length;
        }
        Ok(())
    }

    /// Writes down what is here, for the next time.
    pub(super) fn record(&self) -> Result<(), Error> {
        let record = Record { instances: self.here.clone() };
        let path = self.folder.join(RECORD);
        let text =
            serde_json::to_vec(&record).map_err(|error| Error::File { what: error.to_string(), path: path.clone() })?;
        write::save(&path, &text, true).map_err(|error| Error::File { what: format!("{error:#}"), path })
    }
}

/// How a file is called that is not whole yet.
const PREFIX: &str = ".tmp-parallax-";

fn make_folder(folder: &Path) -> Result<(), Error> {
    make_private_folder(folder).map_err(|error| Error::File { what: format!("{error:#}"), path: folder.to_owned() })
}

/// Locks a series' folder for this process.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let lock = options.open(&path).map_err(Error::io("cannot write", &path))?;
    match files::lock(&lock) {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { path: folder.to_owned() }),
        // Some file systems know no locks: there two at once write the same bytes under the same names.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(lock),
        Err(TryLockError::Error(error)) => Err(Error::io("cannot lock", &path)(error)),
    }
}

/// Whether another process fills this folder, or this one does.
pub(super) fn is_busy(folder: &Path) -> bool {
    folder.join(LOCK).exists() && lock(folder).is_err()
}

/// When a series was fetched or opened last.
pub(super) fn used(folder: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(folder.join(RECORD)).or_else(|_| std::fs::metadata(folder)).ok()?.modified().ok()
}

fn read_record(folder: &Path) -> Record {
    let text = files::read_text(&folder.join(RECORD), MOST_RECORD_BYTES).ok(); // none yet, or lost: files speak for themselves
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
