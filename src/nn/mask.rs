//! Which outputs of an operation its ReLU let through: all that the gradient needs to know of them.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::gemm::{Real, zeros};
use super::numbers::{Held, by_type, tensor};

/// Which outputs a ReLU let through.
#[derive(Clone)]
pub struct Mask(Passing);

#[derive(Clone)]
enum Passing {
    /// A bit for each output.
    Cpu(Arc<Bits>),
    /// A tensor of the outputs' shape, 1 or 0, where our kernels do not run.
    Device(Tensor),
}

impl Mask {
    /// Packs bytes that are 1 or 0.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Passing::Cpu(Arc::new(Bits::of(bytes))))
    }

    /// Of the outputs of a ReLU whose gradient at 0 is nothing: what passed it is above 0.
    pub(crate) fn of_outputs<T: Real>(outputs: &[T]) -> Self {
        Self(Passing::Cpu(Arc::new(Bits::pack(outputs, |x| *x > T::default()))))
    }

    /// The mask is a tensor of the outputs' shape.
    pub(crate) fn on_device(passes: Tensor) -> Self {
        Self(Passing::Device(passes))
    }

    /// What passes of the outputs' gradient.
    pub(crate) fn pass(&self, gradient: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Passing::Cpu(_) => {
                let (gradient, bytes) = (gradient.contiguous()?, self.bytes()?);
                if bytes.len() != gradient.elem_count() {
                    bail!("a mask of {} outputs beside a gradient {:?}", bytes.len(), gradient.dims());
                }
                let held = Held::of(&gradient);
                by_type!(gradient, T => tensor(passed(held.numbers::<T>()?, &bytes), gradient.dims()))
            }
            Passing::Device(passes) => passes.reshape(gradient.shape())?.where_cond(gradient, &gradient.zeros_like()?),
        }
    }

    /// Whether the output of a number passes, where our kernels run.
    pub(crate) fn on_cpu(&self) -> Option<impl Fn(usize) -> bool + Sync> {
        match &self.0 {
            Passing::Cpu(bits) => {
                Some(|at: usize| bits.packed.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1))
            }
            Passing::Device(_) => None,
        }
    }

    /// 1 or 0 for each output.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        match &self.0 {
            Passing::Cpu(bits) => Ok(bits.bytes()),
            Passing::Device(_) => bail!("a mask of another device"),
        }
    }
}

/// Ones and zeros, eight to a byte: those of a whole network wait for the gradient.
struct Bits {
    packed: Vec<u8>,
    count: usize,
}

impl Bits {
    fn of(bytes: &[u8]) -> Self {
        Self::pack(bytes, |byte| *byte == 1)
    }

    /// The bit of each number.
    fn pack<T: Sync>(numbers: &[T], bit: impl Fn(&T) -> bool + Sync) -> Self {
        // The product brings the lowest bit of byte i to bit 56 + i; no two terms meet.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let gather = |eight: [u8; 8]| (u64::from_le_bytes(eight).wrapping_mul(GATHER) >> 56) as u8;
        let mut packed = zeros(numbers.len().div_ceil(8));
        let pieces = packed.par_chunks_mut(PIECE).zip(numbers.par_chunks(8 * PIECE));
        pieces.for_each(|(packed, numbers)| {
            let (eights, rest) = numbers.as_chunks::<8>();
            for (byte, eight) in packed.iter_mut().zip(eights) {
                *byte = gather(std::array::from_fn(|i| u8::from(bit(&eight[i]))));
            }
            if let Some(last) = packed.get_mut(eights.len()) {
                *last = gather(std::array::from_fn(|i| u8::from(rest.get(i).is_some_and(&bit))));
            }
        });
        Self { packed, count: numbers.len() }
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

/// Elements that one thread takes at a time. Miri takes a thousand times as long.
const PIECE: usize = if cfg!(miri) { 1 << 6 } else { 1 << 15 };

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
    fn bits_give_back_the_bytes_that_they_hold() {
        for count in [0, 1, 7, 8, 9, 200, 8 * PIECE + 3] {
            let bytes: Vec<u8> = (0..count).map(|i| u8::from(i * i % 7 < 3)).collect();
            assert_eq!(Bits::of(&bytes).bytes(), bytes, "{count}");
            assert_eq!(Bits::pack(&bytes, |byte| *byte == 1).bytes(), bytes, "{count}");
        }
    }
}
