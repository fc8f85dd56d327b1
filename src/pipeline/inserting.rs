//! Draws findings into an input of the networks. What comes of it says what was drawn, and names no patient.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use glam::DVec3;

use super::fault::BadInput;
use super::input::{Input, prepare};
use super::inserted::{Inserted, Insertion};
use crate::insertion::{Chest, Drawn, Lying, NoPlace};
use crate::io::{Mask, Note, Scan};
use crate::job::Monitor;
use crate::preprocess::Recipe;
use crate::volume::Grid;
use crate::volume::phantom::Finding;

/// A scan that was drawn, ready for the networks.
pub struct DrawnInput {
    pub input: Input,
    /// The voxels of the finding.
    pub mask: Mask,
    /// A voxel of the finding in the middle of the axial slice that has the most of it, RAS+ millimetres.
    pub middle: DVec3,
}

/// Finds the lungs of a scan, for as many findings as are wanted.
///
/// # Errors
/// Where nothing can be drawn into it, in words.
pub fn chest(scan: &Scan, lying: Lying, monitor: &Monitor) -> Result<Chest> {
    Chest::of(&scan.volume, lying, None, monitor).map_err(refused)
}

/// Draws a finding into the scan of `chest`, which is the scan of `original`, and prepares what comes of it. No patient is named by it:
/// what is drawn is of no study.
///
/// # Errors
/// Where the finding has no place, in words.
pub fn insert(
    original: &Input,
    chest: &Chest,
    asked: Insertion,
    recipe: &Recipe,
    monitor: &Monitor,
) -> Result<DrawnInput> {
    let scan = scan_of(original)?;
    let drawn = chest.draw(asked.finding, asked.dial, asked.seed, monitor).map_err(refused)?;
    let inserted = Inserted {
        asked,
        scan_sha256: original.sha256().to_owned(),
        words: drawn.words.clone(),
        strength_hu: drawn.strength_hu,
        volume_ml: drawn.volume_ml(),
    };
    monitor.check()?;
    let Drawn { volume, mask, .. } = drawn;
    let middle = middle_of(&mask, &volume.grid).ok_or_else(|| refused(NoPlace::Nothing(asked.dial)))?;
    let mask = mask_of(&mask, &volume.grid, asked.finding)?;
    let notes = std::iter::once(Note::caution(inserted.line())).chain(scan.notes.iter().cloned()).collect();
    let with_finding = Scan { volume, notes, study: None, ..Scan::clone(scan) };
    let input = prepare(&Arc::new(with_finding), recipe, monitor)?.with_inserted(Some(Arc::new(inserted)));
    Ok(DrawnInput { input, mask, middle })
}

/// Draws again what a record says was drawn.
///
/// # Errors
/// Where the scan is another one than that which it was drawn into, or shows no place for it.
pub fn insert_again(original: &Input, inserted: &Inserted, recipe: &Recipe, monitor: &Monitor) -> Result<DrawnInput> {
    if original.sha256() != inserted.scan_sha256 {
        let (then, now, drawn) = (&inserted.scan_sha256, original.sha256(), inserted.asked.words());
        let why = anyhow!("the scan is not the one into which {drawn}, was drawn: its SHA-256 was {then}, is {now}");
        return Err(BadInput(why).into());
    }
    let chest = chest(scan_of(original)?, inserted.asked.position, monitor)?;
    insert(original, &chest, inserted.asked, recipe, monitor)
}

/// The scan of an input; a bare stack has none.
///
/// # Errors
/// The input is a stack.
pub fn scan_of(original: &Input) -> Result<&Arc<Scan>> {
    let stack = "a stack of slices has no HU to draw a finding into; open the scan that it was made from";
    original.scan.as_ref().ok_or_else(|| BadInput(anyhow!(stack)).into())
}

/// A finding that has no place, as an error of what was given.
pub fn refused(why: NoPlace) -> anyhow::Error {
    match why {
        NoPlace::Cancelled(cancelled) => cancelled.into(),
        why => BadInput::new(why).into(),
    }
}

fn mask_of(inside: &[bool], grid: &Grid, finding: Finding) -> Result<Mask> {
    let whole = grid.shape.map(|n| 0..n);
    let format = format!("SYNTHETIC {}, drawn by Parallax", finding.name());
    Mask::kept(*grid, &whole, inside, format, Vec::new()).map_err(|why| BadInput(anyhow!("{why}")).into())
}

/// The marked voxel nearest to the middle of those in the slice, of the grid's third axis, that has the most; none of an empty mask.
fn middle_of(inside: &[bool], grid: &Grid) -> Option<DVec3> {
    let [ni, nj, _] = grid.shape;
    let slice = ni * nj;
    let count = |k: usize| inside[k * slice..(k + 1) * slice].iter().filter(|is| **is).count();
    let k = (0..grid.shape[2]).max_by_key(|k| count(*k))?;
    let marked = || (0..slice).filter(|at| inside[k * slice + at]).map(|at| [(at % ni) as f64, (at / ni) as f64]);
    let number = marked().count() as f64;
    let [i, j] = marked().fold([0.0; 2], |[i, j], at| [i + at[0] / number, j + at[1] / number]);
    let off = |at: &[f64; 2]| (at[0] - i).powi(2) + (at[1] - j).powi(2);
    let [i, j] = marked().min_by(|a, b| off(a).total_cmp(&off(b)))?;
    Some(grid.world_from_voxel.transform_point3(DVec3::new(i, j, k as f64)))
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;

    #[test]
    fn the_middle_of_a_finding_is_one_of_its_voxels() {
        let grid = Grid { shape: [5, 5, 3], world_from_voxel: DAffine3::from_scale(DVec3::new(2.0, 2.0, 4.0)) };
        let mut inside = vec![false; grid.len()];
        // A ring in the second slice, a dot in the first: the ring's middle is not marked.
        inside[0] = true;
        for [i, j] in [[1, 1], [2, 1], [3, 1], [1, 2], [3, 2], [1, 3], [2, 3], [3, 3]] {
            inside[i + 5 * (j + 5)] = true;
        }
        let middle = middle_of(&inside, &grid).expect("marked voxels");
        assert_eq!(middle.z, 4.0);
        assert!([2.0, 4.0, 6.0].contains(&middle.x) && middle != DVec3::new(4.0, 4.0, 4.0), "{middle}");
        assert_eq!(middle_of(&[false; 75], &grid), None);
    }
}
