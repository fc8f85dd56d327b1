//! 3 x 3 convolutions of stride 1 by Winograd's minimal filtering, F(4x4, 3x3): a quarter of the products (Lavin, Gray 2015,
//! arXiv 1509.09308). A 3-D kernel is as many 2-D ones as it is deep, each on its own slices, summed before they are
//! transformed back.
//!
//! It is for f32. Outputs err by up to 3e-6 of the largest (see the test), where im2col's err by up to 5e-7.
#![expect(unsafe_code, reason = "threads write different parts of one output")]

mod block;
mod pixels;
mod products;
mod tiles;
mod transform;
mod weights;

use std::ops::Range;

use candle_core::Result;
use rayon::prelude::*;

use self::block::Pass;
use self::tiles::Plan;
use self::transform::POINTS;
pub(crate) use self::weights::Kernels;
use self::weights::Pack;
use super::epilogue::Epilogue;
use super::gemm::Columns;
use super::geometry::{Geometry, Images};
use super::simd::{Instructions, WIDEST_LANES};

/// Fewer tiles than these take longer, as the kernels are transformed too, than im2col takes for all.
const FEWEST_TILES: usize = 12;
/// Between so few channels the transforms cost more than the products that they save, and their rounding is not worth it.
const FEW_CHANNELS: usize = 16;
/// Up to so many tiles are one block, which the threads share.
const SHARED_TILES: usize = 400;
/// A thread's own block's transformed inputs and outputs fit into so many bytes: a second-level cache.
const BLOCK_BYTES: usize = 2 << 20;
/// The most vectors of tiles that are multiplied together.
const WIDEST: usize = 3;
/// The most columns of a block of one image.
const MOST_COLUMNS: usize = 4 * WIDEST * WIDEST_LANES;
/// Output channels of the largest group.
const LARGEST_GROUP: usize = 8;

/// Output channels that are summed together: as many as there are registers for.
fn group_size(lanes: usize) -> usize {
    if lanes == WIDEST_LANES { LARGEST_GROUP } else { 4 }
}

/// Vectors of tiles that are multiplied together: with a group of output channels their sums fill the registers. Of 16 registers
/// twelve sums, three vectors and one weight leave none over, so that compilers spill a sum, which costs half the speed.
#[inline(always)]
fn panel_vectors(lanes: usize) -> usize {
    if lanes == WIDEST_LANES { WIDEST } else { 2 }
}

/// Gives a group's first channel and how many it has, where so many channels are in groups of `size`.
#[inline(always)]
fn group_of(channels: usize, size: usize, group: usize) -> (usize, usize) {
    let whole = channels / size;
    if group < whole { (group * size, size) } else { (whole * size + group - whole, 1) }
}

/// One convolution's numbers.
pub(crate) struct Winograd<'a> {
    pub(crate) kernels: Kernels<'a>,
    pub(crate) bias: &'a [f64], // [out], or empty
    pub(crate) geometry: &'a Geometry,
    pub(crate) instructions: Instructions,
}

impl Winograd<'_> {
    /// Whether a convolution is one of these.
    pub(crate) fn fits(geometry: &Geometry) -> bool {
        geometry.kernel[1..] == [3; 2] && geometry.stride == [1; 3] && geometry.dilation == [1; 3]
    }

    /// Whether it is faster than im2col between so many channels, in and out, on outputs of this size. However many samples there are:
    /// one alone is to give what it gives among others.
    pub(crate) fn pays(channels: [usize; 2], output: [usize; 3]) -> bool {
        let many = channels.iter().any(|channels| *channels > FEW_CHANNELS);
        many && !super::device::careful() && Images { samples: 1, input: output, output }.tiles() >= FEWEST_TILES
    }

    /// `[samples, in, input]` to `[samples, out, output]`.
    pub(crate) fn forward(&self, x: &[f32], images: &Images, epilogue: &Epilogue<'_, f32>) -> Result<Vec<f32>> {
        let [c_in, c_out] = self.kernels.channels;
        let [voxels, positions] = images.counts();
        assert_eq!(x.len(), images.samples * c_in * voxels, "the input has its shape");
        let mut y = Vec::new();
        let columns = Columns::fresh(&mut y, &[images.samples, c_out, positions])?;
        let len = columns.len();
        if len == 0 {
            return Ok(y);
        }
        let shared = images.tiles() <= SHARED_TILES;
        let plan = if shared { Plan::whole(images, self.geometry) } else { self.plan(images) };
        let pass = Pass { layer: self, plan: &plan, x, y: &columns, epilogue };
        let weight = if shared { Vec::new() } else { self.transform_kernels()? };
        // SAFETY: the outputs are the pass's alone until it ends; whoever gave `epilogue` answers for what it notes.
        unsafe {
            if shared {
                pass.by_channels();
            } else {
                pass.by_blocks(&weight);
            }
        }
        // SAFETY: the tiles cover every output, and so do the groups of channels.
        unsafe { y.set_len(len) };
        Ok(y)
    }

    /// Blocks for each thread.
    fn plan<'a>(&self, images: &'a Images) -> Plan<'a> {
        let lanes = self.instructions.lanes();
        let (panel, widest) = (panel_vectors(lanes) * lanes, WIDEST * lanes);
        let of_tile = POINTS * self.kernels.channels.iter().sum::<usize>() * size_of::<f32>();
        let sizes = if self.kernels.depth == 1 {
            // Whole panels, and no more than keep all threads busy.
            [(BLOCK_BYTES / of_tile / panel).clamp(1, MOST_COLUMNS / panel) * panel; 2]
        } else {
            // A block has several slices, for it transforms its neighbours' too.
            [8 * widest, widest + widest / 8]
        };
        Plan::new(images, self.geometry, sizes, rayon::current_num_threads())
    }

    /// Transforms all kernels, by group of output channels: `[POINTS, inputs, channels of the group]`.
    fn transform_kernels(&self) -> Result<Vec<f32>> {
        let mut weight = Vec::new();
        let columns = Columns::fresh(&mut weight, &[self.kernels.channels[1], POINTS, self.inputs()])?;
        let len = columns.len();
        (0..self.groups()).into_par_iter().for_each(|group| {
            let group = self.group(group);
            let at = group.0 * POINTS * self.inputs();
            // SAFETY: a group's kernels have their own place, and one thread.
            self.instructions.run(unsafe { Pack::new(&self.kernels, group, &columns, at) });
        });
        // SAFETY: the groups cover every kernel.
        unsafe { weight.set_len(len) };
        Ok(weight)
    }

    /// Input channels times the kernel's depth: what is summed over.
    fn inputs(&self) -> usize {
        self.kernels.depth * self.kernels.channels[0]
    }

    /// How many groups the output channels are in: whole ones, then single channels.
    fn groups(&self) -> usize {
        let size = group_size(self.instructions.lanes());
        self.kernels.channels[1] / size + self.kernels.channels[1] % size
    }

    /// A group's first channel and how many.
    fn group(&self, group: usize) -> (usize, usize) {
        group_of(self.kernels.channels[1], group_size(self.instructions.lanes()), group)
    }

    /// The channels of some groups.
    fn channels_of(&self, groups: &Range<usize>) -> Range<usize> {
        self.group(groups.start).0..self.group(groups.end).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::im2col;
    use crate::random::Stream;

    /// The share of the largest output that an error may be: up to 1e-6 was measured with up to 33 input channels, 2.6e-6 with 500.
    const TOLERANCE: f64 = 4e-6;

    /// Uniform in -1..1.
    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut stream = Stream::seeded(seed);
        (0..count).map(|_| stream.within(-1.0, 1.0)).collect()
    }

    /// The worst gap to im2col in f64, of the largest output.
    fn gap(
        instructions: Instructions,
        channels: [usize; 2],
        samples: usize,
        input: [usize; 3],
        padding: [usize; 3],
    ) -> f64 {
        let kernel = [2 * padding[0] + 1, 3, 3];
        let geometry = Geometry { kernel, stride: [1; 3], padding, dilation: [1; 3] };
        let output = geometry.output(input).expect("it fits");
        let weight = random(channels[0] * channels[1] * geometry.elements(), 1);
        let bias: Vec<f64> = random(channels[1], 2).into_iter().map(f64::from).collect();
        let x = random(samples * channels[0] * input.iter().product::<usize>(), 3);
        let f64s = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let exact = im2col::Kernel { weight: &f64s(&weight), bias: &bias, channels, geometry: &geometry };
        let epilogue = Epilogue::default();
        let images = Images { samples, input, output };
        let exact = exact.forward(&f64s(&x), &images, &epilogue).expect("there is room");
        let kernels = Kernels { loaded: weight.as_chunks().0, mirror: None, channels, depth: kernel[0] };
        let layer = Winograd { kernels, bias: &bias, geometry: &geometry, instructions };
        let y = layer.forward(&x, &images, &Epilogue::default()).expect("there is room");
        assert_eq!(y.len(), exact.len());
        let worst = y.iter().zip(&exact).map(|(y, exact)| (f64::from(*y) - exact).abs()).fold(0.0, f64::max);
        worst / exact.iter().map(|y| y.abs()).fold(0.0, f64::max)
    }

    #[test]
    fn every_instruction_set_gives_what_im2col_gives_in_f64() {
        let flat = [0, 1, 1];
        for instructions in Instructions::all() {
            let cases = [
                ([3, 5], 1, [1, 9, 7], flat),
                ([1, 1], 1, [1, 1, 1], flat),
                ([2, 3], 3, [1, 1, 1], flat),
                ([5, 17], 2, [1, 1, 13], flat),
                ([7, 4], 2, [1, 13, 1], flat),
                ([1, 32], 1, [1, 20, 21], flat),
                ([32, 1], 2, [1, 19, 22], flat),
                ([16, 8], 8, [1, 6, 6], flat),
                ([33, 31], 3, [1, 24, 24], flat),
                ([500, 9], 1, [1, 8, 8], flat),
                ([4, 6], 1, [1, 5, 230], flat),
                ([4, 6], 2, [1, 8, 9], [0, 0, 0]),
                ([4, 6], 2, [1, 5, 4], [0, 2, 2]),
                ([3, 2], 2, [1, 5, 4], [0, 4, 3]),
                ([3, 10], 2, [4, 7, 10], [1, 1, 1]),
                ([2, 9], 1, [1, 6, 5], [1, 1, 1]),
                ([3, 4], 1, [3, 6, 5], [2, 0, 1]),
                // Threads take blocks from here on.
                ([4, 9], 2, [1, 61, 83], flat),
                ([150, 3], 1, [1, 84, 90], flat),
                ([3, 10], 2, [9, 30, 33], [1, 1, 1]),
                ([2, 9], 1, [70, 9, 11], [2, 0, 1]),
            ];
            // Miri takes a thousand times as long.
            for (channels, samples, input, padding) in cases.into_iter().take(if cfg!(miri) { 3 } else { usize::MAX }) {
                let gap = gap(instructions, channels, samples, input, padding);
                let case =
                    format!("{instructions:?}: {channels:?} channels, {samples} of {input:?}, padding {padding:?}");
                assert!(gap <= TOLERANCE, "{case}: off by {gap:e}");
            }
        }
    }
}
