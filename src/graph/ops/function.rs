//! Functions of single numbers.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::ops::sigmoid;
use rayon::prelude::*;

use super::{Operation, Pass, Planes, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};
use crate::nn::simd::{Instructions, Simd, Work};

/// A function of each number of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// 1 / (1 + e^-x)
    Sigmoid,
    Tanh,
    Exp,
    Sqrt,
    /// 1 / x
    Reciprocal,
    /// The natural logarithm.
    Log,
    /// 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.
    Erf,
    /// x (1 + erf(x / sqrt(2))) / 2
    Gelu,
    /// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    GeluTanh,
    /// x to that power.
    Power(f64),
    /// The slope at 0 is 0.
    Abs,
    /// x, or alpha (e^x - 1) where x is negative.
    Elu(f64),
    /// slope x + offset, within 0 and 1.
    HardSigmoid {
        slope: f64,
        offset: f64,
    },
    /// log(1 + e^x)
    Softplus,
    /// x tanh(log(1 + e^x))
    Mish,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    /// log(1 + x), exact where x is small.
    Log1p,
    /// e^x - 1, exact where x is small.
    Expm1,
}

use Function::{
    Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Cos, Cosh, Elu, Erf, Exp, Expm1, Gelu, GeluTanh, HardSigmoid, Log,
    Log1p, Mish, Power, Reciprocal, Sigmoid, Sin, Sinh, Softplus, Sqrt, Tan, Tanh,
};

/// sqrt(2 / pi), and the factor of the cube: Hendrycks, Gimpel 2016, arXiv 1606.08415.
const GELU_TANH: [f64; 2] = [0.797_884_560_802_865_4, 0.044_715];

/// Where a softplus is its argument, to the last bit of an f64.
const SOFTPLUS_END: f64 = 40.0;

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    if x > SOFTPLUS_END { x } else { x.exp().ln_1p() }
}

fn erf(x: f64) -> f64 {
    candle_core::cpu::erf::erf_f64(x)
}

/// The density of the normal distribution.
fn density<T: Real>(x: T) -> T {
    let at_0 = std::f64::consts::FRAC_2_SQRT_PI / 2.0 * std::f64::consts::FRAC_1_SQRT_2;
    (x * x * T::from_f64(-0.5)).exp() * T::from_f64(at_0)
}

impl Function {
    /// Whether its slope is told by its value, not by its argument.
    fn by_value(self) -> bool {
        matches!(self, Sigmoid | Tanh | Exp | Sqrt | Reciprocal)
    }

    fn value(self, x: f64) -> f64 {
        match self {
            Sigmoid => logistic(x),
            Tanh => x.tanh(),
            Exp => x.exp(),
            Sqrt => x.sqrt(),
            Reciprocal => 1.0 / x,
            Log => x.ln(),
            Erf => erf(x),
            Gelu => x * x.below(),
            GeluTanh => 0.5 * x * (1.0 + (GELU_TANH[0] * (x + GELU_TANH[1] * x * x * x)).tanh()),
            Power(2.0) => x * x,
            Power(power) => x.powf(power),
            Abs => x.abs(),
            Elu(alpha) if x < 0.0 => alpha * x.exp_m1(),
            Elu(_) => x,
            HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
            Softplus => softplus(x),
            Mish => x * softplus(x).tanh(),
            Sin => x.sin(),
            Cos => x.cos(),
            Tan => x.tan(),
            Asin => x.asin(),
            Acos => x.acos(),
            Atan => x.atan(),
            Sinh => x.sinh(),
            Cosh => x.cosh(),
            Asinh => x.asinh(),
            Acosh => x.acosh(),
            Atanh => x.atanh(),
            Log1p => x.ln_1p(),
            Expm1 => x.exp_m1(),
        }
    }

    /// The derivative, of its value `s`, or of its argument.
    fn slope(self, s: f64) -> f64 {
        match self {
            Sigmoid => s * (1.0 - s),
            Tanh => 1.0 - s * s,
            Exp => s,
            Sqrt => 0.5 / s,
            Reciprocal => -s * s,
            Log => 1.0 / s,
            Erf => std::f64::consts::FRAC_2_SQRT_PI * (-s * s).exp(),
            Gelu => s.below() + s * density(s),
            GeluTanh => {
                let [scale, cube] = GELU_TANH;
                let t = (scale * (s + cube * s * s * s)).tanh();
                0.5 * (1.0 + t) + 0.5 * s * (1.0 - t * t) * scale * (1.0 + 3.0 * cube * s * s)
            }
            Power(0.0) => 0.0,
            Power(power) => power * s.powf(power - 1.0),
            Abs if s == 0.0 => 0.0,
            Abs => s.signum(),
            Elu(alpha) if s < 0.0 => alpha * s.exp(),
            Elu(_) => 1.0,
            HardSigmoid { slope, offset } => {
                let line = slope * s + offset;
                if line > 0.0 && line < 1.0 { slope } else { 0.0 }
            }
            Softplus => logistic(s),
            Mish => {
                let t = softplus(s).tanh();
                t + s * (1.0 - t * t) * logistic(s)
            }
            Sin => s.cos(),
            Cos => -s.sin(),
            Tan => 1.0 + s.tan().powi(2),
            Asin => 1.0 / (1.0 - s * s).sqrt(),
            Acos => -1.0 / (1.0 - s * s).sqrt(),
            Atan => 1.0 / (1.0 + s * s),
            Sinh => s.cosh(),
            Cosh => s.sinh(),
            Asinh => 1.0 / (s * s + 1.0).sqrt(),
            Acosh => 1.0 / (s * s - 1.0).sqrt(),
            Atanh => 1.0 / (1.0 - s * s),
            Log1p => 1.0 / (1.0 + s),
            Expm1 => s.exp(),
        }
    }

    /// Gives the function's values where our loops do not run.
    fn of(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Sigmoid => sigmoid(x),
            Tanh => x.tanh(),
            Exp => x.exp(),
            Sqrt => x.sqrt(),
            Reciprocal => x.recip(),
            Log => x.log(),
            Erf => x.erf(),
            Gelu => x.gelu_erf(),
            GeluTanh => 0.5 * (x * (tanh_of_gelu(x)? + 1.0)?)?,
            Power(2.0) => x.sqr(),
            Power(power) => x.powf(power),
            Abs => x.abs(),
            Elu(alpha) => x.lt(0.0)?.where_cond(&((x.exp()? - 1.0)? * alpha)?, x),
            HardSigmoid { slope, offset } => x.affine(slope, offset)?.clamp(0.0, 1.0),
            Softplus => softplus_of(x),
            Mish => x * softplus_of(x)?.tanh()?,
            Sin => x.sin(),
            Cos => x.cos(),
            Tan | Asin | Acos | Atan | Sinh | Cosh | Asinh | Acosh | Atanh | Log1p | Expm1 => {
                on_the_host(x, |x| self.value(x))
            }
        }
    }

    /// Gives the function's slopes where our loops do not run.
    fn slope_of(self, s: &Tensor) -> Result<Tensor> {
        match self {
            Sigmoid => s * s.affine(-1.0, 1.0)?,
            Tanh => s.sqr()?.affine(-1.0, 1.0),
            Exp => Ok(s.clone()),
            Sqrt => s.recip()? * 0.5,
            Reciprocal => s.sqr()?.neg(),
            Log => s.recip(),
            Erf => s.sqr()?.neg()?.exp()? * std::f64::consts::FRAC_2_SQRT_PI,
            Gelu => {
                let below = ((s * std::f64::consts::FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5))?;
                below + ((s * (s.sqr()? * -0.5)?.exp()?)? * density(0.0_f64))?
            }
            GeluTanh => {
                let ([scale, cube], t) = (GELU_TANH, tanh_of_gelu(s)?);
                let inner = s.sqr()?.affine(3.0 * cube * scale, scale)?;
                let moved = ((s * t.sqr()?.affine(-1.0, 1.0)?)? * inner)?;
                (t.affine(0.5, 0.5)? + (moved * 0.5)?)?.contiguous()
            }
            Power(0.0) => s.zeros_like(),
            Power(power) => Power(power - 1.0).of(s)? * power,
            Abs => s.sign(),
            Elu(alpha) => s.lt(0.0)?.where_cond(&(s.exp()? * alpha)?, &s.ones_like()?),
            HardSigmoid { slope, offset } => {
                let line = s.affine(slope, offset)?;
                let inside = (line.gt(0.0)? * line.lt(1.0)?)?;
                inside.where_cond(&(s.ones_like()? * slope)?, &s.zeros_like()?)
            }
            Softplus => sigmoid(s),
            Mish => {
                let t = softplus_of(s)?.tanh()?;
                let moved = ((s * t.sqr()?.affine(-1.0, 1.0)?)? * sigmoid(s)?)?;
                t + moved
            }
            Sin => s.cos(),
            Cos => s.sin()?.neg(),
            Tan | Asin | Acos | Atan | Sinh | Cosh | Asinh | Acosh | Atanh | Log1p | Expm1 => {
                on_the_host(s, |s| self.slope(s))
            }
        }
    }
}

/// `of` each number of a tensor elsewhere, computed on the CPU: the way of functions that networks seldom have and candle lacks.
fn on_the_host(x: &Tensor, of: impl Fn(f64) -> f64) -> Result<Tensor> {
    let numbers: Vec<f64> = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    let mapped: Vec<f64> = numbers.into_iter().map(of).collect();
    Tensor::from_vec(mapped, x.dims(), &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())
}

fn tanh_of_gelu(x: &Tensor) -> Result<Tensor> {
    let [scale, cube] = GELU_TANH;
    ((x + (x.sqr()? * x)?.affine(cube, 0.0)?)? * scale)?.tanh()
}

/// max(x, 0) + log(1 + e^-|x|)
fn softplus_of(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// Numbers that one thread takes at a time.
pub(super) const PIECE: usize = 1 << 13;

/// `of` each number.
pub(super) fn mapped<T: Real>(x: &[T], of: impl Fn(T) -> T + Sync) -> Vec<T> {
    let mut y = zeros(x.len());
    let instructions = Instructions::best();
    let pieces = y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
    pieces.for_each(|(y, x)| instructions.run(Piece { y, of: [x, x], by: |x, _| of(x) }));
    y
}

/// `of` each pair of numbers.
pub(super) fn mapped_pairs<T: Real>(a: &[T], b: &[T], of: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let mut y = zeros(a.len());
    let instructions = Instructions::best();
    let pieces = y.par_chunks_mut(PIECE).zip(a.par_chunks(PIECE).zip(b.par_chunks(PIECE)));
    pieces.for_each(|(y, (a, b))| instructions.run(Piece { y, of: [a, b], by: |a, b| of(a, b) }));
    y
}

/// Numbers that one thread computes, compiled for each instruction set.
struct Piece<'a, T, F> {
    y: &'a mut [T],
    of: [&'a [T]; 2],
    by: F,
}

impl<T: Real, F: Fn(T, T) -> T> Work for Piece<'_, T, F> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [a, b] = self.of;
        self.y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = (self.by)(*a, *b));
    }
}

impl Operation for Function {
    fn name(&self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        if self.by_value() { Saves::Output } else { Saves::Inputs }
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        let y = if has_kernels(x.device()) {
            let held = Held::of(&x);
            by_type!(x, T => {
                let x_numbers = held.numbers::<T>()?;
                let y = match self {
                    Sigmoid => mapped(x_numbers, |x| T::ONE / (T::ONE + (-x).exp())),
                    Exp => mapped(x_numbers, T::exp),
                    Gelu => mapped(x_numbers, |x| x * x.below()),
                    _ => mapped(x_numbers, |x| T::from_f64(self.value(x.to_f64()))),
                };
                tensor(y, x.dims())?
            })
        } else {
            self.of(&x)?
        };
        let saved = if self.by_value() { y.clone() } else { x };
        Ok((y, if save { Saved::Tensors(vec![saved]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (s, gradient) = (pass.saved.tensor(0)?, gradient.contiguous()?);
        if s.dims() != gradient.dims() {
            candle_core::bail!("a gradient {:?} of {} of {:?}", gradient.dims(), self.name(), s.dims());
        }
        if !has_kernels(s.device()) {
            return each(into, |_| &gradient * self.slope_of(s)?);
        }
        let (held, of_gradient) = (Held::of(s), Held::of(&gradient));
        each(into, |_| {
            by_type!(s, T => {
                let (g, numbers) = (of_gradient.numbers::<T>()?, held.numbers::<T>()?);
                let gx = match self {
                    Sigmoid => mapped_pairs(g, numbers, |g, s| g * s * (T::ONE - s)),
                    Gelu => mapped_pairs(g, numbers, |g, s| g * (s.below() + s * density(s))),
                    _ => mapped_pairs(g, numbers, |g, s| g * T::from_f64(self.slope(s.to_f64()))),
                };
                tensor(gx, s.dims())
            })
        })
    }

    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        Some((Arc::new(*self), Planes::each(axis)))
    }
}
