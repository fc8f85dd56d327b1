//! What a run made, as volumes on the scan's own grid, HU.

use anyhow::Result;

use super::{File, Run, nifti};
use crate::job::{Cancelled, Monitor};
use crate::preprocess;
use crate::volume::Volume;

/// HU of what lies outside the model's field of view: the padding that the networks see.
const OUTSIDE_HU: f32 = -1000.0;

/// Their files.
pub(super) const NIFTI: &[&str] = &["counterfactual.nii.gz", "difference.nii.gz", "heatmap.nii.gz"];

#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// As the autoencoder draws it.
    Counterfactual,
    /// Counterfactual minus reconstruction.
    Difference,
    Heatmap,
}

impl Content {
    const ALL: [Self; 3] = [Self::Counterfactual, Self::Difference, Self::Heatmap];

    fn describe(self) -> &'static str {
        match self {
            Self::Counterfactual => "SYNTHETIC counterfactual, HU. Research use only.",
            Self::Difference => "SYNTHETIC difference, HU. Research use only.",
            Self::Heatmap => "SYNTHETIC heatmap, HU. Research use only.",
        }
    }

    pub(super) fn of(self, run: &Run, monitor: &Monitor) -> Result<Volume, Cancelled> {
        let (result, grid) = (run.result, &run.scan.grid);
        match self {
            Self::Counterfactual => preprocess::restore(&result.step_hu(result.chosen), grid, OUTSIDE_HU, monitor),
            Self::Difference => preprocess::restore(&result.difference_hu(result.chosen), grid, 0.0, monitor),
            Self::Heatmap => preprocess::restore(&result.heatmap_hu(), grid, 0.0, monitor),
        }
    }
}

pub(super) fn nifti_files(run: &Run, monitor: &Monitor) -> Result<Vec<File>> {
    let file = |(content, name): (Content, &&str)| {
        Ok(File::new(*name, nifti::nifti_bytes(&content.of(run, monitor)?, content.describe())?))
    };
    Content::ALL.into_iter().zip(NIFTI).map(file).collect()
}
