//! What a node of an exported program gives, and by which names.

use std::collections::HashMap;

use super::call::{Call, Item};
use super::ops;
use super::schema::{Argument, Node};
use crate::exchange::lower::{Lowering, Made, beyond};

/// What a node gives.
pub(super) fn made(node: &Node, low: &mut Lowering, values: &HashMap<String, Item>) -> Made<Item> {
    match ops::find(node.operation()) {
        Some(lower) => lower(&mut Call { node, low, values }),
        None => beyond("Parallax does not have it"),
    }
}

/// Picks the output of a name from all that a node gives.
pub(super) fn output_of(node: &Node, made: Item, name: &str) -> Item {
    let mut found = Item::Unmade;
    named(node, made, |other, item| {
        if other == name {
            found = item;
        }
    });
    found
}

/// What a node gives, by name.
pub(super) fn named<'a>(node: &'a Node, made: Item, mut of: impl FnMut(&'a str, Item)) {
    let mut each = |outputs: &'a [Argument], items: Vec<Item>| {
        let mut items = items.into_iter();
        for output in outputs {
            let item = items.next().unwrap_or(Item::Unmade);
            if let Argument::Value(name) = output {
                of(name, item);
            }
        }
    };
    match (node.outputs.as_slice(), made) {
        ([Argument::List(outputs)], Item::List(items)) => each(outputs, items),
        ([Argument::Value(_)], Item::List(items)) => each(&node.outputs, items),
        (outputs, Item::List(items)) => each(outputs, items),
        (outputs, item) => each(outputs, vec![item]),
    }
}
