//! DICOM objects that a PACS takes, in the study of the scan: two maps, a segmentation, an animation, and only where it is asked for
//! the counterfactual as a CT series.
//!
//! Each is marked as synthetic and for research, says how it was made, refers to the slices it was made from, and lies where they
//! lie. Names of instances come from a hash: the same run gives the same. Of the patient nothing is told unless asked for.

mod animation;
mod ct;
mod element;
mod header;
mod multiframe;
mod parametric_map;
mod planes;
mod segmentation;
mod uids;

use anyhow::{Result, bail};

use self::header::Header;
use self::planes::Planes;
use super::montage::Story;
use super::volumes::Content;
use super::{File, Put, Subject};
use crate::job::Monitor;
use crate::pipeline::Input;

pub(super) const NAMES: &[&str; 4] =
    &["dicom/difference.dcm", "dicom/heatmap.dcm", "dicom/change.dcm", "dicom/animation.dcm"];
/// A folder, of one file a slice.
pub(super) const CT_NAMES: &[&str] = &["dicom/counterfactual/"];

/// Whether files say whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patient {
    #[default]
    LeftOut,
    /// By what the scan says of `io::study::FILED_BY`.
    Kept,
}

/// Refuses early what could not be made after hours of work.
pub(super) fn check(input: &Input, patient: Patient) -> Result<()> {
    let is_study = input.scan.as_ref().is_some_and(|scan| scan.study.is_some());
    if patient == Patient::Kept && input.inserted.is_some() {
        bail!("there is no patient to keep: a finding that the patient does not have was drawn into the scan");
    }
    if patient == Patient::Kept && !is_study {
        bail!("there is no patient to keep: the scan is of no DICOM study");
    }
    Planes::of(&input.display_volume().grid)?;
    Ok(())
}

/// What to know of the files, in words.
pub(super) fn note(input: &Input) -> Option<&'static str> {
    let study = input.scan.as_ref().and_then(|scan| scan.study.as_ref());
    match study {
        None if input.inserted.is_some() => Some(
            "a finding was drawn into the scan: the DICOM files are of a study of their own, and name neither source nor patient",
        ),
        None => Some("the scan is of no DICOM study: the DICOM files are of a new one, and refer to no source"),
        Some(study) if study.instances.is_empty() => {
            Some("the scan's files do not say which each is: the DICOM files refer to no source")
        }
        Some(_) => None,
    }
}

pub(super) fn files(subject: &Subject, story: &Story, monitor: &Monitor, put: Put) -> Result<()> {
    let (header, planes) = (Header::new(subject)?, Planes::of(&subject.layers.scan.grid)?);
    let [difference, heatmap, change, animation] = NAMES;
    let of = |content: Content| content.of(subject, monitor);
    let map = parametric_map::difference(&of(Content::Difference)?, story.scale_hu(), &header, &planes)?;
    put(File::new(*difference, map))?;
    put(File::new(*heatmap, parametric_map::heatmap(&of(Content::Heatmap)?, &header, &planes)?))?;
    let regions = segmentation::change(&subject.report.regions, &subject.layers.scan.grid, &header, &planes, monitor)?;
    put(File::new(*change, regions))?;
    put(File::new(*animation, animation::animation(subject, &header, story, monitor)?))
}

pub(super) fn ct_files(subject: &Subject, monitor: &Monitor, put: Put) -> Result<()> {
    ct::series(subject, &Header::new(subject)?, &Planes::of(&subject.layers.scan.grid)?, CT_NAMES[0], monitor, put)
}
