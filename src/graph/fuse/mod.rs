//! Merges operations that the kernels do in one pass: what follows an operation becomes part of it.

mod activations;
mod attention;
mod norms;
mod pads;
mod patterns;

use super::{Graph, Node, Value};

impl Graph {
    /// Gives a graph of this network that makes fewer passes over memory. Its numbers are those of the operations one by one.
    #[must_use]
    pub fn fused(mut self) -> Self {
        for at in 0..self.nodes.len() {
            self.recognise(at);
            self.join_parts(at);
            self.absorb(at);
        }
        self.without_unused()
    }

    /// Makes of a concatenation of concatenations one of all their parts.
    fn join_parts(&mut self, at: usize) {
        let Some(joins) = self.nodes[at].operation.clone() else { return };
        let Some(axis) = joins.concatenates() else { return };
        let parts = self.nodes[at].inputs.iter().flat_map(|part| {
            let inner = &self.nodes[part.0];
            let along = inner.operation.as_ref().and_then(|operation| operation.concatenates());
            if along == Some(axis) { inner.inputs.clone() } else { vec![*part] }
        });
        self.nodes[at].inputs = parts.collect();
    }

    /// Lets an operation before node `at` do that node's step as well, where it can and nothing else uses its own result.
    fn absorb(&mut self, at: usize) {
        let Some(step) = self.nodes[at].operation.as_ref().and_then(|operation| operation.step()) else { return };
        let uses = self.uses();
        let mut operands: Vec<usize> = (0..self.nodes[at].inputs.len()).collect();
        // By the time that the later operand of a sum is computed, the other is there.
        operands.sort_by_key(|which| std::cmp::Reverse(self.nodes[at].inputs[*which]));
        for which in operands {
            let Value(before) = self.nodes[at].inputs[which];
            let Some(operation) = self.nodes[before].operation.as_ref().filter(|_| uses[before] == 1) else { continue };
            let Some(operation) = operation.absorbing(&step) else { continue };
            let others = self.nodes[at].inputs.iter().enumerate().filter(|(i, _)| *i != which).map(|(_, value)| *value);
            let inputs = self.nodes[before].inputs.iter().copied().chain(others).collect();
            let name = self.nodes[at].name.clone();
            self.nodes[at] = Node { operation: Some(operation), inputs, name };
            return;
        }
    }

    /// Drops the operations whose result nothing uses. Inputs stay.
    fn without_unused(self) -> Self {
        let mut used = vec![false; self.nodes.len()];
        self.outputs.iter().for_each(|value| used[value.0] = true);
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if used[at] {
                node.inputs.iter().for_each(|value| used[value.0] = true);
            }
        }
        let mut place = vec![Value(0); self.nodes.len()];
        let mut kept = Self::new();
        for (at, node) in self.nodes.into_iter().enumerate() {
            if used[at] || node.operation.is_none() {
                place[at] = Value(kept.nodes.len());
                let inputs = node.inputs.iter().map(|value| place[value.0]).collect();
                kept.nodes.push(Node { inputs, ..node });
            }
        }
        kept.outputs = self.outputs.iter().map(|value| place[value.0]).collect();
        kept
    }
}
