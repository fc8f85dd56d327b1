//! What a graph does with inputs of given shapes: the shape of every value, how long each lives, and how many bytes that takes.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, bail};

use super::ops::{Operation, Saves, Tiled};
use super::{Graph, Value};
use crate::machine;

/// Most segments that a plan cuts a graph into: with more, a segment is hardly smaller.
const MOST_SEGMENTS: usize = 64;

/// Multiply-adds that take as long as writing a number and reading what it is made of: a core does some 50 to 100 thousand million of
/// them in a second, and moves a few thousand million numbers.
const MULTIPLY_ADDS_PER_NUMBER: f64 = 16.0;

/// A graph for inputs of given shapes. A copy costs nothing.
#[derive(Clone)]
pub struct Plan(pub(super) Arc<Planned>);

#[derive(Clone)]
pub(super) struct Planned {
    pub(super) graph: Graph,
    /// The shape of each value.
    pub(super) shapes: Vec<Vec<usize>>,
    /// The first and the last node that uses each value. Outputs are used last by no node: they stay.
    pub(super) first_use: Vec<usize>,
    pub(super) last_use: Vec<usize>,
    /// Whether each value depends on an input.
    pub(super) varies: Vec<bool>,
    /// Ranges of nodes, of each of which a gradient saves what it needs at a time.
    pub(super) segments: Vec<Range<usize>>,
    /// How many steps a forward pass has before each node, and behind them all: one for each, but for nodes of many tiles.
    pub(super) steps: Vec<usize>,
    pub(super) device: Device,
    number_bytes: u64,
    forward_bytes: u64,
    gradient_bytes: u64,
}

impl Plan {
    /// Plans the passes over inputs of these shapes, of f32 or f64, on the CPU.
    ///
    /// # Errors
    /// The error says in words why the graph takes no such inputs.
    pub fn new(graph: &Graph, inputs: &[&[usize]], dtype: DType) -> Result<Self> {
        let mut planned = Planned::new(graph, inputs, dtype.size_in_bytes() as u64)?;
        planned.segments = planned.cut(1);
        planned.forward_bytes = planned.peak_of_forward();
        planned.gradient_bytes = planned.peak_of_gradient();
        Ok(Self(Arc::new(planned)))
    }

    /// Gives the plan for weights on another device: inputs are copied there, outputs and gradients back.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        Self(Arc::new(Planned { device: device.clone(), ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Gives a plan whose gradient takes no more than so many bytes: where it would take more, parts of the forward pass are
    /// computed again, as often as that needs.
    ///
    /// # Errors
    /// The error says in words how much the gradient takes where even so it is more.
    pub fn within(self, budget: u64) -> Result<Self> {
        let mut planned = Arc::unwrap_or_clone(self.0);
        planned.tiles_within(budget);
        let mut count = 2;
        while planned.gradient_bytes > budget && count <= MOST_SEGMENTS {
            planned.segments = planned.cut(count);
            planned.gradient_bytes = planned.peak_of_gradient();
            count *= 2;
        }
        if planned.gradient_bytes > budget {
            let (needed, most) = (planned.gradient_bytes.div_ceil(1_000_000), budget / 1_000_000);
            let remedy = match planned.tiled().next() {
                Some(_) => "set smaller tiles in its card, or a smaller recipe.size",
                None => "set a smaller `side` in its card, or give it fewer slices",
            };
            bail!(
                "the gradient of this network takes {needed} MB of memory at least, and may take {most} MB; {remedy}"
            );
        }
        Ok(Self(Arc::new(planned)))
    }

    /// Gives a plan whose gradient fits the memory that this process can have, where that is the CPU's. As [`Self::within`].
    pub fn fitted(self) -> Result<Self> {
        match machine::memory_bytes().filter(|_| self.0.device.is_cpu()) {
            Some(most) => self.within(most),
            None => Ok(self),
        }
    }

    /// How many operations a pass runs.
    pub fn operations(&self) -> usize {
        self.0.graph.operations()
    }

    /// Gives the shapes of the inputs.
    pub fn inputs(&self) -> Vec<&[usize]> {
        let shapes = self.0.shapes.iter().enumerate();
        shapes.filter(|(at, _)| self.0.operation(*at).is_none()).map(|(_, shape)| shape.as_slice()).collect()
    }

    /// Gives the shapes of the outputs.
    pub fn outputs(&self) -> Vec<&[usize]> {
        self.0.graph.outputs.iter().map(|value| self.0.shapes[value.0].as_slice()).collect()
    }

    /// The most that a forward pass holds at once, its inputs and outputs included, weights apart.
    pub fn forward_bytes(&self) -> u64 {
        self.0.forward_bytes
    }

    /// The most that a gradient holds at once, weights apart.
    pub fn gradient_bytes(&self) -> u64 {
        self.0.gradient_bytes
    }

    /// How many steps a forward pass has: one for each node, of a node of tiles those of each tile.
    pub fn steps(&self) -> usize {
        self.0.steps[self.0.shapes.len()]
    }

    /// What a forward pass does before a step, of all that it does where there is no such step: multiply-adds, and for every number that
    /// an operation gives as many of them as take as long as writing it. Of one network, time grows with it.
    pub fn work_before(&self, step: usize) -> f64 {
        let nodes = self.0.shapes.len();
        let node = self.0.steps.partition_point(|first| *first <= step).saturating_sub(1).min(nodes);
        let before: f64 = (0..node).map(|at| self.0.work(at)).sum();
        let tiled = self.0.graph.nodes.get(node).and_then(|node| node.operation.as_ref()?.tiled());
        before + tiled.map_or(0.0, |tiled| tiled.work_before(step - self.0.steps[node]))
    }

    /// The operation of tiles that takes the most memory, where there is one: its plan is that of one tile.
    pub fn tiled(&self) -> Option<&Tiled> {
        self.0.tiled().map(|(_, tiled)| tiled).max_by_key(|tiled| tiled.plan().gradient_bytes())
    }

    /// The share of a forward pass that a gradient without outputs does once more: segments but the last, of tiles too.
    pub fn repeated(&self) -> f64 {
        let of_segments = 1.0 - 1.0 / self.segments().max(1) as f64;
        let of_tiles = self.0.tiled().map(|(at, tiled)| self.0.work(at) * tiled.plan().repeated()).sum::<f64>();
        of_segments + of_tiles / self.work().max(f64::MIN_POSITIVE)
    }

    pub(super) fn number_bytes(&self) -> u64 {
        self.0.number_bytes
    }

    /// What a forward pass does, as [`Self::work_before`] counts it.
    pub fn work(&self) -> f64 {
        self.work_before(usize::MAX)
    }

    /// How many segments the gradient is cut into; all but the last are computed twice.
    pub fn segments(&self) -> usize {
        self.0.segments.len()
    }
}

impl Planned {
    fn new(graph: &Graph, inputs: &[&[usize]], number_bytes: u64) -> Result<Self> {
        let nodes = graph.nodes.len();
        let (mut shapes, mut varies) = (Vec::<Vec<usize>>::with_capacity(nodes), Vec::with_capacity(nodes));
        let (mut first_use, mut last_use) = (vec![usize::MAX; nodes], vec![0; nodes]);
        let mut given = inputs.iter();
        for (at, node) in graph.nodes.iter().enumerate() {
            let (shape, depends) = match (&node.operation, given.len()) {
                (Some(operation), _) => {
                    let of_inputs: Vec<&[usize]> = node.inputs.iter().map(|value| shapes[value.0].as_slice()).collect();
                    (operation.shape(&of_inputs)?, node.inputs.iter().any(|value| varies[value.0]))
                }
                (None, 0) => bail!("a graph of more inputs than the {} that are given", inputs.len()),
                (None, _) => (given.next().map(|shape| shape.to_vec()).unwrap_or_default(), true),
            };
            for Value(value) in &node.inputs {
                first_use[*value] = first_use[*value].min(at);
                last_use[*value] = at;
            }
            shapes.push(shape);
            varies.push(depends);
        }
        if given.len() > 0 {
            bail!("a graph of fewer inputs than the {} that are given", inputs.len());
        }
        graph.outputs.iter().for_each(|Value(value)| last_use[*value] = usize::MAX);
        let graph = graph.clone();
        let mut steps = vec![0; nodes + 1];
        for (at, node) in graph.nodes.iter().enumerate() {
            let of_node = node.operation.as_ref().and_then(|operation| operation.tiled()).map_or(1, Tiled::steps);
            steps[at + 1] = of_node.saturating_add(steps[at]);
        }
        let (segments, device, forward_bytes, gradient_bytes) = (Vec::new(), Device::Cpu, 0, 0);
        Ok(Self {
            graph,
            shapes,
            first_use,
            last_use,
            varies,
            segments,
            steps,
            device,
            number_bytes,
            forward_bytes,
            gradient_bytes,
        })
    }

    fn count(&self, value: usize) -> u64 {
        self.shapes[value].iter().fold(1, |product: u64, side| product.saturating_mul(*side as u64))
    }

    fn bytes(&self, value: usize) -> u64 {
        self.count(value).saturating_mul(self.number_bytes)
    }

    fn work(&self, at: usize) -> f64 {
        let node = &self.graph.nodes[at];
        let Some(operation) = &node.operation else { return 0.0 };
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|value| self.shapes[value.0].as_slice()).collect();
        operation.multiply_adds(&shapes) + MULTIPLY_ADDS_PER_NUMBER * self.count(at) as f64
    }

    /// Bytes besides inputs and output.
    fn scratch(&self, at: usize) -> u64 {
        let node = &self.graph.nodes[at];
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|value| self.shapes[value.0].as_slice()).collect();
        node.operation.as_ref().map_or(0, |operation| operation.scratch_bytes(&shapes) as u64)
    }

    /// Bytes that a vjp takes besides gradients.
    fn vjp_scratch(&self, at: usize) -> u64 {
        let tiled = self.operation(at).and_then(|operation| operation.tiled());
        tiled.map_or_else(|| self.scratch(at), Tiled::vjp_bytes)
    }

    /// The nodes of tiles.
    fn tiled(&self) -> impl Iterator<Item = (usize, &Tiled)> {
        self.graph.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.operation.as_ref()?.tiled()?)))
    }

    /// Cuts the gradients of tiles into segments, as far as the whole takes more than so many bytes and that helps.
    fn tiles_within(&mut self, budget: u64) {
        for at in 0..self.graph.nodes.len() {
            let excess = self.gradient_bytes.saturating_sub(budget);
            let Some(tiled) = self.operation(at).and_then(|operation| operation.tiled()).filter(|_| excess > 0) else {
                continue;
            };
            // Where even that is too much, the caller says so.
            let Ok(smaller) = tiled.within(tiled.plan().gradient_bytes().saturating_sub(excess)) else { continue };
            self.graph.nodes[at].operation = Some(Arc::new(smaller));
            self.gradient_bytes = self.peak_of_gradient();
        }
    }

    /// What a node saves: bytes of its own, and values that stay.
    fn saves(&self, at: usize) -> (u64, Vec<usize>) {
        let node = &self.graph.nodes[at];
        let inputs = || node.inputs.iter().map(|value| value.0).collect();
        match node.operation.as_ref().map_or(Saves::Nothing, |operation| operation.saves()) {
            Saves::Nothing => (0, Vec::new()),
            Saves::Bits => (self.count(at).div_ceil(8), Vec::new()),
            Saves::Places => (self.count(at).saturating_mul(2), Vec::new()),
            Saves::Indices => (self.count(at).saturating_mul(4), Vec::new()),
            Saves::Inputs => (0, inputs()),
            Saves::Output => (0, vec![at]),
        }
    }

    /// So many segments of about as many saved bytes each.
    fn cut(&self, count: usize) -> Vec<Range<usize>> {
        let of_node = |at: usize| self.saves(at).1.iter().fold(self.saves(at).0, |sum, value| sum + self.bytes(*value));
        let mut sums = vec![0_u64];
        (0..self.shapes.len()).for_each(|at| sums.push(sums[at].saturating_add(of_node(at))));
        let total = sums[self.shapes.len()];
        let mut ends: Vec<usize> = (1..count as u64)
            .map(|part| sums.partition_point(|sum| *sum < total / count as u64 * part).min(self.shapes.len()))
            .chain([self.shapes.len()])
            .collect();
        ends.dedup();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends.iter().copied()).map(|(start, end)| start..end).filter(|range| !range.is_empty()).collect()
    }

    /// Values of earlier segments that a segment uses.
    pub(super) fn entries(&self, segment: &Range<usize>) -> Vec<usize> {
        let inputs = self.graph.nodes[segment.clone()].iter().flat_map(|node| node.inputs.iter().map(|value| value.0));
        let mut entries: Vec<usize> = inputs.filter(|value| *value < segment.start).collect();
        entries.sort_unstable();
        entries.dedup();
        entries
    }

    fn peak_of_forward(&self) -> u64 {
        let mut held = Holding::new(self);
        (0..self.shapes.len()).for_each(|at| held.run(at, false));
        held.peak
    }

    /// The most that is held by a forward pass through all segments and the vjps from the last to the first.
    fn peak_of_gradient(&self) -> u64 {
        let mut held = Holding::new(self);
        let last = self.segments.len().saturating_sub(1);
        let mut kept: u64 = 0;
        for (number, segment) in self.segments.iter().enumerate() {
            if number > 0 && number < last {
                kept = self.entries(segment).iter().fold(kept, |sum, value| sum.saturating_add(self.bytes(*value)));
            }
            held.base = kept;
            segment.clone().for_each(|at| held.run(at, number == last));
        }
        let mut peak = held.peak;
        for (number, segment) in self.segments.iter().enumerate().rev() {
            if number < last {
                held = Holding::new(self);
                held.base = kept;
                segment.clone().for_each(|at| held.run(at, true));
                peak = peak.max(held.peak);
                kept = self.entries(segment).iter().fold(kept, |sum, value| sum.saturating_sub(self.bytes(*value)));
            }
            peak = peak.max(self.peak_of_vjp(segment, held.saved.saturating_add(held.base)));
        }
        peak
    }

    /// The most that the vjp of a segment holds, of which so much was saved.
    fn peak_of_vjp(&self, segment: &Range<usize>, mut saved: u64) -> u64 {
        let mut gradients = vec![false; self.shapes.len()];
        let (mut live, mut peak) = (0_u64, saved);
        for at in segment.clone().rev() {
            let of_output = if std::mem::replace(&mut gradients[at], false) { 0 } else { self.bytes(at) };
            live = live.saturating_add(of_output);
            let mut masks = 0_u64;
            for Value(value) in &self.graph.nodes[at].inputs {
                // A sum stands beside its parts, and a mask's bits are unpacked to bytes.
                if !std::mem::replace(&mut gradients[*value], true) {
                    live = live.saturating_add(self.bytes(*value));
                }
                masks = masks.max(self.count(*value));
            }
            peak = peak.max(saved.saturating_add(live).saturating_add(self.vjp_scratch(at)).saturating_add(masks));
            // The gradients of outputs are the caller's.
            let ours = !self.graph.outputs.contains(&Value(at));
            live = live.saturating_sub(if ours { self.bytes(at) } else { 0 });
            saved = saved.saturating_sub(self.saves(at).0);
        }
        peak
    }
}

/// What a pass holds, as it goes.
struct Holding<'a> {
    plan: &'a Planned,
    /// Values that are there, and those that stay for the gradient.
    there: Vec<bool>,
    stays: Vec<bool>,
    live: u64,
    /// Bytes that were saved for the gradient, values that stay included.
    saved: u64,
    /// Held by others.
    base: u64,
    peak: u64,
}

impl<'a> Holding<'a> {
    fn new(plan: &'a Planned) -> Self {
        let none = || vec![false; plan.shapes.len()];
        Self { plan, there: none(), stays: none(), live: 0, saved: 0, base: 0, peak: 0 }
    }

    /// Runs a node.
    fn run(&mut self, at: usize, save: bool) {
        let Self { plan, .. } = *self;
        self.there[at] = true;
        self.live = self.live.saturating_add(plan.bytes(at));
        let now = self.live.saturating_add(self.saved).saturating_add(self.base);
        self.peak = self.peak.max(now.saturating_add(plan.scratch(at)));
        if save {
            let (own, values) = plan.saves(at);
            self.saved = self.saved.saturating_add(own);
            for value in values {
                if !std::mem::replace(&mut self.stays[value], true) {
                    self.saved = self.saved.saturating_add(plan.bytes(value));
                    self.leave(value);
                }
            }
        }
        let inputs = plan.graph.nodes[at].inputs.iter().map(|value| value.0);
        inputs.filter(|value| plan.last_use[*value] <= at).for_each(|value| self.leave(value));
    }

    /// A value is counted among the live no more.
    fn leave(&mut self, value: usize) {
        if std::mem::replace(&mut self.there[value], false) {
            self.live = self.live.saturating_sub(self.plan.bytes(value));
        }
    }
}

impl Planned {
    /// The operation of a node; none of an input.
    pub(super) fn operation(&self, at: usize) -> Option<&Arc<dyn Operation>> {
        self.graph.nodes[at].operation.as_ref()
    }
}
