//! Convolutions as matrix products: blocks of im2col (Chellapilla, Puri, Simard 2006), any kernel, stride and padding, and the
//! input's gradient as the transposed product. Scratch memory is a block per thread, whatever the image's size.
#![expect(unsafe_code, reason = "threads write different columns of one output")]

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::{Columns, Matrix, Real, multiply};
use super::geometry::Geometry;

/// Elements of an im2col block: 1 MB of f32, which stays in the second-level cache.
const BLOCK: usize = 1 << 18;
/// A block narrower than this would leave the matrix kernel starved.
const NARROWEST: usize = 64;

/// Columns per block: within the cache, and enough blocks for every thread.
fn block(rows: usize, positions: usize, samples: usize) -> usize {
    let share = (positions * samples).div_ceil(rayon::current_num_threads());
    (BLOCK / rows.max(1)).min(share).clamp(NARROWEST, positions.max(NARROWEST))
}

/// One convolution's numbers.
pub(super) struct Kernel<'a, T> {
    pub(super) weight: &'a [T],      // [out, in * taps]
    pub(super) bias: &'a [f64],      // [out], or empty
    pub(super) channels: [usize; 2], // in, out
    pub(super) geometry: &'a Geometry,
}

impl<T: Real> Kernel<'_, T> {
    /// `[n, in, input]` to `[n, out, output]`.
    pub(super) fn forward(&self, x: &[T], n: usize, input: [usize; 3], output: [usize; 3]) -> Vec<T> {
        let [c_in, c_out] = self.channels;
        let rows = c_in * self.geometry.taps();
        let (voxels, positions) = (input.iter().product::<usize>(), output.iter().product::<usize>());
        let mut y = vec![T::default(); n * c_out * positions];
        if !self.bias.is_empty() {
            let channels = y.par_chunks_mut(positions.max(1)).enumerate();
            channels.for_each(|(i, channel)| channel.fill(T::from_f64(self.bias[i % c_out])));
        }
        let width = block(rows, positions, n);
        let blocks = positions.div_ceil(width);
        let columns = Columns::new(&mut y);
        (0..n * blocks).into_par_iter().for_each_init(Vec::new, |scratch, job| {
            let (sample, first) = (job / blocks, job % blocks * width);
            let count = width.min(positions - first);
            let x = &x[sample * c_in * voxels..(sample + 1) * c_in * voxels];
            let left = Matrix { values: self.weight, offset: 0, shape: [c_out, rows], strides: [rows, 1] };
            let right = if self.geometry.pointwise() {
                Matrix { values: x, offset: first, shape: [rows, count], strides: [positions, 1] }
            } else {
                scratch.resize(rows * count, T::default());
                for_each_run(self.geometry, input, output, first..first + count, c_in, |row, at, run| {
                    run.gather(&mut scratch[row * count + at..][..run.length], x);
                });
                Matrix { values: scratch, offset: 0, shape: [rows, count], strides: [count, 1] }
            };
            // SAFETY: each job owns its sample's columns `first..first + count`.
            unsafe { columns.multiply_into(left, right, sample * c_out * positions + first, positions) };
        });
        y
    }

    /// From the output's gradient `[n, out, output]` to the input's `[n, in, input]`.
    pub(super) fn backward(&self, g: &[T], n: usize, input: [usize; 3], output: [usize; 3]) -> Vec<T> {
        let [c_in, c_out] = self.channels;
        let taps = self.geometry.taps();
        let (voxels, positions) = (input.iter().product::<usize>(), output.iter().product::<usize>());
        let mut gx = vec![T::default(); n * c_in * voxels];
        // A group of input channels belongs to one thread, which alone adds to it.
        let group = c_in.div_ceil(2 * rayon::current_num_threads()).max(1);
        gx.par_chunks_mut(c_in * voxels).enumerate().for_each(|(sample, gx)| {
            let g = &g[sample * c_out * positions..(sample + 1) * c_out * positions];
            gx.par_chunks_mut(group * voxels).enumerate().for_each_init(Vec::new, |scratch, (index, gx)| {
                let channels = gx.len() / voxels;
                let rows = channels * taps;
                // The transpose of the weight's columns of these channels, by its strides.
                let left = Matrix {
                    values: self.weight,
                    offset: index * group * taps,
                    shape: [rows, c_out],
                    strides: [1, c_in * taps],
                };
                let width = (BLOCK / rows.max(1)).clamp(NARROWEST, positions.max(NARROWEST));
                for first in (0..positions).step_by(width) {
                    let count = width.min(positions - first);
                    scratch.resize(rows * count, T::default());
                    let right = Matrix { values: g, offset: first, shape: [c_out, count], strides: [positions, 1] };
                    multiply(left, right, scratch);
                    for_each_run(self.geometry, input, output, first..first + count, channels, |row, at, run| {
                        run.scatter(&scratch[row * count + at..][..run.length], gx);
                    });
                }
            });
        });
        gx
    }
}

/// Neighbouring output positions of one output row, as one tap of one channel sees them.
struct Run {
    length: usize,
    /// Those whose source lies inside the image; the others see padding.
    inside: Range<usize>,
    /// Source index of position 0, may lie outside, and the step between neighbours.
    base: isize,
    step: usize,
}

impl Run {
    /// Where in the image the positions inside come from.
    fn sources(&self) -> Range<usize> {
        let first = (self.base + (self.inside.start * self.step) as isize) as usize;
        first..first + self.inside.len().saturating_sub(1) * self.step + usize::from(!self.inside.is_empty())
    }

    /// The image as this tap sees it; padding is 0. Neighbours are copied as one piece.
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

/// Calls `visit(row, at, run)` for each im2col row and each run of `range`: `at` is where the run begins in the block.
fn for_each_run(
    geometry: &Geometry,
    input: [usize; 3],
    output: [usize; 3],
    range: Range<usize>,
    channels: usize,
    mut visit: impl FnMut(usize, usize, &Run),
) {
    let ([_, ih, iw], [_, oh, ow]) = (input, output);
    let ([_, kh, kw], [sd, sh, sw], [pd, ph, pw]) = (geometry.kernel, geometry.stride, geometry.padding);
    let voxels: usize = input.iter().product();
    for row in 0..channels * geometry.taps() {
        let (channel, tap) = (row / geometry.taps(), row % geometry.taps());
        let (td, th, tw) = (tap / (kh * kw), tap / kw % kh, tap % kw);
        let mut at = range.start;
        while at < range.end {
            let (z, y, x) = (at / (oh * ow), at / ow % oh, at % ow);
            let length = (ow - x).min(range.end - at);
            let (source_z, source_y) = ((z * sd + td).wrapping_sub(pd), (y * sh + th).wrapping_sub(ph));
            let first = (x * sw + tw) as isize - pw as isize; // source column of the run's first position
            let inside = if source_z >= input[0] || source_y >= ih {
                0..0
            } else {
                let begin = if first < 0 { (-first as usize).div_ceil(sw) } else { 0 };
                let end = if first >= iw as isize { 0 } else { ((iw as isize - 1 - first) as usize) / sw + 1 };
                begin.min(length)..end.min(length).max(begin.min(length))
            };
            let base = if inside.is_empty() {
                0
            } else {
                (channel * voxels + (source_z * ih + source_y) * iw) as isize + first
            };
            visit(row, at - range.start, &Run { length, inside, base, step: sw });
            at += length;
        }
    }
}
