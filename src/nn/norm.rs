//! Batch norm as it is at inference: a scale and a shift per channel.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Module, Result, Shape, Tensor, bail};
use candle_nn::VarBuilder;
use rayon::prelude::*;

use super::composed::Lines;
use super::device::has_kernels;
use super::gemm::{Real, contiguous, zeros};

/// y = scale\[c\] x + shift\[c\] on `[n, c, …]`. candle's broadcast product would also compute a gradient for the scale.
#[derive(Clone)]
pub struct BatchNorm {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl BatchNorm {
    /// Folds weight, bias, mean and variance `[c]`: y = (x - mean) / sqrt(var + eps) * weight + bias.
    pub fn from_tensors(weight: &Tensor, bias: &Tensor, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Self> {
        let f64s = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        let (weight, bias, mean, var) = (f64s(weight)?, f64s(bias)?, f64s(mean)?, f64s(var)?);
        let scale: Vec<f64> = weight.iter().zip(&var).map(|(w, v)| w / (v + eps).sqrt()).collect();
        let shift = bias.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok(Self { scale, shift })
    }

    /// By channel: what a gradient is multiplied with.
    pub(super) fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// Some numbers of a channel.
    #[inline(always)]
    pub(super) fn apply<T: Real>(&self, channel: usize, numbers: &mut [T]) {
        let [scale, shift] = [&self.scale, &self.shift].map(|of| T::from_f64(of[channel]));
        for x in numbers {
            *x = *x * scale + shift;
        }
    }

    fn apply_to_all<T: Real>(&self, x: &[T], dims: &[usize]) -> Vec<T> {
        let plane = dims[2..].iter().product::<usize>().max(1);
        let mut y = zeros(x.len());
        y.par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().for_each(|(i, (y, x))| {
            y.copy_from_slice(x);
            self.apply(i % dims[1], y);
        });
        y
    }

    /// `[scale, shift]` by channel.
    pub(super) fn lines(&self) -> impl Iterator<Item = [f64; 2]> {
        self.scale.iter().zip(&self.shift).map(|(scale, shift)| [*scale, *shift])
    }

    /// The same where our loops do not run.
    pub(super) fn on(&self, dtype: DType, device: &Device) -> Result<Lines> {
        let [scale, shift] = [&self.scale, &self.shift].map(|numbers| channelwise_on(numbers, dtype, device));
        Ok(Lines { scale: scale?, shift: shift? })
    }

    /// The same without a shift: what it does to gradients.
    pub(super) fn linear(&self) -> Self {
        Self { scale: self.scale.clone(), shift: vec![0.0; self.shift.len()] }
    }
}

impl CustomOp1 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let dims = layout.dims();
        if dims.len() < 2 || dims[1] != self.scale.len() {
            bail!("batch norm over {} channels, found {dims:?}", self.scale.len());
        }
        let storage = match storage {
            CpuStorage::F64(_) => f64::storage(self.apply_to_all::<f64>(contiguous(storage, layout)?, dims)),
            _ => f32::storage(self.apply_to_all::<f32>(contiguous(storage, layout)?, dims)),
        };
        Ok((storage, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&self.linear())?))
    }
}

impl Module for BatchNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if has_kernels(x.device()) {
            return x.contiguous()?.apply_op1(self.clone());
        }
        self.on(x.dtype(), x.device())?.node(x)
    }
}

/// Numbers by channel, made on the CPU: not every device knows f64.
pub(super) fn channelwise_on(numbers: &[f64], dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::new(numbers, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)
}

/// "weight", "bias", "running_mean", "running_var", each `[channels]`.
pub fn batch_norm(channels: usize, eps: f64, vb: &VarBuilder) -> Result<BatchNorm> {
    let get = |name| vb.get(channels, name);
    BatchNorm::from_tensors(&get("weight")?, &get("bias")?, &get("running_mean")?, &get("running_var")?, eps)
}
