//! The input check: what a person should know before a network's answer to a scan, in plain words.

use anyhow::{Result, anyhow};
use glam::DVec3;

use super::{BadInput, Input, network};
use crate::io::{Note, Scan, Weight, counted};
use crate::preprocess::{self, Fit, Prepared, Recipe};
use crate::volume::{Grid, Volume, Voxels, orientation};

/// Air is about -1000 HU. Where nothing is below this, there is none in the patient and none around.
const LITTLE_AIR_HU: f32 = -800.0;
/// What 12 bits from -1024 hold: scanners store no more, unless their scale is extended for metal.
const LARGEST_HU: f32 = 3071.0;
/// A picture that was windowed to 8 bits.
const PICTURE: [f32; 2] = [0.0, 255.0];
/// Fewer slices than this say little to a network trained on whole chests.
const FEW_SLICES: usize = 10;
/// From here on an oblique scan is worth a word, degrees.
const OBLIQUE_DEGREES: f64 = 1.0;
/// Places are computed from matrices, in f64.
const ROUNDING_MM: f64 = 1e-6;

/// Gives the notes of a scan: what its reader found, and what preparation did. The weightiest come first.
pub(super) fn of_scan(scan: &Scan, prepared: &Prepared) -> Vec<Note> {
    sorted([scan.notes.clone(), check(&scan.volume, prepared)].concat())
}

/// Gives the notes of a scan that no network can be given.
pub(super) fn unprepared(scan: &Scan, recipe: &Recipe, why: &preprocess::Error) -> Vec<Note> {
    let numbers = numbers(&scan.volume.voxels, recipe.hu);
    let why = Note::serious(format!("it cannot be prepared for the networks: {why}"));
    sorted([scan.notes.clone(), vec![why], numbers].concat())
}

/// Gives the notes of a bare stack.
pub(super) fn of_stack() -> Vec<Note> {
    let text = "a stack does not say where it lies: it is taken to be axial, with the spacing that the networks expect";
    vec![Note::serious(text)]
}

impl Input {
    /// All that a person should know of the input, the weightiest first: what the reader found, and what preparation did. The
    /// window and every command say these.
    pub fn notes(&self) -> Vec<Note> {
        self.scan.as_ref().map_or_else(of_stack, |scan| of_scan(scan, &self.prepared))
    }

    /// All notes that are more than facts, for files.
    pub fn warnings(&self) -> Vec<String> {
        self.notes().into_iter().filter(|note| note.weight < Weight::Fact).map(|note| note.text).collect()
    }

    /// Refuses a scan in which there is nothing to see, unless failed checks are allowed: any network would answer it, and no answer would
    /// mean anything.
    pub(super) fn check(&self) -> Result<()> {
        if network::failed_are_allowed() {
            return Ok(());
        }
        let way_out = "open another scan, or have this one scored all the same with --despite-check";
        let Recipe { hu: [low, high], clip, .. } = self.prepared.recipe;
        let why = if let Some(scan) = &self.scan {
            let voxels = || scan.volume.voxels.iter();
            if let Some(hu) = only_value(voxels()) {
                format!("every voxel of the scan is {hu} HU (what is no number counts as air): it shows nothing")
            } else if clip && only_value(voxels().map(|hu| hu.clamp(low, high))).is_some() {
                format!("the networks see {low} to {high} HU, and all of the scan lies beyond: it shows nothing")
            } else {
                return Ok(());
            }
        } else if let Some(number) = only_value(self.prepared.volume.voxels.iter()) {
            format!("every number of the stack is {number}: it shows nothing")
        } else {
            return Ok(());
        };
        Err(BadInput(anyhow!("{why}; {way_out}")).into())
    }
}

/// The value that all voxels have.
fn only_value(mut voxels: impl Iterator<Item = f32>) -> Option<f32> {
    let first = voxels.next()?;
    voxels.all(|voxel| voxel == first).then_some(first)
}

fn sorted(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(|note| note.weight);
    notes
}

fn check(scan: &Volume, prepared: &Prepared) -> Vec<Note> {
    let mut notes = numbers(&scan.voxels, prepared.recipe.hu);
    let spacing_mm = prepared.spaced.spacing_mm();
    for (axis, name) in ["right-left", "front-back", "foot-head"].iter().enumerate() {
        if let Some(lost_mm) = cut_off_mm(prepared, axis) {
            notes.push(Note::caution(format!(
                "the model's field of view cuts off {lost_mm:.0} mm of the scan in the {name} direction"
            )));
        }
    }
    let spacing = |grid: &Grid| grid.spacing_mm().map(|mm| format!("{mm:.2}")).join(" x ");
    let (slices, before, after) = (prepared.spaced.shape[2], spacing(&prepared.oriented), spacing(&prepared.spaced));
    if slices < FEW_SLICES {
        let text = format!("only {} after resampling to {} mm", counted(slices, "slice"), spacing_mm[2]);
        notes.push(Note::caution(text));
    }
    let oblique = orientation::obliqueness_degrees(&scan.grid);
    if oblique > OBLIQUE_DEGREES {
        notes.push(Note::caution(format!("the scan is oblique by {oblique:.0} degrees; its own axes are kept")));
    }
    if prepared.spaced != prepared.oriented {
        notes.push(Note::fact(format!(
            "resampled from {before} to {after} mm (right-left, front-back, foot-head) for the networks"
        )));
    }
    notes
}

/// How much of the scan along an axis, air too, lies beyond both ends of what a recipe crops it to; less than a voxel at an end is no news.
/// Where the body fills the scan, `fit` says the sum of the same two ends.
fn cut_off_mm(prepared: &Prepared, axis: usize) -> Option<f64> {
    let Recipe { fit, foreground_hu, size, .. } = &prepared.recipe;
    if *fit != Fit::Crop || foreground_hu.is_some() || size[axis] == 0 {
        return None;
    }
    let (of_scan, seen) = (&prepared.oriented, &prepared.volume.grid);
    let seen_from_scan = seen.voxel_from_world() * of_scan.world_from_voxel;
    let face = |at: f64| seen_from_scan.transform_point3(DVec3::AXES[axis] * at)[axis];
    let [a, b] = [face(-0.5), face(of_scan.shape[axis] as f64 - 0.5)];
    let spacing_mm = seen.spacing_mm()[axis];
    let least_mm = of_scan.spacing_mm().into_iter().fold(spacing_mm, f64::max);
    let ends = [-0.5 - a.min(b), a.max(b) + 0.5 - seen.shape[axis] as f64].map(|voxels| voxels * spacing_mm);
    let lost_mm: f64 = ends.into_iter().filter(|mm| *mm + ROUNDING_MM >= least_mm).sum();
    (lost_mm > 0.0).then_some(lost_mm)
}

/// Whether these can be Hounsfield units, and what of them the networks see.
fn numbers(voxels: &Voxels, [low, high]: [f32; 2]) -> Vec<Note> {
    let (mut least, mut most, mut beyond) = (f32::INFINITY, f32::NEG_INFINITY, 0_usize);
    for hu in voxels.iter() {
        (least, most) = (least.min(hu), most.max(hu));
        beyond += usize::from(!(low..=high).contains(&hu));
    }
    let mut notes = Vec::new();
    if least >= PICTURE[0] && most <= PICTURE[1] {
        notes.push(Note::serious(format!(
            "values run from {least} to {most}: this looks like a windowed picture, not Hounsfield units"
        )));
    } else if least > LITTLE_AIR_HU {
        notes.push(Note::serious(format!("no air: the lowest value is {least} HU, where air is about -1000")));
    }
    if most > LARGEST_HU {
        notes.push(Note::caution(format!(
            "values up to {most} HU, more than bone has ({LARGEST_HU} is the most that 12 bits hold): metal, or not Hounsfield units"
        )));
    }
    if beyond > 0 {
        let percent = match 100.0 * beyond as f64 / voxels.len() as f64 {
            few if few < 0.1 => "less than 0.1".to_owned(),
            percent => format!("{percent:.1}"),
        };
        notes.push(Note::fact(format!(
            "values run from {least} to {most} HU; the networks see {low} to {high}, and {percent} % of the voxels lie beyond"
        )));
    }
    notes
}
