//! Scans: formats, DICOM, preparation, masks, and what must be refused.

pub(crate) mod cases;
pub(crate) mod codecs;
pub(crate) mod dicom;
pub(crate) mod dicom_odd;
pub(crate) mod folders;
pub(crate) mod formats;
pub(crate) mod insertions;
pub(crate) mod masks;
pub(crate) mod nifti_files;
pub(crate) mod nifti_headers;
pub(crate) mod opening;
pub(crate) mod preparation;
pub(crate) mod recipes;
pub(crate) mod series;
