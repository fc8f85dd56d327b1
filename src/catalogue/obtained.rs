//! What is known of a file that is here: where it came from, and what it was checked against.

use std::path::PathBuf;

use super::entry::Published;

/// What a file was known by to be the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The SHA-256 that is published, whole or its beginning.
    Published,
    /// The SHA-256 that its first download recorded, or that the cache names it by.
    Recorded,
    /// No one says what it is: this download recorded its SHA-256.
    FirstTime,
}

impl Checked {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Published => "the SHA-256 is the published one",
            Self::Recorded => "the SHA-256 is the recorded one",
            Self::FirstTime => "no one publishes its SHA-256, which is recorded now",
        }
    }
}

/// How a file came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    Fetched,
    Before,
    /// In Hugging Face's cache, where it stays.
    Cached,
}

impl Here {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Before => "here already",
            Self::Cached => "in Hugging Face's cache already",
        }
    }
}

/// A file that is here.
#[derive(Debug, Clone)]
pub struct Obtained {
    pub published: Published,
    pub path: PathBuf,
    pub sha256: String,
    pub checked: Checked,
    pub here: Here,
}
