//! Where tiles lie in the images of a batch, and how they are shared out.

use std::ops::Range;

use super::transform::{TILE_INPUTS, TILE_OUTPUTS};
use crate::nn::geometry::{Geometry, Images};

/// Neighbouring tiles of one row of tiles.
pub(super) struct TileSpan {
    /// The first one's place among a panel's tiles, and how many.
    pub(super) at: usize,
    pub(super) count: usize,
    /// Sample and slice; none beyond a volume's first and last.
    pub(super) image: Option<[usize; 2]>,
    /// The first one's first output: row and column.
    pub(super) row: usize,
    pub(super) column: usize,
}

impl TileSpan {
    /// Inputs along a row that the run needs.
    pub(super) fn width(&self) -> usize {
        self.count * TILE_OUTPUTS + TILE_INPUTS - TILE_OUTPUTS
    }
}

/// A block holds some tiles of a slice, and the tiles at these places of the slices that follow it, slice after slice.
pub(super) struct Block {
    volume: usize,
    slices: Range<usize>,
    tiles: Range<usize>,
}

impl Block {
    /// The tiles of `slices` slices.
    pub(super) fn columns(&self, slices: usize) -> usize {
        slices * self.tiles.len()
    }

    pub(super) fn slices(&self) -> usize {
        self.slices.len()
    }
}

impl Images {
    /// Rows and columns of tiles in an image.
    fn grid(&self) -> [usize; 2] {
        [self.output[1].div_ceil(TILE_OUTPUTS), self.output[2].div_ceil(TILE_OUTPUTS)]
    }

    /// Tiles of the whole batch.
    pub(super) fn tiles(&self) -> usize {
        self.samples * self.output[0] * self.grid().iter().product::<usize>()
    }
}

/// How a pass is cut into blocks. The slices of all samples count as one volume where kernels are flat.
pub(super) struct Plan<'a> {
    pub(super) images: &'a Images,
    /// Slices above a kernel's middle.
    padding: usize,
    grid: [usize; 2], // rows and columns of tiles
    volumes: usize,
    /// Slices of a volume: of the input, of the output.
    slices: [usize; 2],
    /// Parts that a volume's slices are cut into, and parts that a slice's tiles are cut into.
    parts: [usize; 2],
}

impl<'a> Plan<'a> {
    /// A block for each volume.
    pub(super) fn whole(images: &'a Images, geometry: &Geometry) -> Self {
        Self::new(images, geometry, [usize::MAX; 2], 1)
    }

    /// Blocks of about `tiles` tiles, of at most `widest` of a slice, as many for each thread.
    pub(super) fn new(images: &'a Images, geometry: &Geometry, [tiles, widest]: [usize; 2], threads: usize) -> Self {
        let flat = geometry.kernel[0] == 1 && geometry.padding[0] == 0;
        let grid = images.grid();
        let in_slice = grid.iter().product::<usize>();
        let [volumes, together] = if flat { [1, images.samples] } else { [images.samples, 1] };
        let slices = [images.input[0] * together, images.output[0] * together];
        let of_slice = in_slice.div_ceil(widest.min(tiles)).max(1);
        let at_once = (tiles / in_slice.div_ceil(of_slice)).clamp(1, slices[1]);
        let mut parts = [slices[1].div_ceil(at_once), of_slice];
        // None waits for another's last block, where there are as many tiles.
        let fewest = (volumes * parts[0] * parts[1]).next_multiple_of(threads);
        parts[0] = fewest.div_ceil(volumes * parts[1]).min(slices[1]);
        parts[1] = fewest.div_ceil(volumes * parts[0]).min(in_slice);
        Self { images, padding: geometry.padding[0], grid, volumes, slices, parts }
    }

    pub(super) fn blocks(&self) -> usize {
        self.volumes * self.parts[0] * self.parts[1]
    }

    /// The blocks of one part of a slice come one after the other.
    #[inline(never)] // or its divisions are repeated wherever its numbers are wanted
    pub(super) fn block(&self, index: usize) -> Block {
        let [of_volume, of_slice] = self.parts;
        let (volume, index) = (index / (of_volume * of_slice), index % (of_volume * of_slice));
        Block {
            volume,
            slices: part(self.slices[1], of_volume, index % of_volume),
            tiles: part(self.grid.iter().product(), of_slice, index / of_volume),
        }
    }

    /// The inputs that some of a block's tiles need, counted from the first tile of the first slice that any of them needs.
    pub(super) fn inputs(&self, block: &Block, columns: Range<usize>) -> Vec<TileSpan> {
        self.runs(block, columns, |slice| {
            let slice =
                (block.slices.start + slice).checked_sub(self.padding).filter(|slice| *slice < self.slices[0])?;
            let index = block.volume * self.slices[0] + slice;
            Some([index / self.images.input[0], index % self.images.input[0]])
        })
    }

    /// The outputs of some of a block's tiles, counted from the first.
    pub(super) fn outputs(&self, block: &Block, columns: Range<usize>) -> Vec<TileSpan> {
        self.runs(block, columns, |slice| {
            let index = block.volume * self.slices[1] + block.slices.start + slice;
            Some([index / self.images.output[0], index % self.images.output[0]])
        })
    }

    fn runs(&self, block: &Block, columns: Range<usize>, image: impl Fn(usize) -> Option<[usize; 2]>) -> Vec<TileSpan> {
        let mut runs = Vec::new();
        let mut at = columns.start;
        while at < columns.end {
            let (slice, tile) = (at / block.tiles.len(), block.tiles.start + at % block.tiles.len());
            let (row, column) = (tile / self.grid[1], tile % self.grid[1]);
            let count = (self.grid[1] - column).min(block.tiles.end - tile).min(columns.end - at);
            let (at_first, image) = (at - columns.start, image(slice));
            runs.push(TileSpan { at: at_first, count, image, row: row * TILE_OUTPUTS, column: column * TILE_OUTPUTS });
            at += count;
        }
        runs
    }
}

/// `0..whole` in `parts` of nearly one size.
pub(super) fn part(whole: usize, parts: usize, index: usize) -> Range<usize> {
    index * whole / parts..(index + 1) * whole / parts
}
