//! Objects that are sent to a source, and what it says to each.

use std::path::PathBuf;

use crate::io::Named;

/// An object that is to be sent.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) path: PathBuf,
    pub(super) named: Named,
    pub(super) bytes: u64,
}

/// What a source says to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Stored,
    /// Stored, and the source changed something or complains; in words.
    StoredBut(String),
    /// The source takes no objects of this kind, or not as it is written: it was refused before it was sent.
    NotTaken(String),
    /// The source refused it; its status in words.
    Failed(String),
    /// It was not sent, as the connection was lost before; in words.
    NotSent(String),
}

impl Answer {
    /// Whether the source has the object now.
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::Stored | Self::StoredBut(_))
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Stored => "stored".to_owned(),
            Self::StoredBut(why) => format!("stored, but {why}"),
            Self::NotTaken(why) => format!("refused: {why}"),
            Self::Failed(why) => format!("failed: {why}"),
            Self::NotSent(why) => format!("not sent: {why}"),
        }
    }

    /// One word for programs that read the answer.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::StoredBut(_) => "stored-with-warning",
            Self::NotTaken(_) => "refused",
            Self::Failed(_) => "failed",
            Self::NotSent(_) => "not-sent",
        }
    }
}
