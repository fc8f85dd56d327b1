//! A folder that was opened as a scan, and holds a cohort.

use std::path::{Path, PathBuf};

use crate::cohort;

/// The folder holds a cohort: it is shown as a table, and is no failure.
#[derive(Debug, thiserror::Error)]
#[error("this is the folder of a cohort: {}", .0.display())]
pub struct IsCohort(pub PathBuf);

impl IsCohort {
    /// Refuses the folder of a cohort where a scan is wanted. Called on a worker, as it looks at the disk.
    pub fn refuse(path: &Path) -> Result<(), Self> {
        if cohort::is_cohort(path) { Err(Self(path.to_owned())) } else { Ok(()) }
    }
}
