//! 3 x 3 convolutions of stride 1 by Winograd's minimal filtering, F(4x4, 3x3): a quarter of the products (Lavin, Gray 2015,
//! arXiv 1509.09308). A 3-D kernel is as many 2-D ones as it is deep, each on its own slices, summed before they are
//! transformed back.
//!
//! For f32. Outputs err by up to 3e-6 of the largest (see the test), where im2col's err by up to 5e-7.
#![expect(unsafe_code, reason = "threads make different parts of one output")]

mod block;
mod tiles;
mod transform;

use rayon::prelude::*;

use self::block::{Job, MOST_ROWS, Share, WIDEST, rows};
use self::tiles::part;
use self::transform::{POINTS, of_kernels};
use super::after::After;
use super::gemm::{Columns, zeros};
use super::geometry::{Geometry, Images};
use super::simd::{Instructions, Simd, Work};

/// With fewer tiles than these the transformed weights, four times as large, take longer to read than im2col to compute; where no
/// cache holds them, they are not worth their memory with fewer than that many more.
const FEWEST_TILES: usize = 4;
const FEWEST_TILES_UNCACHED: usize = 16;
const CACHE_BYTES: usize = 16 << 20;
/// With as many tiles as these, to transform the weights anew costs a few hundredths of the products, and spares the memory that
/// they would take between passes.
const MADE_ANEW: usize = 128;
/// Shares of the work for each thread, so that none waits long for the last.
const SHARES: usize = 4;

pub(super) struct Winograd {
    instructions: Instructions,
    /// By block of output channels: `[POINTS, inputs, channels of the block]`.
    weight: Vec<f32>,
    bias: Vec<f32>,       // [out], or empty
    channels: [usize; 2], // in, out
    depth: usize,
    padding: [usize; 3],
}

impl Winograd {
    /// Whether a convolution is one of these.
    pub(super) fn fits(geometry: &Geometry) -> bool {
        geometry.kernel[1..] == [3; 2] && geometry.stride == [1; 3]
    }

    /// Whether it is faster than im2col on outputs of this size. However many samples there are: one alone is to give what it
    /// gives among others.
    pub(super) fn pays(channels: [usize; 2], geometry: &Geometry, output: [usize; 3]) -> bool {
        let bytes = channels[0] * channels[1] * geometry.kernel[0] * POINTS * size_of::<f32>();
        let fewest = if bytes <= CACHE_BYTES { FEWEST_TILES } else { FEWEST_TILES_UNCACHED };
        Images { samples: 1, input: output, output }.tiles() >= fewest
    }

    /// Whether the transformed weights are better made for each pass than kept: where they serve many tiles, or a volume, which
    /// passes whole and seldom.
    pub(super) fn passes(geometry: &Geometry, images: &Images) -> bool {
        images.tiles() >= MADE_ANEW || geometry.kernel[0] > 1
    }

    /// `kernel` gives the 3 x 3 weights of an output channel, an input channel and a depth tap.
    pub(super) fn new(
        kernel: impl Fn(usize, usize, usize) -> [f32; 9] + Sync,
        bias: &[f64],
        channels: [usize; 2],
        geometry: &Geometry,
        instructions: Instructions,
    ) -> Self {
        let mut layer = Self {
            instructions,
            weight: Vec::new(),
            bias: bias.iter().map(|bias| *bias as f32).collect(),
            channels,
            depth: geometry.kernel[0],
            padding: geometry.padding,
        };
        let rows = rows(instructions.lanes());
        let channel = POINTS * layer.inputs();
        let mut weight = zeros(channels[1] * channel);
        let (whole, single) = weight.split_at_mut(channels[1] / rows * rows * channel);
        let blocks = whole.par_chunks_mut(rows * channel).chain(single.par_chunks_mut(channel));
        blocks.enumerate().for_each(|(block, packed)| {
            instructions.run(Pack { layer: &layer, block, kernel: &kernel, packed });
        });
        layer.weight = weight;
        layer
    }

    /// Input channels by depth tap: what is summed over.
    fn inputs(&self) -> usize {
        self.depth * self.channels[0]
    }

    /// How many blocks the output channels make: whole ones, then single channels.
    fn outputs(&self) -> usize {
        let rows = rows(self.instructions.lanes());
        self.channels[1] / rows + self.channels[1] % rows
    }

    /// A block's first channel and how many.
    fn output(&self, block: usize) -> (usize, usize) {
        let rows = rows(self.instructions.lanes());
        let whole = self.channels[1] / rows;
        if block < whole { (block * rows, rows) } else { (whole * rows + block - whole, 1) }
    }

    /// `[samples, in, input]` to `[samples, out, output]`.
    pub(super) fn forward(&self, x: &[f32], images: &Images, after: &After<'_, f32>) -> Vec<f32> {
        let [c_in, c_out] = self.channels;
        let [voxels, positions] = images.counts();
        assert_eq!(x.len(), images.samples * c_in * voxels, "the input has its shape");
        let (mut y, len) = (Vec::new(), images.samples * c_out * positions);
        let threads = rayon::current_num_threads();
        let lanes = self.instructions.lanes();
        let vectors = images.tiles().div_ceil(lanes);
        let blocks = vectors.div_ceil(WIDEST).max(vectors.min(threads));
        // Few tiles: threads share their output channels too.
        let groups = threads.div_ceil(blocks.max(1)).min(self.outputs());
        let job = |index: usize| {
            let vectors = part(vectors, blocks, index / groups);
            let tiles = vectors.start * lanes..(vectors.end * lanes).min(images.tiles());
            Job { tiles, outputs: part(self.outputs(), groups, index % groups) }
        };
        let jobs = blocks * groups;
        let shares = jobs.min(SHARES * threads);
        let columns = Columns::fresh(&mut y, len);
        (0..shares).into_par_iter().for_each(|share| {
            let jobs = part(jobs, shares, share).map(job);
            self.instructions.run(Share { layer: self, images, x, y: &columns, after, jobs });
        });
        // SAFETY: the tiles cover every output, and so do the blocks of channels.
        unsafe { y.set_len(len) };
        y
    }
}

/// A block's kernels at the points.
struct Pack<'a, K> {
    layer: &'a Winograd,
    block: usize,
    kernel: &'a K,
    packed: &'a mut [f32],
}

impl<K: Fn(usize, usize, usize) -> [f32; 9]> Work for Pack<'_, K> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { layer, block, kernel, packed } = self;
        let ([c_in, _], inputs, (first, rows)) = (layer.channels, layer.inputs(), layer.output(block));
        let mut kernels = [[0.0; MOST_ROWS]; 9];
        for input in 0..inputs {
            for row in 0..rows {
                let kernel = kernel(first + row, input % c_in, input / c_in);
                kernels.iter_mut().zip(kernel).for_each(|(of, tap)| of[row] = f64::from(tap));
            }
            for (point, made) in of_kernels(&kernels).iter().enumerate() {
                packed[(point * inputs + input) * rows..][..rows].copy_from_slice(&made[..rows]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::im2col;

    /// Of the largest output: measured up to 1e-6 with up to 33 input channels, 2.6e-6 with 500.
    const TOLERANCE: f64 = 4e-6;

    /// Uniform in -1..1 from SplitMix64 (Steele, Lea, Flood 2014), as f32 knows them.
    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
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
        let geometry = Geometry { kernel, stride: [1; 3], padding };
        let output = geometry.output(input).expect("it fits");
        let weight = random(channels[0] * channels[1] * geometry.taps(), 1);
        let bias: Vec<f64> = random(channels[1], 2).into_iter().map(f64::from).collect();
        let x = random(samples * channels[0] * input.iter().product::<usize>(), 3);
        let f64s = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let exact = im2col::Kernel { weight: &f64s(&weight), bias: &bias, channels, geometry: &geometry };
        let after = After::default();
        let images = Images { samples, input, output };
        let exact = exact.forward(&f64s(&x), &images, &after);
        let kernels = weight.as_chunks().0;
        let kernel = |out, input, tap| kernels[(out * channels[0] + input) * kernel[0] + tap];
        let layer = Winograd::new(kernel, &bias, channels, &geometry, instructions);
        let y = layer.forward(&x, &images, &After::default());
        assert_eq!(y.len(), exact.len());
        let worst = y.iter().zip(&exact).map(|(y, exact)| (f64::from(*y) - exact).abs()).fold(0.0, f64::max);
        worst / exact.iter().map(|y| y.abs()).fold(0.0, f64::max)
    }

    #[test]
    fn every_instruction_set_gives_what_im2col_gives_in_f64() {
        let flat = [0, 1, 1];
        for instructions in Instructions::all() {
            for (channels, samples, input, padding) in [
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
            ] {
                let gap = gap(instructions, channels, samples, input, padding);
                let case =
                    format!("{instructions:?}: {channels:?} channels, {samples} of {input:?}, padding {padding:?}");
                assert!(gap <= TOLERANCE, "{case}: off by {gap:e}");
            }
        }
    }
}
