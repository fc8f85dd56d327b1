//! Functions of single numbers that are level between jumps: they have no gradient.

use candle_core::{Result, Tensor};

use super::function::mapped;
use super::{Operation, Pass, Saved, Saves, Sum, only, stopped};
use crate::nn::device::has_kernels;
use crate::nn::gemm::Real;
use crate::nn::numbers::{Held, by_type, tensor};

/// A function of each number of a tensor whose slope is 0 everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    Floor,
    Ceil,
    /// Of two whole numbers as near, the even one.
    Round,
    /// Towards 0.
    Truncate,
    /// -1, 0 or 1.
    Sign,
}

impl Steps {
    fn value(self, x: f64) -> f64 {
        match self {
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Truncate => x.trunc(),
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => x.signum(),
        }
    }

    /// Gives the function's values where our loops do not run.
    fn of(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            // x - 2 round(x / 2) is 1 or -1 where the whole number beside x is odd.
            Self::Round => {
                let whole = (x + 0.5)?.floor()?;
                let tie = ((x - x.floor()?)?.eq(0.5)?).to_dtype(x.dtype())?;
                let odd = (&whole - ((&whole * 0.5)?.floor()? * 2.0)?)?;
                whole - (tie * odd)?
            }
            Self::Truncate => x.sign()? * x.abs()?.floor()?,
            Self::Sign => x.sign(),
        }
    }
}

impl Operation for Steps {
    fn name(&self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        if !has_kernels(x.device()) {
            return Ok((self.of(&x)?, Saved::Nothing));
        }
        let held = Held::of(&x);
        let y = by_type!(x, T => {
            tensor(mapped(held.numbers::<T>()?, |x| T::from_f64(self.value(x.to_f64()))), x.dims())?
        });
        Ok((y, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, _: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        stopped(into)
    }
}
