//! What gives a value of an exported program, as far as what it ends in is looked for.

use super::schema::{Argument, Node};
use super::{Program, ops};
use crate::exchange::{Activation, Elementary, ElementaryKind, Given, Link, LinkKind};

impl Program {
    /// The last node that gives a value as the output of that number.
    fn giver(&self, value: &str, output: usize) -> Option<&Node> {
        self.nodes.iter().rev().find(|node| node.values()[1].get(output) == Some(&value))
    }

    pub(super) fn link_of(&self, value: &str) -> Option<Link> {
        if let Some(node) = self.giver(value, 1).filter(|node| ops::base(node.operation()) == Some("max")) {
            // The second of what a maximum along an axis gives: where it lies.
            let before = node.inputs.first()?.arg.name()?.to_owned();
            return Some(Link { kind: LinkKind::Choice(axis_of(node)), operation: "max".to_owned(), before });
        }
        let node = self.giver(value, 0)?;
        let operation = ops::base(node.operation())?;
        let axis = || axis_of(node).or(Some(-1));
        let kind = match operation {
            "sigmoid" => LinkKind::Activation(Activation::Sigmoid, None),
            "softmax" | "_softmax" => LinkKind::Activation(Activation::Softmax, axis()),
            "log_softmax" | "_log_softmax" => LinkKind::Activation(Activation::LogSoftmax, axis()),
            "argmax" => LinkKind::Choice(axis_of(node)),
            "alias" | "clone" | "detach" | "contiguous" => LinkKind::Identity,
            "mul" if is_by_one(node) => LinkKind::Identity,
            "squeeze" | "unsqueeze" | "view" | "reshape" | "flatten" | "_unsafe_view" => LinkKind::Reshape,
            "slice" | "select" | "clamp" | "cat" | "to" | "_to_copy" | "mul" | "add" | "sub" | "rsub" | "div"
            | "permute" | "transpose" | "one_hot" | "eq" => LinkKind::Alter,
            _ => return None,
        };
        if !matches!(kind, LinkKind::Alter) {
            let before = node.inputs.first()?.arg.name()?.to_owned();
            return Some(Link { kind, operation: operation.to_owned(), before });
        }
        let [takes, _] = node.values();
        let mut computed = takes.into_iter().filter(|value| self.giver(value, 0).is_some());
        let before = computed.next()?.to_owned();
        let by_another = computed.next().is_some() && operation != "cat";
        (!by_another).then(|| Link { kind, operation: operation.to_owned(), before })
    }

    pub(super) fn elementary_of(&self, value: &str) -> Option<Elementary> {
        let node = self.giver(value, 0)?;
        let operation = ops::base(node.operation())?;
        let kind = match operation {
            "exp" => ElementaryKind::Exp,
            "log" => ElementaryKind::Log,
            "neg" => ElementaryKind::Negate,
            "add" => ElementaryKind::Add,
            "sub" | "rsub" => ElementaryKind::Subtract,
            "div" => ElementaryKind::Divide,
            "reciprocal" => ElementaryKind::Reciprocal,
            "sum" => ElementaryKind::Sum,
            "max" | "amax" => ElementaryKind::Max,
            "logsumexp" => ElementaryKind::LogSumExp,
            "alias" | "clone" | "detach" | "contiguous" => ElementaryKind::Identity,
            "mul" if is_by_one(node) => ElementaryKind::Identity,
            _ => return None,
        };
        let given = |name: &str| match node.argument(name)? {
            Argument::Value(name) => Some(Given::Value(name.clone())),
            Argument::Int(number) => Some(Given::Number(*number as f64)),
            Argument::Float(number) => Some(Given::Number(*number)),
            _ => None,
        };
        let order = if operation == "rsub" { ["other", "self"] } else { ["self", "other"] };
        let axes = match node.argument("dim") {
            Some(Argument::Int(axis)) => vec![*axis],
            Some(Argument::List(list)) => list.iter().map(whole).collect::<Option<_>>()?,
            _ => Vec::new(),
        };
        Some(Elementary { kind, inputs: order.into_iter().filter_map(given).collect(), axes })
    }
}

/// Whether a product is by the number one: what the exporter makes of 1 / x ends in it.
fn is_by_one(node: &Node) -> bool {
    match node.argument("other") {
        Some(Argument::Int(number)) => *number == 1,
        Some(Argument::Float(number)) => *number == 1.0,
        _ => false,
    }
}

fn whole(argument: &Argument) -> Option<i64> {
    if let Argument::Int(number) = argument { Some(*number) } else { None }
}

/// The axis that a node is told; none where it is told none.
fn axis_of(node: &Node) -> Option<i64> {
    node.argument("dim").and_then(whole)
}
