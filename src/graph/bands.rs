//! Parts of a graph that are computed by bands: some planes of a part's output at a time, of a volume's depth.
//!
//! The first layers of a network of volumes give values many times as large as the volume, and a few layers later little is left of
//! them. Where one value goes into such a part and one comes out of it, and each plane of what comes out needs a few planes of what goes
//! in, no more than a band's values are there at once. Bands overlap by the planes that both need, which are computed twice. What comes
//! out is that of a whole pass to the bit; the gradient of what goes in is a sum of the bands' in another order.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::ops::{Edge, Narrow, Operation, Planes};
use super::plan::{Band, Banded, Plan, Planned};
use super::{Check, Error, Graph, Tape, Value};

/// The axis of depth of a volume `[n, c, d, h, w]`.
const DEPTH: usize = 2;
const VOLUME: usize = 5;

/// What a forward pass leaves for the gradient of a part.
#[derive(Clone)]
pub(super) enum Bands {
    Tapes(Vec<Tape>),
    /// What went in.
    Entry(Tensor),
}

/// The nodes of a part on planes: each operation, what it needs, and the axis of its output's planes, from the first node on.
struct OnPlanes<'a> {
    planned: &'a Planned,
    nodes: Range<usize>,
    entry: usize,
    operations: Vec<(Arc<dyn Operation>, Planes)>,
}

impl Banded {
    pub(super) fn exit(&self) -> usize {
        self.nodes.end - 1
    }

    /// The most that a band holds at once, besides the tapes that are kept: in a forward pass, and for its gradient.
    pub(super) fn bytes(&self) -> [u64; 2] {
        let most = |of: &dyn Fn(&Plan) -> u64| self.bands.iter().map(|band| of(&band.plan)).max().unwrap_or(0);
        let kept = |plan: &Plan| if self.taped { plan.saved_bytes() } else { 0 };
        [most(&Plan::forward_bytes), most(&|plan| plan.gradient_bytes().saturating_sub(kept(plan)))]
    }

    /// What all bands save for the gradient, where it is kept.
    pub(super) fn tape_bytes(&self) -> u64 {
        let saved = self.bands.iter().map(|band| band.plan.saved_bytes());
        if self.taped { saved.fold(0, u64::saturating_add) } else { 0 }
    }

    /// What comes out of the part where `entry` goes in; the tapes of its bands, where they are kept, go into `tapes`.
    pub(super) fn forward(
        &self,
        entry: &Tensor,
        mut tapes: Option<&mut Vec<Tape>>,
        check: Check<'_>,
    ) -> std::result::Result<Tensor, Error> {
        let exit = Tensor::zeros(self.exit_shape.as_slice(), entry.dtype(), entry.device())?;
        for (number, band) in self.bands.iter().enumerate() {
            let check = |done, of| check(self.steps[0] + self.done(number, done, of), self.steps[1]);
            let entry = [self.window(entry, band)?];
            let outputs = match &mut tapes {
                Some(tapes) => {
                    let (outputs, tape) = band.plan.record(&entry, &check)?;
                    tapes.push(tape);
                    outputs
                }
                None => band.plan.forward(&entry, &check)?,
            };
            exit.slice_set(&outputs[0], self.axes[1], band.exit.start)?;
        }
        Ok(exit)
    }

    /// The gradient of what goes in, from that of what comes out: by the bands' tapes, where they were kept, or from what went in.
    pub(super) fn vjp(
        &self,
        recorded: Bands,
        gradient: &Tensor,
        check: Check<'_>,
    ) -> std::result::Result<Tensor, Error> {
        let (entry, mut tapes) = match recorded {
            Bands::Tapes(tapes) => (None, tapes.into_iter()),
            Bands::Entry(entry) => (Some(entry), Vec::new().into_iter()),
        };
        let sum = Tensor::zeros(self.entry_shape.as_slice(), gradient.dtype(), gradient.device())?;
        let behind = self.of - self.nodes.end;
        for (number, band) in self.bands.iter().enumerate() {
            // Of a band, recording and the vjp are a half each.
            let half = |which, done, of| check(behind + self.done(number, which * of + done, 2 * of), self.of);
            let tape = match (tapes.next(), &entry) {
                (Some(tape), _) => tape,
                (None, Some(entry)) => band.plan.record(&[self.window(entry, band)?], &|done, of| half(0, done, of))?.1,
                (None, None) => return Err(candle_core::Error::Msg("a band was not recorded".to_owned()).into()),
            };
            let of_band = gradient.narrow(self.axes[1], band.exit.start, band.exit.len())?.contiguous()?;
            let part = tape.into_vjp(&[of_band], &|done, of| half(1, done, of))?.remove(0);
            let part = (self.window(&sum, band)? + part)?;
            sum.slice_set(&part, self.axes[0], band.entry.start)?;
        }
        Ok(sum)
    }

    fn window(&self, entry: &Tensor, band: &Band) -> Result<Tensor> {
        entry.narrow(self.axes[0], band.entry.start, band.entry.len())?.contiguous()
    }

    /// How many of the nodes stand for what a pass through the bands has done.
    fn done(&self, band: usize, done: usize, of: usize) -> usize {
        (band * of + done) * self.nodes.len() / (self.bands.len() * of).max(1)
    }
}

impl Planned {
    /// The parts that can be computed by so many bands: each goes from one value of at most `small` bytes to the next, by way of a
    /// larger one. The last operations of the graph are in none of them.
    pub(super) fn bands(&self, small: u64, count: usize, taped: bool) -> Result<Vec<Banded>> {
        let mut parts = Vec::new();
        let mut from: Option<usize> = None;
        for at in self.alone().into_iter().filter(|at| self.bytes(*at) <= small && at + 1 < self.shapes.len()) {
            if let Some(entry) = from {
                let is_large = (entry..at).any(|value| self.bytes(value) > small);
                if is_large && let Some(part) = self.on_planes(entry, at) {
                    parts.extend(part.bands(count, taped)?);
                }
            }
            from = Some(at);
        }
        Ok(parts)
    }

    /// The values behind which nothing is used that was computed before them.
    fn alone(&self) -> Vec<usize> {
        let mut last = 0;
        let mut alone = Vec::new();
        for at in (0..self.shapes.len()).filter(|at| self.varies[*at]) {
            if last <= at {
                alone.push(at);
            }
            last = last.max(self.last_use[at]);
        }
        alone
    }

    /// The nodes behind `entry` up to `exit` on planes, where each of them works so.
    fn on_planes(&self, entry: usize, exit: usize) -> Option<OnPlanes<'_>> {
        let nodes = entry + 1..exit + 1;
        let mut part = OnPlanes { planned: self, nodes: nodes.clone(), entry, operations: Vec::new() };
        if self.shapes[entry].len() != VOLUME {
            return None;
        }
        for at in nodes {
            let inputs = &self.graph.nodes[at].inputs;
            let axis = part.axis(inputs.first()?.0)?;
            if inputs.iter().any(|input| part.axis(input.0) != Some(axis)) {
                return None;
            }
            part.operations.push(self.operation(at)?.on_planes(axis, &self.shapes[at])?);
        }
        Some(part)
    }
}

impl OnPlanes<'_> {
    /// The axis of a value's planes; none where the value is not of this part.
    fn axis(&self, value: usize) -> Option<usize> {
        if value == self.entry {
            return Some(DEPTH);
        }
        let at = value.checked_sub(self.nodes.start)?;
        self.operations.get(at).map(|(_, planes)| planes.axis)
    }

    fn bands(&self, count: usize, taped: bool) -> Result<Option<Banded>> {
        let exit = self.nodes.end - 1;
        let Some(axis) = self.axis(exit) else { return Ok(None) };
        let planes = self.planned.shapes[exit][axis];
        let count = count.clamp(1, planes);
        let mut bands = Vec::with_capacity(count);
        for number in 0..count {
            match self.band(number * planes / count..(number + 1) * planes / count)? {
                Some(band) => bands.push(band),
                None => return Ok(None),
            }
        }
        Ok(Some(Banded {
            nodes: self.nodes.clone(),
            entry: self.entry,
            axes: [DEPTH, axis],
            bands,
            taped,
            entry_shape: self.planned.shapes[self.entry].clone(),
            exit_shape: self.planned.shapes[exit].clone(),
            steps: [self.nodes.start, self.planned.shapes.len()].map(|node| self.planned.steps[node]),
            of: self.planned.shapes.len(),
        }))
    }

    /// The plan of some planes of what comes out; none where a window lies wholly outside of its value.
    fn band(&self, exit: Range<usize>) -> Result<Option<Band>> {
        let needed = self.needed(exit.clone());
        let Some(entry) = needed[0].clone() else { return Ok(None) };
        let mut g = Graph::new();
        let mut values = vec![Some(g.input())];
        for (at, (operation, planes)) in self.nodes.clone().zip(&self.operations) {
            let Some(of_output) = &needed[at - self.entry] else {
                values.push(None);
                continue;
            };
            let mut inputs = Vec::new();
            for (i, Value(input)) in self.planned.graph.nodes[at].inputs.iter().enumerate() {
                let (Some(value), Some(there)) = (values[input - self.entry], &needed[input - self.entry]) else {
                    return Ok(None);
                };
                let Some(window) = self.window(&mut g, (value, *input, there), &planes.of(i), of_output) else {
                    return Ok(None);
                };
                inputs.push(window);
            }
            values.push(Some(g.apply_shared(operation, &inputs)));
        }
        let Some(Some(output)) = values.pop() else { return Ok(None) };
        let mut shape = self.planned.shapes[self.entry].clone();
        shape[DEPTH] = entry.len();
        let plan = Plan::whole(&g.finish(&[output]), &[&shape], self.planned.number_bytes)?;
        Ok(Some(Band { entry, exit, plan }))
    }

    /// Which planes of what goes in, and of what each node gives, some planes of what comes out need.
    fn needed(&self, exit: Range<usize>) -> Vec<Option<Range<usize>>> {
        let mut needed: Vec<Option<Range<usize>>> = vec![None; self.nodes.len() + 1];
        needed[self.nodes.len()] = Some(exit);
        for (at, (_, planes)) in self.nodes.clone().zip(&self.operations).rev() {
            let Some(of_output) = needed[at - self.entry].clone() else { continue };
            for (i, Value(input)) in self.planned.graph.nodes[at].inputs.iter().enumerate() {
                let Some(axis) = self.axis(*input) else { continue };
                let more = planes.of(i).within(&of_output, self.planned.shapes[*input][axis]);
                let there = &mut needed[input - self.entry];
                *there = Some(match there.take() {
                    Some(there) => there.start.min(more.start)..there.end.max(more.end),
                    None => more,
                });
            }
        }
        needed
    }

    /// What an operation needs of a value, of which some planes are `there`, for some planes of its output: padding included.
    fn window(
        &self,
        g: &mut Graph,
        (value, number, there): (Value, usize, &Range<usize>),
        planes: &Planes,
        outputs: &Range<usize>,
    ) -> Option<Value> {
        let axis = self.axis(number)?;
        let shape = &self.planned.shapes[number];
        let (first, count) = planes.needed(outputs);
        let inside = planes.within(outputs, shape[axis]);
        if inside.is_empty() {
            return None;
        }
        let narrow = Narrow { axis, start: inside.start - there.start, length: inside.len() };
        let value = if inside == *there { value } else { g.apply(narrow, &[value]) };
        let before = usize::try_from(-first).unwrap_or(0);
        let behind = count - before - inside.len();
        if before + behind == 0 {
            return Some(value);
        }
        let mut more = vec![[0; 2]; shape.len()];
        more[axis] = [before, behind].map(|planes| i64::try_from(planes).unwrap_or(i64::MAX));
        Some(g.pad_with(value, &more, Edge::Constant, f64::from(planes.filling)))
    }
}
