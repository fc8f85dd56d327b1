//! One output of a network in a file, as the rest of the program takes it: channels second, one sample or many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result as TensorResult};

use super::shape_of;
use crate::exchange::{Model, Port, Size};
use crate::files;
use crate::graph::{Graph, Plan, Value};
use crate::models::Error;
use crate::preprocess::Recipe;

/// Graphs for so many shapes are kept: those of a run, and of what is tried before it.
const MOST_SHAPES: usize = 8;

/// One output of a network in a file, for inputs of any shape that it takes.
#[derive(Clone)]
pub(super) struct Pass {
    model: Arc<Model>,
    pub(super) output: String,
    pub(super) dtype: DType,
    device: Device,
    /// Whether the file's tensors have their channels last. Those of the pass have them second all the same.
    channels_last: bool,
    /// Graphs by the shape of their input: their weights are read and transformed once.
    lowered: Arc<Mutex<HashMap<Vec<usize>, Graph>>>,
}

impl Pass {
    /// The graph of one output for an input `[n, c, …]`. A network that takes one sample at a time is applied to each. A single number
    /// that one sample has is given as `[1]`.
    pub(super) fn graph(&self, input: &[usize]) -> TensorResult<Graph> {
        let fixed = self.model.inputs()[0].sizes.as_deref().and_then(|sizes| sizes.first());
        match (input, fixed) {
            ([samples, sides @ ..], Some(Size::Fixed(1))) if *samples > 1 => {
                let one: Vec<usize> = [1].iter().chain(sides).copied().collect();
                Ok(one_by_one(&self.lowered(&one)?, *samples))
            }
            _ => self.lowered(input),
        }
    }

    /// The graph for one shape, made when it is first asked for.
    fn lowered(&self, shape: &[usize]) -> TensorResult<Graph> {
        let mut known = self.lowered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(graph) = known.get(shape) {
            return Ok(graph.clone());
        }
        let of_file = if self.channels_last { permuted(shape, &to_last(shape.len())) } else { shape.to_vec() };
        let graph = self.model.graph(&[&of_file], &[&self.output], self.dtype, &self.device);
        let graph = self.presented(graph.map_err(candle_core::Error::wrap)?, &of_file)?.fused();
        if known.len() >= MOST_SHAPES {
            known.clear();
        }
        known.insert(shape.to_vec(), graph.clone());
        Ok(graph)
    }

    /// Puts channels where they are in the rest of the program, and gives the only number of one sample an axis.
    fn presented(&self, network: Graph, of_file: &[usize]) -> TensorResult<Graph> {
        let axes = Plan::new(&network, &[of_file], self.dtype)?.outputs()[0].len();
        let is_number = axes == 0 && of_file.first() == Some(&1);
        if !self.channels_last && !is_number {
            return Ok(network);
        }
        let mut g = Graph::new();
        let mut x = g.input();
        if self.channels_last {
            x = g.permute(x, &to_last(of_file.len()));
        }
        let mut y = g.append(&network, x);
        if is_number {
            y = g.reshape(y, &[Some(1)]);
        } else if self.channels_last && axes == of_file.len() {
            y = g.permute(y, &to_second(axes));
        }
        Ok(g.finish(&[y]))
    }

    /// How many channels the file fixes of its input.
    pub(super) fn channels(&self) -> Option<usize> {
        let sizes = self.model.inputs()[0].sizes.as_deref()?;
        match sizes.get(if self.channels_last { sizes.len().checked_sub(1)? } else { 1 }) {
            Some(Size::Fixed(side)) => Some(*side),
            _ => None,
        }
    }

    /// The shape of the output for an input of a shape.
    pub(super) fn output_of(&self, input: &[usize]) -> TensorResult<Vec<usize>> {
        let plan = Plan::new(&self.graph(input)?, &[input], self.dtype)?;
        Ok(plan.outputs()[0].to_vec())
    }

    /// Refuses an output from which no gradient comes to an input of a shape, in words.
    pub(super) fn differentiable(&self, input: &[usize]) -> TensorResult<()> {
        let output = files::printable(&self.output);
        match self.graph(input)?.stopped_by().as_deref() {
            None => Ok(()),
            Some([]) => candle_core::bail!(
                "the output \"{output}\" does not depend on the network's input; name another output in the card"
            ),
            Some([last, ..]) => candle_core::bail!(
                "no gradient comes from the output \"{output}\" to the network's input, since it is a step function of it ({last}); name a \
                 value before that in the card, output = \"...\", or export the network without it"
            ),
        }
    }
}

/// The order of axes that puts the second one last.
fn to_last(axes: usize) -> Vec<usize> {
    [0].into_iter().chain(2..axes).chain([1]).collect()
}

/// The order of axes that puts the last one second.
fn to_second(axes: usize) -> Vec<usize> {
    [0, axes.saturating_sub(1)].into_iter().chain(1..axes.saturating_sub(1)).collect()
}

fn permuted(shape: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().filter_map(|axis| shape.get(*axis)).copied().collect()
}

/// A graph of one sample applied to each of so many.
fn one_by_one(graph: &Graph, samples: usize) -> Graph {
    let mut g = Graph::new();
    let x = g.input();
    let outputs: Vec<Value> = (0..samples)
        .map(|sample| {
            let one = g.narrow(x, 0, sample, 1);
            g.append(graph, one)
        })
        .collect();
    let y = g.concat(&outputs, 0);
    g.finish(&[y])
}

/// Gives the pass through a file to one of its outputs.
pub(super) fn pass(
    model: Arc<Model>,
    output: &str,
    recipe: &Recipe,
    (dtype, device): (DType, &Device),
) -> Result<Pass, Error> {
    one_sample(&model).map_err(|what| Error::Card { what, path: model.path().to_owned() })?;
    model.check(&[output])?;
    let channels_last = recipe.axes.are_before_channels();
    Ok(Pass { model, output: output.to_owned(), dtype, device: device.clone(), channels_last, lowered: Arc::default() })
}

/// Refuses a network that cannot be given one scan alone, in words.
pub(super) fn one_sample(model: &Model) -> Result<(), String> {
    let port = match model.inputs() {
        [] => return Err("the network takes no input; export it with one, the scan".to_owned()),
        [port] => port,
        [first, second, ..] => {
            return Err(format!("the network takes {}; export it with one input, the scan", words(&[first, second])));
        }
    };
    let sizes = port.sizes.as_deref().unwrap_or_default();
    match sizes.first() {
        Some(Size::Fixed(batch)) if *batch != 1 => Err(format!(
            "the network takes {batch} samples at a time, no more and no fewer: its input is {}, and Parallax gives it one scan, or as many \
             slices as there are; export it with a batch of 1, or leave the batch open (torch.onnx.export(..., dynamic_axes={{\"{}\": {{0: \
             \"batch\"}}}}), or dynamic_shapes)",
            shape_of(sizes),
            files::printable(&port.name)
        )),
        _ => Ok(()),
    }
}

fn words(ports: &[&Port]) -> String {
    let names: Vec<_> = ports.iter().map(|port| format!("\"{}\"", files::printable(&port.name))).collect();
    format!("{} inputs or more, {}", ports.len(), names.join(" and "))
}
