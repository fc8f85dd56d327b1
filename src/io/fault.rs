//! Why a file of volumes was not read: the error before it is told which file it is of.

use std::fmt;
use std::io;
use std::path::Path;

use super::Error;
use crate::job::Cancelled;

/// What is wrong with a file, without its path.
#[derive(Debug)]
pub(super) enum Fault {
    Cancelled(Cancelled),
    /// The file cannot be opened.
    Io(io::Error),
    /// Bytes are missing, or contradict each other.
    Damaged(String),
    /// The file is whole, but no scan that can be opened.
    Unsuitable(String),
}

impl Fault {
    /// The error of the file at `path`.
    pub(super) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Cancelled(cancelled) => cancelled.into(),
            Self::Io(source) => Error::Io { source, path },
            Self::Damaged(what) => Error::Damaged { what, path },
            Self::Unsuitable(what) => Error::Unsuitable { what, path },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(cancelled) => cancelled.fmt(f),
            Self::Io(error) => write!(f, "cannot read: {error}"),
            Self::Damaged(what) => write!(f, "the file is cut or damaged: {what}"),
            Self::Unsuitable(what) => f.write_str(what),
        }
    }
}

impl From<Cancelled> for Fault {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

/// Of bytes that do not unpack, or end too early. A disk that fails is told by the system's own words.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.raw_os_error().is_some() { Self::Io(error) } else { Self::Damaged(error.to_string()) }
    }
}
