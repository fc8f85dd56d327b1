//! How a card says that an autoencoder of volumes is run in overlapping tiles.

use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::graph::ops::Blend;

/// Far fewer and far more voxels than any network is given at once.
const SIDES: RangeInclusive<usize> = 4..=2048;

/// Tiles of a volume, as MONAI's `SlidingWindowInferer` lays them.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tiles {
    /// Voxels of a tile towards R, A, S; 0 is what the network's file fixes, or else as many as there are.
    pub size: [usize; 3],
    /// The share of a tile that the next one covers again.
    pub overlap: f64,
    /// How much each voxel of a tile counts where tiles overlap.
    pub blend: Blend,
}

impl Default for Tiles {
    /// MONAI's own overlap and mode.
    fn default() -> Self {
        Self { size: [0; 3], overlap: 0.25, blend: Blend::Constant }
    }
}

impl Tiles {
    /// Refuses what no tiles can be, in words.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.overlap) {
            return Err(format!(
                "tiles.overlap = {}; it is the share of a tile that the next one covers again: 0 or more, and less than 1",
                self.overlap
            ));
        }
        match self.size.iter().find(|side| **side != 0 && !SIDES.contains(side)) {
            Some(wrong) => Err(format!(
                "tiles.size = {:?}, with a side of {wrong}; a tile has {SIDES:?} voxels along an axis, or 0 for as many as there are",
                self.size
            )),
            None => Ok(()),
        }
    }
}
