//! Opens a scan: a NIfTI file, a DICOM file, or a folder of DICOM files.

mod dicom;
mod nifti;
mod series;

use std::path::{Path, PathBuf};

use crate::job::{Cancelled, Monitor};
use crate::volume::Volume;

/// Where the grid of a scan was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Geometry {
    Sform,
    Qform,
    /// Neither form: spacing only, nibabel's fallback; left and right are a guess.
    Spacing,
    Dicom,
}

/// What was opened, in its own grid, in Hounsfield units.
#[derive(Debug, Clone)]
pub struct Scan {
    pub volume: Volume,
    pub source: PathBuf,
    /// "NIfTI-1, int16" or "DICOM, JPEG-LS lossless": for people.
    pub format: String,
    pub geometry: Geometry,
    /// Partial trouble, in words, worst first: a missing slice, a skipped file.
    pub warnings: Vec<String>,
    /// The window stored with the scan: centre and width, HU.
    pub window_hu: Option<[f32; 2]>,
    /// SHA-256 of the voxels (little-endian f32, `i` fastest), hex. Not of the file: it names the data, not the packing.
    pub sha256: String,
}
