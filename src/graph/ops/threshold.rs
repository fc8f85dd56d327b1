//! Functions of a slope that changes at a threshold: one bit for each number says which slope is its.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::along::{Along, grain};
use super::function::{PIECE, mapped};
use super::norm::channelwise_on;
use super::{Operation, Pass, Planes, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::mask::Mask;
use crate::nn::numbers::{Held, by_type, tensor};

/// x where it is positive, elsewhere slope x: leaky and parametric ReLU. One slope for all, or one for each channel of `[n, c, …]`.
#[derive(Clone)]
pub struct LeakyRelu {
    pub slopes: Vec<f64>,
}

/// x, within these bounds. At a bound the gradient passes, as in PyTorch.
#[derive(Clone)]
pub struct Clip {
    pub low: f64,
    pub high: f64,
}

/// A byte for each number: whether `passes` it.
fn bytes<T: Real>(x: &[T], passes: impl Fn(T) -> bool + Sync) -> Vec<u8> {
    let mut bytes = zeros::<u8>(x.len());
    let pieces = bytes.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
    pieces.for_each(|(bytes, x)| bytes.iter_mut().zip(x).for_each(|(byte, x)| *byte = u8::from(passes(*x))));
    bytes
}

impl LeakyRelu {
    /// The slopes beside a tensor, where our loops do not run.
    fn beside(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = vec![1; x.rank()];
        if self.slopes.len() > 1 {
            shape[1] = self.slopes.len();
        }
        channelwise_on(&self.slopes, x.dtype(), x.device())?.reshape(shape)
    }

    /// Gives x, or slope times x where `scales` says so of the number at a place.
    fn scaled_where<T: Real>(
        &self,
        x: &[T],
        shape: &[usize],
        scales: impl Fn(usize, T) -> bool + Sync,
    ) -> Result<Vec<T>> {
        // Numbers of one slope lie side by side.
        let run = if self.slopes.len() == 1 { PIECE } else { Along::new(shape, 1)?.inner };
        let mut y = zeros(x.len());
        let runs = y.par_chunks_mut(run.max(1)).with_min_len(grain(run)).zip(x.par_chunks(run.max(1))).enumerate();
        runs.for_each(|(number, (y, x))| {
            let slope = T::from_f64(self.slopes[number % self.slopes.len()]);
            let places = y.iter_mut().zip(x).enumerate();
            places.for_each(|(at, (y, x))| *y = if scales(number * run + at, *x) { *x * slope } else { *x });
        });
        Ok(y)
    }
}

impl Operation for LeakyRelu {
    fn name(&self) -> String {
        match self.slopes.as_slice() {
            [slope] => format!("leaky ReLU of slope {slope}"),
            slopes => format!("leaky ReLU of {} slopes", slopes.len()),
        }
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        if self.slopes.is_empty() || (self.slopes.len() > 1 && shape.get(1) != Some(&self.slopes.len())) {
            bail!("{} of {shape:?}: one for all, or one for each channel", self.name());
        }
        Ok(shape.to_vec())
    }

    fn saves(&self) -> Saves {
        Saves::Bits
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        self.shape(&[x.dims()])?;
        if !has_kernels(x.device()) {
            let below = x.lt(0.0)?;
            let y = below.where_cond(&x.broadcast_mul(&self.beside(&x)?)?, &x)?;
            return Ok((y, if save { Saved::Bits(Mask::on_device(x.gt(0.0)?)) } else { Saved::Nothing }));
        }
        let held = Held::of(&x);
        by_type!(x, T => {
            let numbers = held.numbers::<T>()?;
            let y = tensor(self.scaled_where(numbers, x.dims(), |_, x| x < T::default())?, x.dims())?;
            // At 0 the slope is that of the negative side, as in PyTorch.
            let saved = if save { Saved::Bits(Mask::of(&bytes(numbers, |x| x > T::default()))) } else { Saved::Nothing };
            Ok((y, saved))
        })
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let Saved::Bits(positive) = pass.saved else { bail!("the gradient of a leaky ReLU wants its bits") };
        let gradient = gradient.contiguous()?;
        if !has_kernels(gradient.device()) {
            return each(into, |_| {
                let passed = positive.pass(&gradient)?;
                &passed + (&gradient - &passed)?.broadcast_mul(&self.beside(&gradient)?)?
            });
        }
        let (held, positive) = (Held::of(&gradient), positive.bytes()?);
        if positive.len() != gradient.elem_count() {
            bail!("a gradient {:?} of a leaky ReLU of {} numbers", gradient.dims(), positive.len());
        }
        each(into, |_| {
            by_type!(gradient, T => {
                let gx = self.scaled_where(held.numbers::<T>()?, gradient.dims(), |at, _| positive[at] == 0)?;
                tensor(gx, gradient.dims())
            })
        })
    }

    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        (axis != 1).then(|| (Arc::new(self.clone()) as Arc<dyn Operation>, Planes::each(axis)))
    }
}

impl Operation for Clip {
    fn name(&self) -> String {
        format!("clip to {} and {}", self.low, self.high)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        Saves::Bits
    }

    /// Where the bounds are in disorder, all becomes the upper one.
    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        if !has_kernels(x.device()) {
            let y = x.maximum(self.low)?.minimum(self.high)?;
            let passes = (x.ge(self.low)? * x.le(self.high)?)?;
            return Ok((y, if save { Saved::Mask(Mask::on_device(passes)) } else { Saved::Nothing }));
        }
        let held = Held::of(&x);
        by_type!(x, T => {
            let (numbers, [low, high]) = (held.numbers::<T>()?, [self.low, self.high].map(T::from_f64));
            let above = |x: T| if x < low { low } else { x };
            let y = mapped(numbers, |x| if above(x) > high { high } else { above(x) });
            let passes = |x: T| x >= low && x <= high;
            let saved = if save { Saved::Mask(Mask::of(&bytes(numbers, passes))) } else { Saved::Nothing };
            Ok((tensor(y, x.dims())?, saved))
        })
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| Ok(gradient.clone()))
    }

    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        Some((Arc::new(self.clone()), Planes::each(axis)))
    }
}
