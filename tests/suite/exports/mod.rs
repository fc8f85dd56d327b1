//! Exported files, read back by other readers.

pub(crate) mod dicom_export;
pub(crate) mod dicom_regions;
pub(crate) mod files;
pub(crate) mod playing;
pub(crate) mod record;
