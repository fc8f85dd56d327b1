//! Functions of single numbers, and of the channels of a voxel.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use candle_nn::ops;

use super::{AtZero, Operation, Pass, Planes, Saved, Saves, Step, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::mask::Mask;

/// The larger of x and 0.
pub struct Relu(pub AtZero);

/// x * sigmoid(x)
pub struct Swish;

/// x - log(sum(exp(x))) over `axis`.
pub struct LogSoftmax {
    pub axis: usize,
}

impl Operation for Relu {
    fn name(&self) -> String {
        "ReLU".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        Saves::Bits
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        // What is no number stays none, as in PyTorch.
        let y = x.lt(0.0)?.where_cond(&x.zeros_like()?, &x)?;
        if !save {
            return Ok((y, Saved::Nothing));
        }
        let passes = match self.0 {
            AtZero::Nothing => x.gt(0.0)?,
            AtZero::All => x.ge(0.0)?,
        };
        let mask =
            if has_kernels(x.device()) { Mask::of(&passes.flatten_all()?.to_vec1()?) } else { Mask::on_device(passes) };
        Ok((y, Saved::Mask(mask)))
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| Ok(gradient.clone()))
    }

    fn step(&self) -> Option<Step> {
        Some(Step::Relu(self.0))
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        Some((Arc::new(Self(self.0)), Planes::each(axis)))
    }
}

impl Operation for Swish {
    fn name(&self) -> String {
        "swish".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        Ok((x.silu()?, if save { Saved::Tensors(vec![x]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let x = pass.saved.tensor(0)?;
        each(into, |_| {
            let s = ops::sigmoid(x)?;
            let slope = (&s * ((x * s.affine(-1.0, 1.0)?)? + 1.0)?)?;
            gradient * slope
        })
    }

    fn step(&self) -> Option<Step> {
        Some(Step::Swish)
    }
}

impl Operation for LogSoftmax {
    fn name(&self) -> String {
        format!("log-softmax over axis {}", self.axis)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match only(inputs)? {
            shape if self.axis < shape.len() => Ok(shape.to_vec()),
            shape => candle_core::bail!("{} of {shape:?}", self.name()),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Output
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let y = ops::log_softmax(inputs[0], self.axis)?.contiguous()?;
        let saved = if save { Saved::Tensors(vec![y.clone()]) } else { Saved::Nothing };
        Ok((y, saved))
    }

    /// The gradient is g - p sum(g), where p = exp(y).
    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let p = pass.saved.tensor(0)?.exp()?;
        each(into, |_| gradient - p.broadcast_mul(&gradient.sum_keepdim(self.axis)?)?)
    }
}
