//! One node of an ONNX file: its attributes, and its inputs as operands.

use super::step::{Attribute, Inner, Step};
use crate::exchange::lower::{Made, Operand, axis_of, beyond, wrong};

/// Most that a stride, a pad or a side of a kernel may be.
const MOST_STEP: i64 = 1 << 20;

/// A node with what it is applied to.
pub(super) struct Node<'a> {
    pub(super) step: &'a Step,
    /// The version of the operations.
    pub(super) opset: i64,
    pub(super) inputs: Vec<Option<Operand>>,
}

impl<'a> Node<'a> {
    pub(super) fn input(&self, at: usize) -> Made<&Operand> {
        self.maybe(at).map_or_else(|| wrong(format!("its input {at} is missing")), Ok)
    }

    pub(super) fn maybe(&self, at: usize) -> Option<&Operand> {
        self.inputs.get(at)?.as_ref()
    }

    /// All inputs that there are.
    pub(super) fn all(&self) -> Vec<&Operand> {
        self.inputs.iter().flatten().collect()
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.step.attribute(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.int).unwrap_or(otherwise)
    }

    pub(super) fn float(&self, name: &str, otherwise: f32) -> f64 {
        f64::from(self.attribute(name).and_then(|attribute| attribute.float).unwrap_or(otherwise))
    }

    pub(super) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|attribute| attribute.floats.as_slice())
    }

    pub(super) fn text(&self, name: &str, otherwise: &'a str) -> &'a str {
        self.attribute(name).and_then(|attribute| attribute.text.as_deref()).unwrap_or(otherwise)
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Made<Operand>> {
        self.attribute(name)?.tensor.clone()
    }

    pub(super) fn graph(&self, name: &str) -> Option<&'a Inner> {
        self.attribute(name)?.graph.as_ref()
    }

    /// How many outputs are named.
    pub(super) fn outputs(&self) -> usize {
        self.step.outputs.len()
    }

    /// Whether an output besides the first is wanted.
    pub(super) fn wants_more(&self) -> bool {
        self.step.outputs.iter().skip(1).any(|output| !output.is_empty())
    }

    /// The whole numbers of an input; none where the input is not there.
    pub(super) fn known(&self, at: usize) -> Made<Option<Vec<i64>>> {
        match self.maybe(at).map(Operand::integers) {
            Some(Some(numbers)) => Ok(Some(numbers)),
            Some(None) => {
                beyond(format!("its input {at} depends on the network's input, where only a fixed one can be had"))
            }
            None => Ok(None),
        }
    }

    /// The real numbers of an input; none where the input is not there.
    pub(super) fn known_reals(&self, at: usize) -> Made<Option<Vec<f64>>> {
        match self.maybe(at).map(Operand::numbers) {
            Some(Some(numbers)) => Ok(Some(numbers)),
            Some(None) => {
                beyond(format!("its input {at} depends on the network's input, where only a fixed one can be had"))
            }
            None => Ok(None),
        }
    }

    /// An input whose numbers must be known: weights.
    pub(super) fn weights(&self, at: usize) -> Made<Option<&Operand>> {
        match self.maybe(at) {
            Some(operand) if operand.tensor().is_none() => {
                beyond(format!("its input {at}, the weights, depends on the network's input"))
            }
            other => Ok(other),
        }
    }

    /// Whole numbers of an attribute, or of an input in later versions.
    pub(super) fn listed(&self, name: &str, at: usize) -> Made<Option<Vec<i64>>> {
        match self.ints(name) {
            Some(numbers) => Ok(Some(numbers.to_vec())),
            None => self.known(at),
        }
    }

    /// The axis of an attribute.
    pub(super) fn axis(&self, otherwise: i64, rank: usize) -> Made<usize> {
        axis_of(self.int("axis", otherwise), rank)
    }

    /// Strides, dilations or kernels along the axes of voxels, positive.
    pub(super) fn steps(&self, name: &str, axes: usize, otherwise: usize) -> Made<Vec<usize>> {
        let Some(numbers) = self.ints(name).filter(|numbers| !numbers.is_empty()) else {
            return Ok(vec![otherwise; axes]);
        };
        if numbers.len() != axes || numbers.iter().any(|number| !(1..=MOST_STEP).contains(number)) {
            return wrong(format!("{name} {numbers:?} for {axes} axes"));
        }
        Ok(numbers.iter().map(|number| *number as usize).collect())
    }

    /// Pads before and behind, along each axis of voxels.
    pub(super) fn pads(&self, axes: usize) -> Made<Vec<[i64; 2]>> {
        let Some(numbers) = self.ints("pads").filter(|numbers| !numbers.is_empty()) else {
            return Ok(vec![[0; 2]; axes]);
        };
        if numbers.len() != 2 * axes || numbers.iter().any(|number| number.abs() > MOST_STEP) {
            return wrong(format!("pads {numbers:?} for {axes} axes"));
        }
        Ok((0..axes).map(|axis| [numbers[axis], numbers[axes + axis]]).collect())
    }

    /// Pads of windows, those that `auto_pad` says. The windows of an axis are `extent` long, dilation counted.
    pub(super) fn window_pads(&self, input: &[usize], extents: &[usize], strides: &[usize]) -> Made<Vec<[usize; 2]>> {
        let upper = match self.text("auto_pad", "NOTSET") {
            "NOTSET" => {
                let pads = self.pads(input.len())?;
                if pads.iter().flatten().any(|pad| *pad < 0) {
                    return wrong(format!("pads {pads:?}, of which none may be negative"));
                }
                return Ok(pads.into_iter().map(|pads| pads.map(|pad| pad as usize)).collect());
            }
            "VALID" => return Ok(vec![[0; 2]; input.len()]),
            "SAME_UPPER" => true,
            "SAME_LOWER" => false,
            other => return wrong(format!("auto_pad {other:?}")),
        };
        let axes = input.iter().zip(extents).zip(strides);
        Ok(axes
            .map(|((side, extent), stride)| {
                let all = (side.div_ceil(*stride).saturating_sub(1) * stride + extent).saturating_sub(*side);
                if upper { [all / 2, all - all / 2] } else { [all - all / 2, all / 2] }
            })
            .collect())
    }
}

/// Numbers along one to three axes of voxels as along depth, height and width.
pub(super) fn three<T: Copy>(of: &[T], otherwise: T) -> Made<[T; 3]> {
    match of {
        [w] => Ok([otherwise, otherwise, *w]),
        [h, w] => Ok([otherwise, *h, *w]),
        [d, h, w] => Ok([*d, *h, *w]),
        _ => beyond(format!("{} axes of voxels; one to three can be had", of.len())),
    }
}
