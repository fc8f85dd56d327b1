//! What stops a gradient.

use candle_core::{Result, Tensor};

use super::{Operation, Pass, Saved, Saves, Sum, only, stopped};

/// A tensor as it is, without a gradient: what a network that was trained past a step holds fast.
pub struct Stop;

impl Operation for Stop {
    fn name(&self) -> String {
        "stop of the gradient".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((inputs[0].clone(), Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, _: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        stopped(into)
    }

    fn stops(&self) -> bool {
        true
    }
}
