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

/// An error with its causes, each said once: an error that already holds the words of its cause does not repeat them, and a path that stands
/// at the end of a cause is not said before it as well.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            let (before, cause) = without_its_path(&words, &cause);
            words = format!("{before}: {cause}");
        }
    }
    words
}

/// Words and their cause, where the cause ends in a path that the words name too: it is left out of the words where they end in it, and else
/// of the cause.
fn without_its_path<'a>(words: &'a str, cause: &'a str) -> (&'a str, &'a str) {
    let whole = (words, cause);
    let Some((what, path)) = cause.rsplit_once(": ") else { return whole };
    let is_path = path.contains('/') || path.contains('\\');
    let Some(at) =
        words.match_indices(path).map(|(at, _)| at).find(|at| is_alone(words, *at, path)).filter(|_| is_path)
    else {
        return whole;
    };
    let before = words[..at].trim_end_matches([' ', ':']);
    if at + path.len() == words.len() && !before.is_empty() { (before, cause) } else { (words, what) }
}

/// Whether a path stands for itself in some words, and is no part of a longer one.
fn is_alone(words: &str, at: usize, path: &str) -> bool {
    let [before, after] = [words[..at].chars().last(), words[at + path.len()..].chars().next()];
    let ends = |letter: Option<char>| letter.is_none_or(|letter| " \"'(),;:".contains(letter));
    ends(before) && ends(after)
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

    #[test]
    fn a_path_is_said_once_and_last() {
        let said = |cause: &str, context: &str| in_words(&anyhow!(cause.to_owned()).context(context.to_owned()));
        assert_eq!(
            said("it is cut: /a/b c.parallax", "cannot open /a/b c.parallax"),
            "cannot open: it is cut: /a/b c.parallax"
        );
        assert_eq!(said("no such file: C:\\b", "cannot read: C:\\b"), "cannot read: no such file: C:\\b");
        assert_eq!(said("full: /a", "/a cannot be written, kept as /b"), "/a cannot be written, kept as /b: full");
        assert_eq!(said("cut: /a/b", "cannot open /a"), "cannot open /a: cut: /a/b", "two paths are two");
        assert_eq!(said("cut: /a", "cannot open /a/b"), "cannot open /a/b: cut: /a");
        assert_eq!(said("why: not", "what: not"), "what: not: why: not", "no path");
    }
}
