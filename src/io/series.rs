//! A folder of DICOM files as one scan.

use std::path::{Path, PathBuf};

use super::{Error, Scan};
use crate::job::Monitor;

pub(super) fn open_folder(path: &Path, _monitor: &Monitor) -> Result<Scan, Error> {
    Err(Error::NotAScan { path: path.to_owned() })
}

pub(super) fn open_files(path: &Path, _files: Vec<PathBuf>, _monitor: &Monitor) -> Result<Scan, Error> {
    Err(Error::NotAScan { path: path.to_owned() })
}
