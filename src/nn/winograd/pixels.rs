//! Pixels on their way between the rows of an image and the lanes of vectors, where tiles lie side by side.

use super::tiles::TileSpan;
use super::transform::{TILE_INPUTS, TILE_OUTPUTS, of_input, of_output};
use crate::nn::gemm::Columns;
use crate::nn::simd::{Simd, WIDEST_LANES};

/// Tiles at a time at most.
const TILES: usize = super::WIDEST * WIDEST_LANES;
/// Lanes for these tiles, and for a vector to begin where every vector may.
const LANES: usize = TILES + WIDEST_LANES;
/// Pixels of a row of so many tiles, and room for a vector that begins at the last.
const PIXELS: usize = (TILES - 1) * TILE_OUTPUTS + TILE_INPUTS + WIDEST_LANES;
/// What lies above and below an image.
static ZEROS: [f32; PIXELS] = [0.0; PIXELS];

/// The pixels of a panel of tiles; aligned, so that no vector lies in two lines of the cache.
#[repr(align(64))]
pub(super) struct Pixels {
    /// Pixels by row and column of a tile, then tile by tile.
    lanes: [[[f32; LANES]; TILE_INPUTS]; TILE_INPUTS],
    /// Rows of a run's inputs, or of all the panel's outputs.
    rows: [[f32; PIXELS]; TILE_INPUTS],
}

impl Pixels {
    pub(super) fn new() -> Self {
        Self { lanes: [[[0.0; LANES]; TILE_INPUTS]; TILE_INPUTS], rows: [[0.0; PIXELS]; TILE_INPUTS] }
    }

    /// Fills a run that lies beyond the images with zeros.
    #[inline(always)]
    pub(super) fn clear(&mut self, run: &TileSpan) {
        self.lanes.iter_mut().flatten().for_each(|lanes| lanes[run.at..run.at + run.count].fill(0.0));
    }

    /// Reads the rows of an image `[height, width]` that a run needs, with so many zeros `above` and `before` it, transforms them
    /// along their height, and puts each pixel to its tile's lane.
    #[inline(always)]
    pub(super) fn gather<S: Simd>(
        &mut self,
        s: S,
        image: &[f32],
        [height, width]: [usize; 2],
        [above, before]: [usize; 2],
        run: &TileSpan,
    ) {
        // Columns of the image that lie in the run's rows, and where.
        let start = (before.saturating_sub(run.column)).min(run.width());
        let first = (run.column + start).saturating_sub(before).min(width);
        let count = (run.width() - start).min(width - first);
        let sources: [&[f32]; TILE_INPUTS] = std::array::from_fn(|i| match (run.row + i).checked_sub(above) {
            Some(y) if y < height => &image[y * width + first..][..count],
            _ => &ZEROS[..count],
        });
        for row in &mut self.rows {
            row[..start].fill(0.0);
            row[start + count..run.width()].fill(0.0);
        }
        let whole = count / S::LANES * S::LANES;
        for x in (0..whole).step_by(S::LANES) {
            transform_column(s, &sources, x, start + x, &mut self.rows);
        }
        if whole < count {
            let mut rest = [[0.0; WIDEST_LANES]; TILE_INPUTS];
            rest.iter_mut().zip(sources).for_each(|(rest, row)| rest[..count - whole].copy_from_slice(&row[whole..]));
            transform_column(s, &rest, 0, start + whole, &mut self.rows);
        }
        for (row, lanes) in self.rows.iter().zip(&mut self.lanes) {
            spread(s, row, run, lanes);
        }
    }

    /// Transforms a vector of tiles along the width too, and writes their number at each point, from `first` on, `stride` apart.
    ///
    /// # Safety
    /// These elements are there, and no one else touches them.
    #[inline(always)]
    pub(super) unsafe fn transform_inputs<S: Simd>(
        &self,
        s: S,
        vector: usize,
        to: &Columns<'_, f32>,
        first: usize,
        stride: usize,
    ) {
        for (i, lanes) in self.lanes.iter().enumerate() {
            let mut row = [s.splat(0.0); TILE_INPUTS];
            for (pixel, lanes) in row.iter_mut().zip(lanes) {
                *pixel = s.load(&lanes[vector * S::LANES..]);
            }
            for (j, value) in of_input(s, row).into_iter().enumerate() {
                let at = first + (i * TILE_INPUTS + j) * stride;
                // SAFETY: the caller's promise.
                s.store(value, unsafe { to.piece(at..at + S::LANES) });
            }
        }
    }

    /// Transforms a vector of tiles of products, one number at each point, `stride` apart, back to outputs.
    #[inline(always)]
    pub(super) fn transform_outputs<S: Simd>(&mut self, s: S, vector: usize, bias: f32, from: &[f32], stride: usize) {
        let bias = s.splat(bias);
        let mut columns = [[bias; TILE_OUTPUTS]; TILE_INPUTS];
        for (j, column) in columns.iter_mut().enumerate() {
            let mut points = [bias; TILE_INPUTS];
            for (i, point) in points.iter_mut().enumerate() {
                *point = s.load(&from[(i * TILE_INPUTS + j) * stride..]);
            }
            *column = of_output(s, points);
        }
        for (i, joined) in self.rows[..TILE_OUTPUTS].iter_mut().enumerate() {
            let mut row = [bias; TILE_INPUTS];
            for (point, column) in row.iter_mut().zip(&columns) {
                *point = column[i];
            }
            let outputs = of_output(s, row).map(|value| s.add(value, bias));
            for (n, pixels) in s.weave(outputs).into_iter().enumerate() {
                s.store(pixels, &mut joined[(vector * TILE_OUTPUTS + n) * S::LANES..]);
            }
        }
    }

    /// A row of a run's tiles of outputs.
    #[inline(always)]
    pub(super) fn outputs(&mut self, run: &TileSpan, row: usize) -> &mut [f32] {
        &mut self.rows[row][run.at * TILE_OUTPUTS..][..run.count * TILE_OUTPUTS]
    }
}

/// Transforms a vector of each source at `x` along the height, to the rows at `to`.
#[inline(always)]
fn transform_column<S: Simd>(
    s: S,
    sources: &[impl AsRef<[f32]>; TILE_INPUTS],
    x: usize,
    to: usize,
    rows: &mut [[f32; PIXELS]; TILE_INPUTS],
) {
    let mut column = [s.splat(0.0); TILE_INPUTS];
    for (vector, source) in column.iter_mut().zip(sources) {
        *vector = s.load(&source.as_ref()[x..]);
    }
    for (row, vector) in rows.iter_mut().zip(of_input(s, column)) {
        s.store(vector, &mut row[to..]);
    }
}

/// Spreads a run's row of pixels over the lanes: pixel `4 t + j` is the j-th of tile t, whose last two are the first two of tile t + 1.
/// Whole vectors are written: what lies behind the run's lanes is the next run's.
#[inline(always)]
fn spread<S: Simd>(s: S, row: &[f32; PIXELS], run: &TileSpan, lanes: &mut [[f32; LANES]; TILE_INPUTS]) {
    for tile in (0..run.count).step_by(S::LANES) {
        let dealt = |first: usize| s.deal(std::array::from_fn(|i| s.load(&row[first + i * S::LANES..])));
        let own = dealt(tile * TILE_OUTPUTS);
        let [e, f, ..] = dealt((tile + 1) * TILE_OUTPUTS);
        for (lanes, vector) in lanes.iter_mut().zip(own.into_iter().chain([e, f])) {
            s.store(vector, &mut lanes[run.at + tile..]);
        }
    }
}
