//! Operands in other shapes: reshaped, sliced, gathered, repeated, padded, side by side.

use super::{Lowering, Made, Meaning, Operand, shared, wrong};
use crate::graph::ops::{Concat, Edge, Lookup, Pick, Reshape, Select};

/// Numbers of a shape.
pub(in crate::exchange) fn counted(shape: &[usize]) -> Made<usize> {
    let count = shape.iter().try_fold(1_usize, |count, side| count.checked_mul(*side));
    match count.filter(|count| *count <= isize::MAX as usize / 8) {
        Some(count) => Ok(count),
        None => wrong(format!("a tensor {shape:?} is larger than any memory")),
    }
}

/// An axis that counts from the end where it is negative.
pub(in crate::exchange) fn axis_of(axis: i64, rank: usize) -> Made<usize> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(from_start).ok().filter(|axis| *axis < rank) {
        Some(axis) => Ok(axis),
        None => wrong(format!("axis {axis} of a tensor of {rank} axes")),
    }
}

/// The shape of tensors that are repeated along the axes where they have a length of 1.
pub(in crate::exchange) fn broadcast(a: &[usize], b: &[usize]) -> Made<Vec<usize>> {
    let rank = a.len().max(b.len());
    let side = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let sides = (0..rank).map(|axis| match (side(a, axis), side(b, axis)) {
        (1, b) => Ok(b),
        (a, 1) => Ok(a),
        (a, b) if a == b => Ok(a),
        _ => wrong(format!("tensors {a:?} and {b:?} do not fit each other")),
    });
    sides.collect()
}

impl Lowering {
    pub(in crate::exchange) fn reshape(&mut self, x: &Operand, shape: &[usize]) -> Made<Operand> {
        if shape == x.shape() {
            return Ok(x.clone());
        }
        if counted(shape)? != x.count() {
            return wrong(format!("a tensor {:?} as {shape:?}", x.shape()));
        }
        if let Some(tensor) = x.tensor() {
            return Ok(Operand::known(x.kind, tensor.reshape(shape)?));
        }
        self.on(Reshape(shape.iter().map(|side| Some(*side)).collect()), x)
    }

    /// Axes of length 1 where these will stand.
    pub(in crate::exchange) fn unsqueeze(&mut self, x: &Operand, axes: &[usize]) -> Made<Operand> {
        let mut sides = x.shape().iter();
        let shape: Vec<usize> = (0..x.rank() + axes.len())
            .filter_map(|axis| if axes.contains(&axis) { Some(1) } else { sides.next().copied() })
            .collect();
        self.reshape(x, &shape)
    }

    pub(in crate::exchange) fn squeeze(&mut self, x: &Operand, axes: &[usize]) -> Made<Operand> {
        if let Some(axis) = axes.iter().find(|axis| x.shape()[**axis] != 1) {
            return wrong(format!("axis {axis} of a tensor {:?} is not of length 1", x.shape()));
        }
        let sides = x.shape().iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        let shape: Vec<usize> = sides.map(|(_, side)| *side).collect();
        self.reshape(x, &shape)
    }

    pub(in crate::exchange) fn select(
        &mut self,
        x: &Operand,
        picks: Vec<(usize, Pick)>,
        filling: f64,
    ) -> Made<Operand> {
        for (_, pick) in &picks {
            if let Pick::Indices(indices) = pick {
                self.afford_numbers(&[indices.len()])?;
            }
        }
        if picks.is_empty() {
            return Ok(x.clone());
        }
        self.on(Select { picks, filling }, x)
    }

    /// Some numbers of a tensor, by their places in it as a row.
    pub(in crate::exchange) fn flat(&mut self, x: &Operand, places: Vec<i64>, shape: &[usize]) -> Made<Operand> {
        let row = self.reshape(x, &[x.count()])?;
        let picked = self.select(&row, vec![(0, Pick::Indices(shared(places)))], 0.0)?;
        self.reshape(&picked, shape)
    }

    /// Whole numbers choose places of an axis, which takes on their shape.
    pub(in crate::exchange) fn gather(&mut self, x: &Operand, axis: usize, indices: &Operand) -> Made<Operand> {
        let shape: Vec<usize> =
            x.shape()[..axis].iter().chain(indices.shape()).chain(&x.shape()[axis + 1..]).copied().collect();
        if let Some(places) = indices.integers() {
            let picked = self.select(x, vec![(axis, Pick::Indices(shared(places)))], 0.0)?;
            return self.reshape(&picked, &shape);
        }
        match self.tensor_of(x)? {
            // The table's rows, however many axes they have.
            Some(table) if axis == 0 && x.rank() > 0 => {
                let rows = x.shape()[0];
                let table = table.reshape((rows, x.count() / rows.max(1)))?;
                let picked = self.apply(Lookup::new(&table)?, &[indices], x.kind)?;
                self.reshape(&picked, &shape)
            }
            _ => super::beyond("it takes places that the input decides from numbers that the input decides too"),
        }
    }

    /// Repeated along the axes where it has a length of 1, to a shape that is broadcast with its own.
    pub(in crate::exchange) fn expand(&mut self, x: &Operand, shape: &[usize]) -> Made<Operand> {
        let shape = broadcast(x.shape(), shape)?;
        counted(&shape)?;
        let new: Vec<usize> = (0..shape.len() - x.rank()).collect();
        let x = self.unsqueeze(x, &new)?;
        let times = x.shape().iter().zip(&shape).enumerate().filter(|(_, (side, to))| side != to);
        let picks: Vec<(usize, Pick)> = times.map(|(axis, (_, to))| (axis, Pick::Tile(*to))).collect();
        if let Some(tensor) = x.tensor() {
            self.afford_numbers(&shape)?;
            return Ok(Operand::known(x.kind, tensor.broadcast_as(shape.as_slice())?.contiguous()?));
        }
        self.select(&x, picks, 0.0)
    }

    pub(in crate::exchange) fn concat(&mut self, parts: &[&Operand], axis: usize) -> Made<Operand> {
        let Some(first) = parts.first() else { return wrong("a concatenation of nothing") };
        let kind = first.kind;
        // Parts of no numbers add none, whatever else they are.
        let there: Vec<&Operand> = parts.iter().copied().filter(|part| part.shape().get(axis) != Some(&0)).collect();
        match there.as_slice() {
            [] => Ok((*first).clone()),
            [part] => Ok((*part).clone()),
            parts if kind != Meaning::Real && parts.iter().all(|part| part.tensor().is_some()) => {
                let whole = parts.iter().map(|part| Self::as_whole((*part).clone())).collect::<Made<Vec<_>>>()?;
                Ok(self.apply(Concat { axis }, &whole.iter().collect::<Vec<_>>(), kind)?.called(kind))
            }
            parts => self.apply(Concat { axis }, parts, kind),
        }
    }

    /// Places of an axis from `start` to before `end`.
    pub(in crate::exchange) fn narrow(&mut self, x: &Operand, axis: usize, [start, end]: [usize; 2]) -> Made<Operand> {
        let pick = Pick::Slice { start: start as i64, end: end as i64, step: 1 };
        if start == 0 && x.shape().get(axis) == Some(&end) {
            return Ok(x.clone());
        }
        self.select(x, vec![(axis, pick)], 0.0)
    }

    /// More numbers before and behind along each axis; fewer where a number is negative.
    pub(in crate::exchange) fn pad(
        &mut self,
        x: &Operand,
        pads: &[(usize, [i64; 2])],
        edge: Edge,
        filling: f64,
    ) -> Made<Operand> {
        let some = pads.iter().filter(|(_, pads)| *pads != [0; 2]);
        let picks = some.map(|(axis, [before, behind])| (*axis, Pick::Pad { before: *before, behind: *behind, edge }));
        self.select(x, picks.collect(), filling)
    }
}
