//! Group norm, which exporters write as an instance norm of the groups between two reshapes, scaled and shifted by channel.

use super::super::ops::{Arithmetic, GroupNorm, Pairwise, Reshape};
use super::super::{Graph, Value};
use candle_core::Tensor;

/// A group norm that a graph writes in five operations.
pub(super) struct Normed {
    norm: GroupNorm,
    x: Value,
    /// The reshape to `[n, c, …]`, whose place the one reshape that is left takes.
    reshape: Value,
    shape: Vec<Option<usize>>,
}

impl Graph {
    /// What the shift at `at` ends: `[n, c, …]` as `[n, groups, -1]`, normed by group, as `[n, c, …]` again, times and plus numbers by
    /// channel.
    pub(super) fn group_norm_of(&self, at: Value) -> Option<Normed> {
        let (shift, scaled) = self.by(at, Arithmetic::Add)?;
        let (scale, reshape) = self.by(scaled, Arithmetic::Multiply)?;
        let Reshape(shape) = self.is::<Reshape>(reshape)?;
        let [normed] = self.nodes[reshape.0].inputs.as_slice() else { return None };
        let (groups, eps) = self.is::<GroupNorm>(*normed)?.of_instances()?;
        let [grouped] = self.nodes[normed.0].inputs.as_slice() else { return None };
        let Reshape(of_groups) = self.is::<Reshape>(*grouped)?;
        let [x] = self.nodes[grouped.0].inputs.as_slice() else { return None };
        let (Some(n), Some(Some(channels))) = (shape.first()?, shape.get(1)) else { return None };
        if of_groups.first() != Some(&Some(*n)) || of_groups.get(1) != Some(&Some(groups)) {
            return None;
        }
        let uses = self.uses();
        if [scaled, reshape, *normed, *grouped].iter().any(|value| uses[value.0] != 1) {
            return None;
        }
        let by_channel = |numbers: &Tensor| {
            let dims = numbers.dims();
            let at = (dims.len() + 1).checked_sub(shape.len())?; // the channels' place among axes counted from the last
            let lie = dims.get(at) == Some(channels) && numbers.elem_count() == *channels;
            lie.then(|| numbers.flatten_all().ok()).flatten()
        };
        let norm = GroupNorm::new(&by_channel(scale)?, &by_channel(shift)?, groups, eps).ok()?;
        Some(Normed { norm, x: *x, reshape, shape: shape.clone() })
    }

    pub(super) fn norm_groups(&mut self, at: usize, of: Normed) {
        self.replace(of.reshape.0, Reshape(of.shape), vec![of.x]);
        self.replace(at, of.norm, vec![of.reshape]);
    }

    /// The frozen numbers of arithmetic with a tensor, and that tensor.
    pub(super) fn by(&self, at: Value, wanted: Arithmetic) -> Option<(&Tensor, Value)> {
        let numbers = self.is::<Pairwise>(at)?.by_frozen(wanted)?;
        match self.nodes[at.0].inputs.as_slice() {
            [x] => Some((numbers, *x)),
            _ => None,
        }
    }
}
