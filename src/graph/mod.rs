//! Networks as data: a [`Graph`] of operations on tensors, whose weights are frozen, and one machinery for its gradient.
//!
//! A graph is built once, from a checkpoint. [`Graph::fused`] merges operations that the kernels do in one pass. A [`Plan`], made for inputs
//! of one shape, says which values live how long and how many bytes that takes. [`Plan::forward`] gives the outputs;
//! [`Plan::record`] gives them with a [`Tape`], whose vjp takes the gradient of the outputs to that of the inputs. A gradient that would
//! take much memory is computed by bands of planes, or in segments whose passes are repeated.
//!
//! Each operation has one file in [`ops`], with its shape, its forward pass, its vector-Jacobian product (vjp) and what it saves for
//! the vjp. On a CPU operations run our own kernels; on a GPU they call candle's.
//!
//! A network of one's own is one function that builds its graph. This is `examples/new_network.rs`:
//!
//! ```
#![doc = include_str!("../../examples/new_network.rs")]
//! ```

mod around;
mod bands;
mod build;
mod fuse;
pub mod ops;
mod peak;
mod plan;
mod run;
mod split;

use std::sync::Arc;

pub use around::{Around, SlabTape};
pub use plan::Plan;
pub use run::{Check, Tape};
pub use split::{Features, Split};

use self::ops::Operation;
use crate::job::Cancelled;

/// What can stop a pass through a graph.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A tensor of a graph, known by the number of the node that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(usize);

/// One operation and what it is applied to; an input where there is no operation.
#[derive(Clone)]
struct Node {
    operation: Option<Arc<dyn Operation>>,
    inputs: Vec<Value>,
    /// The name that the value may have.
    name: Option<String>,
}

/// Operations in an order in which each follows what it needs. A copy shares the weights.
#[derive(Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: Vec<Value>,
}

impl Graph {
    /// Makes a graph of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input; inputs are given in the order of these calls.
    pub fn input(&mut self) -> Value {
        self.nodes.push(Node { operation: None, inputs: Vec::new(), name: None });
        Value(self.nodes.len() - 1)
    }

    /// Applies an operation to values of this graph.
    pub fn apply(&mut self, operation: impl Operation + 'static, inputs: &[Value]) -> Value {
        self.nodes.push(Node { operation: Some(Arc::new(operation)), inputs: inputs.to_vec(), name: None });
        Value(self.nodes.len() - 1)
    }

    /// Applies an operation that another graph shares.
    fn apply_shared(&mut self, operation: &Arc<dyn Operation>, inputs: &[Value]) -> Value {
        self.nodes.push(Node { operation: Some(Arc::clone(operation)), inputs: inputs.to_vec(), name: None });
        Value(self.nodes.len() - 1)
    }

    /// Gives a value a name, by which messages and tests know it.
    pub fn name(&mut self, value: Value, name: &str) {
        self.nodes[value.0].name = Some(name.to_owned());
    }

    /// The value of that name.
    pub fn named(&self, name: &str) -> Option<Value> {
        self.nodes.iter().position(|node| node.name.as_deref() == Some(name)).map(Value)
    }

    /// Goes on with another graph, whose one input is a value of this one. Gives its only output.
    pub fn append(&mut self, other: &Self, input: Value) -> Value {
        let mut place = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            place.push(if node.operation.is_none() {
                input
            } else {
                let inputs = node.inputs.iter().map(|value| place[value.0]).collect();
                self.nodes.push(Node { inputs, ..node.clone() });
                Value(self.nodes.len() - 1)
            });
        }
        place[other.output().0]
    }

    /// The graph whose outputs these are.
    #[must_use]
    pub fn finish(self, outputs: &[Value]) -> Self {
        Self { outputs: outputs.to_vec(), ..self }
    }

    /// The only output, to go on building from.
    ///
    /// # Panics
    /// Where the graph is not finished, or has other than one output.
    pub fn output(&self) -> Value {
        assert_eq!(self.outputs.len(), 1, "a graph of one output");
        self.outputs[0]
    }

    /// How many operations there are.
    pub fn operations(&self) -> usize {
        self.nodes.iter().filter(|node| node.operation.is_some()).count()
    }

    /// Names the operations that let no gradient through where none of the outputs' reaches an input; none where one does.
    pub fn stopped_by(&self) -> Option<Vec<String>> {
        let mut passed = vec![false; self.nodes.len()];
        self.outputs.iter().for_each(|value| passed[value.0] = true);
        let mut stops = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().rev() {
            match &node.operation {
                _ if !passed[at] => {}
                None => return None,
                Some(operation) if operation.stops() => stops.push(operation.name()),
                Some(_) => node.inputs.iter().for_each(|value| passed[value.0] = true),
            }
        }
        Some(stops)
    }

    /// Counts how often each value is used, as an output too, by operations whose own result is.
    fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        self.outputs.iter().for_each(|value| uses[value.0] += 1);
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if uses[at] > 0 {
                node.inputs.iter().for_each(|value| uses[value.0] += 1);
            }
        }
        uses
    }
}
