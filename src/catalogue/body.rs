//! What a source of bytes is: something that can be opened at an offset and then gives its bytes, piece by piece.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::files;
use crate::job::Monitor;

/// How much of a file is read at a time.
pub(super) const PIECE_BYTES: usize = 1 << 18;

/// Where a file's bytes come from.
pub(super) trait Source {
    /// Opens the file at an offset. With a validator, only if it is still the file that the validator was of.
    fn open(&self, from: u64, validator: Option<&str>, monitor: &Monitor) -> Result<Answer, Error>;

    /// What stands for it in messages and in what is remembered of an unfinished file.
    fn address(&self) -> &str;
}

pub(super) enum Answer {
    Bytes(Opened),
    /// The file has no bytes at this offset.
    Beyond {
        total: Option<u64>,
    },
}

pub(super) struct Opened {
    /// Where in the file these bytes begin: 0 where a source knows no offsets, or has another file than before.
    pub(super) start: u64,
    /// The length of the whole file, as far as the source says.
    pub(super) total: Option<u64>,
    /// By which the source knows this file again.
    pub(super) validator: Option<String>,
    /// As the source says it.
    pub(super) sha256: Option<String>,
    pub(super) body: Box<dyn Body>,
}

pub(super) trait Body {
    /// The next bytes, never none of them; `None` at the end.
    fn next(&mut self, monitor: &Monitor) -> Result<Option<Vec<u8>>, Error>;
}

/// A file of this machine.
pub(super) struct Local {
    path: PathBuf,
    shown: String,
}

impl Local {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: path.display().to_string() }
    }
}

impl Source for Local {
    fn open(&self, from: u64, _: Option<&str>, _: &Monitor) -> Result<Answer, Error> {
        let io = |cause| Error::Io { what: "cannot read", cause, path: self.path.clone() };
        let mut file = files::open(&self.path).map_err(io)?;
        let total = file.metadata().map_err(io)?.len();
        if from > total {
            return Ok(Answer::Beyond { total: Some(total) });
        }
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let body = Box::new(Reading { file, path: self.path.clone() });
        Ok(Answer::Bytes(Opened { start: from, total: Some(total), validator: None, sha256: None, body }))
    }

    fn address(&self) -> &str {
        &self.shown
    }
}

struct Reading {
    file: File,
    path: PathBuf,
}

impl Body for Reading {
    fn next(&mut self, monitor: &Monitor) -> Result<Option<Vec<u8>>, Error> {
        monitor.check()?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(read) => {
                    piece.truncate(read);
                    return Ok(Some(piece));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::Io { what: "cannot read", cause, path: self.path.clone() }),
            }
        }
    }
}
