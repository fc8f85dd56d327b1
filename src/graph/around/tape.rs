//! The gradient in the slices that change: of every value, that of the planes that they reach alone.
//!
//! A plane that the changing slices do not reach passes no gradient to them. What is saved, and what is computed, is that of these
//! planes.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use super::{Around, Part, replaced};
use crate::graph::ops::{Pass, Planes, Saved, Sum};
use crate::graph::{Check, Error, Tape, Value};
use crate::nn::device;

/// What a pass recorded for the gradient in the slices that change.
pub struct SlabTape<'a> {
    around: &'a Around,
    record: Record,
}

enum Record {
    /// That of a whole pass.
    Whole(Tape),
    /// That of each node, of the planes that change.
    Planes(Vec<Kept>),
}

/// What a pass over some planes of an operation's inputs left.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) saved: Saved,
    /// The shapes of these parts of the inputs.
    pub(super) shapes: Vec<Vec<usize>>,
}

impl Around {
    /// Gives the outputs, where the changing slices are these, and what the gradient in them needs to know of this pass.
    ///
    /// Where all slices change, and where the gradient is computed in segments, it is a whole pass.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn record(&self, slices: &Tensor, check: Check<'_>) -> std::result::Result<(Vec<Tensor>, SlabTape<'_>), Error> {
        if self.changing.len() == self.input.dim(0)? || self.plan.segments() > 1 {
            let input = replaced(&self.input, 0, &self.changing, 0, slices)?;
            let (outputs, tape) = self.plan.record(&[input], check)?;
            return Ok((outputs, SlabTape { around: self, record: Record::Whole(tape) }));
        }
        if self.kept.get().is_none() {
            self.forward(slices, check)?;
        }
        let Some(kept) = self.kept.get() else { unreachable!("a first pass keeps what it computes") };
        let mut nodes = Vec::with_capacity(self.parts.len());
        let outputs = self.anew(slices, kept, Some(&mut nodes), check)?;
        Ok((outputs, SlabTape { around: self, record: Record::Planes(nodes) }))
    }
}

impl SlabTape<'_> {
    /// The vector-Jacobian product: from the gradients of the outputs to that of the changing slices. What was saved is let go
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Tape::vjp`].
    pub fn into_vjp(self, gradients: &[Tensor], check: Check<'_>) -> std::result::Result<Tensor, Error> {
        let Self { around, record } = self;
        match record {
            Record::Whole(tape) => {
                let whole = tape.into_vjp(gradients, check)?.remove(0);
                Ok(whole.narrow(0, around.changing.start, around.changing.len())?.contiguous()?)
            }
            Record::Planes(nodes) => around.vjp(nodes, gradients, check),
        }
    }
}

impl Around {
    fn vjp(&self, mut nodes: Vec<Kept>, gradients: &[Tensor], check: Check<'_>) -> std::result::Result<Tensor, Error> {
        let planned = &*self.plan.0;
        let mut sums = self.of_outputs(gradients)?;
        while let Some(Kept { saved, shapes }) = nodes.pop() {
            let at = nodes.len();
            check(planned.shapes.len() - 1 - at, planned.shapes.len())?;
            let Some(operation) = planned.operation(at) else { continue };
            let Some(gradient) = sums[at].take().filter(|_| planned.varies[at]) else { continue };
            let gradient = match saved.mask() {
                Some(mask) => mask.pass(&gradient)?,
                None => gradient,
            };
            let part = &self.parts[at];
            let operation = part.on_planes.as_ref().map_or(operation, |(on_planes, _)| on_planes);
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            let inputs = &planned.graph.nodes[at].inputs;
            let into = inputs.iter().map(|Value(input)| planned.varies[*input].then(Sum::default)).collect();
            let of_inputs = operation.vjp(&Pass { saved: &saved, shapes: &shapes }, &gradient, into)?;
            for (i, (Value(input), of_input)) in inputs.iter().zip(of_inputs).enumerate() {
                let Some(of_input) = of_input else { continue };
                let window = part.on_planes.as_ref().map(|(_, planes)| (planes.of(i), &part.changing));
                add(&mut sums[*input], self.parts[*input].of_changing(&of_input, window)?)?;
            }
        }
        match sums.swap_remove(0) {
            Some(gradient) => Ok(gradient.to_device(&candle_core::Device::Cpu)?.contiguous()?),
            // No output depends on these slices.
            None => Ok(self.input.narrow(0, self.changing.start, self.changing.len())?.zeros_like()?),
        }
    }

    /// The gradients of all values as far as the outputs say.
    fn of_outputs(&self, gradients: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        let planned = &*self.plan.0;
        let outputs = &planned.graph.outputs;
        if gradients.len() != outputs.len() {
            bail!("a graph of {} outputs, given {} gradients", outputs.len(), gradients.len());
        }
        let mut sums = vec![None; planned.shapes.len()];
        for (Value(output), gradient) in outputs.iter().zip(gradients) {
            if gradient.dims() != planned.shapes[*output] {
                bail!("a gradient {:?} of an output {:?}", gradient.dims(), planned.shapes[*output]);
            }
            let gradient = device::copied(&gradient.detach(), &planned.device)?;
            add(&mut sums[*output], self.parts[*output].of_changing(&gradient, None)?)?;
        }
        Ok(sums)
    }
}

impl Part {
    /// The gradient of the planes that change, from that of all planes, or of those in the window that an operation needed for some
    /// planes of its output.
    fn of_changing(&self, gradient: &Tensor, window: Option<(Planes, &Range<usize>)>) -> Result<Tensor> {
        let Some(axis) = self.axis else { return Ok(gradient.clone()) };
        let first = window.map_or(0, |(planes, outputs)| planes.needed(outputs).0);
        let end = first + gradient.dim(axis)? as isize;
        let [from, to] = [self.changing.start, self.changing.end].map(|plane| (plane as isize).clamp(first, end));
        let [skipped, count] = [from - first, to - from].map(|planes| usize::try_from(planes).unwrap_or(0));
        let within = gradient.narrow(axis, skipped, count)?;
        if count == self.changing.len() {
            return within.contiguous();
        }
        // The operation passes some of these planes by.
        let before = if count == 0 { 0 } else { usize::try_from(from).unwrap_or(0) - self.changing.start };
        within.pad_with_zeros(axis, before, self.changing.len() - before - count)?.contiguous()
    }
}

fn add(sum: &mut Option<Tensor>, part: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => (sum + part)?,
        None => part,
    });
    Ok(())
}
