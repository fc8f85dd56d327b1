//! Softmax over an axis.

use candle_core::{Result, Tensor, bail};
use candle_nn::ops;
use rayon::prelude::*;

use super::along::grain;
use super::{Operation, Pass, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::Real;
use crate::nn::numbers::{Held, by_type, tensor};

/// e^x / sum(e^x) over `axis`.
pub struct Softmax {
    pub axis: usize,
}

/// Turns one row into its softmax, in place.
pub(super) fn softmax_row<T: Real>(row: &mut [T]) {
    let most = row.iter().fold(T::MIN, |most, x| if *x > most { *x } else { most });
    let mut sum = 0.0_f64;
    for x in row.iter_mut() {
        *x = (*x - most).exp();
        sum += x.to_f64();
    }
    let share = T::from_f64(1.0 / sum);
    for x in row {
        *x = *x * share;
    }
}

/// Turns the gradient of one row's softmax `p` into that of its argument, in place: p (g - sum(p g)).
pub(super) fn softmax_row_vjp<T: Real>(p: &[T], g: &mut [T]) {
    let level = T::from_f64(p.iter().zip(g.iter()).map(|(p, g)| (*p * *g).to_f64()).sum());
    g.iter_mut().zip(p).for_each(|(g, p)| *g = *p * (*g - level));
}

impl Softmax {
    /// The axis last, or last where it was: the exchange is its own transpose.
    fn exchanged(&self, x: &Tensor) -> Result<Tensor> {
        x.transpose(self.axis, x.rank() - 1)?.contiguous()
    }
}

impl Operation for Softmax {
    fn name(&self) -> String {
        format!("softmax over axis {}", self.axis)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match only(inputs)? {
            shape if self.axis < shape.len() => Ok(shape.to_vec()),
            shape => bail!("{} of {shape:?}", self.name()),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Output
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        self.shape(&[inputs[0].dims()])?;
        let x = self.exchanged(inputs[0])?;
        let (shape, width) = (x.dims(), x.dims()[x.rank() - 1]);
        let y = if has_kernels(x.device()) {
            let held = Held::of(&x);
            by_type!(x, T => {
                let mut y = held.numbers::<T>()?.to_vec();
                y.par_chunks_mut(width.max(1)).with_min_len(grain(width)).for_each(softmax_row);
                tensor(y, shape)?
            })
        } else {
            ops::softmax(&x, x.rank() - 1)?
        };
        let y = self.exchanged(&y)?;
        Ok((y.clone(), if save { Saved::Tensors(vec![y]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (p, g) = (self.exchanged(pass.saved.tensor(0)?)?, self.exchanged(gradient)?);
        if !has_kernels(p.device()) {
            let level = (&p * &g)?.sum_keepdim(p.rank() - 1)?;
            return each(into, |_| self.exchanged(&(&p * g.broadcast_sub(&level)?)?));
        }
        let (width, of_p, of_g) = (p.dims()[p.rank() - 1].max(1), Held::of(&p), Held::of(&g));
        each(into, |_| {
            by_type!(p, T => {
                let mut gx = of_g.numbers::<T>()?.to_vec();
                let rows = gx.par_chunks_mut(width).with_min_len(grain(width)).zip(of_p.numbers::<T>()?.par_chunks(width));
                rows.for_each(|(g, p)| softmax_row_vjp(p, g));
                self.exchanged(&tensor(gx, p.dims())?)
            })
        })
    }
}
