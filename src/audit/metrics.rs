//! How well a map of sizes agrees with an exact mask. Nothing here knows of networks.
//!
//! Where voxels tie, each counts by the share of them that is needed, as if it were drawn by chance: a map of nothing scores
//! what chance does, and no number depends on the order of voxels.

use serde::{Deserialize, Serialize};

use crate::quality::{count, sparsity};
use crate::volume::Grid;

/// How far around a finding a change still counts as near it, millimetres.
pub const RIM_MM: f64 = 5.0;

/// Where a map points, against a mask; of one case, or what many come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Localisation<T = f64> {
    pub dice: T,
    /// Intersection over union of the same two sets as `dice`.
    pub iou: T,
    pub energy_inside: T,
    pub energy_rim: T,
    pub pointing: T,
    pub sparsity: T,
}

impl Localisation {
    /// `map` holds sizes, 0 or more; `rim` is the mask and what is near it.
    pub fn of(map: &[f32], mask: &[bool], rim: &[bool]) -> Self {
        let dice = dice_at_matched_area(map, mask);
        Self {
            dice,
            iou: iou_of_dice(dice),
            energy_inside: energy_share(map, mask),
            energy_rim: energy_share(map, rim),
            pointing: pointing(map, mask),
            sparsity: sparsity(map),
        }
    }
}

/// Intersection over union of two sets of as many voxels, n, of which they share d n: d n of 2 n - d n.
pub fn iou_of_dice(dice: f64) -> f64 {
    dice / (2.0 - dice)
}

/// Dice's coefficient of the mask and of as many voxels, those where the map is largest.
///
/// Both sets have n voxels, so that 2 |A and B| / (|A| + |B|) is the share of the mask that is hit.
pub fn dice_at_matched_area(map: &[f32], mask: &[bool]) -> f64 {
    let n = count(mask);
    if n == 0 {
        return 0.0;
    }
    let mut sorted = map.to_vec();
    let (_, threshold, _) = sorted.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a));
    let (mut above, mut hits, mut tied, mut tied_hits) = (0.0, 0.0, 0.0, 0.0);
    for (value, &is_inside) in map.iter().zip(mask) {
        let hit = f64::from(u8::from(is_inside));
        if *value > *threshold {
            (above, hits) = (above + 1.0, hits + hit);
        } else if *value == *threshold {
            (tied, tied_hits) = (tied + 1.0, tied_hits + hit);
        }
    }
    (hits + (n as f64 - above) / tied * tied_hits) / n as f64
}

/// Share of the map's sum that lies in a region: the energy-based pointing game (Wang et al. 2020, Score-CAM,
/// arXiv 1910.01279, section 4.3). 0 for a map of nothing.
pub fn energy_share(map: &[f32], region: &[bool]) -> f64 {
    let (mut inside, mut all) = (0.0, 0.0);
    for (value, &is_inside) in map.iter().zip(region) {
        all += f64::from(*value);
        inside += if is_inside { f64::from(*value) } else { 0.0 };
    }
    if all > 0.0 { inside / all } else { 0.0 }
}

/// Whether the largest voxel lies in the mask: the pointing game (Zhang et al. 2016, arXiv 1608.00507, section 4.2).
pub fn pointing(map: &[f32], mask: &[bool]) -> f64 {
    let largest = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut tied, mut hits) = (0.0, 0.0);
    for (value, &is_inside) in map.iter().zip(mask) {
        if *value == largest {
            tied += 1.0;
            hits += f64::from(u8::from(is_inside));
        }
    }
    if tied > 0.0 { hits / tied } else { 0.0 }
}

/// The mask and every voxel whose centre lies within `reach_mm` of the centre of one of its voxels: the exact Euclidean
/// distance on a grid whose axes are at right angles, as every prepared one is.
pub fn rim(mask: &[bool], grid: &Grid, reach_mm: f64) -> Vec<bool> {
    let [ni, nj, nk] = grid.shape.map(|n| n as isize);
    let steps = steps_within(grid.spacing_mm(), reach_mm);
    let mut rim = mask.to_vec();
    for index in (0..mask.len()).filter(|index| mask[*index]) {
        let (i, j, k) = (index as isize % ni, index as isize / ni % nj, index as isize / (ni * nj));
        for [di, dj, dk] in &steps {
            let (i, j, k) = (i + di, j + dj, k + dk);
            if (0..ni).contains(&i) && (0..nj).contains(&j) && (0..nk).contains(&k) {
                rim[(i + ni * (j + nj * k)) as usize] = true;
            }
        }
    }
    rim
}

/// Every step between voxels that is no longer than `reach_mm`.
fn steps_within(spacing_mm: [f64; 3], reach_mm: f64) -> Vec<[isize; 3]> {
    let [a, b, c] = spacing_mm.map(|spacing| (reach_mm / spacing) as isize);
    let length_mm = |step: [isize; 3]| {
        let squares = step.iter().zip(spacing_mm).map(|(n, spacing)| (*n as f64 * spacing).powi(2));
        squares.sum::<f64>().sqrt()
    };
    (-c..=c)
        .flat_map(|k| (-b..=b).flat_map(move |j| (-a..=a).map(move |i| [i, j, k])))
        .filter(|step| length_mm(*step) <= reach_mm)
        .collect()
}
