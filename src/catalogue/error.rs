//! Why a network could not be fetched, in words.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::job::Cancelled;

/// What can go wrong between asking for a network and having it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(
        "{name} is under {licence}: {limits}; where that suits you, say so with --accept-licence (its page: {page})"
    )]
    Licence { name: String, licence: String, limits: String, page: String },
    #[error("where the files of {name} lie is not known; its page says how to get them: {page}")]
    NoFiles { name: String, page: String },
    #[error("this build of Parallax has no network; give a folder that holds the file (--from): {url}")]
    NoNetwork { url: String },
    #[error("{what}: {url}")]
    Refused { what: String, url: String },
    /// Asking again may help: what came is kept.
    #[error("{what}; what came is kept, run it again to go on: {url}")]
    Broken { what: String, url: String },
    #[error("the file's SHA-256 is {found}, where {said_by} says {said}; it is not kept: {url}")]
    Hash { found: String, said: String, said_by: &'static str, url: String },
    #[error("another file of this name is there ({what}); delete it, or choose another folder (--into): {}", path.display())]
    Another { what: String, path: PathBuf },
    #[error("another Parallax is fetching this file; wait for it, or stop it: {}", path.display())]
    Busy { path: PathBuf },
    #[error("the disk is full: {needed} more are needed and {free} are free; make room or choose another disk (--into), and run it again: {}", path.display())]
    Full { needed: String, free: String, path: PathBuf },
    #[error("{what}: {cause}: {}", path.display())]
    Io { what: &'static str, cause: std::io::Error, path: PathBuf },
    #[error("{what} is damaged: {cause}: {}", path.display())]
    Damaged { what: &'static str, cause: String, path: PathBuf },
    #[error("no {wanted} there; give a folder that holds it, or the address of one (--from): {}", path.display())]
    NotThere { wanted: String, path: PathBuf },
}

impl Error {
    /// An error of the file system while reading or writing `path`.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| match cause.kind() {
            // A limit on the length of files, or a quota, is a disk that is full for this user.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                let free = super::place::free_bytes(&path).map_or_else(|| "no bytes".to_owned(), megabytes);
                Self::Full { needed: "bytes".to_owned(), free, path }
            }
            _ => Self::Io { what, cause, path },
        }
    }
}

/// "235.3 MB": bytes for people.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
