//! One thread's share: blocks of tiles from the input's rows to the output's, through scratch memory that the caches hold.
//!
//! Tiles lie side by side in the vectors' lanes. A row of pixels is transformed along its height as it lies; then every fourth
//! pixel goes to one lane after the other, and the width is transformed. On the way back the same.

use std::ops::Range;

use super::Winograd;
use super::tiles::Run;
use super::transform::{MADE, POINTS, SEEN, of_input, of_output};
use crate::nn::after::After;
use crate::nn::gemm::Columns;
use crate::nn::geometry::Images;
use crate::nn::simd::{Simd, Work};

/// Vectors of tiles in a block at most: with the rows of [`rows`] these fill the registers with sums.
pub(super) const WIDEST: usize = 3;
/// Numbers in the widest vectors.
const WIDEST_LANES: usize = 16;
/// Tiles of the widest block.
const TILES: usize = WIDEST * WIDEST_LANES;
/// Pixels of a row of so many tiles, and room for a vector that begins at the last.
const PIXELS: usize = (TILES - 1) * MADE + SEEN + WIDEST_LANES;
/// What lies above and below an image.
static ZEROS: [f32; PIXELS] = [0.0; PIXELS];

/// Most of [`rows`].
pub(super) const MOST_ROWS: usize = 8;

/// Output channels that are summed together: as many as there are registers for.
pub(super) fn rows(lanes: usize) -> usize {
    if lanes == WIDEST_LANES { MOST_ROWS } else { 4 }
}

/// Some tiles and some output channels.
pub(super) struct Job {
    pub(super) tiles: Range<usize>,
    /// Blocks of output channels, see [`Winograd::outputs`].
    pub(super) outputs: Range<usize>,
}

/// Jobs in a row of one thread, which keeps its scratch memory.
pub(super) struct Share<'a, J> {
    pub(super) layer: &'a Winograd,
    pub(super) images: &'a Images,
    pub(super) x: &'a [f32],
    pub(super) y: &'a Columns<'a, f32>,
    pub(super) after: &'a After<'a, f32>,
    pub(super) jobs: J,
}

/// Pixels on their way between rows and lanes.
struct Pixels {
    rows: [[f32; PIXELS]; SEEN],
    /// By row and column of a tile, then tile by tile.
    lanes: [[[f32; TILES + 1]; SEEN]; SEEN],
}

impl<J: Iterator<Item = Job>> Work for Share<'_, J> {
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut pixels = Pixels { rows: [[0.0; PIXELS]; SEEN], lanes: [[[0.0; TILES + 1]; SEEN]; SEEN] };
        let mut seen = Vec::new();
        while let Some(job) = self.jobs.next() {
            match (rows(S::LANES), job.tiles.len().div_ceil(S::LANES)) {
                (8, 1) => self.job::<S, 8, 1>(s, &job, &mut pixels, &mut seen),
                (8, 2) => self.job::<S, 8, 2>(s, &job, &mut pixels, &mut seen),
                (8, _) => self.job::<S, 8, 3>(s, &job, &mut pixels, &mut seen),
                (_, 1) => self.job::<S, 4, 1>(s, &job, &mut pixels, &mut seen),
                (_, 2) => self.job::<S, 4, 2>(s, &job, &mut pixels, &mut seen),
                (_, _) => self.job::<S, 4, 3>(s, &job, &mut pixels, &mut seen),
            }
        }
    }
}

impl<J> Share<'_, J> {
    #[inline(always)]
    fn job<S: Simd, const ROWS: usize, const N: usize>(
        &self,
        s: S,
        job: &Job,
        pixels: &mut Pixels,
        seen: &mut Vec<S::Vector>,
    ) {
        let runs = self.images.runs(job.tiles.clone());
        seen.resize(POINTS * self.layer.inputs() * N, s.splat(0.0));
        for input in 0..self.layer.inputs() {
            for run in &runs {
                self.gather(s, input, run, pixels);
            }
            self.see::<S, N>(s, input, pixels, seen);
        }
        for block in job.outputs.clone() {
            let (first, rows) = self.layer.output(block);
            if rows == ROWS {
                self.make::<S, ROWS, N>(s, first, &runs, seen, pixels);
            } else {
                self.make::<S, 1, N>(s, first, &runs, seen, pixels);
            }
        }
    }

    /// The rows that a run sees of one input, transformed along their height, each pixel to its tile's lane.
    #[inline(always)]
    fn gather<S: Simd>(&self, s: S, input: usize, run: &Run, pixels: &mut Pixels) {
        let [_, height, width] = self.images.input;
        let Some(plane) = self.plane(input, run) else {
            pixels.lanes.iter_mut().flatten().for_each(|lanes| lanes[run.at..run.at + run.count].fill(0.0));
            return;
        };
        let [_, above, before] = self.layer.padding;
        // Columns of the image that lie in the run's rows, and where.
        let start = (before.saturating_sub(run.column)).min(run.width());
        let first = (run.column + start).saturating_sub(before).min(width);
        let count = (run.width() - start).min(width - first);
        let sources: [&[f32]; SEEN] = std::array::from_fn(|i| match (run.row + i).checked_sub(above) {
            Some(y) if y < height => &plane[y * width + first..][..count],
            _ => &ZEROS[..count],
        });
        for row in &mut pixels.rows {
            row[..start].fill(0.0);
            row[start + count..run.width()].fill(0.0);
        }
        let whole = count / S::LANES * S::LANES;
        for x in (0..whole).step_by(S::LANES) {
            see_column(s, &sources, x, start + x, &mut pixels.rows);
        }
        if whole < count {
            let mut rest = [[0.0; WIDEST_LANES]; SEEN];
            rest.iter_mut().zip(sources).for_each(|(rest, row)| rest[..count - whole].copy_from_slice(&row[whole..]));
            see_column(s, &rest, 0, start + whole, &mut pixels.rows);
        }
        for (row, lanes) in pixels.rows.iter().zip(&mut pixels.lanes) {
            spread(row, run, lanes);
        }
    }

    /// A channel's slice as an input of the run's tiles: none beyond the first and the last.
    fn plane(&self, input: usize, run: &Run) -> Option<&[f32]> {
        let [c_in, _] = self.layer.channels;
        let [depth, height, width] = self.images.input;
        let (tap, channel) = (input / c_in, input % c_in);
        let slice = (run.slice + tap).checked_sub(self.layer.padding[0]).filter(|slice| *slice < depth)?;
        let plane = (run.sample * c_in + channel) * depth + slice;
        Some(&self.x[plane * height * width..(plane + 1) * height * width])
    }

    /// Transforms the block's lanes along the width: one input's part of what the products take, `[POINTS, inputs, N]`.
    #[inline(always)]
    fn see<S: Simd, const N: usize>(&self, s: S, input: usize, pixels: &Pixels, seen: &mut [S::Vector]) {
        for n in 0..N {
            for (i, lanes) in pixels.lanes.iter().enumerate() {
                let row = std::array::from_fn(|j| s.load(&lanes[j][n * S::LANES..]));
                for (j, vector) in of_input(s, row).into_iter().enumerate() {
                    seen[((i * SEEN + j) * self.layer.inputs() + input) * N + n] = vector;
                }
            }
        }
    }

    /// `ROWS` output channels of the block: products at each point, transformed back, to the output's rows.
    #[inline(always)]
    fn make<S: Simd, const ROWS: usize, const N: usize>(
        &self,
        s: S,
        first: usize,
        runs: &[Run],
        seen: &[S::Vector],
        pixels: &mut Pixels,
    ) {
        let inputs = self.layer.inputs();
        let weight = &self.layer.weight[first * POINTS * inputs..][..ROWS * POINTS * inputs];
        let mut sums = [[[s.splat(0.0); N]; ROWS]; POINTS];
        for (point, sums) in sums.iter_mut().enumerate() {
            let weight = &weight[point * ROWS * inputs..][..ROWS * inputs];
            *sums = products(s, weight, &seen[point * inputs * N..][..inputs * N]);
        }
        for channel in first..first + ROWS {
            let bias = s.splat(self.layer.bias.get(channel).copied().unwrap_or(0.0));
            for n in 0..N {
                let outputs = outputs(s, |point| sums[point][channel - first][n]);
                for (outputs, lanes) in outputs.into_iter().zip(&mut pixels.lanes) {
                    for (vector, lanes) in outputs.into_iter().zip(lanes) {
                        s.store(s.add(vector, bias), &mut lanes[n * S::LANES..]);
                    }
                }
            }
            for run in runs {
                self.scatter(channel, run, pixels);
            }
        }
    }

    /// A run's tiles of one output channel to the output's rows, as far as these go.
    #[inline(always)]
    fn scatter(&self, channel: usize, run: &Run, pixels: &Pixels) {
        let [depth, height, width] = self.images.output;
        let plane = (run.sample * self.layer.channels[1] + channel) * depth + run.slice;
        for (i, lanes) in pixels.lanes[..MADE.min(height - run.row)].iter().enumerate() {
            let start = (plane * height + run.row + i) * width + run.column;
            let count = (run.count * MADE).min(width - run.column);
            // SAFETY: a tile belongs to one job, and a job to one thread.
            let row = unsafe { self.y.filled(start..start + count, 0.0) };
            join(lanes, run, row);
            // SAFETY: as above, of what passes too.
            unsafe { self.after.finish(channel, start, row) };
        }
    }
}

/// A vector of each source at `x`, transformed along the height, to the rows at `to`.
#[inline(always)]
fn see_column<S: Simd>(
    s: S,
    sources: &[impl AsRef<[f32]>; SEEN],
    x: usize,
    to: usize,
    rows: &mut [[f32; PIXELS]; SEEN],
) {
    let mut column = [s.splat(0.0); SEEN];
    for (vector, source) in column.iter_mut().zip(sources) {
        *vector = s.load(&source.as_ref()[x..]);
    }
    for (row, vector) in rows.iter_mut().zip(of_input(s, column)) {
        s.store(vector, &mut row[to..]);
    }
}

/// `[ROWS, N]` sums over the inputs: `weight` is `[inputs, ROWS]`, `seen` `[inputs, N]`.
#[inline(always)]
fn products<S: Simd, const ROWS: usize, const N: usize>(
    s: S,
    weight: &[f32],
    seen: &[S::Vector],
) -> [[S::Vector; N]; ROWS] {
    let mut sums = [[s.splat(0.0); N]; ROWS];
    for (weight, seen) in weight.as_chunks::<ROWS>().0.iter().zip(seen.as_chunks::<N>().0) {
        for (sums, weight) in sums.iter_mut().zip(weight) {
            let weight = s.splat(*weight);
            for (sum, seen) in sums.iter_mut().zip(seen) {
                *sum = s.mul_add(weight, *seen, *sum);
            }
        }
    }
    sums
}

/// Tiles of outputs, by row and column, from what they are at each point.
#[inline(always)]
fn outputs<S: Simd>(s: S, at: impl Fn(usize) -> S::Vector) -> [[S::Vector; MADE]; MADE] {
    let mut columns = [[s.splat(0.0); MADE]; SEEN];
    for (j, column) in columns.iter_mut().enumerate() {
        *column = of_output(s, std::array::from_fn(|i| at(i * SEEN + j)));
    }
    let mut rows = [[s.splat(0.0); MADE]; MADE];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = of_output(s, std::array::from_fn(|j| columns[j][i]));
    }
    rows
}

/// A run's row of pixels to lanes: pixel `4 t + j` is the j-th of tile t, and the last two are the first two of tile t + 1.
#[inline(always)]
fn spread(row: &[f32; PIXELS], run: &Run, lanes: &mut [[f32; TILES + 1]; SEEN]) {
    let of = run.at..run.at + run.count + 1;
    let [a, b, c, d, e, f] = lanes;
    let quads = row.as_chunks::<MADE>().0;
    let to = a[of.clone()].iter_mut().zip(&mut b[of.clone()]).zip(c[of.clone()].iter_mut().zip(&mut d[of]));
    for (((a, b), (c, d)), quad) in to.zip(quads) {
        [*a, *b, *c, *d] = *quad;
    }
    e[run.at..run.at + run.count].copy_from_slice(&a[run.at + 1..][..run.count]);
    f[run.at..run.at + run.count].copy_from_slice(&b[run.at + 1..][..run.count]);
}

/// The reverse of `spread`, for the pixels that a tile makes.
#[inline(always)]
fn join(lanes: &[[f32; TILES + 1]; SEEN], run: &Run, row: &mut [f32]) {
    let of = run.at..run.at + run.count;
    let [a, b, c, d, ..] = lanes;
    let tiles = a[of.clone()].iter().zip(&b[of.clone()]).zip(c[of.clone()].iter().zip(&d[of]));
    let (whole, rest) = row.as_chunks_mut::<MADE>();
    for (quad, ((a, b), (c, d))) in whole.iter_mut().zip(tiles) {
        *quad = [*a, *b, *c, *d];
    }
    if !rest.is_empty() {
        let last = run.at + whole.len();
        rest.copy_from_slice(&[a[last], b[last], c[last], d[last]][..rest.len()]);
    }
}
