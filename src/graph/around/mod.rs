//! Passes that differ from each other in some slices of the input alone: what those slices do not reach is computed once.
//!
//! A convolution or a pool spreads a change to a few planes on either side; an operation that needs all planes spreads it to all. A
//! pass computes anew the planes of each value that change. It takes them from planes that changed before and from the planes
//! beside those, which the first pass kept. The numbers are those of whole passes, to the bit.

mod tape;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{Result, Tensor, bail};

use self::tape::Kept;
pub use self::tape::SlabTape;
use super::ops::{Operation, Planes};
use super::plan::{Plan, Planned};
use super::{Check, Error, Value};

/// Passes through a plan of one input, `[slices, …]`, of which some slices change.
pub struct Around {
    plan: Plan,
    input: Tensor,
    changing: Range<usize>,
    /// How each value changes.
    parts: Vec<Part>,
    /// The planes of each value that others need, as the first pass computed them.
    kept: OnceLock<Vec<Option<Tensor>>>,
}

/// How a value changes.
#[derive(Clone)]
struct Part {
    /// Along which axis; none where all of it changes.
    axis: Option<usize>,
    /// The planes that change.
    changing: Range<usize>,
    /// The planes that are needed beside them.
    needed: Range<usize>,
    /// The operation on planes, and what it needs of each.
    on_planes: Option<(Arc<dyn Operation>, Planes)>,
}

impl Plan {
    /// Passes over an input `[slices, …]` of which only `changing` slices will differ.
    ///
    /// # Errors
    /// Where the graph has other than one input, or the slices are not within it.
    pub fn around(&self, input: &Tensor, changing: Range<usize>) -> Result<Around> {
        let planned = &*self.0;
        let slices = input.dim(0)?;
        if changing.is_empty() || changing.end > slices || input.dims() != planned.shapes[0] {
            bail!("slices {changing:?} of an input {:?} of a plan for {:?}", input.dims(), planned.shapes[0]);
        }
        let mut parts: Vec<Part> = Vec::with_capacity(planned.shapes.len());
        for at in 0..planned.shapes.len() {
            let part = match planned.operation(at) {
                Some(operation) => planned.part(at, operation, &parts),
                None if at == 0 => Part::of(0, changing.clone()),
                None => bail!("a graph of more than one input"),
            };
            parts.push(part);
        }
        planned.need(&mut parts);
        Ok(Around { plan: self.clone(), input: input.clone(), changing, parts, kept: OnceLock::new() })
    }
}

impl Part {
    fn of(axis: usize, changing: Range<usize>) -> Self {
        Self { axis: Some(axis), needed: changing.clone(), changing, on_planes: None }
    }

    /// All of a value.
    fn whole() -> Self {
        Self { axis: None, changing: 0..0, needed: 0..0, on_planes: None }
    }
}

impl Planned {
    /// How the output of a node changes, from how its inputs do.
    fn part(&self, at: usize, operation: &Arc<dyn Operation>, parts: &[Part]) -> Part {
        let inputs: Vec<usize> = self.graph.nodes[at].inputs.iter().map(|value| value.0).collect();
        let Some(axis) = inputs.first().and_then(|first| parts[*first].axis) else { return Part::whole() };
        if inputs.iter().any(|input| parts[*input].axis != Some(axis)) {
            return Part::whole();
        }
        let Some((on_planes, planes)) = operation.on_planes(axis, &self.shapes[at]) else { return Part::whole() };
        let outputs = self.shapes[at][planes.axis];
        let reached =
            inputs.iter().enumerate().map(|(i, input)| planes.of(i).reached(&parts[*input].changing, outputs));
        let changing = reached.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
        if changing.len() == outputs {
            return Part::whole();
        }
        // What no changing plane reaches stays as it is: one plane of it is computed anew for the others to follow.
        let first = changing.start.min(outputs - 1);
        let changing = first..changing.end.max(first + 1);
        Part { on_planes: Some((on_planes, planes)), ..Part::of(planes.axis, changing) }
    }

    /// Says of each value which of its planes are needed.
    fn need(&self, parts: &mut [Part]) {
        for at in 0..parts.len() {
            let of_output = parts[at].clone();
            for (i, Value(input)) in self.graph.nodes[at].inputs.iter().enumerate() {
                let Some(axis) = parts[*input].axis else { continue };
                let length = self.shapes[*input][axis];
                let needed = match &of_output.on_planes {
                    Some((_, planes)) => planes.of(i).within(&of_output.changing, length),
                    None => 0..length,
                };
                let part = &mut parts[*input].needed;
                *part = part.start.min(needed.start)..part.end.max(needed.end);
            }
        }
        for Value(output) in &self.graph.outputs {
            if let Some(axis) = parts[*output].axis {
                parts[*output].needed = 0..self.shapes[*output][axis];
            }
        }
    }
}

impl Around {
    /// The outputs, where the changing slices are these. The first pass is a whole one.
    ///
    /// # Errors
    /// Where the slices have another shape, an operation fails, or `check` stops the pass.
    pub fn forward(&self, slices: &Tensor, check: Check<'_>) -> std::result::Result<Vec<Tensor>, Error> {
        let planned = &*self.plan.0;
        if let Some(kept) = self.kept.get() {
            return self.anew(slices, kept, None, check);
        }
        let input = replaced(&self.input, 0, &self.changing, 0, slices)?;
        let mut kept = vec![None; planned.shapes.len()];
        let mut values = planned.given(&[input])?;
        let mut keep = |value: usize, tensor: &Tensor| -> Result<()> {
            let part = &self.parts[value];
            if let Some(axis) = part.axis.filter(|_| part.needed != part.changing) {
                kept[value] = Some(tensor.narrow(axis, part.needed.start, part.needed.len())?.force_contiguous()?);
            }
            Ok(())
        };
        if let Some(input) = &values[0] {
            keep(0, input)?;
        }
        planned.run_with(0..values.len(), &mut values, false, check, &mut keep)?;
        let outputs = planned.outputs(&values)?;
        self.kept.get_or_init(|| kept);
        Ok(outputs)
    }

    /// A pass that computes anew what changes. What each node saved of it goes into `record`, where there is one.
    fn anew(
        &self,
        slices: &Tensor,
        kept: &[Option<Tensor>],
        mut record: Option<&mut Vec<Kept>>,
        check: Check<'_>,
    ) -> std::result::Result<Vec<Tensor>, Error> {
        let planned = &*self.plan.0;
        let mut values: Vec<Option<Tensor>> = vec![None; planned.shapes.len()];
        values[0] = Some(crate::nn::device::copied(slices, &planned.device)?);
        for at in 0..values.len() {
            let Some(operation) = planned.operation(at) else {
                if let Some(record) = &mut record {
                    record.push(Kept::default());
                }
                continue;
            };
            check(at, values.len())?;
            let part = &self.parts[at];
            let inputs = planned.graph.nodes[at].inputs.iter().enumerate().map(|(i, Value(input))| {
                let Some(value) = &values[*input] else { bail!("a value is no longer there") };
                let of_input = &self.parts[*input];
                let whole = of_input.axis.map(|axis| 0..planned.shapes[*input][axis]);
                match (&part.on_planes, whole) {
                    (Some((_, planes)), Some(whole)) => {
                        of_input.window((value, kept[*input].as_ref()), whole.end, &planes.of(i), &part.changing)
                    }
                    (None, Some(whole)) => of_input.range(value, kept[*input].as_ref(), &whole),
                    (_, None) => Ok(value.clone()),
                }
            });
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            let operation = part.on_planes.as_ref().map_or(operation, |(on_planes, _)| on_planes);
            let save = record.is_some() && planned.varies[at];
            let (output, saved) = operation.forward(&inputs.iter().collect::<Vec<_>>(), save)?;
            values[at] = Some(output);
            if let Some(record) = &mut record {
                record.push(Kept { saved, shapes: inputs.iter().map(|input| input.dims().to_vec()).collect() });
            }
            for Value(value) in &planned.graph.nodes[at].inputs {
                if planned.last_use[*value] <= at {
                    values[*value] = None;
                }
            }
        }
        for Value(output) in &planned.graph.outputs {
            let part = &self.parts[*output];
            if let (Some(axis), Some(value)) = (part.axis, &values[*output]) {
                values[*output] =
                    Some(part.range(value, kept[*output].as_ref(), &(0..planned.shapes[*output][axis]))?);
            }
        }
        Ok(planned.outputs(&values)?)
    }
}

impl Part {
    /// Some planes of a value, of which `value` holds those that change.
    fn range(&self, value: &Tensor, kept: Option<&Tensor>, range: &Range<usize>) -> Result<Tensor> {
        let Some(axis) = self.axis else { return Ok(value.clone()) };
        if self.changing.start <= range.start && range.end <= self.changing.end {
            return value.narrow(axis, range.start - self.changing.start, range.len())?.contiguous();
        }
        let Some(kept) = kept else { bail!("no planes were kept") };
        let whole = replaced(kept, axis, &self.changing, self.needed.start, value)?;
        whole.narrow(axis, range.start - self.needed.start, range.len())?.contiguous()
    }

    /// What an operation needs of a value of so many planes for some planes of its output: padding included.
    fn window(
        &self,
        (value, kept): (&Tensor, Option<&Tensor>),
        length: usize,
        planes: &Planes,
        outputs: &Range<usize>,
    ) -> Result<Tensor> {
        let Some(axis) = self.axis else { bail!("a value without planes") };
        let (first, count) = planes.needed(outputs);
        let inside = planes.within(outputs, length);
        let middle = self.range(value, kept, &inside)?;
        let before = usize::try_from(-first).unwrap_or(0);
        let behind = count - before - inside.len();
        if before == 0 && behind == 0 {
            return Ok(middle);
        }
        let filled = |planes_there: usize| -> Result<Option<Tensor>> {
            let mut shape = middle.dims().to_vec();
            shape[axis] = planes_there;
            let full = || Tensor::full(planes.filling, shape, middle.device())?.to_dtype(middle.dtype());
            (planes_there > 0).then(full).transpose()
        };
        let parts: Vec<Tensor> =
            [filled(before)?, Some(middle.clone()), filled(behind)?].into_iter().flatten().collect();
        Tensor::cat(&parts, axis)?.contiguous()
    }
}

/// `whole` with other planes in a range of an axis, counted from `start`.
fn replaced(whole: &Tensor, axis: usize, range: &Range<usize>, start: usize, planes: &Tensor) -> Result<Tensor> {
    let (first, end) = (range.start - start, range.end - start);
    let length = whole.dim(axis)?;
    if planes.dim(axis)? != range.len() || end > length {
        bail!("{} planes in place of {range:?}", planes.dim(axis)?);
    }
    let planes = crate::nn::device::copied(planes, whole.device())?;
    let parts = [whole.narrow(axis, 0, first)?, planes, whole.narrow(axis, end, length - end)?];
    let parts: Vec<Tensor> = parts.into_iter().filter(|part| part.elem_count() > 0).collect();
    Tensor::cat(&parts, axis)?.contiguous()
}
