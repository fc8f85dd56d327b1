//! Where tiles lie in the images of a batch, and how they are shared out.

use std::ops::Range;

use super::transform::{MADE, SEEN};
use crate::nn::geometry::Images;

/// Neighbouring tiles of one row of tiles.
pub(super) struct Run {
    /// The first one's place among a block's tiles, and how many.
    pub(super) at: usize,
    pub(super) count: usize,
    pub(super) sample: usize,
    pub(super) slice: usize,
    /// The first one's first output: row and column.
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Run {
    /// Inputs along a row that the run sees.
    pub(super) fn width(&self) -> usize {
        self.count * MADE + SEEN - MADE
    }
}

/// A volume's slices count as images: `samples * output[0]` of them.
impl Images {
    /// Rows and columns of tiles in an image.
    fn grid(&self) -> [usize; 2] {
        [self.output[1].div_ceil(MADE), self.output[2].div_ceil(MADE)]
    }

    /// Tiles of the whole batch.
    pub(super) fn tiles(&self) -> usize {
        self.samples * self.output[0] * self.grid().iter().product::<usize>()
    }

    /// The runs that a range of tiles is made of.
    pub(super) fn runs(&self, tiles: Range<usize>) -> Vec<Run> {
        let [rows, columns] = self.grid();
        let mut runs = Vec::new();
        let mut tile = tiles.start;
        while tile < tiles.end {
            let (image, row, column) = (tile / (rows * columns), tile / columns % rows, tile % columns);
            let count = (columns - column).min(tiles.end - tile);
            let (sample, slice) = (image / self.output[0], image % self.output[0]);
            let at = tile - tiles.start;
            runs.push(Run { at, count, sample, slice, row: row * MADE, column: column * MADE });
            tile += count;
        }
        runs
    }
}

/// `0..whole` in `parts` of nearly one size.
pub(super) fn part(whole: usize, parts: usize, index: usize) -> Range<usize> {
    index * whole / parts..(index + 1) * whole / parts
}
