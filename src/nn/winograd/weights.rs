//! Transforms kernels, into the order in which the products take them.

use super::LARGEST_GROUP;
use super::transform::{POINTS, of_kernels};
use crate::nn::gemm::Columns;
use crate::nn::simd::{Simd, Work};

/// Inputs that are transformed at a time, so that the result is written to memory by the line.
const INPUTS: usize = 8;

/// Where the 3 x 3 kernels come from.
pub(crate) struct Kernels<'a> {
    /// `[out, in, depth]`; where there is a mirror, the kernels of the convolution that this is the gradient of, `[in, out, depth]`.
    pub(crate) loaded: &'a [[f32; 9]],
    /// What each input channel is multiplied with, where a kernel's weights are taken in reverse.
    pub(crate) mirror: Option<&'a [f64]>,
    pub(crate) channels: [usize; 2], // in, out
    pub(crate) depth: usize,
}

impl Kernels<'_> {
    #[inline(always)]
    fn get(&self, [input, output]: [usize; 2], depth_offset: usize) -> [f32; 9] {
        let ([c_in, c_out], depth) = (self.channels, self.depth);
        let Some(scale) = self.mirror else { return self.loaded[(output * c_in + input) * depth + depth_offset] };
        let mut kernel = self.loaded[(input * c_out + output) * depth + depth - 1 - depth_offset];
        kernel.reverse();
        for number in &mut kernel {
            *number *= scale[input] as f32;
        }
        kernel
    }
}

/// The kernels of a group of output channels.
pub(super) struct Pack<'a> {
    kernels: &'a Kernels<'a>,
    /// The first one, and how many.
    group: (usize, usize),
    /// Where to put them: `[POINTS, depth * in, channels of the group]`, from `at` on.
    packed: &'a Columns<'a, f32>,
    at: usize,
}

impl<'a> Pack<'a> {
    /// Transforms the kernels of a group, the first output channel and how many, to `packed` from `at` on.
    ///
    /// # Safety
    /// Until it has run, no one else touches the group's elements of `packed`.
    pub(super) unsafe fn new(
        kernels: &'a Kernels<'a>,
        group: (usize, usize),
        packed: &'a Columns<'a, f32>,
        at: usize,
    ) -> Self {
        Self { kernels, group, packed, at }
    }
}

impl Work for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { kernels, group: (first, size), packed, at } = self;
        let ([c_in, _], inputs) = (kernels.channels, kernels.depth * kernels.channels[0]);
        let mut numbers = [[[0.0; LARGEST_GROUP]; 9]; INPUTS];
        let mut transformed = [[0.0; INPUTS * LARGEST_GROUP]; POINTS];
        for start in (0..inputs).step_by(INPUTS) {
            let count = INPUTS.min(inputs - start);
            for (input, numbers) in numbers[..count].iter_mut().enumerate() {
                let (depth_offset, channel) = ((start + input) / c_in, (start + input) % c_in);
                for of_group in 0..size {
                    let kernel = kernels.get([channel, first + of_group], depth_offset);
                    for (numbers, number) in numbers.iter_mut().zip(kernel) {
                        numbers[of_group] = number;
                    }
                }
            }
            for (input, numbers) in numbers[..count].iter().enumerate() {
                of_kernels(s, numbers, &mut transformed, input * size);
            }
            for (point, transformed) in transformed.iter().enumerate() {
                // SAFETY: the maker's promise.
                unsafe { packed.copy(at + (point * inputs + start) * size, &transformed[..count * size]) };
            }
        }
    }
}
