//! What leaves the program: one file per format, each giving bytes; one place that writes them.

pub mod gif;
pub mod montage;
pub mod nifti;
mod nrrd;
pub mod png;
pub mod record;
pub mod report;
mod tables;
pub mod tensors;
mod volumes;
pub mod write;

use anyhow::Result;

use self::report::Report;
use crate::job::Monitor;
use crate::latent_shift::Counterfactual;
use crate::pipeline::Input;
use crate::volume::Volume;

/// A run as its files need it.
pub struct Run<'a> {
    pub input: &'a Input,
    pub result: &'a Counterfactual,
    pub report: &'a Report,
    /// As it is shown, HU.
    pub scan: Volume,
}

impl<'a> Run<'a> {
    pub fn new(input: &'a Input, result: &'a Counterfactual, report: &'a Report) -> Self {
        Self { input, result, report, scan: input.display_volume() }
    }
}

/// What can be chosen for export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Png,
    Gif,
    Nifti,
    Nrrd,
    Csv,
}

/// Beside whatever is chosen.
const REPORT: &str = "result.json";

impl Kind {
    pub const ALL: [Self; 5] = [Self::Png, Self::Gif, Self::Nifti, Self::Nrrd, Self::Csv];
    /// Where nothing is chosen.
    pub const DEFAULT: [Self; 3] = [Self::Png, Self::Gif, Self::Nifti];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Nifti => "nifti",
            Self::Nrrd => "nrrd",
            Self::Csv => "csv",
        }
    }

    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Png => "original, counterfactual and difference of the slice that changed most, as a picture",
            Self::Gif => "the same along lambda, as an animation",
            Self::Nifti => "counterfactual, difference and heatmap on the scan's own grid, HU",
            Self::Nrrd => "the same volumes for programs of ITK's family",
            Self::Csv => "the curve, the change of each slice, and the classifier's other outputs, as tables",
        }
    }

    /// What it writes: paths within a folder.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Png => &["panes.png"],
            Self::Gif => &["lambda.gif"],
            Self::Nifti => volumes::NIFTI,
            Self::Nrrd => volumes::NRRD,
            Self::Csv => tables::NAMES,
        }
    }

    fn files(self, run: &Run, monitor: &Monitor) -> Result<Vec<File>> {
        let Run { scan, result, report, .. } = run;
        match self {
            Self::Png => {
                let panes = montage::montage(scan, result, &report.target)?;
                Ok(vec![File::new("panes.png", png::png_bytes(&panes)?)])
            }
            Self::Gif => {
                let along = montage::along_lambda(scan, result, &report.target)?;
                Ok(vec![File::new("lambda.gif", gif::gif_bytes(&gif::bounce(&along))?)])
            }
            Self::Nifti => volumes::nifti_files(run, monitor),
            Self::Nrrd => volumes::nrrd_files(run, monitor),
            Self::Csv => tables::files(run),
        }
    }
}

/// A file to be written.
pub struct File {
    /// Path within the folder that it goes into.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl File {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// The names of all that `kinds` give, and of the report.
pub fn names(kinds: &[Kind]) -> impl Iterator<Item = &'static str> {
    kinds.iter().flat_map(|kind| kind.names()).copied().chain([REPORT])
}

/// What `kinds` give, and the report. All are made before any is written, so that a folder never mixes two runs.
pub fn files(run: &Run, kinds: &[Kind], monitor: &Monitor) -> Result<Vec<File>> {
    let mut files = vec![File::new(REPORT, run.report.json()?.into_bytes())];
    // By this list, so that none is made twice.
    for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        monitor.step("making the files", 0, 0)?;
        files.extend(kind.files(run, monitor)?);
    }
    Ok(files)
}
