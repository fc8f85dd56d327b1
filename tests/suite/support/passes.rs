//! Passes through graphs and networks, as tests ask for them.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use parallax::graph::{Graph, Plan, Value};
use parallax::job::Cancelled;
use parallax::models::{Card, Classifier, Network, Segmenter};
use parallax::weights::Checkpoint;

/// A check that stops nothing.
#[expect(clippy::unnecessary_wraps, reason = "a check may stop a pass; this one never does")]
pub(crate) fn unchecked(_: usize, _: usize) -> std::result::Result<(), Cancelled> {
    Ok(())
}

/// What some operations make of one tensor, as a graph.
pub(crate) fn graph_of(build: impl FnOnce(&mut Graph, Value) -> Value) -> Graph {
    let mut g = Graph::new();
    let x = g.input();
    let y = build(&mut g, x);
    g.finish(&[y])
}

/// The plan of a graph for tensors like these.
pub(crate) fn plan_for(graph: &Graph, inputs: &[Tensor]) -> Result<Plan> {
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::dims).collect();
    Plan::new(graph, &shapes, inputs[0].dtype())
}

/// The only output of a pass.
pub(crate) fn output(plan: &Plan, x: &Tensor) -> Tensor {
    let mut outputs = plan.forward(std::slice::from_ref(x), &unchecked).expect("a pass");
    assert_eq!(outputs.len(), 1);
    outputs.remove(0)
}

/// The only output of a pass, and the gradient of the only input, from the output's gradient that `cotangent` makes of the output.
pub(crate) fn pulled(plan: &Plan, x: &Tensor, cotangent: impl FnOnce(&Tensor) -> Result<Tensor>) -> [Tensor; 2] {
    let (mut y, tape) = plan.record(std::slice::from_ref(x), &unchecked).expect("a pass");
    let gradient = cotangent(&y[0]).expect("the output's gradient");
    let mut gradients = tape.vjp(&[gradient], &unchecked).expect("a gradient");
    [y.remove(0), gradients.remove(0)]
}

/// The values of that name in a network, of a stack.
pub(crate) fn activation(graph: &Graph, name: &str, x: &Tensor) -> Tensor {
    let value = graph.named(name).unwrap_or_else(|| panic!("no value is called {name}"));
    output(&plan_for(&graph.clone().finish(&[value]), std::slice::from_ref(x)).expect(name), x)
}

/// A network of a card and its checkpoint on the CPU.
pub(crate) fn network(card: &Card, checkpoint: &Checkpoint, dtype: DType) -> Network {
    Network::of(card, checkpoint, dtype, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn classifier(network: Network) -> Arc<Classifier> {
    match network {
        Network::Classifier(classifier) => classifier,
        other => panic!("{} is no classifier", other.describe()),
    }
}

pub(crate) fn segmenter(network: Network) -> Arc<Segmenter> {
    match network {
        Network::Segmenter(segmenter) => segmenter,
        other => panic!("{} is no segmenter", other.describe()),
    }
}
