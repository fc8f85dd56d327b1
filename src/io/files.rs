//! Formats that hold whole volumes in one file, or in a header beside its numbers: told by bytes, then read by their own module.

use super::fault::Fault;
use super::glance::Glance;
use super::plan::Plan;
use super::preview::Preview;
use super::source::Source;
use super::stream::beginning;
use super::{Error, Scan, metaimage, nifti, nrrd};
use crate::job::Monitor;

/// How much of a file tells its format: the text headers have their telling line within.
pub(super) const HEAD_BYTES: u64 = 1 << 16;
/// How much of it is unpacked to look at.
const LOOK_BYTES: usize = 1 << 12;
/// Numbers without a header, as NRRD and MetaImage name them.
const BARE: [&str; 4] = [".raw", ".zraw", ".raw.gz", ".bin"];

/// A format by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Nifti,
    Nrrd,
    MetaImage,
}

/// The format that a file's beginning tells; [`HEAD_BYTES`] are enough, and so are fewer for files that are not packed.
pub(super) fn sniff(head: &[u8]) -> Option<Format> {
    let first = beginning(head, LOOK_BYTES);
    if nifti::sniff(&first) {
        Some(Format::Nifti)
    } else if nrrd::sniff(&first) {
        Some(Format::Nrrd)
    } else if metaimage::sniff(&first) {
        Some(Format::MetaImage)
    } else {
        None
    }
}

/// The format of a file, and the file that holds its header: a NIfTI pair may be chosen by its image. None where the file is of no
/// such format. Numbers whose header lies beside them are refused with the name to choose.
pub(super) fn recognise(source: &Source) -> Result<Option<(Format, Source)>, Fault> {
    if let Some(format) = sniff(&source.head(HEAD_BYTES).map_err(Fault::Io)?) {
        return Ok(Some((format, source.clone())));
    }
    if let Some(header) = nifti::header_of(source) {
        return Ok(Some((Format::Nifti, header)));
    }
    let name = source.name();
    let lower = name.to_ascii_lowercase();
    let Some(end) = BARE.iter().find(|end| lower.ends_with(*end)) else { return Ok(None) };
    let stem = &name[..name.len() - end.len()];
    let header = [".mhd", ".nhdr", ".mha"].iter().find_map(|end| source.beside(&format!("{stem}{end}")));
    match header {
        Some(header) => {
            Err(Fault::Unsuitable(format!("numbers without their header; choose {}, beside it", header.name())))
        }
        None => Ok(None),
    }
}

impl Format {
    fn plan(self, source: &Source, volume: Option<usize>, monitor: &Monitor) -> Result<Plan, Fault> {
        match self {
            Self::Nifti => nifti::plan(source, volume),
            Self::Nrrd => nrrd::plan(source, volume, monitor),
            Self::MetaImage => metaimage::plan(source, volume),
        }
    }

    /// Opens one volume, counted from 1: by default the first. `source` holds the header.
    pub(super) fn open(
        self,
        source: &Source,
        volume: Option<usize>,
        monitor: &Monitor,
        show: &dyn Fn(Preview),
    ) -> Result<Scan, Error> {
        let read = || self.plan(source, volume, monitor)?.carry_out(monitor, show);
        read().map_err(|fault| fault.at(source.path()))
    }

    /// What the header says; the error says in words why nothing can be opened.
    pub(super) fn glance(self, source: &Source, monitor: &Monitor) -> Result<Glance, String> {
        self.plan(source, None, monitor).map(|plan| Glance::from(&plan)).map_err(|fault| fault.to_string())
    }
}
