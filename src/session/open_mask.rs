//! A mask that is held against the open scan: out of a file, or of the finding that was drawn into the scan.

use std::path::{Path, PathBuf};

use crate::files::printable;
use crate::io::Mask;
use crate::volume::phantom::Finding;

/// Where a mask is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whence {
    File(PathBuf),
    /// It came with the finding that was drawn into the open scan.
    Drawn(Finding),
}

/// A mask that was opened.
pub struct Opened {
    pub whence: Whence,
    pub mask: Mask,
}

impl Opened {
    /// Its file; none of a finding that was drawn.
    pub fn path(&self) -> Option<&Path> {
        match &self.whence {
            Whence::File(path) => Some(path),
            Whence::Drawn(_) => None,
        }
    }

    /// What it is called on the screen.
    pub fn name(&self) -> String {
        match &self.whence {
            Whence::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                format!("the mask {}", printable(&name))
            }
            Whence::Drawn(finding) => format!("the mask of the SYNTHETIC {}", finding.name()),
        }
    }
}
