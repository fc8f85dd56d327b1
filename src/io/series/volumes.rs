//! The files of a folder or an archive that are volumes by themselves: NIfTI, NRRD, MetaImage.

use std::path::Path;

use crate::io::files::{Format, recognise};
use crate::io::source::Source;
use crate::io::{Arrival, Choice, Error, Scan, Series, Which};
use crate::job::Monitor;

/// Files with their formats, in the order of their names.
#[derive(Debug, Default)]
pub(in crate::io) struct Volumes(Vec<(Format, Source)>);

impl Volumes {
    /// Those of `files` that are volumes. A header and its image are one.
    pub(super) fn among(files: &[Source]) -> Self {
        let recognised = |source: &Source| recognise(source).ok().flatten(); // what is damaged is no choice
        let mut volumes: Vec<(Format, Source)> = files.iter().filter_map(recognised).collect();
        volumes.dedup_by(|(_, a), (_, b)| a.path() == b.path() && a.name() == b.name());
        Self(volumes)
    }

    pub(in crate::io) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a person chooses from.
    pub(in crate::io) fn list(&self, monitor: &Monitor) -> Vec<Series> {
        let listed = self.0.iter().enumerate().map(|(k, (format, source))| {
            let glance = format.glance(source, monitor);
            let (shape, spacing_mm) = glance.as_ref().map_or(([0; 3], None), |one| (one.shape, Some(one.spacing_mm)));
            let volumes = glance.as_ref().map_or(1, |one| one.volumes);
            let of_several = if volumes > 1 { format!(" ({volumes} volumes)") } else { String::new() };
            Series {
                number: k + 1,
                uid: None,
                modality: glance.as_ref().map_or_else(|_| "file".to_owned(), |one| one.format.to_owned()),
                description: format!("{}{of_several}", source.name()),
                kernel: None,
                slices: shape[2],
                size: [shape[0], shape[1]],
                spacing_mm,
                thickness_mm: None,
                unusable: glance.err(),
            }
        });
        listed.collect()
    }

    /// Opens the only one, or the chosen one; several without a choice are an error, since nothing says which is meant.
    pub(in crate::io) fn open(
        &self,
        path: &Path,
        choice: &Choice,
        monitor: &Monitor,
        show: &dyn Fn(Arrival),
    ) -> Result<Scan, Error> {
        let unsuitable = |what: String| Error::Unsuitable { what, path: path.to_owned() };
        let series = if self.0.len() > 1 { self.list(monitor) } else { Vec::new() };
        if !series.is_empty() {
            show(Arrival::Listed(series.clone()));
        }
        let number = match &choice.series {
            None if self.0.len() > 1 => {
                return Err(unsuitable(format!("it holds {} volumes; choose one by its number", self.0.len())));
            }
            None => 1,
            Some(Which::Number(number)) => *number,
            Some(Which::Uid(uid)) => {
                return Err(unsuitable(format!("no series with the UID {uid}: its files have none")));
            }
        };
        let Some((format, header)) = number.checked_sub(1).and_then(|index| self.0.get(index)) else {
            return Err(unsuitable(format!("no volume {number}; it holds {}", self.0.len())));
        };
        let mut scan = format.open(header, choice.volume, monitor, &|preview| show(Arrival::Slice(preview)))?;
        path.clone_into(&mut scan.source);
        (scan.among.number, scan.among.series) = (number, series);
        Ok(scan)
    }
}
