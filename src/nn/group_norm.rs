//! Group norm (Wu, He 2018, arXiv 1803.08494), alone or with the swish that follows it, in two passes over memory each way.
//!
//! candle's own is right, and made of a dozen passes, which two cores feel more than the convolutions' arithmetic. The loops here
//! are plain ones that the compiler turns into vectors, those of the best instruction set there is.

use std::sync::{Arc, OnceLock};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Module, Result, Shape, Storage, Tensor, bail,
};
use candle_nn::VarBuilder;
use rayon::prelude::*;

use super::composed;
use super::device::has_kernels;
use super::gemm::{Real, contiguous, zeros};
use super::norm::channelwise_on;
use super::simd::{Instructions, Simd, Work};

/// Channels in groups, each brought to mean 0 and deviation 1, then scaled and shifted by channel: `[n, c, …]`.
#[derive(Clone)]
pub struct GroupNorm(pub(super) Arc<Groups>);

/// [`GroupNorm`], then swish: x * sigmoid(x).
pub struct Swished<'a>(pub &'a GroupNorm);

pub(super) struct Groups {
    count: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
    eps: f64,
    /// Made by the first pass on a device that is no CPU.
    on_device: OnceLock<Arc<composed::GroupNorm>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    Swish,
}

struct Forward(Arc<Groups>, Then);

/// From `x` and the gradient of the outputs to that of `x`, to which `skip` is added.
struct Backward<'a> {
    groups: &'a Groups,
    then: Then,
    skip: Option<&'a Tensor>,
}

impl GroupNorm {
    /// `weight` and `bias` are `[c]`.
    pub fn from_tensors(weight: &Tensor, bias: &Tensor, groups: usize, eps: f64) -> Result<Self> {
        let f64s = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        let (weight, bias) = (f64s(weight)?, f64s(bias)?);
        if groups == 0 || weight.len() % groups != 0 || weight.len() != bias.len() {
            bail!("group norm of {} channels, {} biases, in {groups} groups", weight.len(), bias.len());
        }
        Ok(Self(Arc::new(Groups { count: groups, weight, bias, eps, on_device: OnceLock::new() })))
    }
}

impl GroupNorm {
    fn apply(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        if has_kernels(x.device()) {
            x.contiguous()?.apply_op1(Forward(Arc::clone(&self.0), then))
        } else {
            self.0.on(x.dtype(), x.device())?.forward(x, then == Then::Swish)
        }
    }
}

impl Swished<'_> {
    /// From the gradient of the outputs at `x` to that of `x`, `[n, c, …]` all, outside of any graph. To it `skip` is added, another
    /// part of the same gradient.
    pub fn pull_back(&self, x: &Tensor, gradient: &Tensor, skip: Option<&Tensor>) -> Result<Tensor> {
        let (x, gradient, groups) = (x.contiguous()?, gradient.contiguous()?, &self.0.0);
        if has_kernels(x.device()) {
            let skip = skip.map(Tensor::contiguous).transpose()?;
            return x.apply_op2_no_bwd(&gradient, &Backward { groups, then: Then::Swish, skip: skip.as_ref() });
        }
        let pulled = groups.on(x.dtype(), x.device())?.pull_back(&x, &gradient, true)?;
        match skip {
            Some(skip) => pulled + skip,
            None => Ok(pulled),
        }
    }
}

impl Module for GroupNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(x, Then::Nothing)
    }
}

impl Module for Swished<'_> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.apply(x, Then::Swish)
    }
}

/// "weight" and "bias", each `[channels]`.
pub fn group_norm(groups: usize, channels: usize, eps: f64, vb: &VarBuilder) -> Result<GroupNorm> {
    GroupNorm::from_tensors(&vb.get(channels, "weight")?, &vb.get(channels, "bias")?, groups, eps)
}

/// The sum of a number made of each pair of elements, in f64: sixteen lanes, so that it keeps pace with memory.
#[inline(always)]
fn sum<T: Real>(a: &[T], b: &[T], of: impl Fn(T, T) -> T) -> f64 {
    let mut lanes = [0.0_f64; 16];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += of(a[i], b[i]).to_f64();
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| of(*a, *b).to_f64()).sum();
    lanes.iter().sum::<f64>() + rest
}

#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

impl Groups {
    /// Voxels of a channel, after a check of the shape.
    fn plane(&self, dims: &[usize]) -> Result<usize> {
        if dims.len() < 2 || dims[1] != self.weight.len() {
            bail!("group norm over {} channels, found {dims:?}", self.weight.len());
        }
        Ok(dims[2..].iter().product())
    }

    /// These numbers where our loops do not run.
    pub(super) fn on(&self, dtype: DType, device: &Device) -> Result<&Arc<composed::GroupNorm>> {
        if let Some(made) = self.on_device.get() {
            return Ok(made);
        }
        let [weight, bias] = [&self.weight, &self.bias].map(|numbers| channelwise_on(numbers, dtype, device));
        let made = composed::GroupNorm { groups: self.count, weight: weight?, bias: bias?, eps: self.eps };
        Ok(self.on_device.get_or_init(|| Arc::new(made)))
    }

    fn channels(&self) -> usize {
        self.weight.len() / self.count
    }

    /// Mean and 1 / deviation of one group.
    #[inline(always)]
    fn moments<T: Real>(&self, x: &[T]) -> [f64; 2] {
        let n = x.len().max(1) as f64;
        let mean = sum(x, x, |x, _| x) / n;
        let squares = sum(x, x, |x, _| x * x);
        [mean, 1.0 / ((squares / n - mean * mean).max(0.0) + self.eps).sqrt()]
    }

    /// `[weight, bias]` of each channel of a group.
    fn lines<T: Real>(&self, group: usize) -> impl Iterator<Item = [T; 2]> {
        let first = group % self.count * self.channels();
        (first..first + self.channels()).map(|c| [self.weight[c], self.bias[c]].map(T::from_f64))
    }

    fn forward<T: Real>(&self, x: &[T], plane: usize, then: Then) -> Vec<T> {
        let size = (self.channels() * plane).max(1);
        let instructions = Instructions::best();
        let mut y = zeros(x.len());
        y.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(group, (y, x))| {
            instructions.run(Normed { groups: self, group, plane, then, x, y });
        });
        y
    }

    fn backward<T: Real>(&self, [x, g]: [&[T]; 2], skip: Option<&[T]>, plane: usize, then: Then) -> Vec<T> {
        let size = (self.channels() * plane).max(1);
        let instructions = Instructions::best();
        let mut gx = zeros(x.len());
        let groups = gx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(g.par_chunks(size)).enumerate();
        groups.for_each(|(group, ((gx, x), g))| {
            let skip = skip.map(|skip| &skip[group * size..][..x.len()]);
            instructions.run(PulledBack { groups: self, group, plane, then, x, g, skip, gx });
        });
        gx
    }
}

/// One group of one sample, forward: `x` to `y`.
struct Normed<'a, T> {
    groups: &'a Groups,
    group: usize,
    plane: usize,
    then: Then,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Work for Normed<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [mean, rate] = self.groups.moments(self.x).map(T::from_f64);
        let channels = self.y.chunks_mut(self.plane).zip(self.x.chunks(self.plane)).zip(self.groups.lines(self.group));
        for ((y, x), [weight, bias]) in channels {
            let scale = weight * rate;
            let normed = |x: T| (x - mean) * scale + bias;
            match self.then {
                Then::Nothing => y.iter_mut().zip(x).for_each(|(y, x)| *y = normed(*x)),
                Then::Swish => y.iter_mut().zip(x).for_each(|(y, x)| *y = normed(*x) * sigmoid(normed(*x))),
            }
        }
    }
}

/// One group of one sample, backward: `x` and the output's gradient `g` to the input's `gx`, and `skip` added.
struct PulledBack<'a, T> {
    groups: &'a Groups,
    group: usize,
    plane: usize,
    then: Then,
    x: &'a [T],
    g: &'a [T],
    skip: Option<&'a [T]>,
    gx: &'a mut [T],
}

impl<T: Real> Work for PulledBack<'_, T> {
    /// With h = (x - mean) * rate and u = d loss / d h: d loss / d x = rate * (u - mean(u) - h * mean(u h)).
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [mean, rate] = self.groups.moments(self.x).map(T::from_f64);
        let planes = self.x.chunks(self.plane).zip(self.g.chunks(self.plane));
        let channels = self.gx.chunks_mut(self.plane).zip(planes).zip(self.groups.lines(self.group));
        for ((u, (x, g)), [weight, bias]) in channels {
            let scale = weight * rate;
            let slope = |x: T| {
                let normed = (x - mean) * scale + bias;
                let s = sigmoid(normed);
                s * (T::ONE + normed * (T::ONE - s))
            };
            let voxels = u.iter_mut().zip(x.iter().zip(g));
            match self.then {
                Then::Nothing => voxels.for_each(|(u, (_, g))| *u = *g * weight),
                Then::Swish => voxels.for_each(|(u, (x, g))| *u = *g * slope(*x) * weight),
            }
        }
        let n = self.x.len().max(1) as f64;
        let level = T::from_f64(sum(self.gx, self.x, |u, _| u) / n);
        let along = T::from_f64(sum(self.gx, self.x, |u, x| u * ((x - mean) * rate)) / n);
        for (u, x) in self.gx.iter_mut().zip(self.x) {
            *u = rate * (*u - level - (*x - mean) * rate * along);
        }
        for (u, skip) in self.gx.iter_mut().zip(self.skip.unwrap_or_default()) {
            *u += *skip;
        }
    }
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "group norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let plane = self.0.plane(layout.dims())?;
        let storage = match x {
            CpuStorage::F64(_) => f64::storage(self.0.forward::<f64>(contiguous(x, layout)?, plane, self.1)),
            _ => f32::storage(self.0.forward::<f32>(contiguous(x, layout)?, plane, self.1)),
        };
        Ok((storage, layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let backward = Backward { groups: &self.0, then: self.1, skip: None };
        Ok(Some(arg.apply_op2_no_bwd(&gradient.contiguous()?, &backward)?))
    }
}

impl Backward<'_> {
    fn pulled_back<T: Real>(&self, x: (&CpuStorage, &Layout), g: (&CpuStorage, &Layout)) -> Result<Vec<T>> {
        let plane = self.groups.plane(x.1.dims())?;
        let both = [contiguous(x.0, x.1)?, contiguous(g.0, g.1)?];
        let Some(skip) = self.skip else { return Ok(self.groups.backward(both, None, plane, self.then)) };
        let (storage, layout) = skip.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("a skip on another device") };
        Ok(self.groups.backward(both, Some(contiguous(storage, layout)?), plane, self.then))
    }
}

impl CustomOp2 for Backward<'_> {
    fn name(&self) -> &'static str {
        "gradient of group norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, g: &CpuStorage, lg: &Layout) -> Result<(CpuStorage, Shape)> {
        if lg.dims() != lx.dims() || self.skip.is_some_and(|skip| skip.dims() != lx.dims()) {
            bail!("a gradient of {:?} beside a group norm's {:?}", lg.shape(), lx.shape());
        }
        let storage = match x {
            CpuStorage::F64(_) => f64::storage(self.pulled_back::<f64>((x, lx), (g, lg))?),
            _ => f32::storage(self.pulled_back::<f32>((x, lx), (g, lg))?),
        };
        Ok((storage, lx.shape().clone()))
    }
}
