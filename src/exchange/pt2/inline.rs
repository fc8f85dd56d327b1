//! Graphs within nodes, as PyTorch wraps parts of a network that run without gradients: their nodes stand in its place.

use super::schema::{Argument, Graph, NamedArgument, Node};

/// The nodes of a graph with those of the graphs within them.
pub(super) fn inlined(nodes: Vec<Node>) -> Vec<Node> {
    let mut all = Vec::with_capacity(nodes.len());
    for node in nodes {
        let wraps = matches!(
            node.operation(),
            "higher_order.wrap_with_set_grad_enabled"
                | "higher_order.wrap_with_autocast"
                | "higher_order.hints_wrapper"
        );
        let graph = node.inputs.iter().position(|input| matches!(input.arg, Argument::Graph(_)));
        match graph.filter(|_| wraps) {
            Some(at) => unwrap(node, at, &mut all),
            None => all.push(node),
        }
    }
    all
}

/// Puts the nodes of the graph that is a node's argument at `at` in the node's place.
fn unwrap(mut node: Node, at: usize, all: &mut Vec<Node>) {
    let stops = node.operation().ends_with("set_grad_enabled")
        && matches!(node.inputs.first().map(|input| &input.arg), Some(Argument::Bool(false)));
    let given = node.inputs.split_off(at + 1);
    let Some(NamedArgument { arg: Argument::Graph(graph), .. }) = node.inputs.pop() else { return };
    let prefix = format!("{}/", node.values()[1].first().copied().unwrap_or_default());
    let Graph { inputs, outputs, nodes, .. } = *graph;
    let renamed = |argument: Argument| argument.renamed(&prefix);
    for (outer, inner) in given.into_iter().zip(inputs) {
        all.push(same("aten.alias.default", outer.arg, renamed(inner)));
    }
    for inner in inlined(nodes) {
        all.push(Node {
            inputs: inner.inputs.into_iter().map(|input| NamedArgument { arg: renamed(input.arg), ..input }).collect(),
            outputs: inner.outputs.into_iter().map(renamed).collect(),
            ..inner
        });
    }
    let gives = node.outputs.into_iter().flat_map(|output| match output {
        Argument::List(list) => list,
        output => vec![output],
    });
    let operation = if stops { "aten.detach.default" } else { "aten.alias.default" };
    for (outer, inner) in gives.zip(outputs) {
        all.push(same(operation, renamed(inner), outer));
    }
}

/// A node that gives what it takes.
fn same(operation: &str, from: Argument, to: Argument) -> Node {
    let inputs = vec![NamedArgument { name: "self".to_owned(), arg: from }];
    Node { target: operation.to_owned(), inputs, outputs: vec![to] }
}

impl Argument {
    /// With a prefix before the names of values.
    fn renamed(self, prefix: &str) -> Self {
        match self {
            Self::Value(name) => Self::Value(format!("{prefix}{name}")),
            Self::List(list) => Self::List(list.into_iter().map(|argument| argument.renamed(prefix)).collect()),
            other => other,
        }
    }
}
