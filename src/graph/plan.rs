//! What a graph does with inputs of given shapes: the shape of every value, how long each lives, which parts go by bands, and how many
//! bytes that takes.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, bail};

use super::ops::{Operation, Saves, Tiled};
use super::{Graph, Value};
use crate::machine;

/// Most segments that a plan cuts a graph into: with more, a segment is hardly smaller.
const MOST_SEGMENTS: usize = 64;

/// What a gradient may take before parts of it are computed by bands, bytes: a laptop of 8 GB has that to give.
const COMFORTABLE_BYTES: u64 = 1_600_000_000;

/// Into how many bands such parts are cut, the fewest first: the more there are, the more is computed twice.
const BANDS: [usize; 6] = [2, 3, 4, 6, 8, 12];

/// Such a part goes from one value to another of at most this share of what the gradient may take.
const SMALL_SHARE: u64 = 6;

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
    /// Segments that a gradient computes by bands, and whether a forward pass alone does too.
    banded: Vec<Banded>,
    pub(super) by_bands: bool,
    /// How many steps a forward pass has before each node, and behind them all: one for each, but for nodes of many tiles.
    pub(super) steps: Vec<usize>,
    pub(super) device: Device,
    pub(super) number_bytes: u64,
    forward_bytes: u64,
    gradient_bytes: u64,
}

/// A part of a graph and its bands.
#[derive(Clone)]
pub(super) struct Banded {
    /// The nodes of the part. The last gives what comes out.
    pub(super) nodes: Range<usize>,
    /// The value that goes in.
    pub(super) entry: usize,
    /// The axes of planes of what goes in and of what comes out.
    pub(super) axes: [usize; 2],
    pub(super) bands: Vec<Band>,
    /// Whether what the bands save for the gradient is kept; else a gradient computes them again.
    pub(super) taped: bool,
    pub(super) entry_shape: Vec<usize>,
    pub(super) exit_shape: Vec<usize>,
    /// The step of a forward pass that the part begins with, and how many steps there are.
    pub(super) steps: [usize; 2],
    /// How many nodes the graph has.
    pub(super) of: usize,
}

/// Some planes of what comes out, and the planes that they need of what goes in.
#[derive(Clone)]
pub(super) struct Band {
    pub(super) entry: Range<usize>,
    pub(super) exit: Range<usize>,
    pub(super) plan: Plan,
}

impl Plan {
    /// Plans the passes over inputs of these shapes, of f32 or f64, on the CPU. A gradient that would take more than 1.6 GB computes
    /// by bands of planes what it can.
    ///
    /// # Errors
    /// The error says in words why the graph takes no such inputs.
    pub fn new(graph: &Graph, inputs: &[&[usize]], dtype: DType) -> Result<Self> {
        let planned = Planned::new(graph, inputs, dtype.size_in_bytes() as u64)?;
        Ok(Self(Arc::new(planned.in_bands(COMFORTABLE_BYTES)?)))
    }

    /// Plans the passes over inputs whose numbers take so many bytes, without bands.
    pub(super) fn whole(graph: &Graph, inputs: &[&[usize]], number_bytes: u64) -> Result<Self> {
        Ok(Self(Arc::new(Planned::new(graph, inputs, number_bytes)?)))
    }

    /// Gives the plan for weights on another device: inputs are copied there, outputs and gradients back. Bands are the CPU's.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        let planned = Planned { device: device.clone(), ..Arc::unwrap_or_clone(self.0) };
        let planned = if device.is_cpu() { planned } else { planned.with_bands(Vec::new(), u64::MAX) };
        Self(Arc::new(planned))
    }

    /// Gives a plan whose gradient takes no more than so many bytes: where it would take more, parts of the forward pass are
    /// computed again, as often as that needs, and then by bands.
    ///
    /// # Errors
    /// The error says in words how much the gradient takes where even so it is more.
    pub fn within(self, budget: u64) -> Result<Self> {
        let mut planned = Arc::unwrap_or_clone(self.0);
        planned.tiles_within(budget);
        let mut least = planned.in_segments(budget);
        if least.gradient_bytes > budget && least.device.is_cpu() {
            let banded = planned.in_bands(budget)?.in_segments(budget);
            least = if banded.gradient_bytes < least.gradient_bytes { banded } else { least };
        }
        if least.gradient_bytes > budget {
            let (needed, most) = (least.gradient_bytes.div_ceil(1_000_000), budget / 1_000_000);
            let remedy = match least.tiled().next() {
                Some(_) => "set smaller tiles in its card, or a smaller recipe.size",
                None => "set a smaller `side` in its card, or give it fewer slices",
            };
            bail!(
                "the gradient of this network takes {needed} MB of memory at least, and may take {most} MB; {remedy}"
            );
        }
        Ok(Self(Arc::new(least)))
    }

    /// Gives a plan whose gradient fits the memory that this process can have, where that is the CPU's. As [`Self::within`].
    pub fn fitted(self) -> Result<Self> {
        match machine::memory_bytes().filter(|_| self.0.device.is_cpu()) {
            Some(most) => self.within(most),
            None => Ok(self),
        }
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.0.device.clone()
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

    /// The share of a forward pass that a gradient without outputs does once more: segments but the last and those whose bands are
    /// kept, of tiles too.
    pub fn repeated(&self) -> f64 {
        let planned = &*self.0;
        let again = planned.segments.iter().rev().skip(1);
        let again = again.filter(|segment| planned.banded(segment).is_none_or(|banded| !banded.taped));
        let of_segments: f64 = again.flat_map(Clone::clone).map(|at| planned.work(at)).sum();
        let of_tiles: f64 = planned.tiled().map(|(at, tiled)| planned.work(at) * tiled.plan().repeated()).sum();
        (of_segments + of_tiles) / self.work().max(f64::MIN_POSITIVE)
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

    /// How many of the segments the gradient computes by bands of planes.
    pub fn banded(&self) -> usize {
        self.0.banded.len()
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
        let planned = Self {
            graph,
            shapes,
            first_use,
            last_use,
            varies,
            segments: Vec::new(),
            banded: Vec::new(),
            by_bands: false,
            steps,
            device: Device::Cpu,
            number_bytes,
            forward_bytes: 0,
            gradient_bytes: 0,
        };
        Ok(planned.with_bands(Vec::new(), u64::MAX))
    }

    /// Gives the plan with these segments by bands, and the rest in one segment between each two of them. A forward pass alone goes by
    /// bands where it would take more than the budget.
    fn with_bands(self, banded: Vec<Banded>, budget: u64) -> Self {
        let mut planned = Self { banded, by_bands: false, ..self }.cut_into(1);
        planned.forward_bytes = planned.peak_of_forward();
        if planned.forward_bytes > budget && !planned.banded.is_empty() {
            planned.by_bands = true;
            planned.forward_bytes = planned.peak_of_forward();
        }
        planned
    }

    fn cut_into(mut self, count: usize) -> Self {
        self.segments = self.cut(count);
        self.gradient_bytes = self.peak_of_gradient();
        self
    }

    /// Gives the plan in as few segments as its gradient needs to take so many bytes, if it can.
    fn in_segments(&self, budget: u64) -> Self {
        let (mut planned, mut count) = (self.clone(), 2);
        while planned.gradient_bytes > budget && count <= MOST_SEGMENTS {
            planned = planned.cut_into(count);
            count *= 2;
        }
        planned
    }

    /// Gives the plan in as few bands as its gradient needs to take so many bytes, if it can and where it has parts for them.
    fn in_bands(self, budget: u64) -> Result<Self> {
        let mut least = self.clone();
        for count in BANDS {
            if least.gradient_bytes <= budget {
                break;
            }
            for taped in [true, false] {
                let planned = self.clone().with_bands(self.bands(budget / SMALL_SHARE, count, taped)?, budget);
                let less = least.gradient_bytes > budget && planned.gradient_bytes < least.gradient_bytes;
                least = if less { planned } else { least };
            }
        }
        Ok(least)
    }

    /// The bands of a segment, if it has such.
    pub(super) fn banded(&self, segment: &Range<usize>) -> Option<&Banded> {
        self.banded.iter().find(|banded| banded.nodes == *segment)
    }

    pub(super) fn count(&self, value: usize) -> u64 {
        self.shapes[value].iter().fold(1, |product: u64, side| product.saturating_mul(*side as u64))
    }

    pub(super) fn bytes(&self, value: usize) -> u64 {
        self.count(value).saturating_mul(self.number_bytes)
    }

    fn work(&self, at: usize) -> f64 {
        let node = &self.graph.nodes[at];
        let Some(operation) = &node.operation else { return 0.0 };
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|value| self.shapes[value.0].as_slice()).collect();
        operation.multiply_adds(&shapes) + MULTIPLY_ADDS_PER_NUMBER * self.count(at) as f64
    }

    /// Bytes besides inputs and output.
    pub(super) fn scratch(&self, at: usize) -> u64 {
        let node = &self.graph.nodes[at];
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|value| self.shapes[value.0].as_slice()).collect();
        node.operation.as_ref().map_or(0, |operation| operation.scratch_bytes(&shapes) as u64)
    }

    /// Bytes that a vjp takes besides gradients.
    pub(super) fn vjp_scratch(&self, at: usize) -> u64 {
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
    pub(super) fn saves(&self, at: usize) -> (u64, Vec<usize>) {
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
        let within =
            |end: &usize| self.banded.iter().any(|banded| banded.nodes.start < *end && *end < banded.nodes.end);
        let mut ends: Vec<usize> = (1..count as u64)
            .map(|part| sums.partition_point(|sum| *sum < total / count as u64 * part).min(self.shapes.len()))
            .filter(|end| !within(end))
            .chain(self.banded.iter().flat_map(|banded| [banded.nodes.start, banded.nodes.end]))
            .chain([self.shapes.len()])
            .collect();
        ends.sort_unstable();
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

    /// The operation of a node; none of an input.
    pub(super) fn operation(&self, at: usize) -> Option<&Arc<dyn Operation>> {
        self.graph.nodes[at].operation.as_ref()
    }
}
