//! What a reader should know of a scan, in words, and how much it matters.

use serde::{Deserialize, Serialize};

/// How much a note matters, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Weight {
    /// The numbers, or where they lie, may be wrong.
    Serious,
    /// Something is missing, or not as a network expects it.
    Caution,
    /// What was done, as it should be.
    Fact,
}

impl Weight {
    /// For people, in front of a note.
    pub fn word(self) -> &'static str {
        match self {
            Self::Serious => "Serious",
            Self::Caution => "Caution",
            Self::Fact => "Fact",
        }
    }
}

/// One thing in plain words. It names no file: notes go into `result.json`, and names of files name patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub weight: Weight,
    pub text: String,
}

/// A count with its noun: "1 slice", "0 slices", "12 slices".
pub fn counted(count: usize, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {one}{ending}")
}

impl Note {
    pub fn serious(text: impl Into<String>) -> Self {
        Self { weight: Weight::Serious, text: text.into() }
    }

    pub fn caution(text: impl Into<String>) -> Self {
        Self { weight: Weight::Caution, text: text.into() }
    }

    pub fn fact(text: impl Into<String>) -> Self {
        Self { weight: Weight::Fact, text: text.into() }
    }
}
