//! Convolutions as matrix products: blocks of im2col (Chellapilla, Puri, Simard 2006), any kernel, stride and padding, and the
//! input's gradient as the transposed product. Scratch memory is a block per thread, whatever the image's size.
#![expect(unsafe_code, reason = "threads write different columns of one output")]

use std::ops::Range;

use candle_core::Result;
use rayon::prelude::*;

use super::epilogue::Epilogue;
use super::gemm::{Columns, Destination, Matrix, Real, zeros};
use super::geometry::{Geometry, Images};
use super::product::Multiply;

/// Elements of an im2col block: 1 MB of f32, which stays in the second-level cache.
const BLOCK: usize = 1 << 18;
/// Columns of a block are a multiple of these, and rows of a share of these: whole vectors and tiles of the matrix kernel.
const COLUMNS: usize = 48;
const ROWS: usize = 8;
/// A block is no wider than if it had so many rows: about what a product copies of its right matrix at a time.
const FEWEST_ROWS: usize = 512;
/// A block narrower than this would leave the matrix kernel starved.
const NARROWEST: usize = 64;
/// Groups of input channels that a block of a gradient is sized for: two for each of two threads.
const GROUPS: usize = 4;
/// Weights that a group of input channels of a gradient has at most, unless it is one channel: 2 MB of f32.
const GROUP_WEIGHTS: usize = 1 << 19;

/// Columns per block: within the cache, and as many blocks for every thread.
fn block(rows: usize, positions: usize, samples: usize) -> usize {
    let widest = (BLOCK / rows.max(1)).max(COLUMNS);
    let blocks = (positions * samples).div_ceil(widest).next_multiple_of(rayon::current_num_threads());
    (positions * samples).div_ceil(blocks).max(1).next_multiple_of(COLUMNS)
}

/// One convolution's numbers.
pub(crate) struct Kernel<'a, T> {
    pub(crate) weight: &'a [T],      // [out, in * elements]
    pub(crate) bias: &'a [f64],      // [out], or empty
    pub(crate) channels: [usize; 2], // in, out
    pub(crate) geometry: &'a Geometry,
}

impl<T: Multiply> Kernel<'_, T> {
    /// `[n, in, input]` to `[n, out, output]`.
    pub(crate) fn forward(&self, x: &[T], images: &Images, epilogue: &Epilogue<'_, T>) -> Result<Vec<T>> {
        let ([c_in, c_out], Images { samples, input, output }) = (self.channels, *images);
        let rows = c_in * self.geometry.elements();
        let [voxels, positions] = images.counts();
        let mut y = Vec::new();
        let columns = Columns::fresh(&mut y, &[samples, c_out, positions])?;
        let len = columns.len();
        let left = Matrix { values: self.weight, offset: 0, shape: [c_out, rows], strides: [rows, 1] };
        let shares = Shares::new(self, images);
        (0..shares.jobs(samples)).into_par_iter().for_each_init(Vec::new, |scratch, job| {
            let Share { sample, columns: Range { start: first, end }, channels } = shares.get(job);
            let count = end - first;
            let x = &x[sample * c_in * voxels..(sample + 1) * c_in * voxels];
            let right = if self.geometry.pointwise() {
                Matrix { values: x, offset: first, shape: [rows, count], strides: [positions, 1] }
            } else {
                scratch.resize(rows * count, T::default());
                let part = Part { channels: c_in, slices: 0..input[0], size: [input[1], input[2]] };
                for_each_run(self.geometry, &part, output, first..end, |row, at, run| {
                    run.gather(&mut scratch[row * count + at..][..run.length], x);
                });
                Matrix { values: scratch.as_slice(), offset: 0, shape: [rows, count], strides: [count, 1] }
            };
            let to =
                Destination { columns: &columns, offset: sample * c_out * positions + first, row_stride: positions };
            // SAFETY: each job owns its sample's channels of these columns, and what passes of them.
            unsafe { T::multiply(left, channels, right, self.bias, to, epilogue) };
        });
        // SAFETY: the jobs have written every sample's every column.
        unsafe { y.set_len(len) };
        Ok(y)
    }

    /// Gives the input's gradient `[n, in, input]` from the output's `[n, out, output]`.
    pub(crate) fn backward(&self, g: &[T], images: &Images) -> Vec<T> {
        let ([c_in, c_out], Images { samples, input, .. }) = (self.channels, *images);
        let ([voxels, positions], elements) = (images.counts(), self.geometry.elements());
        let mut gx = zeros(samples * c_in * voxels);
        if gx.is_empty() || self.weight.is_empty() {
            return gx;
        }
        // A group of input channels belongs to one thread, which alone adds to it; where there are few, some slices of one.
        let jobs = 2 * rayon::current_num_threads();
        let most = (GROUP_WEIGHTS / (c_out * elements)).max(1);
        let group = c_in.div_ceil(jobs).min(most);
        let slab = if group > 1 { input[0] } else { input[0].div_ceil(jobs.div_ceil(c_in)) };
        // Where blocks end is no matter of threads: a voxel sums what it is given in one order, whatever their number.
        let rows = c_in.div_ceil(GROUPS).min(most) * elements;
        let width = (BLOCK / rows).clamp(NARROWEST, positions.max(NARROWEST));
        gx.par_chunks_mut(c_in * voxels).enumerate().for_each(|(sample, gx)| {
            let g = &g[sample * c_out * positions..(sample + 1) * c_out * positions];
            gx.par_chunks_mut(group * voxels).enumerate().for_each(|(index, gx)| {
                let channels = gx.len() / voxels;
                // The transpose of the weight's columns of these channels, by its strides.
                let left = Matrix {
                    values: self.weight,
                    offset: index * group * elements,
                    shape: [channels * elements, c_out],
                    strides: [1, c_in * elements],
                };
                let size = channels * voxels / input[0] * slab;
                gx.par_chunks_mut(size).enumerate().for_each_init(Vec::new, |scratch, (part, gx)| {
                    let slices = part * slab..part * slab + gx.len() / (size / slab);
                    let part = Part { channels, slices, size: [input[1], input[2]] };
                    self.scatter((g, width), left, &part, gx, images, scratch);
                });
            });
        });
        gx
    }

    /// Adds to some slices of some input channels of one sample what its outputs' gradient says of them, in blocks of `width`.
    fn scatter(
        &self,
        (g, width): (&[T], usize),
        left: Matrix<'_, T>,
        part: &Part,
        gx: &mut [T],
        images: &Images,
        scratch: &mut Vec<T>,
    ) {
        let (Images { output, .. }, [_, positions]) = (*images, images.counts());
        let plane = output[1] * output[2];
        let rows = part.channels * self.geometry.elements();
        let seeing = self.geometry.reached(&part.slices, output[0]);
        let seeing = seeing.start * plane..seeing.end * plane;
        for start in (seeing.start / width * width..seeing.end).step_by(width) {
            let first = start.max(seeing.start);
            let count = (start + width).min(seeing.end) - first;
            scratch.resize(rows * count, T::default());
            let right = Matrix { values: g, offset: first, shape: [self.channels[1], count], strides: [positions, 1] };
            let to = Destination { columns: &Columns::new(scratch), offset: 0, row_stride: count };
            // SAFETY: the scratch memory is borrowed here alone.
            unsafe { T::multiply(left, 0..rows, right, &[], to, &Epilogue::default()) };
            for_each_run(self.geometry, part, output, first..first + count, |row, at, run| {
                run.scatter(&scratch[row * count + at..][..run.length], gx);
            });
        }
    }
}

/// How a forward pass is shared out: by sample, by columns, and by channels where else there were too few shares for all threads.
struct Shares {
    positions: usize,
    width: usize,
    channels: usize,
    of_channels: usize,
}

/// What one thread computes.
struct Share {
    sample: usize,
    columns: Range<usize>,
    channels: Range<usize>,
}

impl Shares {
    fn new<T>(kernel: &Kernel<'_, T>, images: &Images) -> Self {
        let ([c_in, channels], [_, positions]) = (kernel.channels, images.counts());
        let gathered = if kernel.geometry.pointwise() { FEWEST_ROWS } else { c_in * kernel.geometry.elements() };
        let width = block(gathered.max(channels), positions, images.samples);
        let blocks = images.samples * positions.div_ceil(width);
        let parts = (2 * rayon::current_num_threads()).div_ceil(blocks.max(1));
        let parts = if parts <= 2 { 1 } else { parts };
        let of_channels = channels.div_ceil(parts).max(4 * ROWS).next_multiple_of(ROWS);
        Self { positions, width, channels, of_channels }
    }

    /// How many shares the columns of a sample are in, and its channels.
    fn of_sample(&self) -> [usize; 2] {
        [self.positions.div_ceil(self.width), self.channels.div_ceil(self.of_channels)]
    }

    fn jobs(&self, samples: usize) -> usize {
        samples * self.of_sample().iter().product::<usize>()
    }

    fn get(&self, job: usize) -> Share {
        let [blocks, parts] = self.of_sample();
        let (block, part) = (job / parts % blocks, job % parts);
        Share {
            sample: job / parts / blocks,
            columns: block * self.width..self.positions.min((block + 1) * self.width),
            channels: part * self.of_channels..self.channels.min((part + 1) * self.of_channels),
        }
    }
}

/// Neighbouring output positions of one output row, for one element of one channel's kernel.
struct PositionSpan {
    length: usize,
    /// The positions whose source lies inside the image; the others read padding.
    inside: Range<usize>,
    /// Source index of position 0, may lie outside, and the step between neighbours.
    base: isize,
    step: usize,
}

impl PositionSpan {
    /// Where in the image the positions inside come from.
    fn sources(&self) -> Range<usize> {
        let first = (self.base + (self.inside.start * self.step) as isize) as usize;
        first..first + self.inside.len().saturating_sub(1) * self.step + usize::from(!self.inside.is_empty())
    }

    /// Copies what this kernel element reads of the image; padding is 0. Neighbours are copied as one piece.
    fn gather<T: Real>(&self, cells: &mut [T], image: &[T]) {
        let Range { start, end } = self.inside;
        cells[..start].fill(T::default());
        cells[end..].fill(T::default());
        let (cells, sources) = (&mut cells[start..end], &image[self.sources()]);
        if self.step == 1 {
            cells.copy_from_slice(sources);
        } else {
            cells.iter_mut().zip(sources.iter().step_by(self.step)).for_each(|(cell, source)| *cell = *source);
        }
    }

    /// The transpose of `gather`: adds to the image.
    fn scatter<T: Real>(&self, cells: &[T], image: &mut [T]) {
        let (cells, sources) = (&cells[self.inside.clone()], &mut image[self.sources()]);
        if self.step == 1 {
            sources.iter_mut().zip(cells).for_each(|(source, cell)| *source += *cell);
        } else {
            sources.iter_mut().step_by(self.step).zip(cells).for_each(|(source, cell)| *source += *cell);
        }
    }
}

/// What is at hand of an image: some of its slices, whole ones.
struct Part {
    channels: usize,
    slices: Range<usize>,
    size: [usize; 2], // height, width
}

/// Calls `visit(row, at, run)` for each im2col row and each run of `range`: `at` is where the run begins in the block.
fn for_each_run(
    geometry: &Geometry,
    part: &Part,
    output: [usize; 3],
    range: Range<usize>,
    mut visit: impl FnMut(usize, usize, &PositionSpan),
) {
    let ([ih, iw], [_, oh, ow]) = (part.size, output);
    let ([_, kh, kw], [sd, sh, sw], [pd, ph, pw]) = (geometry.kernel, geometry.stride, geometry.padding);
    let [dilated_d, dilated_h, dilated_w] = geometry.dilation;
    // Where each run begins, in the block and in the output, and its length: once for all rows, since divisions are slow.
    let mut runs = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let (z, y, x) = (at / (oh * ow), at / ow % oh, at % ow);
        let length = (ow - x).min(range.end - at);
        runs.push((at - range.start, [z, y, x], length));
        at += length;
    }
    for row in 0..part.channels * geometry.elements() {
        let (channel, element) = (row / geometry.elements(), row % geometry.elements());
        let (td, th, tw) = (element / (kh * kw) * dilated_d, element / kw % kh * dilated_h, element % kw * dilated_w);
        for (at, [z, y, x], length) in runs.iter().copied() {
            let (source_z, source_y) = ((z * sd + td).wrapping_sub(pd), (y * sh + th).wrapping_sub(ph));
            let first = (x * sw + tw) as isize - pw as isize; // source column of the run's first position
            let inside = if !part.slices.contains(&source_z) || source_y >= ih {
                0..0
            } else {
                let begin = if first < 0 { (-first as usize).div_ceil(sw) } else { 0 };
                let end = if first >= iw as isize { 0 } else { ((iw as isize - 1 - first) as usize) / sw + 1 };
                begin.min(length)..end.min(length).max(begin.min(length))
            };
            // Where nothing lies inside, nothing is read: from which place on must not matter.
            let inside = if inside.is_empty() { 0..0 } else { inside };
            let base = if inside.is_empty() {
                0
            } else {
                let slice = channel * part.slices.len() + source_z - part.slices.start;
                ((slice * ih + source_y) * iw) as isize + first
            };
            visit(row, at, &PositionSpan { length, inside, base, step: sw });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of the largest number that an error may be: sums are of at most a few hundred f32.
    const TOLERANCE: f64 = 1e-6;

    /// Kernel, stride, padding, dilation, input, channels.
    type Case = ([usize; 3], [usize; 3], [usize; 3], [usize; 3], [usize; 3], [usize; 2]);

    const CASES: [Case; 8] = [
        ([1, 1, 1], [1, 1, 1], [0, 0, 0], [1, 1, 1], [2, 3, 3], [3, 5]),
        ([1, 1, 1], [1, 2, 2], [0, 0, 0], [1, 1, 1], [2, 5, 3], [5, 9]),
        ([3, 3, 3], [2, 2, 2], [1, 1, 1], [1, 1, 1], [3, 4, 5], [2, 3]),
        ([1, 3, 2], [1, 1, 3], [0, 2, 3], [1, 1, 1], [1, 4, 7], [1, 4]),
        ([3, 7, 7], [1, 2, 2], [1, 3, 3], [1, 1, 1], [4, 21, 23], [1, 17]),
        ([1, 1, 1], [1, 1, 1], [0, 0, 0], [1, 1, 1], [3, 17, 19], [70, 41]),
        ([3, 3, 3], [1, 1, 1], [2, 4, 1], [2, 4, 3], [6, 9, 11], [3, 5]),
        ([2, 3, 3], [2, 1, 3], [1, 0, 4], [3, 2, 2], [8, 7, 9], [2, 4]),
    ];

    fn numbers(count: usize, seed: usize) -> Vec<f64> {
        (0..count).map(|i| f64::from((((i * 7919 + seed * 104_729) % 2003) as f32) / 1001.0 - 1.0)).collect()
    }

    fn rounded(numbers: &[f64]) -> Vec<f32> {
        numbers.iter().map(|number| *number as f32).collect()
    }

    fn gap(ours: &[f32], exact: &[f64]) -> f64 {
        assert_eq!(ours.len(), exact.len());
        let worst = ours.iter().zip(exact).map(|(ours, exact)| (f64::from(*ours) - exact).abs()).fold(0.0, f64::max);
        worst / exact.iter().map(|exact| exact.abs()).fold(f64::MIN_POSITIVE, f64::max)
    }

    #[test]
    fn f32_is_f64_and_the_gradient_is_the_transpose() {
        for case in CASES.into_iter().take(if cfg!(miri) { 3 } else { CASES.len() }) {
            let (kernel, stride, padding, dilation, input, channels) = case;
            let geometry = &Geometry { kernel, stride, padding, dilation };
            let output = geometry.output(input).expect("it fits");
            let images = Images { samples: 2, input, output };
            let [voxels, positions] = images.counts();
            let weight = numbers(channels[0] * channels[1] * geometry.elements(), 1);
            let (x, g) = (numbers(2 * channels[0] * voxels, 2), numbers(2 * channels[1] * positions, 3));
            let exact = Kernel { weight: &weight, bias: &[], channels, geometry };
            let single = rounded(&weight);
            let ours = Kernel { weight: &single, bias: &[], channels, geometry };
            let y = exact.forward(&x, &images, &Epilogue::default()).expect("there is room");
            let gx = exact.backward(&g, &images);
            let off = gap(&ours.forward(&rounded(&x), &images, &Epilogue::default()).expect("there is room"), &y);
            assert!(off <= TOLERANCE, "{case:?}: forward off by {off:e}");
            let off = gap(&ours.backward(&rounded(&g), &images), &gx);
            assert!(off <= TOLERANCE, "{case:?}: backward off by {off:e}");
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let [forward, backward] = [dot(&y, &g), dot(&x, &gx)];
            assert!((forward - backward).abs() <= 1e-9 * (1.0 + forward.abs()), "{case:?}: {forward} and {backward}");
        }
    }
}
