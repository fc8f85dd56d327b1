//! What a run made, as volumes on the scan's own grid, HU.

use anyhow::Result;

use super::{File, Put, Subject, nifti, nrrd};
use crate::job::{Cancelled, Monitor};
use crate::pipeline::Inserted;
use crate::preprocess;
use crate::volume::Volume;

/// HU of what lies outside the model's field of view: the padding that the networks see.
const OUTSIDE_HU: f32 = -1000.0;

/// Their files.
pub(super) const NIFTI: &[&str] =
    &["counterfactual.nii.gz", "counterfactual_detail_kept.nii.gz", "difference.nii.gz", "heatmap.nii.gz"];
pub(super) const NRRD: &[&str] =
    &["counterfactual.nrrd", "counterfactual_detail_kept.nrrd", "difference.nrrd", "heatmap.nrrd"];

#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// As the autoencoder draws it.
    Counterfactual,
    /// The scan, sharp, plus the difference.
    DetailKept,
    /// Counterfactual minus reconstruction.
    Difference,
    Heatmap,
}

impl Content {
    const ALL: [Self; 4] = [Self::Counterfactual, Self::DetailKept, Self::Difference, Self::Heatmap];

    fn name(self) -> &'static str {
        match self {
            Self::Counterfactual => "counterfactual",
            Self::DetailKept => "counterfactual, detail kept",
            Self::Difference => "difference",
            Self::Heatmap => "heatmap",
        }
    }

    /// The words begin with the finding where one was drawn into the scan: formats cut what is long.
    fn describe(self, inserted: Option<&Inserted>) -> String {
        let name = self.name();
        match inserted {
            Some(inserted) => format!("{}: {name}, HU. Research use only.", inserted.asked.words()),
            None => format!("SYNTHETIC {name}, HU. Research use only."),
        }
    }

    pub(super) fn of(self, subject: &Subject, monitor: &Monitor) -> Result<Volume, Cancelled> {
        let (result, grid) = (&subject.run.result, &subject.layers.scan.grid);
        match self {
            Self::Counterfactual => preprocess::restore(&result.step_hu(result.chosen), grid, OUTSIDE_HU, monitor),
            Self::DetailKept => {
                let difference = Self::Difference.of(subject, monitor)?;
                let sum =
                    subject.layers.scan.voxels.iter().zip(difference.voxels.iter()).map(|(scan, change)| scan + change);
                Ok(Volume::from_f32(*grid, sum.collect::<Vec<f32>>()))
            }
            Self::Difference => preprocess::restore(&result.difference_hu(result.chosen), grid, 0.0, monitor),
            Self::Heatmap => preprocess::restore(&result.heatmap_hu(), grid, 0.0, monitor),
        }
    }
}

pub(super) fn nifti_files(subject: &Subject, monitor: &Monitor, put: Put) -> Result<()> {
    files(NIFTI, subject, monitor, nifti::nifti_bytes, put)
}

pub(super) fn nrrd_files(subject: &Subject, monitor: &Monitor, put: Put) -> Result<()> {
    files(NRRD, subject, monitor, |volume, description| Ok(nrrd::nrrd_bytes(volume, description)?), put)
}

fn files(
    names: &[&str],
    subject: &Subject,
    monitor: &Monitor,
    bytes: impl Fn(&Volume, &str) -> Result<Vec<u8>>,
    put: Put,
) -> Result<()> {
    Content::ALL.into_iter().zip(names).try_for_each(|(content, name)| {
        let description = content.describe(subject.run.input.inserted.as_deref());
        put(File::new(*name, bytes(&content.of(subject, monitor)?, &description)?))
    })
}
