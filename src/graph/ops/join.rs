//! Tensors side by side.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::{Operation, Pass, Planes, Saved, Saves, Step, Sum, each};

/// Several tensors, one after the other along `axis`.
pub struct Concat {
    pub axis: usize,
}

impl Operation for Concat {
    fn name(&self) -> String {
        format!("concatenation along axis {}", self.axis)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        joined(inputs, self.axis)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((Tensor::cat(inputs, self.axis)?.contiguous()?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        parts_of(gradient, self.axis, pass.shapes, into)
    }

    fn absorbing(&self, step: &Step) -> Option<Arc<dyn Operation>> {
        match step {
            Step::Norm(norm) if self.axis == 1 => Some(Arc::new(norm.clone())),
            _ => None,
        }
    }

    fn concatenates(&self) -> Option<usize> {
        Some(self.axis)
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        (axis != self.axis).then(|| (Arc::new(Self { axis: self.axis }) as Arc<dyn Operation>, Planes::each(axis)))
    }
}

/// The shape of tensors one after the other.
pub(super) fn joined(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>> {
    let Some(first) = inputs.first().filter(|first| axis < first.len()) else {
        bail!("no tensors with an axis {axis}: {inputs:?}");
    };
    let mut shape = first.to_vec();
    shape[axis] = 0;
    for input in inputs {
        let agrees = |(at, side): (usize, &usize)| at == axis || first[at] == *side;
        if input.len() != first.len() || !input.iter().enumerate().all(agrees) {
            bail!("tensors {inputs:?} do not go side by side along axis {axis}");
        }
        shape[axis] += input[axis];
    }
    Ok(shape)
}

/// Each part's gradient, cut from that of the tensors one after the other.
pub(super) fn parts_of(
    gradient: &Tensor,
    axis: usize,
    shapes: &[&[usize]],
    into: Vec<Option<Sum>>,
) -> Result<Vec<Option<Tensor>>> {
    let starts: Vec<usize> = shapes
        .iter()
        .scan(0, |start, shape| {
            let here = *start;
            *start += shape[axis];
            Some(here)
        })
        .collect();
    each(into, |which| gradient.narrow(axis, starts[which], shapes[which][axis])?.contiguous())
}
