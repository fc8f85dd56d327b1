//! A file that is not whole yet: it ends in `.part`, belongs to one process at a time, and outlives that process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::body::PIECE_BYTES;
use super::error::Error;
use crate::files;
use crate::job::Monitor;

const MAX_NOTE_BYTES: u64 = 1 << 16;

/// What is remembered of an unfinished file, beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    address: String,
    validator: Option<String>,
}

pub(super) struct Part {
    file: File,
    path: PathBuf,
    note_path: PathBuf,
    note: Note,
    hasher: Sha256,
    length: u64,
}

impl Part {
    /// Opens the unfinished file of `target` for this process alone; makes it, and its folder, where there is none.
    pub(super) fn open(target: &Path) -> Result<Self, Error> {
        let path = with_end(target, ".part");
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            files::private_folder(folder, true).map_err(Error::io("cannot make the folder", folder))?;
        }
        let file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(&path)
            .map_err(Error::io("cannot write", &path))?;
        match files::lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path }),
            // Some file systems know no locks: there two at once are found by the SHA-256 alone.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(Error::io("cannot lock", &path)(error)),
        }
        let note_path = with_end(target, ".part.json");
        let note = files::read_text(&note_path, MAX_NOTE_BYTES).ok();
        let note = note.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(); // lost: it begins anew
        Ok(Self { file, path, note_path, note, hasher: Sha256::new(), length: 0 })
    }

    /// Takes up what came before, where that can be the beginning of this file: its SHA-256 is known and will tell, or the source
    /// can tell by its validator. Else begins anew.
    pub(super) fn resume(&mut self, address: &str, told_by_hash: bool, monitor: &Monitor) -> Result<(), Error> {
        if self.note.address != address {
            self.note.validator = None;
        }
        if !told_by_hash && self.note.validator.is_none() {
            return self.restart();
        }
        let mut piece = vec![0; PIECE_BYTES];
        let total = self.file.metadata().map_err(Error::io("cannot read", &self.path))?.len();
        loop {
            monitor.step("reading what came before, kB", kilobytes(self.length), kilobytes(total))?;
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.hasher.update(&piece[..read]);
                    self.length += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("cannot read", &self.path)(error)),
            }
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn validator(&self) -> Option<&str> {
        self.note.validator.as_deref()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Throws away what came.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        use std::io::Seek;

        self.note = Note::default();
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(Error::io("cannot write", &self.path))?;
        (self.hasher, self.length) = (Sha256::new(), 0);
        Ok(())
    }

    /// Remembers by what the source knows this file again.
    pub(super) fn remember(&mut self, address: &str, validator: Option<String>) -> Result<(), Error> {
        let note = Note { address: address.to_owned(), validator };
        if note == self.note {
            return Ok(());
        }
        let text = serde_json::to_vec(&note).expect("two texts are JSON");
        let written = private(OpenOptions::new().write(true).create(true).truncate(true))
            .open(&self.note_path)
            .and_then(|mut file| file.write_all(&text));
        written.map_err(Error::io("cannot write", &self.note_path))?;
        self.note = note;
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // What was written of a piece that does not fit is read again by the next run.
        self.file.write_all(bytes).map_err(Error::io("cannot write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The SHA-256 of what came, hex.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }

    /// Gives the file its name, once all of it is on the disk.
    pub(super) fn finish(self, target: &Path) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("cannot write", &self.path))?;
        std::fs::rename(&self.path, target).map_err(Error::io("cannot write", target))?;
        remove(&self.note_path)
    }

    /// Removes it with what is remembered of it.
    pub(super) fn discard(self) -> Result<(), Error> {
        remove(&self.note_path)?;
        remove(&self.path)
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

/// For the monitor, whose numbers are for people.
pub(super) fn kilobytes(bytes: u64) -> usize {
    usize::try_from(bytes / 1000).unwrap_or(usize::MAX)
}

/// `model.pt` with `.part` is `model.pt.part`.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Files are this user's alone: which networks someone fetches is no one else's affair.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
