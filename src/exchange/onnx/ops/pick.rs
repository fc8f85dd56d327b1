//! Operations that take some of a tensor's numbers, put others around them, or set tensors side by side.

use super::{Lower, one, scatter};
use crate::exchange::lower::{Lowering, Made, Operand, axis_of, beyond, shared, wrong};
use crate::exchange::onnx::node::Node;
use crate::graph::ops::{Edge, Pick};

pub(super) fn lowering(name: &str) -> Option<Lower> {
    Some(match name {
        "Concat" => concat,
        "Split" => split,
        "Slice" => slice,
        "Gather" => gather,
        "Tile" => tile,
        "Pad" => pad,
        "GatherElements" => scatter::gather_elements,
        "GatherND" => scatter::gather_nd,
        "ScatterElements" => scatter::scatter_elements,
        "ScatterND" => scatter::scatter_nd,
        "Trilu" => scatter::trilu,
        "NonZero" => scatter::non_zero,
        "OneHot" => scatter::one_hot,
        _ => return None,
    })
}

fn concat(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let axis = n.axis(0, n.input(0)?.rank())?;
    one(l.concat(&n.all(), axis))
}

fn split(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let (axis, count) = (n.axis(0, x.rank())?, n.outputs());
    let side = x.shape()[axis];
    let lengths: Vec<usize> = if let Some(lengths) = n.listed("split", 1)? {
        lengths.iter().map(|length| usize::try_from(*length).unwrap_or(usize::MAX)).collect()
    } else {
        let length = side.div_ceil(count.max(1));
        (0..count).map(|part| length.min(side.saturating_sub(part * length))).collect()
    };
    let sum = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
    if sum != Some(side) || lengths.len() != count {
        return wrong(format!("an axis of {side} in {count} parts of {lengths:?}"));
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(count);
    for length in lengths {
        parts.push(l.narrow(x, axis, [start, start + length])?);
        start += length;
    }
    Ok(parts)
}

fn slice(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let (Some(starts), Some(ends)) = (n.listed("starts", 1)?, n.listed("ends", 2)?) else {
        return wrong("it does not say from where to where");
    };
    let axes = n.listed("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = n.known(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return wrong(format!(
            "{} starts, {} ends, {} axes, {} steps",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        ));
    }
    let picks = axes.iter().zip(starts.iter().zip(&ends)).zip(&steps).map(|((axis, (start, end)), step)| {
        Ok((axis_of(*axis, x.rank())?, Pick::Slice { start: *start, end: *end, step: *step }))
    });
    let whole = |(axis, pick): &(usize, Pick)| {
        let side = x.shape()[*axis] as i64;
        matches!(pick, Pick::Slice { start: 0, end, step: 1 } if *end >= side)
    };
    let picks = picks.collect::<Made<Vec<_>>>()?.into_iter().filter(|pick| !whole(pick)).collect();
    one(l.select(x, picks, 0.0))
}

fn gather(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    one(l.gather(x, n.axis(0, x.rank())?, n.input(1)?))
}

fn tile(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, Some(times)) = (n.input(0)?, n.known(1)?) else { return wrong("it does not say how often") };
    let times: Option<Vec<usize>> = times.iter().map(|times| usize::try_from(*times).ok()).collect();
    match times {
        Some(times) if times.len() == x.rank() => {
            let picks = times.iter().enumerate().filter(|(_, times)| **times != 1);
            one(l.select(x, picks.map(|(axis, times)| (axis, Pick::Tile(*times))).collect(), 0.0))
        }
        _ => wrong("it does not say for each axis how often it is repeated"),
    }
}

fn pad(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, Some(pads)) = (n.input(0)?, n.listed("pads", 1)?) else { return wrong("its pads are missing") };
    let axes = match n.known(3)? {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, x.rank())).collect::<Made<Vec<_>>>()?,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return wrong(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let edge = match n.text("mode", "constant") {
        "constant" => Edge::Constant,
        "edge" => Edge::Nearest,
        "reflect" => Edge::Reflect,
        "wrap" => Edge::Wrap,
        other => return beyond(format!("the mode is {other:?}")),
    };
    let filling = match n.maybe(2) {
        Some(value) if value.count() == 0 => 0.0,
        Some(value) => value.scalar().map_or_else(|| beyond("its number depends on the network's input"), Ok)?,
        None => n.float("value", 0.0),
    };
    let pads: Vec<(usize, [i64; 2])> =
        axes.iter().enumerate().map(|(at, axis)| (*axis, [pads[at], pads[axes.len() + at]])).collect();
    one(l.pad(x, &pads, edge, filling))
}

/// Places of an axis in an order.
pub(super) fn places(indices: Vec<i64>) -> Pick {
    Pick::Indices(shared(indices))
}
