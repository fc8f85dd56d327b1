//! One result of a study.

use std::path::PathBuf;

/// A result that is shown, by a name that readers never see.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub name: String,
    pub session: PathBuf,
}
