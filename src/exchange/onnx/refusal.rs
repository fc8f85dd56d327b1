//! What of an ONNX file Parallax cannot do, said all at once.

use std::collections::{BTreeMap, HashSet};

use rten_onnx::onnx::DataType;

use super::node::Node;
use super::step::Step;
use super::{File, ops, type_name};
use crate::exchange::Error;
use crate::files::printable;

/// Kinds of operations that are named in a message.
const MOST_NAMED: usize = 12;

/// What Parallax cannot do of a node, as far as the node alone tells: a name for a message.
fn beyond(step: &Step, opset: i64) -> Option<String> {
    let name = &step.operation;
    let node = Node { step, opset, inputs: Vec::new() };
    let half = |of: i64| matches!(DataType(of as i32), DataType::FLOAT16 | DataType::BFLOAT16);
    match name.as_str() {
        "Cast" if half(node.int("to", 0)) => {
            Some(format!("{name} to {}", type_name(DataType(node.int("to", 0) as i32))))
        }
        "Resize" if node.text("coordinate_transformation_mode", "") == "tf_crop_and_resize" => {
            Some(format!("{name} of crops"))
        }
        _ if ops::lowering(name).is_some() => None,
        _ => Some(name.clone()),
    }
}

impl File {
    /// Lists those of some nodes that Parallax cannot do, each with a name for a message.
    pub(super) fn beyond_parallax(&self, nodes: &[usize]) -> Vec<(usize, String)> {
        let fed = self.fed();
        let training = |step: &Step| {
            let node = Node { step, opset: self.opset, inputs: Vec::new() };
            let of_input = step.inputs.first().is_some_and(|of| fed.contains(of.as_str()));
            let trains = step.operation == "BatchNormalization" && node.int("training_mode", 0) != 0;
            (trains && of_input).then(|| "BatchNormalization in training mode".to_owned())
        };
        let beyond = |step: &Step| beyond(step, self.opset).or_else(|| training(step));
        nodes.iter().filter_map(|at| Some((*at, beyond(&self.nodes[*at])?))).collect()
    }

    /// The values that the network's inputs change. Others are weights, which some networks standardise by a batch norm in training mode.
    fn fed(&self) -> HashSet<&str> {
        let mut fed: HashSet<&str> = self.about.inputs.iter().map(|port| port.name.as_str()).collect();
        for step in &self.nodes {
            if step.inputs.iter().any(|input| fed.contains(input.as_str())) {
                fed.extend(step.outputs.iter().map(String::as_str));
            }
        }
        fed
    }

    /// Refuses some of the needed nodes, all at once, with the way out.
    pub(super) fn refuse(&self, needed: &[usize], beyond: &[(usize, String)]) -> Result<(), Error> {
        if beyond.is_empty() {
            return Ok(());
        }
        let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (at, name) in beyond {
            kinds.entry(name).or_insert((*at, 0)).1 += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, (first, _))| *first);
        let more = kinds.len().saturating_sub(MOST_NAMED);
        let named = kinds.iter().take(MOST_NAMED).map(|(name, (first, count))| {
            let (name, first) = (printable(name), printable(&self.nodes[*first].name));
            let nodes = if *count == 1 { "1 node" } else { &format!("{count} nodes") };
            let which = if first.is_empty() {
                String::new()
            } else {
                format!(", {}{first}", if *count == 1 { "" } else { "first: " })
            };
            format!("{name} ({nodes}{which})")
        });
        let mut named: Vec<String> = named.collect();
        if more > 0 {
            named.push(format!("{more} more kinds"));
        }
        let last = named.pop().unwrap_or_default();
        let list = if named.is_empty() { last } else { format!("{} and {last}", named.join(", ")) };
        let fine = needed.len() - beyond.len();
        let is_quantised =
            kinds.iter().any(|(name, _)| ["Quant", "QLinear", "Integer"].iter().any(|part| name.contains(part)));
        let cut = if is_quantised {
            "Export the network in float32, before it is quantised."
        } else {
            "Cut the network before them when it is exported."
        };
        let way = self.earlier(beyond).filter(|_| !is_quantised).map_or_else(
            || cut.to_owned(),
            |earlier| {
                format!(
                    "If they come after the logits, name an earlier output in the card: output = {:?}.",
                    printable(earlier)
                )
            },
        );
        Err(Error::Unsupported(format!(
            "{} uses {list}, which Parallax cannot differentiate. {fine} of {} nodes are fine. {way}",
            self.name(),
            needed.len(),
        )))
    }

    /// A value before the first of these nodes that needs none of them.
    fn earlier(&self, beyond: &[(usize, String)]) -> Option<&str> {
        let first = beyond.iter().map(|(at, _)| *at).min()?;
        let inputs = self.nodes[first].inputs.iter();
        let mut fine = inputs.filter(|input| {
            let needs = self.needed(&[input.as_str()]);
            self.givers.contains_key(input.as_str())
                && !needs.is_empty()
                && !beyond.iter().any(|(at, _)| needs.contains(at))
        });
        fine.next().map(String::as_str)
    }
}
