//! DICOM files: what each says of its slices, and their pixels in HU.

mod dataset;
mod fragments;
mod functional;
pub(super) mod header;
mod hu;
mod parse;
mod rescale;
pub(super) mod segmentation;
mod slice;
mod stored;
mod syntax;

use std::path::Path;

pub(super) use self::dataset::{Dataset, name_of};
pub(super) use self::hu::{Decoded, decode};
pub(super) use self::rescale::Padding;
pub(super) use self::slice::{ATTRIBUTES, Attribute, KERNEL, Place, Slice, describe, is_directory};
use super::Error;

/// Why a file gives no slice; in words, without the path.
#[derive(Debug)]
pub(super) enum Refused {
    /// No DICOM file at all.
    Foreign,
    /// The list of a disk's files, which is no image.
    Directory,
    Damaged(String),
    Unsuitable(String),
}

impl Refused {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Foreign => "not a DICOM file",
            Self::Directory => "a DICOMDIR",
            Self::Damaged(what) | Self::Unsuitable(what) => what,
        }
    }

    /// The error of opening this one file.
    pub(super) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Foreign | Self::Directory => Error::NotAScan { path },
            Self::Damaged(what) => Error::Damaged { what, path },
            Self::Unsuitable(what) => Error::Unsuitable { what, path },
        }
    }
}
