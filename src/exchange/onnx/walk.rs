//! From the nodes of an ONNX file to a graph: those that the asked outputs need, in order.

use std::collections::{HashMap, HashSet};

use super::node::Node;
use super::step::{Inner, Step};
use super::{File, ops};
use crate::exchange::lower::{Fault, Lowering, Made, Operand, beyond, wrong};
use crate::exchange::{Error, Request};
use crate::files::printable;
use crate::graph::Graph;

/// The bytes that numbers made of the file's own may take: so many times the file, and the inputs, and some more. An index or a mask
/// of a fixed size is made of a few bytes; a network of such numbers alone has them in its file.
const GROWTH: u64 = 64;
const OF_INPUTS: u64 = 512;
const ANYWAY: u64 = 1 << 25;
/// How deeply an `If` may stand in others.
const DEEPEST: usize = 8;

/// Values by name, the innermost graph last.
struct Scope<'a> {
    file: &'a File,
    inner: Vec<HashMap<String, Operand>>,
    /// Values that Parallax cannot make, or that nothing makes.
    missing: HashSet<String>,
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Made<Operand> {
        if let Some(operand) = self.inner.iter().rev().find_map(|values| values.get(name)) {
            return Ok(operand.clone());
        }
        match self.file.weights.get(name) {
            Some(weight) => weight.clone(),
            None => match self.file.givers.get(name).map(|at| &self.file.nodes[*at]) {
                Some(giver) if giver.outputs.first().is_none_or(|first| first != name) => beyond(format!(
                    "{:?} is wanted, a further output of {}",
                    printable(name),
                    printable(&giver.operation)
                )),
                _ => wrong(format!("nothing before it gives {:?}", printable(name))),
            },
        }
    }

    fn set(&mut self, name: &str, operand: Operand) {
        if let Some(values) = self.inner.last_mut() {
            values.insert(name.to_owned(), operand);
        }
    }
}

/// Names that a node takes, those of the graphs within it included.
fn taken(node: &Step, depth: usize, of: &mut impl FnMut(&str)) {
    node.inputs.iter().filter(|input| !input.is_empty()).for_each(|input| of(input));
    if depth < DEEPEST {
        let graphs = node.attributes.iter().filter_map(|attribute| attribute.graph.as_ref());
        for graph in graphs {
            graph.steps.iter().for_each(|node| taken(node, depth + 1, of));
            graph.outputs.iter().for_each(|output| of(output));
        }
    }
}

impl File {
    /// The nodes that some values need, in order.
    pub(super) fn needed(&self, values: &[&str]) -> Vec<usize> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open: Vec<usize> = values.iter().filter_map(|value| self.givers.get(*value).copied()).collect();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut needed[at], true) {
                taken(&self.nodes[at], 0, &mut |name| open.extend(self.givers.get(name)));
            }
        }
        (0..needed.len()).filter(|at| needed[*at]).collect()
    }

    /// The graph of some values for inputs of these shapes.
    pub(super) fn lowered(&self, request: &Request<'_>, outputs: &[&str]) -> Result<Graph, Error> {
        self.about.check_shapes(request.shapes).map_err(|why| self.asked(why))?;
        let numbers =
            request.shapes.iter().map(|shape| shape.iter().fold(1_u64, |n, side| n.saturating_mul(*side as u64)));
        let of_inputs = numbers.fold(0_u64, u64::saturating_add).saturating_mul(OF_INPUTS);
        let allowance = self.bytes.saturating_mul(GROWTH).saturating_add(of_inputs).saturating_add(ANYWAY);
        let mut lowering = Lowering::new(request.dtype, request.device, allowance);
        let mut scope = Scope { file: self, inner: vec![HashMap::new()], missing: HashSet::new() };
        for (port, shape) in self.about.inputs.iter().zip(request.shapes) {
            let input = lowering.input(shape);
            lowering.name(&input, &port.name);
            scope.set(&port.name, input);
        }
        let needed = self.needed(outputs);
        let mut refused = Vec::new();
        for at in &needed {
            let node = &self.nodes[*at];
            match lower_node(&mut lowering, &mut scope, node, self.opset, 0) {
                Ok(()) => {}
                Err(Fault::Beyond(why)) => {
                    refused.push((*at, format!("{} where {why}", node.operation)));
                }
                Err(Fault::Wrong(why)) => {
                    let operation = format!("{} {:?}", printable(&node.operation), printable(&node.name));
                    return Err(Error::Operation { name: self.name(), operation, why });
                }
            }
        }
        self.refuse(&needed, &refused)?;
        let of = |name: &&str| scope.get(name);
        let made = outputs.iter().map(of).collect::<Made<Vec<_>>>().and_then(|outputs| lowering.finish(&outputs));
        made.map(Graph::fused).map_err(|fault| match fault {
            Fault::Wrong(why) => self.asked(why),
            Fault::Beyond(why) => Error::Unsupported(format!("{}: {why}, which Parallax does not have", self.name())),
        })
    }
}

/// Lowers a node into the scope. What needs a value that Parallax cannot make is passed over: that value's own node is refused.
fn lower_node(lowering: &mut Lowering, scope: &mut Scope<'_>, step: &Step, opset: i64, depth: usize) -> Made<()> {
    let mut lost = false;
    taken(step, 0, &mut |name| lost |= scope.missing.contains(name));
    if lost {
        scope.missing.extend(step.outputs.iter().cloned());
        return Ok(());
    }
    let made = outputs_of(lowering, scope, step, opset, depth);
    match made {
        Ok(outputs) => {
            for (name, operand) in step.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                lowering.name(&operand, name);
                scope.set(name, operand);
            }
            Ok(())
        }
        Err(fault) => {
            scope.missing.extend(step.outputs.iter().cloned());
            Err(fault)
        }
    }
}

fn outputs_of(
    lowering: &mut Lowering,
    scope: &mut Scope<'_>,
    step: &Step,
    opset: i64,
    depth: usize,
) -> Made<Vec<Operand>> {
    let given = |name: &String| if name.is_empty() { Ok(None) } else { scope.get(name).map(Some) };
    let inputs = step.inputs.iter().map(given).collect::<Made<Vec<_>>>()?;
    let node = Node { step, opset, inputs };
    match (step.operation.as_str(), ops::lowering(&step.operation)) {
        ("If", _) => branch(lowering, scope, &node, depth),
        (_, Some(lower)) => lower(lowering, &node),
        _ => beyond("Parallax does not have it"),
    }
}

/// The outputs of the branch that an `If` takes.
fn branch(lowering: &mut Lowering, scope: &mut Scope<'_>, node: &Node<'_>, depth: usize) -> Made<Vec<Operand>> {
    let Some(condition) = node.input(0)?.scalar() else { return beyond("the input decides which branch is taken") };
    let name = if condition == 0.0 { "else_branch" } else { "then_branch" };
    let Some(graph) = node.graph(name).filter(|_| depth < DEEPEST) else {
        return wrong(format!("it has no {name}, or stands in too many others"));
    };
    scope.inner.push(HashMap::new());
    let outputs = inner(lowering, scope, graph, node.opset, depth);
    scope.inner.pop();
    outputs
}

fn inner(
    lowering: &mut Lowering,
    scope: &mut Scope<'_>,
    graph: &Inner,
    opset: i64,
    depth: usize,
) -> Made<Vec<Operand>> {
    for (name, weight) in &graph.weights {
        scope.set(name, weight.clone()?);
    }
    for node in &graph.steps {
        lower_node(lowering, scope, node, opset, depth + 1)?;
    }
    graph.outputs.iter().map(|output| scope.get(output)).collect()
}
