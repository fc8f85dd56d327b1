//! `parallax insert`: a finding drawn into a real scan, and the mask of it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::choice::ChoiceArgs;
use super::values::{dial, whole};
use super::{Usage, pacs, progress, say};
use crate::export::{nifti, write};
use crate::insertion::{Chest, Drawn, Lying};
use crate::io;
use crate::pipeline::{self, BadInput, Insertion};
use crate::volume::phantom::Finding;
use crate::volume::{Volume, Voxels};

#[derive(Debug, Args)]
pub struct InsertArgs {
    /// Scan of a chest in HU: a file, a folder or zip archive of scans, or pacs:SOURCE/STUDY/SERIES
    pub scan: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// What is drawn: nodule, effusion, emphysema or cardiomegaly
    #[arg(long, value_name = "NAME")]
    pub finding: Finding,
    /// How much of it, from 0 (none: the scan as it is) to 1 (severe)
    #[arg(long, value_name = "DIAL", value_parser = dial, default_value_t = 0.5)]
    pub dial: f32,
    /// Which one: where it lies and how it looks
    #[arg(long, value_name = "N", value_parser = whole::<u64>, default_value_t = 1)]
    pub seed: u64,
    /// How the patient lies, supine or prone, which says where fluid gathers [default: as the DICOM files say it, else supine]
    #[arg(long, value_name = "HOW")]
    pub position: Option<Lying>,
    /// The scan with the finding, .nii.gz
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The mask, .nii.gz: 1 effusion, 2 nodule, 4 cardiomegaly, 8 emphysema
    #[arg(long, value_name = "FILE")]
    pub masks: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub overwrite: bool,
}

pub(super) fn run(args: &InsertArgs) -> Result<()> {
    let outputs: Vec<&Path> =
        [Some(&args.out), args.masks.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
    outputs.iter().try_for_each(|path| nifti_name(path))?;
    write::check_all(&outputs, &[&args.scan], args.overwrite)?;
    let monitor = progress::monitor()?;
    let scan = io::open_and_show(&pacs::scan(&args.scan, &monitor)?, &args.choice.choice(), &monitor, &|_| {})
        .map_err(BadInput::mark)?;
    let said = scan.study.as_ref().and_then(|study| study.position.as_deref());
    let lying = args.position.unwrap_or_else(|| Lying::of_position(said));
    let chest = Chest::of(&scan.volume, lying, None, &monitor).map_err(pipeline::refused)?;
    let drawn = chest.draw(args.finding, args.dial, args.seed, &monitor).map_err(pipeline::refused)?;
    let asked = Insertion { finding: args.finding, dial: args.dial, seed: args.seed, position: lying };
    let bytes = nifti::nifti_bytes(&drawn.volume, &format!("{}, drawn in, HU. Research use only.", asked.words()))?;
    let masks = args.masks.as_ref().map(|path| Ok::<_, anyhow::Error>((path, mask_bytes(&drawn)?))).transpose()?;
    let files = masks.iter().map(|(path, masks)| (path.as_path(), masks.as_slice()));
    write::save_all(
        &std::iter::once((args.out.as_path(), bytes.as_slice())).chain(files).collect::<Vec<_>>(),
        args.overwrite,
    )?;
    say(&format!("{}: {}", asked.words(), drawn.words));
    let ml = drawn.volume_ml();
    say(&format!("{ml:.1} ml, {:+.0} HU on the mean; noise of the scan {:.0} HU", drawn.strength_hu, chest.noise_hu()));
    say(&format!("{}", args.out.display()));
    for note in &scan.notes {
        say(&format!("note: {}", note.text));
    }
    Ok(())
}

/// Refuses a name of another format than what is written.
pub(super) fn nifti_name(path: &Path) -> Result<()> {
    if path.to_string_lossy().ends_with(".nii.gz") {
        return Ok(());
    }
    Err(Usage(format!("{} must end in .nii.gz", path.display())).into())
}

/// The mask with the finding's own number, as those of phantoms have it.
fn mask_bytes(drawn: &Drawn) -> Result<Vec<u8>> {
    let number = drawn.finding.mask() as i16;
    let marks: Vec<i16> = drawn.mask.iter().map(|is_in| if *is_in { number } else { 0 }).collect();
    let marks = Volume::new(drawn.volume.grid, Voxels::I16(marks.into()));
    nifti::nifti_bytes(&marks, "SYNTHETIC: 1 effusion 2 nodule 4 cardiomegaly 8 emphysema")
}
