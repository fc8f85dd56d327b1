//! The nodes of an ONNX file, their own tensors read.

use rten_onnx::onnx::{AttributeProto, GraphProto, NodeProto};

use super::tensors::{Beside, operand};
use crate::exchange::lower::{Made, Operand};

/// A node of the file.
pub(super) struct Step {
    /// Its name, or that of its first output.
    pub(super) name: String,
    /// The operation's name, its domain before it where that is not ONNX's own.
    pub(super) operation: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// What a node is told, under one name.
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) int: Option<i64>,
    pub(super) float: Option<f32>,
    pub(super) text: Option<String>,
    pub(super) ints: Vec<i64>,
    pub(super) floats: Vec<f32>,
    pub(super) tensor: Option<Made<Operand>>,
    pub(super) graph: Option<Inner>,
}

/// A graph within a node: one of the branches of an `If`.
pub(super) struct Inner {
    pub(super) weights: Vec<(String, Made<Operand>)>,
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Vec<String>,
}

impl Step {
    pub(super) fn new(node: NodeProto, beside: &mut Beside) -> Self {
        let operation = node.op_type.unwrap_or_default();
        let operation = match node.domain.as_deref().unwrap_or("") {
            "" | "ai.onnx" => operation,
            domain => format!("{domain}.{operation}"),
        };
        let name = node.name.filter(|name| !name.is_empty());
        Self {
            name: name.or_else(|| node.output.first().cloned()).unwrap_or_default(),
            operation,
            inputs: node.input,
            outputs: node.output,
            attributes: node.attribute.into_iter().map(|attribute| Attribute::new(attribute, beside)).collect(),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

impl Attribute {
    fn new(of: AttributeProto, beside: &mut Beside) -> Self {
        Self {
            name: of.name.unwrap_or_default(),
            int: of.i,
            float: of.f,
            text: of.s,
            ints: of.ints,
            floats: of.floats,
            tensor: of.t.map(|tensor| operand(&tensor, beside)),
            graph: of.g.map(|graph| Inner::new(graph, beside)),
        }
    }
}

impl Inner {
    fn new(graph: GraphProto, beside: &mut Beside) -> Self {
        let weights = graph.initializer.into_iter().map(|tensor| {
            let read = operand(&tensor, beside);
            (tensor.name.unwrap_or_default(), read)
        });
        Self {
            weights: weights.collect(),
            steps: graph.node.into_iter().map(|node| Step::new(node, beside)).collect(),
            outputs: graph.output.into_iter().filter_map(|output| output.name).collect(),
        }
    }
}
