//! From the nodes of an exported program to a graph: those that the asked outputs need, in order.

use std::collections::{HashMap, HashSet};

use candle_core::DType;

use super::Program;
use super::call::Item;
use super::outputs::{made, named};
use super::schema::Node;
use super::views::{Views, shown};
use super::{ops, refusal::Refused};
use crate::exchange::lower::{Fault, Lowering, Made, Operand, beyond, wrong};
use crate::exchange::{Error, Request};
use crate::graph::Graph;

/// The bytes that numbers made of the file's own may take, all together: so many times the file and the inputs, and some more. A mask of
/// windows is made of a few bytes: that of a shifted window attention over 48^3 places takes 0.3 GB, several times.
const GROWTH: u64 = 64;
const ANYWAY: u64 = 1 << 32;

impl Program {
    /// The nodes that some values need, in order: those that give them, and those that write into what they show.
    pub(super) fn needed(&self, values: &[&str]) -> Vec<usize> {
        let mut roots: HashMap<&str, &str> = HashMap::new();
        let writes = self.nodes.iter().any(|node| ops::is_in_place(node.operation()));
        if writes {
            for node in &self.nodes {
                let Some(of) = shown(node) else { continue };
                let root = roots.get(of).copied().unwrap_or(of);
                node.values()[1].iter().for_each(|output| _ = roots.insert(output, root));
            }
        }
        let root = |name| roots.get(name).copied().unwrap_or(name);
        let mut wanted: HashSet<&str> = values.iter().map(|name| root(name)).collect();
        let mut needed = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let [takes, gives] = node.values();
            // What is written into a value that is wanted later is wanted: both have one root.
            if gives.iter().any(|name| wanted.contains(root(name))) {
                needed.push(at);
                wanted.extend(takes.iter().map(|name| root(name)));
            }
        }
        needed.reverse();
        needed
    }

    /// The graph of some values for inputs of these shapes.
    pub(super) fn lowered(&self, request: &Request<'_>, outputs: &[&str]) -> Result<Graph, Error> {
        self.about.check_shapes(request.shapes).map_err(|why| self.asked(why))?;
        let numbers =
            request.shapes.iter().map(|shape| shape.iter().fold(8_u64, |n, side| n.saturating_mul(*side as u64)));
        let most = numbers.fold(self.bytes, u64::saturating_add).saturating_mul(GROWTH).saturating_add(ANYWAY);
        let mut low = Lowering::new(request.dtype, request.device, most);
        let mut walk = Walk { program: self, values: HashMap::new(), lost: HashSet::new(), views: Views::default() };
        for (port, shape) in self.about.inputs.iter().zip(request.shapes) {
            let input = low.input(shape);
            low.name(&input, &port.name);
            walk.values.insert(port.name.clone(), Item::Tensor(input));
        }
        let needed = self.needed(outputs);
        let last = self.last_uses(&needed, outputs);
        let mut refused = Vec::new();
        for at in &needed {
            let node = &self.nodes[*at];
            match walk.step(node, &mut low, request.dtype) {
                Ok(()) => {}
                Err(Fault::Beyond(why)) => {
                    refused.push(Refused { at: *at, what: format!("{} where {why}", node.operation()) });
                }
                Err(Fault::Wrong(why)) => return Err(self.of_operation(node, why)),
            }
            if let Some(names) = last.get(at) {
                walk.values.retain(|name, _| !names.contains(&name.as_str()));
            }
        }
        self.refuse(&needed, &refused)?;
        let of = |name: &&str| walk.output(name, &mut low, request.dtype);
        let outputs = outputs.iter().map(of).collect::<Made<Vec<_>>>();
        outputs.and_then(|outputs| low.finish(&outputs)).map(Graph::fused).map_err(|fault| match fault {
            Fault::Wrong(why) | Fault::Beyond(why) => self.asked(why),
        })
    }

    /// By node, the values that nothing needs once it is done. Where nodes write into values, all stay.
    fn last_uses<'a>(&'a self, needed: &[usize], outputs: &[&'a str]) -> HashMap<usize, Vec<&'a str>> {
        let mut last: HashMap<&str, usize> = HashMap::new();
        for at in needed {
            let node = &self.nodes[*at];
            if ops::is_in_place(node.operation()) {
                return HashMap::new();
            }
            last.extend(node.values().iter().flatten().map(|name| (*name, *at)));
        }
        last.retain(|name, _| !outputs.contains(name));
        let mut by_node: HashMap<usize, Vec<&str>> = HashMap::new();
        for (name, at) in last {
            by_node.entry(at).or_default().push(name);
        }
        by_node
    }
}

/// The values so far.
struct Walk<'a> {
    program: &'a Program,
    values: HashMap<String, Item>,
    /// Values that Parallax cannot make.
    lost: HashSet<&'a str>,
    views: Views<'a>,
}

impl<'a> Walk<'a> {
    /// Lowers a node. What needs a value that Parallax cannot make is passed over: that value's own node is refused.
    fn step(&mut self, node: &'a Node, low: &mut Lowering, dtype: DType) -> Made<()> {
        let [takes, gives] = node.values();
        if takes.iter().any(|name| self.lost.contains(name)) {
            self.lost.extend(gives);
            return Ok(());
        }
        let made = self.load(&takes, dtype).and_then(|()| {
            takes.iter().try_for_each(|name| self.views.refresh(name, low, &mut self.values))?;
            self.set(node, low)
        });
        if made.is_err() {
            self.lost.extend(gives);
        }
        made
    }

    /// Reads the weights among some values.
    fn load(&mut self, names: &[&str], dtype: DType) -> Made<()> {
        for name in names {
            if !self.values.contains_key(*name) && self.program.weights.contains_key(*name) {
                self.values.insert((*name).to_owned(), Item::Tensor(self.program.weight(name, dtype)?));
            }
        }
        Ok(())
    }

    fn set(&mut self, node: &'a Node, low: &mut Lowering) -> Made<()> {
        let mut item = made(node, low, &self.values)?;
        let into = shown(node).filter(|_| ops::is_in_place(node.operation()));
        if let (Some(Item::Tensor(into)), Item::Tensor(written)) = (into.and_then(|into| self.values.get(into)), &item)
        {
            if into.shape() != written.shape() {
                return wrong(format!("{:?} written into {:?}", written.shape(), into.shape()));
            }
            item = Item::Tensor(written.clone().called(into.kind));
        }
        if let Some(into) = into {
            self.views.write(into, &item, low, &mut self.values)?;
        }
        named(node, item, |name, item| {
            if let Item::Tensor(operand) = &item {
                low.name(operand, name);
            }
            self.values.insert(name.to_owned(), item);
        });
        self.views.note(node);
        Ok(())
    }

    fn output(&mut self, name: &str, low: &mut Lowering, dtype: DType) -> Made<Operand> {
        self.load(&[name], dtype)?;
        if let Some(name) =
            self.program.nodes.iter().flat_map(|node| node.values()[1].clone()).find(|other| *other == name)
        {
            self.views.refresh(name, low, &mut self.values)?;
        }
        match self.values.get(name) {
            Some(Item::Tensor(operand)) => Ok(operand.clone()),
            Some(Item::Unmade) => beyond(format!("Parallax does not make {name}")),
            Some(_) => wrong(format!("{name} is no tensor")),
            None => wrong(format!("nothing gives {name}")),
        }
    }
}
