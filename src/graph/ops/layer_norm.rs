//! Layer norm (Ba, Kiros, Hinton 2016, arXiv 1607.06450), over the last axes.

use candle_core::{D, DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::along::grain;
use super::norm::channelwise_on;
use super::{Operation, Pass, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};

/// The numbers along the last axes brought to mean 0 and deviation 1, then scaled and shifted, each by numbers of its own.
pub struct LayerNorm {
    /// The sides of the last axes.
    sides: Vec<usize>,
    /// One weight for each place of the axes; where there are none, all are 1.
    weight: Option<Vec<f64>>,
    /// None are 0.
    bias: Option<Vec<f64>>,
    eps: f64,
}

impl LayerNorm {
    /// Makes a norm over the last axes, of these `sides`. `weight` and `bias` are of that shape.
    pub fn new(sides: &[usize], weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Result<Self> {
        let numbers = |of: Option<&Tensor>| -> Result<Option<Vec<f64>>> {
            match of {
                Some(of) if of.dims() != sides => bail!("layer norm over {sides:?} has numbers {:?}", of.dims()),
                Some(of) => Ok(Some(of.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)),
                None => Ok(None),
            }
        };
        Ok(Self { sides: sides.to_vec(), weight: numbers(weight)?, bias: numbers(bias)?, eps })
    }

    fn width(&self) -> usize {
        self.sides.iter().product()
    }

    /// Mean and 1 / deviation.
    fn moments<T: Real>(&self, row: &[T]) -> [T; 2] {
        let n = row.len().max(1) as f64;
        let mean = row.iter().map(|x| x.to_f64()).sum::<f64>() / n;
        let variance = row.iter().map(|x| (x.to_f64() - mean) * (x.to_f64() - mean)).sum::<f64>() / n;
        [mean, 1.0 / (variance + self.eps).sqrt()].map(T::from_f64)
    }

    fn normed<T: Real>(&self, x: &[T]) -> Vec<T> {
        let width = self.width().max(1);
        let [weight, bias] = [self.weight.as_ref(), self.bias.as_ref()].map(numbers_of::<T>);
        let mut y = zeros(x.len());
        let rows = y.par_chunks_mut(width).with_min_len(grain(width)).zip(x.par_chunks(width));
        rows.for_each(|(y, x)| {
            let [mean, rate] = self.moments(x);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (*x - mean) * rate);
            y.iter_mut().zip(&weight).for_each(|(y, weight)| *y = *y * *weight);
            y.iter_mut().zip(&bias).for_each(|(y, bias)| *y += *bias);
        });
        y
    }

    /// The gradient is rate (u - mean(u) - h mean(u h)), where h = (x - mean) rate and u = weight g.
    fn pulled<T: Real>(&self, x: &[T], g: &[T]) -> Vec<T> {
        let width = self.width().max(1);
        let weight = numbers_of::<T>(self.weight.as_ref());
        let mut gx = g.to_vec();
        let rows = gx.par_chunks_mut(width).with_min_len(grain(width)).zip(x.par_chunks(width));
        rows.for_each(|(u, x)| {
            let [mean, rate] = self.moments(x);
            u.iter_mut().zip(&weight).for_each(|(u, weight)| *u = *u * *weight);
            let n = x.len() as f64;
            let level = T::from_f64(u.iter().map(|u| u.to_f64()).sum::<f64>() / n);
            let along = u.iter().zip(x).map(|(u, x)| (*u * (*x - mean) * rate).to_f64()).sum::<f64>() / n;
            let along = T::from_f64(along);
            u.iter_mut().zip(x).for_each(|(u, x)| *u = rate * (*u - level - (*x - mean) * rate * along));
        });
        gx
    }

    /// Rows, mean 0 and deviation 1, and 1 / deviation, where our loops do not run.
    fn standard(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        let x = x.contiguous()?.reshape(((), self.width().max(1)))?;
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let rate = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?.recip()?;
        Ok([centred.broadcast_mul(&rate)?, rate])
    }
}

/// Nothing where there are none.
fn numbers_of<T: Real>(numbers: Option<&Vec<f64>>) -> Vec<T> {
    numbers.into_iter().flatten().map(|number| T::from_f64(*number)).collect()
}

impl Operation for LayerNorm {
    fn name(&self) -> String {
        format!("layer norm over {:?}", self.sides)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match only(inputs)? {
            shape if shape.ends_with(&self.sides) => Ok(shape.to_vec()),
            shape => bail!("{}, which are no last axes of {shape:?}", self.name()),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        self.shape(&[x.dims()])?;
        let y = if has_kernels(x.device()) {
            let held = Held::of(&x);
            by_type!(x, T => tensor(self.normed::<T>(held.numbers()?), x.dims())?)
        } else {
            let [mut y, _] = self.standard(&x)?;
            if let Some(weight) = &self.weight {
                y = y.broadcast_mul(&channelwise_on(weight, x.dtype(), x.device())?)?;
            }
            if let Some(bias) = &self.bias {
                y = y.broadcast_add(&channelwise_on(bias, x.dtype(), x.device())?)?;
            }
            y.reshape(x.dims())?
        };
        Ok((y, if save { Saved::Tensors(vec![x]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (x, gradient) = (pass.saved.tensor(0)?, gradient.contiguous()?);
        if gradient.dims() != x.dims() {
            bail!("a gradient {:?} beside a layer norm's {:?}", gradient.dims(), x.dims());
        }
        if has_kernels(x.device()) {
            let (held, of_gradient) = (Held::of(x), Held::of(&gradient));
            return each(
                into,
                |_| by_type!(x, T => tensor(self.pulled::<T>(held.numbers()?, of_gradient.numbers()?), x.dims())),
            );
        }
        let [h, rate] = self.standard(x)?;
        let mut u = gradient.reshape(h.shape())?;
        if let Some(weight) = &self.weight {
            u = u.broadcast_mul(&channelwise_on(weight, x.dtype(), x.device())?)?;
        }
        let along = (&u * &h)?.mean_keepdim(D::Minus1)?;
        let centred = u.broadcast_sub(&u.mean_keepdim(D::Minus1)?)?;
        each(into, |_| (&centred - h.broadcast_mul(&along)?)?.broadcast_mul(&rate)?.reshape(x.dims()))
    }
}
