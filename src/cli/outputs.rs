//! What a run leaves behind: files, their look, and what is asked of the result beside them.

use std::path::PathBuf;

use clap::Args;

use super::methods::CompareArgs;
use super::values::{listed, positive, within};
use crate::export::{Annotation, Kind, Layout, Patient, Style};
use crate::stability::MOST_RUNS;

/// What is left of a run.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Folder for the report and what --export names
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What --out holds besides result.json
    #[arg(
        long,
        value_parser = listed::<Kind>(),
        value_name = "KIND",
        value_delimiter = ',',
        requires = "out",
        default_values = Kind::DEFAULT.map(Kind::name)
    )]
    pub export: Vec<Kind>,
    /// Width of a pane of pictures and animations, pixels; of its kind where none is given
    #[arg(long, value_name = "PX", requires = "out", value_parser = within(Style::SIZE_PX))]
    pub size: Option<u32>,
    /// Steps or slices a second in animations
    #[arg(long, value_name = "N", requires = "out", default_value_t = Style::default().fps, value_parser = within(Style::FPS))]
    pub fps: u16,
    /// How often GIF and APNG play; 0 is without end
    #[arg(long, value_name = "N", requires = "out", default_value_t = Style::default().loops, value_parser = within(Style::LOOPS))]
    pub loops: u16,
    /// What stands in pictures and animations of one slice
    #[arg(long, value_enum, requires = "out", default_value_t)]
    pub layout: Layout,
    /// Annotations that pictures and animations do not have; SYNTHETIC and the research line they always have
    #[arg(long, value_parser = listed::<Annotation>(), requires = "out", value_name = "ANNOTATION", value_delimiter = ',')]
    pub leave_out: Vec<Annotation>,
    /// DICOM files say whose they are, so that a PACS files them with the scan: name, ID with its issuer, birth date and sex of the
    /// patient; date, time, ID, description and accession number of the study. Without it they say none of these
    #[arg(long, requires = "out")]
    pub keep_patient: bool,
    /// Changed regions are those where the counterfactual differs from the reconstruction by more than this, HU [default: a fifth of what
    /// 99.9 % of the slab's changes lie within, 10 at least]
    #[arg(long, value_name = "HU", value_parser = positive, allow_negative_numbers = true)]
    pub regions_above: Option<f64>,
    /// Model card or checkpoint of a lung segmenter, by which changed regions lie in the lungs or outside them
    #[arg(long, value_name = "CARD")]
    pub lungs: Option<PathBuf>,
    /// Repeats the run so often from perturbed starts, and says in how many of them each changed region came again. Each takes about as long
    /// as the run's search
    #[arg(long, value_name = "RUNS", value_parser = within(1..=MOST_RUNS), allow_negative_numbers = true)]
    pub stability: Option<usize>,
    #[command(flatten)]
    pub compare: CompareArgs,
    /// Every tensor of the run, for comparison with other programs
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,
    /// Print the report
    #[arg(long)]
    pub json: bool,
    /// Replace files that exist
    #[arg(long)]
    pub overwrite: bool,
}

impl OutputArgs {
    pub fn style(&self) -> Style {
        let Self { size: size_px, fps, loops, layout, .. } = *self;
        Style { size_px, fps, loops, layout, left_out: self.leave_out.clone().into() }
    }

    pub fn patient(&self) -> Patient {
        if self.keep_patient { Patient::Kept } else { Patient::LeftOut }
    }
}
