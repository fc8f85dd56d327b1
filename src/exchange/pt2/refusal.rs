//! What of an exported program Parallax cannot do, said all at once.

use std::collections::BTreeMap;

use super::archive::type_of;
use super::schema::{Argument, Node};
use super::{Program, ops};
use crate::exchange::Error;
use crate::files::printable;

/// Kinds of operations that are named in a message.
const MOST_NAMED: usize = 12;

/// A node that Parallax cannot do, and what it is in a message.
pub(super) struct Refused {
    pub(super) at: usize,
    pub(super) what: String,
}

/// The name by which a message knows a node: that of the first value that it gives.
fn name_of(node: &Node) -> &str {
    node.values()[1].first().copied().unwrap_or_default()
}

impl Program {
    /// Of some nodes, those that Parallax cannot do, as far as they tell without a size.
    pub(super) fn beyond_parallax(&self, needed: &[usize]) -> Vec<Refused> {
        needed.iter().filter_map(|at| Some(Refused { at: *at, what: self.beyond(&self.nodes[*at])? })).collect()
    }

    fn beyond(&self, node: &Node) -> Option<String> {
        let operation = node.operation();
        if ops::find(operation).is_none() {
            return Some(operation.to_owned());
        }
        let is_on = |name: &str| matches!(node.argument(name), Some(Argument::Bool(true)));
        let by_chance = match node.argument("p") {
            Some(Argument::Float(p)) => *p != 0.0,
            _ => true,
        };
        let has_statistics = node.argument("running_mean").is_some_and(|mean| mean.name().is_some());
        if (is_on("training") && has_statistics) || (is_on("train") && by_chance) {
            return Some(format!("{operation} in training mode, which model.eval() before the export ends"));
        }
        let [_, gives] = node.values();
        let mut types = gives.iter().filter_map(|name| self.types.get(*name)).copied();
        types
            .find(|of| ops::kind_of_type(*of).is_err())
            .map(|of| format!("{operation} in {}, which model.float() before the export ends", type_of(of).0))
    }

    /// Refuses some of the needed nodes, all at once, with the way out.
    pub(super) fn refuse(&self, needed: &[usize], beyond: &[Refused]) -> Result<(), Error> {
        if beyond.is_empty() {
            return Ok(());
        }
        let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for Refused { at, what } in beyond {
            kinds.entry(what).or_insert((*at, 0)).1 += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, (first, _))| *first);
        let more = kinds.len().saturating_sub(MOST_NAMED);
        let named = kinds.iter().take(MOST_NAMED).map(|(what, (first, count))| {
            let (what, first) = (printable(what), printable(name_of(&self.nodes[*first])));
            if *count == 1 {
                format!("{what} (1 node, {first})")
            } else {
                format!("{what} ({count} nodes, first: {first})")
            }
        });
        let mut named: Vec<String> = named.collect();
        if more > 0 {
            named.push(format!("{more} more kinds"));
        }
        let last = named.pop().unwrap_or_default();
        let list = if named.is_empty() { last } else { format!("{} and {last}", named.join(", ")) };
        let (fine, all) = (needed.len() - beyond.len(), needed.len());
        let way = match self.earlier(beyond) {
            Some(earlier) => format!(
                "If they come after the logits, name an earlier output in the card: output = {:?}.",
                printable(earlier)
            ),
            None => "Cut the network before them when it is exported.".to_owned(),
        };
        Err(Error::Unsupported(format!(
            "{} uses {list}, which Parallax cannot differentiate. {fine} of {all} nodes are fine. {way}",
            self.name()
        )))
    }

    /// A value that the first of these nodes takes and that needs none of them.
    fn earlier(&self, beyond: &[Refused]) -> Option<&str> {
        let first = beyond.iter().map(|refused| refused.at).min()?;
        let fine = |name: &&str| {
            let needs = self.needed(&[name]);
            !needs.is_empty() && !beyond.iter().any(|refused| needs.contains(&refused.at))
        };
        self.nodes[first].values()[0].iter().copied().find(fine)
    }
}
