//! What follows a convolution while the caches still hold its outputs: a batch norm, a skip that is added, a ReLU.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::gemm::{Real, contiguous};
use super::norm::BatchNorm;

/// What is done to each output. It rounds as the layers do one by one: where a sum is almost 0, a ReLU's gradient hangs on its
/// last bit, so a scale that was multiplied into the weights would give other gradients.
#[derive(Clone, Copy)]
pub(super) struct After<'a, T> {
    pub(super) norm: Option<&'a BatchNorm>,
    /// Added; as many as there are outputs.
    pub(super) skip: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T: Real> After<'_, T> {
    /// Neighbouring outputs of a channel, the first of which is number `at` of all.
    #[inline(always)]
    pub(super) fn finish(&self, channel: usize, at: usize, outputs: &mut [T]) {
        if let Some(norm) = self.norm {
            norm.apply(channel, outputs);
        }
        if let Some(skip) = self.skip {
            let skip = &skip[at..][..outputs.len()];
            outputs.iter_mut().zip(skip).for_each(|(output, skip)| *output += *skip);
        }
        if self.relu {
            // What is no number stays none, as in torch.
            for output in outputs {
                *output = if *output < T::default() { T::default() } else { *output };
            }
        }
    }
}

/// The gradient of a ReLU, from the gradient of its outputs and these: 0 wherever the output is.
pub(super) struct Passed;

/// Elements that one thread takes at a time.
const PIECE: usize = 1 << 15;

impl Passed {
    fn pass<T: Real>(gradient: &[T], outputs: &[T]) -> Vec<T> {
        let mut passed = vec![T::default(); gradient.len()];
        let pieces = passed.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE).zip(outputs.par_chunks(PIECE)));
        pieces.for_each(|(passed, (gradient, outputs))| {
            for (passed, (gradient, output)) in passed.iter_mut().zip(gradient.iter().zip(outputs)) {
                *passed = if *output > T::default() { *gradient } else { T::default() };
            }
        });
        passed
    }
}

impl CustomOp2 for Passed {
    fn name(&self) -> &'static str {
        "gradient of a relu"
    }

    fn cpu_fwd(&self, g: &CpuStorage, of_g: &Layout, y: &CpuStorage, of_y: &Layout) -> Result<(CpuStorage, Shape)> {
        if of_g.shape() != of_y.shape() {
            bail!("outputs of {:?} have a gradient of {:?}", of_y.shape(), of_g.shape());
        }
        let storage = match candle_core::backend::BackendStorage::dtype(g) {
            DType::F64 => f64::storage(Self::pass(contiguous(g, of_g)?, contiguous(y, of_y)?)),
            _ => f32::storage(Self::pass(contiguous(g, of_g)?, contiguous(y, of_y)?)),
        };
        Ok((storage, of_g.shape().clone()))
    }
}
