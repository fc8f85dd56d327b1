//! Group norm (Wu, He 2018, arXiv 1803.08494), alone or with the swish that follows it, in two passes over memory each way.
//!
//! candle's own is right, and made of a dozen passes, which two cores feel more than the convolutions' arithmetic. The loops here
//! are plain ones that the compiler turns into vectors, those of the best instruction set there is.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};
use candle_nn::VarBuilder;
use rayon::prelude::*;

use super::channel_affine::{Activation, ChannelAffine, blend, moments};
use super::norm::channelwise_on;
use super::{Operation, Pass, Saved, Saves, Step, Sum, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};
use crate::nn::simd::{Instructions, Simd, Work};

/// Channels in groups, each brought to mean 0 and deviation 1, then scaled and shifted by channel: `[n, c, …]`; perhaps with the
/// swish that follows, x * sigmoid(x).
#[derive(Clone)]
pub struct GroupNorm {
    groups: Arc<Groups>,
    activation: Activation,
}

struct Groups {
    count: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
    eps: f64,
}

impl GroupNorm {
    /// `weight` and `bias` are `[c]`.
    pub fn new(weight: &Tensor, bias: &Tensor, groups: usize, eps: f64) -> Result<Self> {
        let f64s = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        let (weight, bias) = (f64s(weight)?, f64s(bias)?);
        if groups == 0 || weight.len() % groups != 0 || weight.len() != bias.len() {
            bail!("group norm of {} channels, {} biases, in {groups} groups", weight.len(), bias.len());
        }
        Ok(Self { groups: Arc::new(Groups { count: groups, weight, bias, eps }), activation: Activation::None })
    }

    /// How many channels there are and what is added to their variances, where each channel is a group and nothing is done to it but
    /// the norm.
    pub(in crate::graph) fn of_instances(&self) -> Option<(usize, f64)> {
        let Groups { count, weight, bias, eps } = &*self.groups;
        let plain = weight.iter().all(|weight| *weight == 1.0) && bias.iter().all(|bias| *bias == 0.0);
        let alone = *count == weight.len() && self.activation == Activation::None;
        (plain && alone).then_some((*count, *eps))
    }
}

impl Operation for GroupNorm {
    fn name(&self) -> String {
        format!("group norm of {} channels in {} groups", self.groups.weight.len(), self.groups.count)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        self.groups.plane(shape)?;
        Ok(shape.to_vec())
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let (x, Self { groups, activation }) = (inputs[0].contiguous()?, self);
        let plane = groups.plane(x.dims())?;
        let y = if has_kernels(x.device()) {
            let held = Held::of(&x);
            by_type!(x, T => tensor(groups.forward::<T>(held.numbers()?, plane, *activation), x.dims())?)
        } else {
            groups.affine(&x)?.of(&x, None, *activation)?
        };
        Ok((y, if save { Saved::Tensors(vec![x]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (x, Self { groups, activation }) = (pass.saved.tensor(0)?, self);
        let Some(Some(sum)) = into.into_iter().next() else { return Ok(vec![None]) };
        if !has_kernels(x.device()) {
            return Ok(vec![Some(sum.with(groups.vjp_by_tensors(x, gradient, *activation)?)?)]);
        }
        let (plane, gradient) = (groups.plane(x.dims())?, gradient.contiguous()?);
        let Sum { others, mask } = sum;
        let others = others.map(|others| others.contiguous()).transpose()?;
        if gradient.dims() != x.dims() || others.as_ref().is_some_and(|others| others.dims() != x.dims()) {
            bail!("a gradient of {:?} beside a group norm's {:?}", gradient.dims(), x.dims());
        }
        let (held, of_gradient, others) = (Held::of(x), Held::of(&gradient), others.as_ref().map(Held::of));
        let pulled = by_type!(x, T => {
            let others = others.as_ref().map(Held::numbers).transpose()?;
            let both = [held.numbers::<T>()?, of_gradient.numbers::<T>()?];
            tensor(groups.backward(both, others, plane, *activation), x.dims())?
        });
        Ok(vec![Some(Sum { others: None, mask }.with(pulled)?)])
    }

    fn absorbing(&self, step: &Step) -> Option<Arc<dyn Operation>> {
        match step {
            Step::Swish if self.activation == Activation::None => {
                Some(Arc::new(Self { activation: Activation::Swish, ..self.clone() }))
            }
            _ => None,
        }
    }
}

/// "weight" and "bias", each `[channels]`.
pub fn group_norm(groups: usize, channels: usize, eps: f64, vb: &VarBuilder) -> Result<GroupNorm> {
    GroupNorm::new(&vb.get(channels, "weight")?, &vb.get(channels, "bias")?, groups, eps)
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
    fn affines<T: Real>(&self, group: usize) -> impl Iterator<Item = [T; 2]> {
        let first = group % self.count * self.channels();
        (first..first + self.channels()).map(|c| [self.weight[c], self.bias[c]].map(T::from_f64))
    }

    fn forward<T: Real>(&self, x: &[T], plane: usize, activation: Activation) -> Vec<T> {
        let size = (self.channels() * plane).max(1);
        let instructions = Instructions::best();
        let mut y = zeros(x.len());
        y.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(group, (y, x))| {
            instructions.run(Normed { groups: self, group, plane, activation, x, y });
        });
        y
    }

    fn backward<T: Real>(&self, [x, g]: [&[T]; 2], skip: Option<&[T]>, plane: usize, activation: Activation) -> Vec<T> {
        let size = (self.channels() * plane).max(1);
        let instructions = Instructions::best();
        let mut gx = zeros(x.len());
        let groups = gx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(g.par_chunks(size)).enumerate();
        groups.for_each(|(group, ((gx, x), g))| {
            let skip = skip.map(|skip| &skip[group * size..][..x.len()]);
            instructions.run(Vjp { groups: self, group, plane, activation, x, g, skip, gx });
        });
        gx
    }
}

/// The norm by candle's operations, for devices that our loops do not run on.
impl Groups {
    fn grouped(&self, x: &Tensor) -> Result<Tensor> {
        x.reshape((x.dim(0)? * self.count, ()))
    }

    /// Mean and 1 / deviation of each group of each sample, `[n * groups]`.
    fn standard(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        let grouped = self.grouped(x)?;
        let [mean, variance] = moments(&grouped, &grouped)?;
        Ok([mean, (variance + self.eps)?.sqrt()?.recip()?])
    }

    /// One number of each group, for each of its channels: `[n * c]`.
    fn spread(&self, of_group: &Tensor, n: usize) -> Result<Tensor> {
        let channels = self.channels();
        let wide = of_group.reshape((n * self.count, 1))?.broadcast_as((n * self.count, channels))?;
        wide.contiguous()?.flatten_all()
    }

    /// (x - mean) \* rate \* weight + bias as an affine map by channel, `[n * c]`.
    fn affine(&self, x: &Tensor) -> Result<ChannelAffine> {
        let ([mean, rate], n) = (self.standard(x)?, x.dim(0)?);
        let [weight, bias] = [&self.weight, &self.bias].map(|of| channelwise_on(of, x.dtype(), x.device())?.repeat(n));
        let scale = (self.spread(&rate, n)? * weight?)?;
        let shift = (bias? - (self.spread(&mean, n)? * &scale)?)?;
        Ok(ChannelAffine { scale, shift })
    }

    /// The gradient d loss / d x is rate \* (u - mean(u) - h \* mean(u h)), where h = (x - mean) \* rate and u = d loss / d h, and
    /// mean(u h) = rate \* cov(u, x).
    fn vjp_by_tensors(&self, x: &Tensor, gradient: &Tensor, activation: Activation) -> Result<Tensor> {
        let ([mean, rate], n) = (self.standard(x)?, x.dim(0)?);
        let mut u = gradient.clone();
        if activation == Activation::Swish {
            u = self.affine(x)?.swish_slope(&u, x)?;
        }
        let weight = channelwise_on(&self.weight, x.dtype(), x.device())?;
        let u = ChannelAffine { shift: weight.zeros_like()?, scale: weight }.of(&u, None, Activation::None)?;
        let [level, along] = moments(&self.grouped(&u)?, &self.grouped(x)?)?;
        let slope = ((&rate * &rate)? * &rate)?.mul(&along)?;
        let shift = ((&slope * mean)? - (&rate * level)?)?;
        let [rate, slope, shift] = [rate, slope.neg()?, shift].map(|of_group| self.spread(&of_group, n));
        blend(&u, &rate?, x, &slope?, &shift?)
    }
}

/// One group of one sample, forward: `x` to `y`.
struct Normed<'a, T> {
    groups: &'a Groups,
    group: usize,
    plane: usize,
    activation: Activation,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Work for Normed<'_, T> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [mean, rate] = self.groups.moments(self.x).map(T::from_f64);
        let channels =
            self.y.chunks_mut(self.plane).zip(self.x.chunks(self.plane)).zip(self.groups.affines(self.group));
        for ((y, x), [weight, bias]) in channels {
            let scale = weight * rate;
            let normed = |x: T| (x - mean) * scale + bias;
            match self.activation {
                Activation::None | Activation::Relu => y.iter_mut().zip(x).for_each(|(y, x)| *y = normed(*x)),
                Activation::Swish => y.iter_mut().zip(x).for_each(|(y, x)| *y = normed(*x) * sigmoid(normed(*x))),
            }
        }
    }
}

/// One group of one sample, backward: `x` and the output's gradient `g` to the input's `gx`, and `skip` added.
struct Vjp<'a, T> {
    groups: &'a Groups,
    group: usize,
    plane: usize,
    activation: Activation,
    x: &'a [T],
    g: &'a [T],
    skip: Option<&'a [T]>,
    gx: &'a mut [T],
}

impl<T: Real> Work for Vjp<'_, T> {
    /// The gradient d loss / d x is rate * (u - mean(u) - h * mean(u h)), where h = (x - mean) * rate and u = d loss / d h.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [mean, rate] = self.groups.moments(self.x).map(T::from_f64);
        let planes = self.x.chunks(self.plane).zip(self.g.chunks(self.plane));
        let channels = self.gx.chunks_mut(self.plane).zip(planes).zip(self.groups.affines(self.group));
        for ((u, (x, g)), [weight, bias]) in channels {
            let scale = weight * rate;
            let slope = |x: T| {
                let normed = (x - mean) * scale + bias;
                let s = sigmoid(normed);
                s * (T::ONE + normed * (T::ONE - s))
            };
            let voxels = u.iter_mut().zip(x.iter().zip(g));
            match self.activation {
                Activation::None | Activation::Relu => voxels.for_each(|(u, (_, g))| *u = *g * weight),
                Activation::Swish => voxels.for_each(|(u, (x, g))| *u = *g * slope(*x) * weight),
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
