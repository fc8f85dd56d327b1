//! Batch norm as it is at inference, a scale and a shift by channel, alone or with the ReLU that follows it, of one tensor or of
//! several that it joins along their channels.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::channel_affine::ChannelAffine;
use super::join::{joined, parts_of};
use super::{AtZero, Operation, Pass, Planes, Saved, Saves, Step, Sum};
use crate::nn::device::has_kernels;
use crate::nn::epilogue::{ByChannel, apply_by_channel, scale_channels};
use crate::nn::mask::Mask;
use crate::nn::numbers::{Held, by_type, tensor};

/// y = scale\[c\] x + shift\[c\] on `[n, c, …]`. Several inputs are parts of x, one after the other along the channels: so a norm over
/// a concatenation needs none.
#[derive(Clone)]
pub struct BatchNorm {
    of: Arc<ByChannel>,
    relu: Option<AtZero>,
}

impl BatchNorm {
    /// Folds weight, bias, mean and variance `[c]`: y = (x - mean) / sqrt(var + eps) * weight + bias.
    pub fn new(weight: &Tensor, bias: &Tensor, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Self> {
        let f64s = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        let (weight, bias, mean, var) = (f64s(weight)?, f64s(bias)?, f64s(mean)?, f64s(var)?);
        let scale: Vec<f64> = weight.iter().zip(&var).map(|(w, v)| w / (v + eps).sqrt()).collect();
        let shift = bias.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok(Self { of: Arc::new(ByChannel { scale, shift }), relu: None })
    }

    pub(super) fn channels(&self) -> usize {
        self.of.scale.len()
    }

    pub(super) fn by_channel(&self) -> &ByChannel {
        &self.of
    }

    /// What it does to gradients: `[n, c, …]` times the scale.
    fn scaled(&self, gradient: &Tensor) -> Result<Tensor> {
        let shift = vec![0.0; self.channels()];
        let linear = Self { of: Arc::new(ByChannel { scale: self.of.scale.clone(), shift }), relu: None };
        Ok(linear.forward(&[gradient], false)?.0)
    }

    /// The gradient of the part with some of the channels, in its sum.
    fn part(
        &self,
        gradient: &Tensor,
        sizes: [usize; 2],
        channels: Range<usize>,
        shape: &[usize],
        Sum { others, mask }: Sum,
    ) -> Result<Tensor> {
        let others = others.map(|others| others.contiguous()).transpose()?;
        let mask = mask.as_ref().map(Mask::bytes).transpose()?;
        let (held, others) = (Held::of(gradient), others.as_ref().map(Held::of));
        by_type!(gradient, T => {
            let beside = (others.as_ref().map(Held::numbers::<T>).transpose()?, mask.as_deref());
            tensor(scale_channels(held.numbers::<T>()?, sizes, &self.of.scale, channels, beside)?, shape)
        })
    }

    /// These numbers where our loops do not run.
    pub(super) fn on(&self, dtype: DType, device: &Device) -> Result<ChannelAffine> {
        let [scale, shift] = [&self.of.scale, &self.of.shift].map(|numbers| channelwise_on(numbers, dtype, device));
        Ok(ChannelAffine { scale: scale?, shift: shift? })
    }
}

impl Operation for BatchNorm {
    fn name(&self) -> String {
        format!("batch norm of {} channels", self.channels())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = joined(inputs, 1)?;
        if shape[1] != self.channels() {
            bail!("batch norm over {} channels, found {shape:?}", self.channels());
        }
        Ok(shape)
    }

    fn saves(&self) -> Saves {
        if self.relu.is_some() { Saves::Bits } else { Saves::Nothing }
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.dims()).collect();
        let (shape, save) = (self.shape(&shapes)?, save && self.relu.is_some());
        let Some(first) = inputs.first() else { bail!("a norm of nothing") };
        if !has_kernels(first.device()) {
            let x = if let [x] = inputs { x.contiguous()? } else { Tensor::cat(inputs, 1)? };
            let (y, mask) = self.on(x.dtype(), x.device())?.of_relu(&x, None, self.relu, save)?;
            return Ok((y, mask.map_or(Saved::Nothing, Saved::Mask)));
        }
        let inputs = inputs.iter().map(|input| input.contiguous()).collect::<Result<Vec<_>>>()?;
        let held: Vec<Held<'_>> = inputs.iter().map(Held::of).collect();
        let sizes = [shape[0], shape[2..].iter().product()];
        by_type!(first, T => {
            let numbers = held.iter().zip(&shapes).map(|(held, shape)| Ok((held.numbers::<T>()?, shape[1])));
            let parts = numbers.collect::<Result<Vec<_>>>()?;
            let (y, mask) = apply_by_channel(&parts, sizes, &self.of, self.relu, save)?;
            Ok((tensor(y, &shape)?, mask.map_or(Saved::Nothing, Saved::Mask)))
        })
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        if !has_kernels(gradient.device()) {
            return parts_of(&self.scaled(gradient)?, 1, pass.shapes, into);
        }
        let gradient = gradient.contiguous()?;
        let sizes = [gradient.dim(0)?, gradient.dims()[2..].iter().product()];
        let mut start = 0;
        let parts = into.into_iter().zip(pass.shapes).map(|(sum, shape)| {
            let channels = start..start + shape[1];
            start = channels.end;
            sum.map(|sum| self.part(&gradient, sizes, channels, shape, sum)).transpose()
        });
        parts.collect()
    }

    fn step(&self) -> Option<Step> {
        self.relu.is_none().then(|| Step::Norm(self.clone()))
    }

    fn absorbing(&self, step: &Step) -> Option<Arc<dyn Operation>> {
        match step {
            Step::Relu(at_zero) if self.relu.is_none() => Some(Arc::new(Self { relu: Some(*at_zero), ..self.clone() })),
            _ => None,
        }
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        (axis != 1).then(|| (Arc::new(self.clone()) as Arc<dyn Operation>, Planes::each(axis)))
    }
}

/// Gives numbers by channel, computed on the CPU: not every device knows f64.
pub(super) fn channelwise_on(numbers: &[f64], dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::new(numbers, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)
}

/// "weight", "bias", "running_mean", "running_var", each `[channels]`.
pub fn batch_norm(channels: usize, eps: f64, vb: &VarBuilder) -> Result<BatchNorm> {
    let get = |name| vb.get(channels, name);
    BatchNorm::new(&get("weight")?, &get("bias")?, &get("running_mean")?, &get("running_var")?, eps)
}
