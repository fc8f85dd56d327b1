//! A map of sizes against a mask of any shape: what can be said of a method where someone has marked what it should find.

use serde::Serialize;

use super::metrics::{dice_at_matched_area, energy_share, iou_of_dice};
use crate::quality::count;

/// How well a map agrees with a mask on its own grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Against {
    /// The Dice coefficient, `0..=1`, of the mask and of as many voxels, those where the map is largest.
    pub dice: f64,
    /// Intersection over union, `0..=1`, of the mask and of as many voxels, those where the map is largest.
    pub iou: f64,
    /// Share of the map's sum that lies in the mask.
    pub energy_inside: f64,
    /// The mask's share of all voxels: what chance scores as Dice, and as energy inside.
    pub chance: f64,
}

impl Against {
    /// `map` holds sizes, 0 or more; `mask` as many marks.
    pub fn of(map: &[f32], mask: &[bool]) -> Self {
        let dice = dice_at_matched_area(map, mask);
        let iou = iou_of_dice(dice);
        let chance = count(mask) as f64 / mask.len().max(1) as f64;
        Self { dice, iou, energy_inside: energy_share(map, mask), chance }
    }
}
