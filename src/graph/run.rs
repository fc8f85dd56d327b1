//! Passes through a planned graph: forward, forward with a tape, and the vjp of what the tape recorded.

use std::ops::Range;

use candle_core::{Device, Tensor, bail};

use super::bands::Bands;
use super::ops::{Pass, Saved, Saves, Sum};
use super::plan::{Banded, Plan, Planned};
use super::{Error, Value};
use crate::job::Cancelled;
use crate::nn::device;

/// Called before each operation with how many are done and how many there are; an error stops the pass.
pub type Check<'a> = &'a dyn Fn(usize, usize) -> Result<(), Cancelled>;

/// What a forward pass recorded for its gradient.
#[derive(Clone)]
pub struct Tape {
    plan: Plan,
    /// One record for each segment.
    records: Vec<Record>,
}

/// What is known of the pass through a segment.
#[derive(Clone)]
enum Record {
    /// What the operation of each node saved.
    Saved(Vec<Saved>),
    /// The values that it starts from, to go through it again.
    Entries(Vec<(usize, Tensor)>),
    Bands(Bands),
}

impl Plan {
    /// The outputs.
    ///
    /// # Errors
    /// Where the inputs are not of the plan's shapes, where an operation fails, or where `check` stops the pass.
    pub fn forward(&self, inputs: &[Tensor], check: Check<'_>) -> Result<Vec<Tensor>, Error> {
        let planned = &*self.0;
        let mut values = planned.given(inputs)?;
        for segment in planned.segments.iter().filter(|_| planned.by_bands) {
            match planned.banded(segment) {
                Some(banded) => planned.run_bands(banded, &mut values, None, check)?,
                None => drop(planned.run(segment.clone(), &mut values, false, check)?),
            }
        }
        if !planned.by_bands {
            planned.run(0..values.len(), &mut values, false, check)?;
        }
        Ok(planned.outputs(&values)?)
    }

    /// The outputs, and what the gradient needs to know of this pass. As [`Self::forward`].
    pub fn record(&self, inputs: &[Tensor], check: Check<'_>) -> Result<(Vec<Tensor>, Tape), Error> {
        let planned = &*self.0;
        let mut values = planned.given(inputs)?;
        let mut records = Vec::with_capacity(planned.segments.len());
        for (number, segment) in planned.segments.iter().enumerate() {
            if let Some(banded) = planned.banded(segment) {
                records.push(Record::Bands(planned.record_bands(banded, &mut values, check)?));
            } else if number + 1 == planned.segments.len() {
                records.push(Record::Saved(planned.run(segment.clone(), &mut values, true, check)?));
            } else {
                let mut entries = Vec::new();
                for value in planned.entries(segment).into_iter().chain(planned.inputs_in(segment)) {
                    let Some(tensor) = &values[value] else { return Err(planned.missing(value)) };
                    entries.push((value, tensor.clone()));
                }
                records.push(Record::Entries(entries));
                planned.run(segment.clone(), &mut values, false, check)?;
            }
        }
        Ok((planned.outputs(&values)?, Tape { plan: self.clone(), records }))
    }

    /// What the gradient needs to know of a pass whose outputs no one wants. Tiles are not computed where nothing that saves numbers
    /// follows them: their vjp goes through each anyway. As [`Self::forward`].
    pub fn tape(&self, inputs: &[Tensor], check: Check<'_>) -> Result<Tape, Error> {
        let planned = &*self.0;
        if self.tiled().is_none() || planned.segments.len() > 1 {
            return Ok(self.record(inputs, check)?.1);
        }
        let mut values = planned.given(inputs)?;
        let needed = planned.needed_by_vjp();
        let mut saved = Vec::with_capacity(values.len());
        for (at, needed) in needed.into_iter().enumerate() {
            match planned.operation(at) {
                Some(_) if needed => saved.extend(planned.run(at..at + 1, &mut values, true, check)?),
                Some(operation) if operation.tiled().is_some() && planned.varies[at] => {
                    let of_inputs = planned.graph.nodes[at].inputs.iter().filter_map(|value| values[value.0].clone());
                    saved.push(Saved::Tensors(of_inputs.collect()));
                }
                _ => saved.push(Saved::Nothing),
            }
        }
        Ok(Tape { plan: self.clone(), records: vec![Record::Saved(saved)] })
    }
}

impl Tape {
    /// The vector-Jacobian product: from the gradients of the outputs to those of the inputs. An input that no output depends on
    /// has a gradient of zeros.
    ///
    /// # Errors
    /// Where the gradients are not of the outputs' shapes, where an operation fails, or where `check` stops the pass.
    pub fn vjp(&self, gradients: &[Tensor], check: Check<'_>) -> Result<Vec<Tensor>, Error> {
        self.plan.0.vjp(self.records.clone(), gradients, check)
    }

    /// Gives what [`Self::vjp`] gives, for the last time: what was saved is let go meanwhile.
    pub fn into_vjp(self, gradients: &[Tensor], check: Check<'_>) -> Result<Vec<Tensor>, Error> {
        self.plan.0.vjp(self.records, gradients, check)
    }
}

/// The gradient of each value, as far as it is summed.
struct Gradients<'a> {
    sums: Vec<Option<Tensor>>,
    /// Whether a sum is past the mask of the operation that gave its value.
    masked: Vec<bool>,
    /// What can stop the vjp of a node of tiles.
    check: Check<'a>,
}

impl Planned {
    fn missing(&self, value: usize) -> Error {
        let name = self.operation(value).map_or_else(|| "an input".to_owned(), |operation| operation.name());
        Error::Tensor(candle_core::Error::Msg(format!("value {value} ({name}) is no longer there")))
    }

    /// Whether a vjp needs each node to be computed: it saves numbers of its own, or another that is computed or saved takes its output.
    fn needed_by_vjp(&self) -> Vec<bool> {
        let nodes = self.shapes.len();
        let (mut needed, mut taken) = (vec![false; nodes], vec![false; nodes]);
        for at in (0..nodes).rev() {
            let Some(operation) = self.operation(at) else { continue };
            let (tiled, saves) = (operation.tiled().is_some(), operation.saves() != Saves::Nothing && self.varies[at]);
            needed[at] = taken[at] || (saves && !tiled);
            if needed[at] || saves {
                self.graph.nodes[at].inputs.iter().for_each(|value| taken[value.0] = true);
            }
        }
        needed
    }

    /// The inputs of the graph that stand among a segment's nodes.
    fn inputs_in(&self, segment: &Range<usize>) -> impl Iterator<Item = usize> {
        segment.clone().filter(|at| self.operation(*at).is_none())
    }

    /// All values, of which the inputs are there.
    pub(super) fn given(&self, inputs: &[Tensor]) -> Result<Vec<Option<Tensor>>, Error> {
        let mut values = vec![None; self.shapes.len()];
        let count = self.inputs_in(&(0..values.len())).count();
        if inputs.len() != count {
            return Err(candle_core::Error::Msg(format!("a graph of {count} inputs, given {}", inputs.len())).into());
        }
        for (at, input) in self.inputs_in(&(0..self.shapes.len())).zip(inputs) {
            if input.dims() != self.shapes[at] {
                let (found, planned) = (input.dims(), &self.shapes[at]);
                return Err(candle_core::Error::Msg(format!("an input {found:?} of a plan for {planned:?}")).into());
            }
            // Weights are frozen, and the gradient is ours: candle's graph records nothing here.
            values[at] = Some(device::copied(&input.detach(), &self.device)?);
        }
        Ok(values)
    }

    pub(super) fn outputs(&self, values: &[Option<Tensor>]) -> candle_core::Result<Vec<Tensor>> {
        let of = |value: &Value| match &values[value.0] {
            Some(tensor) => tensor.to_device(&Device::Cpu),
            None => bail!("an output was not computed"),
        };
        self.graph.outputs.iter().map(of).collect()
    }

    /// Runs some nodes, and lets go what none after them uses. Gives what each saved.
    fn run(
        &self,
        nodes: Range<usize>,
        values: &mut [Option<Tensor>],
        save: bool,
        check: Check<'_>,
    ) -> Result<Vec<Saved>, Error> {
        self.run_with(nodes, values, save, check, &mut |_, _| Ok(()))
    }

    /// Does what [`Self::run`] does, and calls `each` with every value once it is computed.
    pub(super) fn run_with(
        &self,
        nodes: Range<usize>,
        values: &mut [Option<Tensor>],
        save: bool,
        check: Check<'_>,
        each: &mut dyn FnMut(usize, &Tensor) -> candle_core::Result<()>,
    ) -> Result<Vec<Saved>, Error> {
        let mut saved = Vec::with_capacity(nodes.len());
        for at in nodes {
            let node = &self.graph.nodes[at];
            let Some(operation) = &node.operation else {
                saved.push(Saved::Nothing);
                continue;
            };
            let inputs = node.inputs.iter().map(|value| values[value.0].as_ref().ok_or_else(|| self.missing(value.0)));
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            let (step, steps) = (self.steps[at], self.steps[self.shapes.len()]);
            check(step, steps)?;
            let save = save && self.varies[at];
            let (y, kept) = match (operation.tiled(), inputs.as_slice()) {
                (Some(tiled), [x]) => {
                    let y = tiled.forward_with(x, &|of_tiles, _| check(step + of_tiles, steps))?;
                    (y, if save { Saved::Tensors(vec![(*x).clone()]) } else { Saved::Nothing })
                }
                _ => operation.forward(&inputs, save)?,
            };
            saved.push(kept);
            each(at, &y)?;
            values[at] = Some(y);
            for Value(value) in &node.inputs {
                if self.last_use[*value] <= at {
                    values[*value] = None;
                }
            }
        }
        Ok(saved)
    }

    /// Runs a segment by bands, and lets go what goes in where no later one uses it.
    fn run_bands(
        &self,
        banded: &Banded,
        values: &mut [Option<Tensor>],
        tapes: Option<&mut Vec<Tape>>,
        check: Check<'_>,
    ) -> Result<(), Error> {
        let entry = values[banded.entry].as_ref().ok_or_else(|| self.missing(banded.entry))?;
        values[banded.exit()] = Some(banded.forward(entry, tapes, check)?);
        if self.last_use[banded.entry] <= banded.exit() {
            values[banded.entry] = None;
        }
        Ok(())
    }

    /// Runs a segment by bands, and gives what its gradient needs to know of it.
    fn record_bands(&self, banded: &Banded, values: &mut [Option<Tensor>], check: Check<'_>) -> Result<Bands, Error> {
        if banded.taped {
            let mut tapes = Vec::new();
            self.run_bands(banded, values, Some(&mut tapes), check)?;
            return Ok(Bands::Tapes(tapes));
        }
        let entry = values[banded.entry].clone().ok_or_else(|| self.missing(banded.entry))?;
        self.run_bands(banded, values, None, check)?;
        Ok(Bands::Entry(entry))
    }

    fn vjp(&self, records: Vec<Record>, gradients: &[Tensor], check: Check<'_>) -> Result<Vec<Tensor>, Error> {
        let nodes = self.shapes.len();
        let mut back = Gradients { sums: vec![None; nodes], masked: vec![false; nodes], check };
        if gradients.len() != self.graph.outputs.len() {
            let (outputs, given) = (self.graph.outputs.len(), gradients.len());
            return Err(
                candle_core::Error::Msg(format!("a graph of {outputs} outputs, given {given} gradients")).into()
            );
        }
        for (Value(value), gradient) in self.graph.outputs.iter().zip(gradients) {
            if gradient.dims() != self.shapes[*value] {
                let (found, wanted) = (gradient.dims(), &self.shapes[*value]);
                return Err(candle_core::Error::Msg(format!("a gradient {found:?} of an output {wanted:?}")).into());
            }
            let gradient = device::copied(&gradient.detach(), &self.device)?;
            back.sums[*value] = Some(match back.sums[*value].take() {
                Some(sum) => (sum + gradient)?,
                None => gradient,
            });
        }
        let like = gradients.first().cloned();
        for (segment, record) in self.segments.iter().zip(records).rev() {
            let mut saved = match record {
                Record::Saved(saved) => saved,
                Record::Bands(recorded) => {
                    self.vjp_of_bands(segment, recorded, &mut back, check)?;
                    continue;
                }
                Record::Entries(entries) => {
                    let mut values = vec![None; nodes];
                    for (value, tensor) in entries {
                        values[value] = Some(tensor);
                    }
                    self.run(segment.clone(), &mut values, true, check)?
                }
            };
            for at in segment.clone().rev() {
                check(nodes - 1 - at, nodes)?;
                let own = saved.pop().unwrap_or_default();
                self.vjp_of(at, &own, &saved, segment.start, &mut back)?;
            }
        }
        let all = 0..nodes;
        let inputs = self.inputs_in(&all).map(|at| match (back.sums[at].take(), &like) {
            (Some(gradient), _) => Ok(gradient.to_device(&Device::Cpu)?),
            (None, Some(like)) => Ok(Tensor::zeros(self.shapes[at].as_slice(), like.dtype(), like.device())?),
            (None, None) => Err(self.missing(at)),
        });
        inputs.collect()
    }

    /// Brings the gradient of what comes out of a segment by bands to what goes in.
    fn vjp_of_bands(
        &self,
        segment: &Range<usize>,
        recorded: Bands,
        back: &mut Gradients,
        check: Check<'_>,
    ) -> Result<(), Error> {
        let Some(banded) = self.banded(segment) else { return Err(self.missing(segment.start)) };
        let Some(gradient) = back.sums[banded.exit()].take() else { return Ok(()) };
        let part = banded.vjp(recorded, &gradient, check)?;
        let sum = &mut back.sums[banded.entry];
        *sum = Some(match sum.take() {
            Some(others) => (others + part)?,
            None => part,
        });
        Ok(())
    }

    /// Brings the gradient of a node's output to its inputs. `earlier` is what the nodes before it in its segment saved.
    fn vjp_of(
        &self,
        at: usize,
        own: &Saved,
        earlier: &[Saved],
        start: usize,
        back: &mut Gradients<'_>,
    ) -> Result<(), Error> {
        let node = &self.graph.nodes[at];
        let Some(operation) = &node.operation else { return Ok(()) };
        let Some(gradient) = back.sums[at].take().filter(|_| self.varies[at]) else { return Ok(()) };
        let gradient = match own.mask() {
            Some(mask) if !back.masked[at] => mask.pass(&gradient)?,
            _ => gradient,
        };
        let inputs: Vec<usize> = node.inputs.iter().map(|value| value.0).collect();
        let once = |value: usize| inputs.iter().filter(|input| **input == value).count() == 1;
        let mut into = Vec::with_capacity(inputs.len());
        for &value in &inputs {
            if !self.varies[value] {
                into.push(None);
            } else if once(value) {
                let last = self.first_use[value] == at;
                let mask = value.checked_sub(start).and_then(|place| earlier.get(place)).and_then(Saved::mask);
                let mask = mask.filter(|_| last).cloned();
                back.masked[value] |= mask.is_some();
                into.push(Some(Sum { others: back.sums[value].take(), mask }));
            } else {
                into.push(Some(Sum::default()));
            }
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|value| self.shapes[*value].as_slice()).collect();
        let pass = Pass { saved: own, shapes: &shapes };
        let parts = match operation.tiled() {
            Some(tiled) => tiled.vjp_with(&pass, &gradient, into, back.check)?,
            None => operation.vjp(&pass, &gradient, into)?,
        };
        for (&value, part) in inputs.iter().zip(parts) {
            back.sums[value] = match (back.sums[value].take(), part) {
                (Some(sum), Some(part)) => Some((sum + part)?),
                (sum, part) => sum.or(part),
            };
        }
        Ok(())
    }
}
