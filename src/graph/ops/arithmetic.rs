//! Sums of tensors, and multiples of one.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::{Operation, Pass, Planes, Saved, Saves, Step, Sum, each, only};

/// a + b, of one shape.
pub struct Add;

/// slope x + offset
pub struct Affine {
    pub slope: f64,
    pub offset: f64,
}

impl Operation for Add {
    fn name(&self) -> String {
        "sum".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [a, b] if a == b => Ok(a.to_vec()),
            _ => bail!("a sum of two tensors of one shape, found {inputs:?}"),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok(((inputs[0] + inputs[1])?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| Ok(gradient.clone()))
    }

    fn step(&self) -> Option<Step> {
        Some(Step::Add)
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        Some((Arc::new(Self), Planes::each(axis)))
    }
}

impl Operation for Affine {
    fn name(&self) -> String {
        format!("{} x + {}", self.slope, self.offset)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        only(inputs).map(<[usize]>::to_vec)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((inputs[0].affine(self.slope, self.offset)?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| gradient * self.slope)
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        Some((Arc::new(Self { ..*self }), Planes::each(axis)))
    }
}
