//! Where a graph can be cut in two: the features that its last linear layer takes, and its last map with places left.

use super::ops::{
    Affine, Arithmetic, Conv, Flip, GlobalMean, GroupedConv, Linear, MatMul, Pairwise, Permute, Reduce, Reduction,
    Reshape, Unsqueeze,
};
use super::{Graph, Plan, Value};

/// A graph from its input to the numbers that its last linear layer takes.
pub struct Features {
    pub graph: Graph,
    /// Whether the features are the second axis, as channels are; else they are the last.
    pub by_channel: bool,
}

/// A graph of one input and one output in two: from the input to a value that all goes through, and from there on.
pub struct Split {
    pub front: Graph,
    pub back: Graph,
    /// For each axis of the value between them the axis of the input that runs along it, and whether it does so in reverse; none where
    /// no axis of the input does, as of channels.
    pub along: Vec<Option<(usize, bool)>>,
}

impl Graph {
    /// The graph from its input to the numbers that its last linear layer takes: a matrix, or a convolution whose kernel is one voxel.
    ///
    /// # Errors
    /// Says in words why there is no such layer.
    pub fn features(&self) -> Result<Features, String> {
        let mut at = self.output();
        loop {
            let Some(operation) = &self.nodes[at.0].operation else {
                return Err("nothing stands between its input and its output".to_owned());
            };
            let inputs = &self.nodes[at.0].inputs;
            let pointwise = self.is::<Conv>(at).is_some_and(Conv::is_pointwise);
            if pointwise || self.is::<Linear>(at).is_some() || self.is::<MatMul>(at).is_some() {
                return match self.varying(inputs).as_slice() {
                    [features] => Ok(Features { graph: self.up_to(*features), by_channel: pointwise }),
                    _ => Err(format!("its output comes from a {}, of two tensors that vary", operation.name())),
                };
            }
            let varying = self.varying(inputs);
            at = match varying.as_slice() {
                [before] if self.passes(at) => *before,
                _ => {
                    return Err(format!(
                        "its output comes from an operation \"{}\", and no linear layer",
                        operation.name()
                    ));
                }
            };
        }
    }

    /// Cuts the graph, for inputs of such a shape, at the last map of a convolution with more than one place, that all goes through.
    ///
    /// # Errors
    /// Says in words why there is none.
    pub fn last_map(&self, input: &[usize]) -> Result<Split, String> {
        let plan = Plan::whole(self, &[input], 4).map_err(|error| error.to_string())?;
        let shapes = &plan.0.shapes;
        let folded = self.after_convolution();
        let last = (0..self.nodes.len()).rev().map(Value).filter(|value| folded[value.0]).filter(|value| {
            let shape = &shapes[value.0];
            shape.len() >= 4 && shape[2..].iter().product::<usize>() > 1
        });
        for value in last {
            let Some(back) = self.from(value) else { continue };
            let front = self.up_to(value);
            let along = self.along(value, shapes).ok_or("the axes of its last map cannot be followed to the scan's")?;
            return Ok(Split { front, back, along });
        }
        Err("it has no convolution with places left".to_owned())
    }

    /// Whether a value is its input in another shape or order, averaged, or by numbers of the network itself.
    fn passes(&self, at: Value) -> bool {
        let averages = self.is::<Reduce>(at).is_some_and(|reduce| reduce.reduction == Reduction::Mean);
        let adds = self.is::<Pairwise>(at).is_some_and(|pairwise| pairwise.by_frozen(Arithmetic::Add).is_some());
        let adds = adds || self.pair(at, Arithmetic::Add).is_some();
        let turns =
            self.is::<Reshape>(at).is_some() || self.is::<Permute>(at).is_some() || self.is::<Flip>(at).is_some();
        let shapes = self.is::<Unsqueeze>(at).is_some() || self.is::<GlobalMean>(at).is_some();
        turns || shapes || averages || adds || self.is::<Affine>(at).is_some()
    }

    /// Those of the values that depend on an input.
    fn varying(&self, values: &[Value]) -> Vec<Value> {
        let mut varies = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            varies[at] = node.operation.is_none() || node.inputs.iter().any(|value| varies[value.0]);
        }
        values.iter().copied().filter(|value| varies[value.0]).collect()
    }

    /// Which values come from a convolution, at whatever distance.
    fn after_convolution(&self) -> Vec<bool> {
        let mut after = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            let convolves = self.is::<Conv>(Value(at)).is_some() || self.is::<GroupedConv>(Value(at)).is_some();
            after[at] = convolves || node.inputs.iter().any(|value| after[value.0]);
        }
        after
    }

    /// The graph whose only output is this value, without what comes after.
    fn up_to(&self, value: Value) -> Self {
        Self { nodes: self.nodes[..=value.0].to_vec(), outputs: vec![value] }
    }

    /// The graph from a value to the output; none where the input reaches the output on another way too.
    fn from(&self, value: Value) -> Option<Self> {
        let mut needed = vec![false; self.nodes.len()];
        self.outputs.iter().for_each(|output| needed[output.0] = true);
        if !self.outputs.iter().all(|output| output.0 > value.0) {
            return None;
        }
        for at in (0..self.nodes.len()).rev().filter(|at| *at != value.0) {
            if needed[at] {
                self.nodes[at].operation.as_ref()?;
                self.nodes[at].inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        if !needed[value.0] {
            return None;
        }
        let mut graph = Self::new();
        let mut place = vec![Value(0); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| needed[*at]) {
            if at == value.0 {
                place[at] = graph.input();
            } else {
                let inputs = node.inputs.iter().map(|input| place[input.0]).collect();
                graph.nodes.push(super::Node { inputs, ..node.clone() });
                place[at] = Value(graph.nodes.len() - 1);
            }
        }
        let outputs: Vec<Value> = self.outputs.iter().map(|output| place[output.0]).collect();
        Some(graph.finish(&outputs))
    }

    /// Which axis of the input runs along each axis of a value; none where an operation on the way mixes them.
    fn along(&self, value: Value, shapes: &[Vec<usize>]) -> Option<Vec<Option<(usize, bool)>>> {
        let mut all: Vec<Option<Vec<Option<(usize, bool)>>>> = Vec::with_capacity(value.0 + 1);
        for (at, node) in self.nodes[..=value.0].iter().enumerate() {
            let shape = &shapes[at];
            if node.operation.is_none() {
                // Channels are no place.
                all.push(Some((0..shape.len()).map(|axis| (axis != 1).then_some((axis, false))).collect()));
                continue;
            }
            let from = node.inputs.iter().find(|input| all[input.0].is_some());
            let known = from.and_then(|input| Some((all[input.0].clone()?, &shapes[input.0])));
            let at = Value(at);
            all.push(known.and_then(|(before, from)| {
                if let Some(Permute(axes)) = self.is::<Permute>(at) {
                    Some(axes.iter().map(|axis| before[*axis]).collect())
                } else if let Some(Flip(axes)) = self.is::<Flip>(at) {
                    let turned = |(axis, of): (usize, Option<(usize, bool)>)| {
                        of.map(|(place, reversed)| (place, reversed != axes.contains(&axis)))
                    };
                    Some(before.into_iter().enumerate().map(turned).collect())
                } else if let Some(Unsqueeze { axis }) = self.is::<Unsqueeze>(at) {
                    let mut before = before;
                    before.insert(*axis, None);
                    Some(before)
                } else if self.is::<Reshape>(at).is_some() {
                    reshaped(&before, from, shape)
                } else {
                    (before.len() == shape.len()).then_some(before)
                }
            }));
        }
        all.pop()?
    }
}

/// The axes behind a reshape that only adds or takes away axes of length 1; none behind any other.
fn reshaped(before: &[Option<(usize, bool)>], from: &[usize], to: &[usize]) -> Option<Vec<Option<(usize, bool)>>> {
    let mut long = from.iter().zip(before).filter(|(side, _)| **side != 1);
    let mut after = Vec::with_capacity(to.len());
    for side in to {
        after.push(if *side == 1 {
            None
        } else {
            let (length, place) = long.next()?;
            if length != side {
                return None;
            }
            *place
        });
    }
    long.next().is_none().then_some(after)
}
