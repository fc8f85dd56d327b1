//! What can be typed for `parallax audit --scans`.

use std::path::PathBuf;

use clap::Args;

use super::values::dial;
use crate::insertion::Lying;
use crate::volume::phantom::Finding;

#[derive(Debug, Args)]
pub struct ScansArgs {
    /// Real scans in place of phantoms: a table as `parallax cohort` takes it, a folder, or a pattern in quotes
    #[arg(long, value_name = "TABLE|DIR|PATTERN")]
    pub scans: Option<PathBuf>,
    /// Draw this finding into each scan: nodule, effusion, emphysema or cardiomegaly; may be repeated
    #[arg(long, value_name = "NAME", requires = "scans", conflicts_with = "masks")]
    pub insert: Vec<Finding>,
    /// Take your own masks: the columns mask_NAME of the table, one for each finding, or the column mask for the one that --label names
    #[arg(long, requires = "scans")]
    pub masks: bool,
    /// How much of each finding is drawn; 0 is the scan as it is
    #[arg(long, value_name = "DIALS", value_delimiter = ',', value_parser = dial, default_value = "0,0.25,0.5,0.75,1", conflicts_with = "masks")]
    pub dials: Vec<f32>,
    /// At which of the dials the methods are asked, a search each [default: the highest]
    #[arg(long, value_name = "DIALS", value_delimiter = ',', value_parser = dial, requires = "insert")]
    pub explain_dials: Vec<f32>,
    /// The classifier's class for a finding, as "nodule=Lung Nodule"; may be repeated [default: of the same name]
    #[arg(long, value_name = "NAME=CLASS", requires = "scans", value_parser = named)]
    pub label: Vec<(String, String)>,
    /// How the patients lie, supine or prone, which says where fluid gathers [default: as the DICOM files say it, else supine]
    #[arg(long, value_name = "HOW", requires = "insert")]
    pub position: Option<Lying>,
    /// Keep what was found of each scan in this folder, which is made; the same command, stopped or killed, goes on from there
    #[arg(long, value_name = "DIR", requires = "scans")]
    pub keep: Option<PathBuf>,
    /// One line for each score, and for all that was left out with its reason, as CSV
    #[arg(long, value_name = "FILE", requires = "scans")]
    pub scores: Option<PathBuf>,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, class)) if !name.trim().is_empty() && !class.trim().is_empty() => {
            Ok((name.trim().to_owned(), class.trim().to_owned()))
        }
        _ => Err(format!("{text:?} names no class; want NAME=CLASS")),
    }
}
