//! Operations that write into what they are given, as PyTorch's do before an exported program is made functional: what else shows the
//! same numbers changes with it.

use std::collections::HashMap;

use super::call::{Call, Item};
use super::schema::Node;
use super::{ops, outputs};
use crate::exchange::lower::{Lowering, Made, wrong};

/// Most views of views.
const DEEPEST: usize = 256;

/// Operations that show a part of their first argument, or all of it, and copy nothing. Those that may copy count: what was written
/// through them is not known.
fn is_view(base: &str) -> bool {
    matches!(
        base,
        "slice"
            | "select"
            | "narrow"
            | "view"
            | "_unsafe_view"
            | "reshape"
            | "view_as"
            | "reshape_as"
            | "flatten"
            | "unflatten"
            | "unsqueeze"
            | "squeeze"
            | "transpose"
            | "swapaxes"
            | "swapdims"
            | "t"
            | "numpy_T"
            | "permute"
            | "movedim"
            | "expand"
            | "expand_as"
            | "broadcast_to"
            | "split"
            | "split_with_sizes"
            | "chunk"
            | "unbind"
            | "tensor_split"
            | "unfold"
            | "alias"
            | "detach"
            | "contiguous"
    )
}

/// The value whose numbers a node's outputs show, or that it writes into.
pub(super) fn shown(node: &Node) -> Option<&str> {
    let operation = node.operation();
    let shows = ops::is_in_place(operation) || (operation.starts_with("aten.") && is_view(ops::base(operation)?));
    shows.then(|| node.inputs.first()?.arg.name()).flatten()
}

/// Which values show others' numbers.
#[derive(Default)]
pub(super) struct Views<'a> {
    /// By value, what it shows, by which node, and how often that had been written when it was made.
    of: HashMap<&'a str, View<'a>>,
    /// How often each value was written.
    writes: HashMap<&'a str, u64>,
}

#[derive(Clone, Copy)]
struct View<'a> {
    of: &'a str,
    by: &'a Node,
    writes: u64,
}

impl<'a> Views<'a> {
    fn written(&self, name: &str) -> u64 {
        self.writes.get(name).copied().unwrap_or(0)
    }

    /// Notes what the outputs of a node show.
    pub(super) fn note(&mut self, node: &'a Node) {
        let Some(of) = shown(node) else { return };
        let writes = self.written(of);
        for output in node.values()[1].iter().copied() {
            self.of.insert(output, View { of, by: node, writes });
        }
    }

    /// A value and what it shows, and what that shows, and so on.
    fn chain(&self, name: &'a str) -> Made<Vec<&'a str>> {
        let mut chain = vec![name];
        while let Some(view) = chain.last().and_then(|last| self.of.get(last)) {
            chain.push(view.of);
            if chain.len() > DEEPEST {
                return wrong(format!("more than {DEEPEST} views of views"));
            }
        }
        Ok(chain)
    }

    /// Makes a value again where what it shows was written since.
    pub(super) fn refresh(
        &mut self,
        name: &'a str,
        low: &mut Lowering,
        values: &mut HashMap<String, Item>,
    ) -> Made<()> {
        if self.writes.is_empty() {
            return Ok(());
        }
        for name in self.chain(name)?.into_iter().rev() {
            let Some(view) = self.of.get(name).copied() else { continue };
            let writes = self.written(view.of);
            if view.writes == writes {
                continue;
            }
            let made = if ops::is_in_place(view.by.operation()) {
                values.get(view.of).cloned().unwrap_or(Item::Unmade)
            } else {
                let made = outputs::made(view.by, low, values)?;
                outputs::output_of(view.by, made, name)
            };
            values.insert(name.to_owned(), made);
            self.of.insert(name, View { writes, ..view });
            *self.writes.entry(name).or_default() += 1;
        }
        Ok(())
    }

    /// Brings what was written into a value to what it shows.
    pub(super) fn write(
        &mut self,
        name: &'a str,
        written: &Item,
        low: &mut Lowering,
        values: &mut HashMap<String, Item>,
    ) -> Made<()> {
        let mut part = written.clone();
        let mut below = None;
        for name in self.chain(name)? {
            if let Some(view) = below.and_then(|below| self.of.get_mut(below)) {
                let whole = values.get(name).cloned().unwrap_or(Item::Unmade);
                part = match (&whole, &part) {
                    _ if ops::is_in_place(view.by.operation()) => part,
                    (Item::Tensor(whole), Item::Tensor(of_part)) => {
                        let mut call = Call { node: view.by, low, values };
                        ops::put_back(&mut call, whole, of_part).transpose()?.map_or(Item::Unmade, Item::Tensor)
                    }
                    _ => Item::Unmade,
                };
                view.writes = self.writes.get(name).copied().unwrap_or(0) + 1;
            }
            values.insert(name.to_owned(), part.clone());
            *self.writes.entry(name).or_default() += 1;
            below = Some(name);
        }
        Ok(())
    }
}
