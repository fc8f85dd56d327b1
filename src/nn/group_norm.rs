//! Group norm (Wu, He 2018, arXiv 1803.08494), alone or with the swish that follows it, in two passes over memory each way.
//!
//! candle's own is right, and made of a dozen passes, which two cores feel more than the convolutions' arithmetic.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Module, Result, Shape, Tensor, bail};
use candle_nn::VarBuilder;
use rayon::prelude::*;

use super::gemm::{Real, contiguous};

/// Channels in groups, each brought to mean 0 and deviation 1, then scaled and shifted by channel: `[n, c, …]`.
#[derive(Clone)]
pub struct GroupNorm(Arc<Groups>);

/// [`GroupNorm`], then swish: x * sigmoid(x).
pub struct Swished<'a>(pub &'a GroupNorm);

struct Groups {
    count: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
    eps: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    Swish,
}

struct Forward(Arc<Groups>, Then);
struct Backward(Arc<Groups>, Then);

impl GroupNorm {
    /// `weight` and `bias` are `[c]`.
    pub fn from_tensors(weight: &Tensor, bias: &Tensor, groups: usize, eps: f64) -> Result<Self> {
        let f64s = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        let (weight, bias) = (f64s(weight)?, f64s(bias)?);
        if groups == 0 || weight.len() % groups != 0 || weight.len() != bias.len() {
            bail!("group norm of {} channels, {} biases, in {groups} groups", weight.len(), bias.len());
        }
        Ok(Self(Arc::new(Groups { count: groups, weight, bias, eps })))
    }
}

impl Module for GroupNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(Forward(Arc::clone(&self.0), Then::Nothing))
    }
}

impl Module for Swished<'_> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(Forward(Arc::clone(&self.0.0), Then::Swish))
    }
}

/// "weight" and "bias", each `[channels]`.
pub fn group_norm(groups: usize, channels: usize, eps: f64, vb: &VarBuilder) -> Result<GroupNorm> {
    GroupNorm::from_tensors(&vb.get(channels, "weight")?, &vb.get(channels, "bias")?, groups, eps)
}

/// Sums of a slice and of its squares, in f64: eight lanes, so that they keep pace with memory.
fn sums<T: Real>(values: impl Iterator<Item = [T; 2]>) -> [f64; 2] {
    let mut lanes = [[0.0_f64; 8]; 2];
    for (i, [a, b]) in values.enumerate() {
        lanes[0][i % 8] += a.to_f64();
        lanes[1][i % 8] += b.to_f64();
    }
    lanes.map(|lane| lane.iter().sum())
}

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
    fn moments<T: Real>(&self, x: &[T]) -> [f64; 2] {
        let n = x.len().max(1) as f64;
        let [sum, squares] = sums(x.iter().map(|x| [*x, *x * *x]));
        let mean = sum / n;
        [mean, 1.0 / ((squares / n - mean * mean).max(0.0) + self.eps).sqrt()]
    }

    /// `[weight, bias]` of each channel of a group.
    fn lines<T: Real>(&self, group: usize) -> impl Iterator<Item = [T; 2]> {
        let first = group % self.count * self.channels();
        (first..first + self.channels()).map(|c| [self.weight[c], self.bias[c]].map(T::from_f64))
    }

    fn forward<T: Real>(&self, x: &[T], plane: usize, then: Then) -> Vec<T> {
        let size = (self.channels() * plane).max(1);
        let mut y = vec![T::default(); x.len()];
        y.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(group, (y, x))| {
            let [mean, rate] = self.moments(x).map(T::from_f64);
            let channels = y.chunks_mut(plane).zip(x.chunks(plane)).zip(self.lines(group));
            for ((y, x), [weight, bias]) in channels {
                let scale = weight * rate;
                for (y, x) in y.iter_mut().zip(x) {
                    let normed = (*x - mean) * scale + bias;
                    *y = if then == Then::Swish { normed * sigmoid(normed) } else { normed };
                }
            }
        });
        y
    }

    /// With h = (x - mean) * rate and u = d loss / d h: d loss / d x = rate * (u - mean(u) - h * mean(u h)).
    fn backward<T: Real>(&self, x: &[T], g: &[T], plane: usize, then: Then) -> Vec<T> {
        let size = (self.channels() * plane).max(1);
        let mut gx = vec![T::default(); x.len()];
        gx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(g.par_chunks(size)).enumerate().for_each(
            |(group, ((gx, x), g))| {
                let [mean, rate] = self.moments(x).map(T::from_f64);
                for (c, [weight, bias]) in self.lines(group).enumerate() {
                    let scale = weight * rate;
                    let of = c * plane..(c + 1) * plane;
                    for ((u, x), g) in gx[of.clone()].iter_mut().zip(&x[of.clone()]).zip(&g[of]) {
                        let slope = if then == Then::Swish {
                            let normed = (*x - mean) * scale + bias;
                            let s = sigmoid(normed);
                            s * (T::ONE + normed * (T::ONE - s))
                        } else {
                            T::ONE
                        };
                        *u = *g * slope * weight;
                    }
                }
                let n = x.len().max(1) as f64;
                let [sum, along] = sums(gx.iter().zip(x).map(|(u, x)| [*u, *u * ((*x - mean) * rate)]));
                let [sum, along] = [sum / n, along / n].map(T::from_f64);
                for (u, x) in gx.iter_mut().zip(x) {
                    *u = rate * (*u - sum - (*x - mean) * rate * along);
                }
            },
        );
        gx
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
        let backward = Backward(Arc::clone(&self.0), self.1);
        Ok(Some(arg.apply_op2_no_bwd(&gradient.contiguous()?, &backward)?))
    }
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "gradient of group norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, g: &CpuStorage, lg: &Layout) -> Result<(CpuStorage, Shape)> {
        let plane = self.0.plane(lx.dims())?;
        let storage = match x {
            CpuStorage::F64(_) => {
                f64::storage(self.0.backward::<f64>(contiguous(x, lx)?, contiguous(g, lg)?, plane, self.1))
            }
            _ => f32::storage(self.0.backward::<f32>(contiguous(x, lx)?, contiguous(g, lg)?, plane, self.1)),
        };
        Ok((storage, lx.shape().clone()))
    }
}
