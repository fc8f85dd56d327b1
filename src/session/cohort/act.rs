//! What a person does with the table of a cohort's cases.

use std::ops::Range;
use std::path::PathBuf;

use super::table::{Column, Only};

/// What happens to the table of a cohort.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Reads the cohort that lies in a folder.
    Read(PathBuf),
    /// Reads it again: other processes may have gone on with it.
    Again,
    /// Reads no further.
    Stop,
    /// Sorts by a column, or the other way round where it is sorted by it already.
    Sort(Column),
    /// Which cases are shown: those that hold these words.
    Find(String),
    Only(Only),
    /// Which rows are seen, by their places in the table.
    Seen(Range<usize>),
    /// Shows a case's picture and numbers, by its id.
    Choose(String),
    /// Shows those of the case so many rows on.
    Step(isize),
    /// Opens a case: its session where one lies in its folder, with its result; else its scan, as the case was asked.
    Open(String),
    /// Shows the files of a case in the system's file manager.
    ShowFolder(String),
}
