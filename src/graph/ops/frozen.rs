//! Numbers of a network that never change.

use std::sync::OnceLock;

use candle_core::{DType, Result, Tensor};

use super::{Operation, Pass, Saved, Saves, Sum};
use crate::nn::device::copied;

/// Frozen numbers that an operation has besides its inputs.
pub(super) struct Frozen {
    loaded: Tensor,
    /// The numbers in the type and on the device of the first input that was of another type or on another device.
    elsewhere: OnceLock<Tensor>,
}

impl Frozen {
    pub(super) fn new(numbers: &Tensor) -> Result<Self> {
        let loaded = match numbers.dtype() {
            DType::F32 | DType::F64 => numbers.detach().contiguous()?,
            _ => numbers.to_dtype(DType::F64)?.contiguous()?,
        };
        Ok(Self { loaded, elsewhere: OnceLock::new() })
    }

    pub(super) fn dims(&self) -> &[usize] {
        self.loaded.dims()
    }

    /// The numbers as they were loaded.
    pub(super) fn loaded(&self) -> &Tensor {
        &self.loaded
    }

    /// Gives the numbers as a tensor of the type and on the device of `x`.
    pub(super) fn like(&self, x: &Tensor) -> Result<Tensor> {
        let fits = |t: &&Tensor| t.dtype() == x.dtype() && t.device().same_device(x.device());
        if let Some(fitting) = [Some(&self.loaded), self.elsewhere.get()].into_iter().flatten().find(fits) {
            return Ok(fitting.clone());
        }
        let copy = copied(&self.loaded.to_dtype(x.dtype())?, x.device())?;
        Ok(Some(self.elsewhere.get_or_init(|| copy.clone())).filter(fits).cloned().unwrap_or(copy))
    }
}

/// A tensor of the network itself, of the type and on the device that the network computes in. It has no inputs.
pub struct Constant(pub Tensor);

impl Operation for Constant {
    fn name(&self) -> String {
        format!("constant {:?}", self.0.dims())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [] => Ok(self.0.dims().to_vec()),
            _ => candle_core::bail!("a constant of no inputs, found {}", inputs.len()),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, _: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((self.0.detach().contiguous()?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, _: &Tensor, _: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        Ok(Vec::new())
    }
}
