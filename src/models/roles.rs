//! What networks are for, and what each gives: the graph of a pass, planned for an input's size.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};
use candle_nn::ops;
use serde::{Deserialize, Serialize};

use super::Adapter;
use crate::graph::ops::{Function, Reduction};
use crate::graph::{self, Check, Graph, Plan};
use crate::io::counted;
use crate::machine;
use crate::preprocess::Recipe;

/// Compresses slices, wherever its weights are; the tensors it is given and gives back lie on the CPU. Unless it says so, slices never
/// mix: decoding one slice alone gives what decoding it among others gives.
pub trait Autoencoder: Send + Sync {
    /// `[slices, 1, height, width]` in `0..=1` to latents `[slices, channels, h, w]`.
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error>;

    /// Whether latents are the mean of a posterior whose deviations are known.
    fn has_deviations(&self) -> bool {
        false
    }

    /// The standard deviations of the posterior, `[slices, channels, h, w]` as latents are; none where they are not known.
    fn deviations(&self, _stack: &Tensor, _check: Check<'_>) -> std::result::Result<Option<Tensor>, graph::Error> {
        Ok(None)
    }

    /// Plans the pass from latents of that shape to `[slices, 1, height, width]`; `size` is the stack's height and width, since
    /// latents do not know it.
    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan>;

    /// How many slices of height and width `size` the network's device has memory for at a time, their gradient included; `None`
    /// where that is the caller's to choose: on the CPU.
    fn room(&self, _size: [usize; 2]) -> Option<usize> {
        None
    }

    /// Plans the passes of the network, by name, over slices of such a shape.
    fn plans(&self, _slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        Ok(Vec::new())
    }

    /// Whether slices mix: a stack is then encoded and decoded as a whole, to latents of as many planes as it may be.
    fn mixes_slices(&self) -> bool {
        false
    }

    /// Where slices mix, the autoencoder as far as a slab of a stack of so many slices goes: its decoder takes the planes of latents that the
    /// slab comes from and gives the slab, while all other planes stay as they are in `latents`.
    fn within(&self, _latents: &Tensor, _slab: &Range<usize>, _slices: usize) -> Option<Within> {
        None
    }

    /// `[slope, offset]`: what turns decoded values into the stack's `0..=1`. `[1, 0]` for a true inverse;
    /// `[2, -0.5]` where decoding returns (y+2)/4 as the published code does.
    fn unit_from_decoded(&self) -> [f32; 2];
}

/// The part of an autoencoder that decodes a slab.
pub struct Within {
    pub autoencoder: Arc<dyn Autoencoder>,
    /// The planes of latents that the slab comes from.
    pub planes: Range<usize>,
}

/// How a network's numbers become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probabilities {
    /// Each label is a question of its own.
    Sigmoid,
    /// The labels are the answers to one question.
    Softmax,
    /// The numbers themselves are the scores: of a regression.
    None,
}

impl Probabilities {
    /// As cards spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
            Self::None => "none",
        }
    }

    /// Gives the scores of logits `[1, labels]`; each is in `0..=1` where they are probabilities.
    pub fn of(self, logits: &Tensor) -> Result<Tensor> {
        match self {
            Self::Sigmoid => ops::sigmoid(logits),
            Self::Softmax => ops::softmax(logits, 1),
            Self::None => Ok(logits.clone()),
        }
    }

    /// Gives the scores of logits that are plain numbers, by label.
    pub fn of_numbers(self, logits: &[f32]) -> Vec<f64> {
        let logits = logits.iter().map(|logit| f64::from(*logit));
        match self {
            Self::Sigmoid => logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
            Self::Softmax => {
                let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.clone().map(|logit| (logit - largest).exp()).sum();
                logits.map(|logit| (logit - largest).exp() / sum).collect()
            }
            Self::None => logits.collect(),
        }
    }

    /// From the gradient of the scores, `[1, labels]`, to that of the logits.
    pub fn vjp(self, logits: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let p = self.of(logits)?;
        match self {
            Self::Sigmoid => gradient * (&p * p.affine(-1.0, 1.0)?)?,
            Self::Softmax => &p * gradient.broadcast_sub(&(&p * gradient)?.sum_keepdim(1)?)?,
            Self::None => Ok(gradient.clone()),
        }
    }
}

/// Gives the graph of a network for a tensor of a shape.
pub(super) type GraphFor = dyn Fn(&[usize]) -> Result<Graph> + Send + Sync;

/// The pass of a network behind its adapter.
#[derive(Clone)]
pub(super) enum Core {
    /// Takes a stack `[slices, 1, height, width]`, in which 0 and 1 are the ends of the recipe's window.
    Stack(Graph),
    /// Takes the tensor that the recipe describes, `[1, c, …]` or `[slices, c, …]`, and gives `[1, labels]`, or `[slices, labels]`: the
    /// graph for a tensor of that shape.
    Tensor(Arc<GraphFor>),
}

/// The adapter and the network behind it: from a whole stack to one row of numbers, `[1, n]`.
#[derive(Clone)]
struct Fed {
    core: Core,
    adapter: Adapter,
    dtype: DType,
    device: Device,
}

impl Fed {
    fn new(core: Core, recipe: &Recipe, dtype: DType, device: &Device) -> Self {
        Self { core, adapter: Adapter::own(recipe), dtype, device: device.clone() }
    }

    fn by(&self, adapter: Adapter) -> Self {
        Self { adapter, ..self.clone() }
    }

    /// The pass over a stack of such a shape. Stack and numbers lie on the CPU.
    fn plan(&self, stack: &[usize]) -> Result<Plan> {
        match stack {
            [slices, 1, _, _] if *slices > 0 => planned(&self.graph(stack)?, stack, self.dtype, &self.device),
            _ => bail!("the network takes a stack [slices, 1, height, width], found {stack:?}"),
        }
    }

    fn graph(&self, stack: &[usize]) -> Result<Graph> {
        let mut g = Graph::new();
        let x = g.input();
        let numbers = match &self.core {
            Core::Stack(network) => {
                let x = self.adapter.stack(&mut g, x)?;
                g.append(network, x)
            }
            Core::Tensor(network) => {
                let x = self.adapter.tensor(&mut g, x)?;
                let tensor = Plan::new(&g.clone().finish(&[x]), &[stack], self.dtype)?;
                let network = network(tensor.outputs()[0])?;
                let numbers = g.append(&network, x);
                self.adapter.over_slices(&mut g, numbers)
            }
        };
        Ok(g.finish(&[numbers]))
    }
}

/// Gives one logit per label for a whole stack.
#[derive(Clone)]
pub struct Classifier {
    fed: Fed,
    labels: Vec<String>,
    probabilities: Probabilities,
    /// Whether its labels are a segmenter's regions.
    of_regions: bool,
}

impl Classifier {
    /// Of a graph from a stack `[slices, 1, height, width]`, prepared by a recipe, to logits `[1, labels]`.
    pub fn new(
        graph: Graph,
        recipe: &Recipe,
        labels: Vec<String>,
        probabilities: Probabilities,
        dtype: DType,
        device: &Device,
    ) -> Self {
        Self::of(Core::Stack(graph), recipe, labels, probabilities, (dtype, device))
    }

    pub(super) fn of(
        core: Core,
        recipe: &Recipe,
        labels: Vec<String>,
        probabilities: Probabilities,
        (dtype, device): (DType, &Device),
    ) -> Self {
        Self { fed: Fed::new(core, recipe, dtype, device), labels, probabilities, of_regions: false }
    }

    /// Says that its labels are a segmenter's regions, and its numbers their shares of a volume.
    #[must_use]
    pub(super) fn with_regions(self) -> Self {
        Self { of_regions: true, ..self }
    }

    /// Gives this classifier for stacks that were prepared for another network. The weights are shared.
    #[must_use]
    pub fn fed_by(&self, adapter: Adapter) -> Self {
        Self { fed: self.fed.by(adapter), ..self.clone() }
    }

    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    pub fn probabilities(&self) -> Probabilities {
        self.probabilities
    }

    /// Says whether its labels are a segmenter's regions, and its numbers their shares of a volume, 0 to 1.
    pub fn is_of_regions(&self) -> bool {
        self.of_regions
    }

    /// The pass over a stack of such a shape. Stack and logits lie on the CPU.
    pub fn plan(&self, stack: &[usize]) -> Result<Plan> {
        self.fed.plan(stack)
    }

    /// The adapter and the network behind it, for a stack of such a shape.
    pub fn graph(&self, stack: &[usize]) -> Result<Graph> {
        self.fed.graph(stack)
    }
}

/// Gives one vector for a whole stack: what a network without a head says of a scan.
#[derive(Clone)]
pub struct Embedder(Fed);

impl Embedder {
    /// Of a graph from a stack `[slices, 1, height, width]`, prepared by a recipe, to an embedding `[1, n]`.
    pub fn new(graph: Graph, recipe: &Recipe, dtype: DType, device: &Device) -> Self {
        Self::of(Core::Stack(graph), recipe, dtype, device)
    }

    pub(super) fn of(core: Core, recipe: &Recipe, dtype: DType, device: &Device) -> Self {
        Self(Fed::new(core, recipe, dtype, device))
    }

    /// Gives this embedder for stacks that were prepared for another network. The weights are shared.
    #[must_use]
    pub fn fed_by(&self, adapter: Adapter) -> Self {
        Self(self.0.by(adapter))
    }

    /// The pass over a stack of such a shape. Stack and embedding lie on the CPU.
    pub fn plan(&self, stack: &[usize]) -> Result<Plan> {
        self.0.plan(stack)
    }
}

/// Gives each pixel a probability per class, slice by slice.
pub struct Segmenter {
    graph: Graph,
    labels: Vec<String>,
    /// How many resolutions it works at.
    levels: usize,
    dtype: DType,
    device: Device,
}

impl Segmenter {
    /// Of a graph from `[slices, 1, height, width]` to log-softmax `[slices, classes, h, w]`, which halves slices `levels - 1`
    /// times.
    pub fn new(graph: Graph, labels: Vec<String>, levels: usize, dtype: DType, device: &Device) -> Self {
        Self { graph, labels, levels, dtype, device: device.clone() }
    }

    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Gives the share of a whole stack that each class has, as a classifier of stacks prepared by a recipe: the mean of its probability
    /// over all pixels, `[1, classes]`.
    pub fn shares(&self, recipe: &Recipe) -> Classifier {
        let mut g = Graph::new();
        let x = g.input();
        let maps = g.append(&self.graph, x);
        let probabilities = g.function(maps, Function::Exp);
        let of_slices = g.reduce(Reduction::Mean, probabilities, &[2, 3], false);
        let shares = g.reduce(Reduction::Mean, of_slices, &[0], true);
        let graph = g.finish(&[shares]);
        let labels = self.labels.clone();
        Classifier::new(graph, recipe, labels, Probabilities::None, self.dtype, &self.device).with_regions()
    }

    /// The pass over slices of such a shape. Slices and log-softmax lie on the CPU.
    pub fn plan(&self, slices: &[usize]) -> Result<Plan> {
        match slices {
            [_, 1, h, w] => halves([*h, *w], self.levels)?,
            _ => bail!("the segmenter takes slices [slices, 1, height, width], found {slices:?}"),
        }
        planned(&self.graph, slices, self.dtype, &self.device)
    }
}

/// A graph for slices or a stack, refused in words where no memory holds it: before anything is computed. A GPU is asked for its
/// memory by other means.
pub(super) fn planned(graph: &Graph, input: &[usize], dtype: DType, device: &Device) -> Result<Plan> {
    let plan = Plan::new(graph, &[input], dtype)?.on(device);
    let bytes = plan.forward_bytes();
    let Some(most) = machine::memory_bytes().filter(|most| device.is_cpu() && bytes > *most) else { return Ok(plan) };
    let remedy = match plan.tiled() {
        Some(_) => "set smaller tiles in its card, or a smaller recipe.size",
        None => "set a smaller `side` in its card, or give it fewer slices",
    };
    bail!(
        "{} of {} x {} pixels take at least {} of memory in the network, and this process can have {}; {remedy}",
        counted(input[0], "slice"),
        input[2],
        input[3],
        machine::gigabytes(bytes),
        machine::gigabytes(most)
    )
}

/// Refuses slices that a network has no output for, as each of its levels halves them, before anything is computed.
pub(super) fn halves(size: [usize; 2], levels: usize) -> Result<()> {
    let least = u32::try_from(levels.saturating_sub(1)).ok().and_then(|by| 1_usize.checked_shl(by));
    let least = least.unwrap_or(usize::MAX);
    if size.iter().any(|pixels| *pixels < least) {
        let [h, w] = size;
        bail!(
            "the network halves a slice {} times, and so needs {least} x {least} pixels, where it was given {h} x {w}; \
             give it larger slices, or set `side` in its card",
            levels.saturating_sub(1)
        );
    }
    Ok(())
}
