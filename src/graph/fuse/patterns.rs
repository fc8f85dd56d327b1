//! What other programs write as several operations, recognised as the one that it is.

use std::any::Any;
use std::sync::Arc;

use super::super::ops::{Add, Arithmetic, Function, Operation, Pairwise, StraightThrough, Swish};
use super::super::{Graph, Node, Value};

impl Graph {
    /// The operation of a value where it is one of this type.
    pub(in crate::graph) fn is<T: 'static>(&self, value: Value) -> Option<&T> {
        let operation: &dyn Operation = &**self.nodes[value.0].operation.as_ref()?;
        (operation as &dyn Any).downcast_ref()
    }

    /// The operands of a node that is this arithmetic of two tensors.
    pub(in crate::graph) fn pair(&self, value: Value, wanted: Arithmetic) -> Option<[Value; 2]> {
        let adds = wanted == Arithmetic::Add && self.is::<Add>(value).is_some();
        let is = adds || self.is::<Pairwise>(value).is_some_and(|pairwise| pairwise.of_two() == Some(wanted));
        match self.nodes[value.0].inputs.as_slice() {
            [a, b] if is => Some([*a, *b]),
            _ => None,
        }
    }

    /// Puts another operation in the place of node `at`.
    pub(super) fn replace(&mut self, at: usize, operation: impl Operation + 'static, inputs: Vec<Value>) {
        let name = self.nodes[at].name.take();
        self.nodes[at] = Node { operation: Some(Arc::new(operation)), inputs, name };
    }

    /// Makes one operation of node `at` and those before it, where they are together one that there is.
    pub(super) fn recognise(&mut self, at: usize) {
        if let Some(x) = self.swish_of(Value(at)) {
            self.replace(at, Swish, vec![x]);
        } else if let Some(x) = self.gelu_of(Value(at)) {
            self.replace(at, Function::Gelu, vec![x]);
        } else if let Some(normed) = self.group_norm_of(Value(at)) {
            self.norm_groups(at, normed);
        } else if let Some(attention) = self.attention_of(Value(at)) {
            self.attend(at, attention);
        } else if let Some((conv, x)) = self.padded_conv_of(Value(at)) {
            self.replace(at, conv, vec![x]);
        } else if let Some(inputs) = self.straight_through(Value(at)) {
            self.replace(at, StraightThrough, inputs.to_vec());
        }
    }

    /// x + (q - x) of a q that no gradient reaches. That the difference was made a constant, no file says; written so it can mean
    /// nothing else.
    fn straight_through(&self, at: Value) -> Option<[Value; 2]> {
        let [a, b] = self.pair(at, Arithmetic::Add)?;
        let through = |x: Value, difference: Value| {
            let [q, same] = self.pair(difference, Arithmetic::Subtract)?;
            (same == x && self.stopped(q)).then_some([x, q])
        };
        through(a, b).or_else(|| through(b, a))
    }

    /// Whether a value is a step function, in another shape perhaps.
    fn stopped(&self, mut value: Value) -> bool {
        loop {
            let node = &self.nodes[value.0];
            match (&node.operation, node.inputs.as_slice()) {
                (Some(operation), _) if operation.stops() => return true,
                (Some(_), [only]) => value = *only,
                _ => return false,
            }
        }
    }
}
