//! Why a source could not be asked, or did not give, in words.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::setting::Setting;
use crate::job::Cancelled;

/// What can go wrong between asking a source and having its answer. No variant holds a password or a patient's name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("this build of Parallax reaches no network: {at}")]
    NoNetwork { at: String },
    /// What was asked cannot be: a name, an address, a date.
    #[error("{what}")]
    Asked { what: String, settings: &'static [Setting] },
    /// The source answers, and does not do what it was asked.
    #[error("{what}: {at}")]
    Refused { what: String, settings: &'static [Setting], at: String },
    /// The connection broke or stood still: asking again may help.
    #[error("{what}: {at}")]
    Broken { what: String, at: String },
    #[error("another Parallax is fetching this series; wait for it, or stop it: {}", path.display())]
    Busy { path: PathBuf },
    #[error("the disk is full; make room, or choose another folder: {}", path.display())]
    Full { path: PathBuf },
    #[error("{what}: {cause}: {}", path.display())]
    Io { what: &'static str, cause: std::io::Error, path: PathBuf },
    #[error("{what}: {}", path.display())]
    File { what: String, path: PathBuf },
}

impl Error {
    pub(super) fn asked(what: impl Into<String>) -> Self {
        Self::Asked { what: what.into(), settings: &[] }
    }

    pub(super) fn refused(what: impl Into<String>, source: &impl Display) -> Self {
        Self::Refused { what: what.into(), settings: &[], at: source.to_string() }
    }

    /// Adds the settings of which another value may mend what went wrong.
    pub(super) fn about(mut self, of: &'static [Setting]) -> Self {
        if let Self::Asked { settings, .. } | Self::Refused { settings, .. } = &mut self {
            *settings = of;
        }
        self
    }

    /// In the words of a front end, which calls settings by names of its own.
    pub fn told(&self, name: impl Fn(Setting) -> &'static str) -> String {
        let (what, settings, at) = match self {
            Self::Asked { what, settings } => (what, settings, None),
            Self::Refused { what, settings, at } => (what, settings, Some(at)),
            other => return other.to_string(),
        };
        let names: Vec<_> = settings.iter().map(|setting| name(*setting)).filter(|name| !name.is_empty()).collect();
        let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let at = at.map(|at| format!(": {at}")).unwrap_or_default();
        format!("{what}{names}{at}")
    }

    #[cfg(feature = "network")]
    pub(super) fn broken(what: impl Into<String>, source: &impl Display) -> Self {
        Self::Broken { what: what.into(), at: source.to_string() }
    }

    #[cfg(not(feature = "network"))]
    pub(super) fn no_network(source: &impl Display) -> Self {
        Self::NoNetwork { at: source.to_string() }
    }

    /// An error of the file system while reading or writing `path`.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| match cause.kind() {
            // A limit on the length of files, or a quota, is a disk that is full for this user.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full { path },
            _ => Self::Io { what, cause, path },
        }
    }

    /// Whether it was the connection that failed, not the source that refused.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }
}
