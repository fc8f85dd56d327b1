//! Whose fault an error is, and how it is said.

use crate::io;
use crate::job::Cancelled;

/// The fault lies in what was given: a file, a name, a slab. The command line has an exit code for it.
#[derive(Debug, thiserror::Error)]
#[error("{}", in_words(.0))]
pub struct BadInput(pub anyhow::Error);

impl BadInput {
    pub fn new(error: impl Into<anyhow::Error>) -> Self {
        Self(error.into())
    }

    /// Marks an error as one of the input, unless the work was only cancelled.
    pub fn mark(error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        if is_cancelled(&error) { Cancelled.into() } else { Self(error).into() }
    }
}

/// Whether work did not fail but was told to stop.
pub(super) fn is_cancelled(error: &anyhow::Error) -> bool {
    error.chain().any(|e| e.is::<Cancelled>() || matches!(e.downcast_ref(), Some(io::Error::Cancelled(_))))
}

/// An error with its causes, each said once: an error that already holds the words of its cause does not repeat them.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_said_once_however_often_it_stands_in_the_chain() {
        let lost = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let twice = anyhow::Error::from(io::Error::Io { source: lost(), path: "a.nii".into() });
        assert_eq!(format!("{twice:#}"), "cannot read: no such file: a.nii: no such file", "as the chain has it");
        assert_eq!(in_words(&twice), "cannot read: no such file: a.nii");
        let marked = BadInput::mark(io::Error::Io { source: lost(), path: "a.nii".into() });
        assert_eq!(in_words(&marked.context("while opening")), "while opening: cannot read: no such file: a.nii");
        assert_eq!(in_words(&anyhow!("disk full").context("cannot save")), "cannot save: disk full");
    }
}
