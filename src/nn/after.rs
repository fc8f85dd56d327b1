//! What follows a convolution while the caches still hold its outputs: a batch norm, a skip that is added, a ReLU.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::gemm::{Columns, Real, contiguous, zeros};
use super::norm::BatchNorm;

/// The gradient of a ReLU at exactly 0, of which any from 0 to 1 is one: what of the output's gradient passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtZero {
    /// As PyTorch has it.
    Nothing,
    /// As candle has it.
    All,
}

/// What is done to each output, in this order. It rounds as the layers do one by one: where a sum is almost 0, a ReLU's gradient
/// hangs on its last bit, so a scale that was multiplied into the weights would give other gradients.
#[derive(Clone, Copy)]
pub(super) struct After<'a, T> {
    pub(super) norm: Option<&'a BatchNorm>,
    /// Added; as many as there are outputs.
    pub(super) skip: Option<&'a [T]>,
    pub(super) relu: Option<AtZero>,
    /// Where to note which outputs the ReLU lets through, 1 or 0; as many as there are outputs.
    pub(super) passing: Option<&'a Columns<'a, u8>>,
    pub(super) norm_last: Option<&'a BatchNorm>,
    /// Lets through what is not 0 here; as many as there are outputs.
    pub(super) mask: Option<&'a [u8]>,
}

impl<T> Default for After<'_, T> {
    /// Nothing.
    fn default() -> Self {
        Self { norm: None, skip: None, relu: None, passing: None, norm_last: None, mask: None }
    }
}

impl<T: Real> After<'_, T> {
    /// Neighbouring outputs of a channel, the first of which is number `at` of all.
    ///
    /// # Safety
    /// No other thread finishes these outputs.
    #[expect(unsafe_code, reason = "what passes is noted from several threads")]
    #[inline(always)]
    pub(super) unsafe fn finish(&self, channel: usize, at: usize, outputs: &mut [T]) {
        if let Some(norm) = self.norm {
            norm.apply(channel, outputs);
        }
        if let Some(skip) = self.skip {
            let skip = &skip[at..][..outputs.len()];
            outputs.iter_mut().zip(skip).for_each(|(output, skip)| *output += *skip);
        }
        if let (Some(at_zero), Some(passing)) = (self.relu, self.passing) {
            // SAFETY: the caller's promise.
            let passing = unsafe { passing.filled(at..at + outputs.len(), 0) };
            let pairs = passing.iter_mut().zip(outputs.iter());
            match at_zero {
                AtZero::Nothing => pairs.for_each(|(passes, output)| *passes = u8::from(*output > T::default())),
                AtZero::All => pairs.for_each(|(passes, output)| *passes = u8::from(*output >= T::default())),
            }
        }
        if self.relu.is_some() {
            // What is no number stays none, as in torch.
            for output in outputs.iter_mut() {
                *output = if *output < T::default() { T::default() } else { *output };
            }
        }
        if let Some(norm) = self.norm_last {
            norm.apply(channel, outputs);
        }
        if let Some(mask) = self.mask {
            let mask = &mask[at..][..outputs.len()];
            outputs.iter_mut().zip(mask).for_each(|(output, mask)| {
                *output = if *mask == 0 { T::default() } else { *output };
            });
        }
    }
}

/// Which outputs of a layer its ReLU let through: all that the gradient needs to know of them.
#[derive(Clone)]
pub struct Mask(pub(super) Passing);

#[derive(Clone)]
pub(super) enum Passing {
    /// A bit for each output.
    Cpu(Arc<Bits>),
    /// The same as a tensor `[n, c, d, h, w]`.
    Device(Tensor),
}

impl Mask {
    /// What passes of the outputs' gradient, as volumes or as the slices of one.
    pub fn pass(&self, gradient: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Passing::Cpu(_) => gradient.contiguous()?.apply_op1_no_bwd(self),
            Passing::Device(passes) => passes.reshape(gradient.shape())?.where_cond(gradient, &gradient.zeros_like()?),
        }
    }

    /// 1 or 0 for each output.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        match &self.0 {
            Passing::Cpu(bits) => Ok(bits.bytes()),
            Passing::Device(_) => bail!("a mask of another device"),
        }
    }
}

/// Ones and zeros, eight to a byte: those of a whole network wait for the way back.
pub(super) struct Bits {
    packed: Vec<u8>,
    count: usize,
}

impl Bits {
    pub(super) fn of(bytes: &[u8]) -> Self {
        // The product brings the lowest bit of byte i to bit 56 + i; no two terms meet.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let (eights, rest) = bytes.as_chunks::<8>();
        let pack = |eight: [u8; 8]| (u64::from_le_bytes(eight).wrapping_mul(GATHER) >> 56) as u8;
        let mut packed: Vec<u8> = eights.par_iter().with_min_len(PIECE).map(|eight| pack(*eight)).collect();
        if !rest.is_empty() {
            packed.push(pack(std::array::from_fn(|i| rest.get(i).copied().unwrap_or(0))));
        }
        Self { packed, count: bytes.len() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = zeros(self.packed.len() * 8);
        let pieces = bytes.par_chunks_mut(8 * PIECE).zip(self.packed.par_chunks(PIECE));
        pieces.for_each(|(bytes, packed)| {
            for (eight, byte) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(packed) {
                *eight = std::array::from_fn(|i| byte >> i & 1);
            }
        });
        bytes.truncate(self.count);
        bytes
    }
}

impl CustomOp1 for Mask {
    fn name(&self) -> &'static str {
        "what a relu lets through"
    }

    fn cpu_fwd(&self, g: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mask = &self.bytes()?;
        if mask.len() != layout.shape().elem_count() {
            bail!("a mask of {} outputs, a gradient of {:?}", mask.len(), layout.shape());
        }
        let storage = match g {
            CpuStorage::F64(_) => f64::storage(passed::<f64>(contiguous(g, layout)?, mask)),
            _ => f32::storage(passed::<f32>(contiguous(g, layout)?, mask)),
        };
        Ok((storage, layout.shape().clone()))
    }
}

/// Elements that one thread takes at a time.
const PIECE: usize = 1 << 15;

/// `x` where the mask is not 0.
fn passed<T: Real>(x: &[T], mask: &[u8]) -> Vec<T> {
    let mut passed = zeros(x.len());
    let pieces = passed.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE).zip(mask.par_chunks(PIECE)));
    pieces.for_each(|(passed, (x, mask))| {
        for (passed, (x, mask)) in passed.iter_mut().zip(x.iter().zip(mask)) {
            *passed = if *mask == 0 { T::default() } else { *x };
        }
    });
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_give_back_the_bytes_they_were_made_of() {
        for count in [0, 1, 7, 8, 9, 200, 8 * PIECE + 3] {
            let bytes: Vec<u8> = (0..count).map(|i| u8::from(i * i % 7 < 3)).collect();
            assert_eq!(Bits::of(&bytes).bytes(), bytes, "{count}");
        }
    }
}
