//! Tensors in other shapes and orders, in parts, side by side, and padded.

use super::super::call::{Call, Item, Lower, axis_of};
use super::elementwise::real;
use crate::exchange::lower::{Made, Meaning, Operand, beyond, counted, wrong};
use crate::graph::ops::{Edge, Flip, Pad, Pick, Stop};

pub(super) fn find(base: &str) -> Option<Lower> {
    same(base)
        .or_else(|| reshaping(base))
        .or_else(|| ordering(base))
        .or_else(|| dividing(base))
        .or_else(|| padding(base))
}

/// Operations that give their argument.
fn same(base: &str) -> Option<Lower> {
    Some(match base {
        "clone" | "contiguous" | "alias" | "lift_fresh_copy" | "lift_fresh" | "lift" | "positive" | "resolve_conj"
        | "resolve_neg" | "requires_grad" | "real" | "pin_memory" | "alias_copy" | "_conj" => {
            |call| Ok(call.x()?.into())
        }
        "detach" | "detach_copy" => |call| {
            let x = call.x()?;
            Ok(call.low.on(Stop, &x)?.into())
        },
        "dropout" | "feature_dropout" | "alpha_dropout" | "native_dropout" | "feature_alpha_dropout" => |call| {
            if call.bool("train", false)? && call.float("p", 0.0)? != 0.0 {
                return beyond("it drops numbers by chance, as in training: call model.eval() before the export");
            }
            Ok(call.x()?.into())
        },
        _ => return None,
    })
}

fn reshaping(base: &str) -> Option<Lower> {
    Some(match base {
        "view" | "_unsafe_view" | "reshape" | "view_copy" | "_reshape_alias" => reshape,
        "as_strided" => as_strided,
        "view_as" | "reshape_as" => |call| {
            let (x, shape) = (call.x()?, call.tensor("other")?.shape().to_vec());
            Ok(call.low.reshape(&x, &shape)?.into())
        },
        "flatten" => flatten,
        "unflatten" => unflatten,
        "squeeze" | "squeeze_copy" => squeeze,
        "unsqueeze" | "unsqueeze_copy" => |call| {
            let x = call.x()?;
            let axis = call.axis("dim", 0, x.rank() + 1)?;
            Ok(call.low.unsqueeze(&x, &[axis])?.into())
        },
        "expand" | "expand_copy" | "broadcast_to" => expand,
        "expand_as" => |call| {
            let (x, shape) = (call.x()?, call.tensor("other")?.shape().to_vec());
            Ok(call.low.expand(&x, &shape)?.into())
        },
        "broadcast_tensors" => broadcast_tensors,
        "repeat" | "tile" => repeat,
        "repeat_interleave" => repeat_interleave,
        "pixel_shuffle" => pixel_shuffle,
        "pixel_unshuffle" => pixel_unshuffle,
        "channel_shuffle" | "native_channel_shuffle" => channel_shuffle,
        "atleast_1d" => |call| {
            let x = call.x()?;
            Ok(if x.rank() == 0 { call.low.reshape(&x, &[1])? } else { x }.into())
        },
        _ => return None,
    })
}

fn ordering(base: &str) -> Option<Lower> {
    Some(match base {
        "permute" | "permute_copy" => |call| {
            let x = call.x()?;
            let axes = call.axes("dims", x.rank())?;
            Ok(call.low.permute(&x, &axes)?.into())
        },
        "transpose" | "transpose_copy" => |call| exchange(call, ["dim0", "dim1"]),
        "swapaxes" => |call| exchange(call, ["axis0", "axis1"]),
        "swapdims" => |call| exchange(call, ["dim0", "dim1"]),
        "t" | "numpy_T" | "adjoint" | "mT" | "t_copy" | "matrix_H" => |call| {
            let x = call.x()?;
            let whole = super::base(call.node.operation()) == Some("numpy_T");
            if whole {
                let axes: Vec<usize> = (0..x.rank()).rev().collect();
                return Ok(call.low.permute(&x, &axes)?.into());
            }
            Ok(call.low.transposed(&x)?.into())
        },
        "movedim" | "moveaxis" => move_axes,
        "flip" => |call| {
            let x = call.x()?;
            let axes = call.axes("dims", x.rank())?;
            Ok(call.low.on(Flip(axes), &x)?.into())
        },
        "roll" => roll,
        _ => return None,
    })
}

fn dividing(base: &str) -> Option<Lower> {
    Some(match base {
        "split"
        | "split_with_sizes"
        | "unsafe_split"
        | "unsafe_split_with_sizes"
        | "split_copy"
        | "split_with_sizes_copy" => split,
        "chunk" | "unsafe_chunk" => chunk,
        "tensor_split" => tensor_split,
        "unbind" | "unbind_copy" => unbind,
        "cat" | "concat" | "concatenate" => |call| {
            let tensors = call.tensors("tensors")?;
            let rank = tensors.iter().map(Operand::rank).max().unwrap_or(0);
            let axis = call.axis("dim", 0, rank)?;
            let kind = kind_of(&tensors);
            let tensors: Vec<Operand> = tensors.into_iter().map(|tensor| tensor.called(kind)).collect();
            Ok(call.low.concat(&tensors.iter().collect::<Vec<_>>(), axis)?.into())
        },
        "stack" => stack,
        "unfold" => unfold,
        _ => return None,
    })
}

fn padding(base: &str) -> Option<Lower> {
    Some(match base {
        "pad" | "constant_pad_nd" => pad,
        "reflection_pad1d" | "reflection_pad2d" | "reflection_pad3d" => |call| pad_by(call, "padding", Edge::Reflect),
        "replication_pad1d" | "replication_pad2d" | "replication_pad3d" => {
            |call| pad_by(call, "padding", Edge::Nearest)
        }
        "_pad_circular" => |call| pad_by(call, "pad", Edge::Wrap),
        _ => return None,
    })
}

/// The kind of several tensors as one.
fn kind_of(tensors: &[Operand]) -> Meaning {
    let has = |kind| tensors.iter().any(|tensor| tensor.kind == kind);
    if has(Meaning::Real) {
        Meaning::Real
    } else if has(Meaning::Whole) {
        Meaning::Whole
    } else {
        Meaning::Truth
    }
}

/// Sides, one of which may be -1: what is left for it.
fn sides(given: &[i64], count: usize) -> Made<Vec<usize>> {
    let known: Vec<usize> = given.iter().filter_map(|side| usize::try_from(*side).ok()).collect();
    let product = counted(&known)?;
    let open = given.iter().filter(|side| **side == -1).count();
    if known.len() + open != given.len() || open > 1 || (open == 1 && (product == 0 || !count.is_multiple_of(product)))
    {
        return wrong(format!("{count} numbers as {given:?}"));
    }
    Ok(given.iter().map(|side| usize::try_from(*side).unwrap_or(count / product.max(1))).collect())
}

fn reshape(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let Some(given) = call.ints("size")?.or(call.ints("shape")?) else {
        return match call.scalar_type("dtype") {
            Some(_) => beyond("it takes numbers for those of another type"),
            None => wrong("it lacks its argument size"),
        };
    };
    let shape = sides(&given, x.count())?;
    Ok(call.low.reshape(&x, &shape)?.into())
}

/// Other axes over the same memory, where that is what a reshape gives: numbers behind the channels would say in which order they lie.
fn as_strided(call: &mut Call<'_>) -> Made<Item> {
    let (x, size, strides) =
        (call.x()?, call.ints("size")?.unwrap_or_default(), call.ints("stride")?.unwrap_or_default());
    let shape = sides(&size, x.count())?;
    let mut step = 1;
    let dense = shape.iter().zip(&strides).rev().all(|(side, stride)| {
        let fits = *side == 1 || *stride == step;
        step *= *side as i64;
        fits
    });
    let plain = x.shape().iter().skip(2).all(|side| *side == 1);
    if !dense || !plain || counted(&shape)? != x.count() || call.int("storage_offset", 0)? != 0 {
        return beyond("it takes numbers as they lie in memory");
    }
    Ok(call.low.reshape(&x, &shape)?.into())
}

fn flatten(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let (start, end) = (call.axis("start_dim", 0, x.rank())?, call.axis("end_dim", -1, x.rank())?);
    if x.rank() == 0 {
        return Ok(call.low.reshape(&x, &[1])?.into());
    }
    if start > end {
        return wrong(format!("axes {start} to {end} as one"));
    }
    let shape = x.shape();
    let shape = [&shape[..start], &[shape[start..=end].iter().product()], &shape[end + 1..]].concat();
    Ok(call.low.reshape(&x, &shape)?.into())
}

fn unflatten(call: &mut Call<'_>) -> Made<Item> {
    let (x, given) = (call.x()?, call.ints("sizes")?.unwrap_or_default());
    let axis = call.axis("dim", 0, x.rank())?;
    let Some(&side) = x.shape().get(axis) else { return wrong("a tensor without axes") };
    let parts = sides(&given, side)?;
    let shape = [&x.shape()[..axis], &parts, &x.shape()[axis + 1..]].concat();
    Ok(call.low.reshape(&x, &shape)?.into())
}

fn squeeze(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axes = call.axes("dim", x.rank())?;
    let axes: Vec<usize> = axes.into_iter().filter(|axis| x.shape().get(*axis) == Some(&1)).collect();
    Ok(call.low.squeeze(&x, &axes)?.into())
}

fn expand(call: &mut Call<'_>) -> Made<Item> {
    let (x, given) = (call.x()?, call.ints("size")?.unwrap_or_default());
    let more = given.len().checked_sub(x.rank());
    let Some(more) = more else { return wrong(format!("a tensor {:?} expanded to {given:?}", x.shape())) };
    let shape = given.iter().enumerate().map(|(axis, side)| match (usize::try_from(*side), axis.checked_sub(more)) {
        (Ok(side), _) => Ok(side),
        (Err(_), Some(axis)) => Ok(x.shape()[axis]),
        (Err(_), None) => wrong(format!("a tensor {:?} expanded to {given:?}", x.shape())),
    });
    let shape = shape.collect::<Made<Vec<_>>>()?;
    let y = call.low.expand(&x, &shape)?;
    if y.shape() != shape {
        return wrong(format!("a tensor {:?} expanded to {given:?}", x.shape()));
    }
    Ok(y.into())
}

fn broadcast_tensors(call: &mut Call<'_>) -> Made<Item> {
    let tensors = call.tensors("tensors")?;
    let mut shape = Vec::new();
    for tensor in &tensors {
        shape = crate::exchange::lower::broadcast(&shape, tensor.shape())?;
    }
    let each = tensors.iter().map(|tensor| call.low.expand(tensor, &shape)).collect::<Made<Vec<_>>>()?;
    Ok(each.into())
}

fn repeat(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let times = call.ints("repeats")?.or(call.ints("dims")?).unwrap_or_default();
    let times: Vec<usize> = times.iter().map(|times| usize::try_from(*times).unwrap_or(0)).collect();
    let new: Vec<usize> = (0..times.len().saturating_sub(x.rank())).collect();
    let x = call.low.unsqueeze(&x, &new)?;
    let first = x.rank() - times.len();
    let picks = times.iter().enumerate().filter(|(_, times)| **times != 1);
    let picks = picks.map(|(axis, times)| (first + axis, Pick::Tile(*times))).collect();
    Ok(call.low.select(&x, picks, 0.0)?.into())
}

fn repeat_interleave(call: &mut Call<'_>) -> Made<Item> {
    let mut x = call.x()?;
    let Some(times) = call.number("repeats")?.map(|times| times as usize) else {
        return beyond("it repeats each number by a count of its own");
    };
    let axis = if call.item("dim")?.is_none() {
        x = call.low.reshape(&x, &[x.count()])?;
        0
    } else {
        call.axis("dim", 0, x.rank())?
    };
    let side = x.shape().get(axis).copied().unwrap_or(1);
    let each = call.low.unsqueeze(&x, &[axis + 1])?;
    let each = call.low.select(&each, vec![(axis + 1, Pick::Tile(times))], 0.0)?;
    let mut shape = x.shape().to_vec();
    shape[axis] = side.saturating_mul(times);
    Ok(call.low.reshape(&each, &shape)?.into())
}

/// Blocks of axes: each side behind the channels as (outer, inner), in the order that is given.
fn blocks(call: &mut Call<'_>, x: &Operand, split: &[usize], order: &[usize], shape: &[usize]) -> Made<Item> {
    let x = call.low.reshape(x, split)?;
    let x = call.low.permute(&x, order)?;
    Ok(call.low.reshape(&x, shape)?.into())
}

fn pixel_shuffle(call: &mut Call<'_>) -> Made<Item> {
    let (x, factor) = (call.x()?, call.sizes("upscale_factor", 1, 1)?[0]);
    let [before @ .., c, h, w] = x.shape() else { return wrong("a pixel shuffle of no slices") };
    let (n, square) = (before.iter().product::<usize>(), factor.saturating_mul(factor).max(1));
    let channels = c / square;
    let split = [n, channels, factor, factor, *h, *w];
    let shape = [before, &[channels, h * factor, w * factor]].concat();
    blocks(call, &x.clone(), &split, &[0, 1, 4, 2, 5, 3], &shape)
}

fn pixel_unshuffle(call: &mut Call<'_>) -> Made<Item> {
    let (x, factor) = (call.x()?, call.sizes("downscale_factor", 1, 1)?[0].max(1));
    let [before @ .., c, h, w] = x.shape() else { return wrong("a pixel shuffle of no slices") };
    let (n, [high, wide]) = (before.iter().product::<usize>(), [h / factor, w / factor]);
    let split = [n, *c, high, factor, wide, factor];
    let shape = [before, &[c * factor * factor, high, wide]].concat();
    blocks(call, &x.clone(), &split, &[0, 1, 3, 5, 2, 4], &shape)
}

fn channel_shuffle(call: &mut Call<'_>) -> Made<Item> {
    let (x, groups) = (call.x()?, call.sizes("groups", 1, 1)?[0].max(1));
    let [n, c, rest @ ..] = x.shape() else { return wrong("a shuffle of no channels") };
    let split = [*n, groups, c / groups, rest.iter().product()];
    blocks(call, &x.clone(), &split, &[0, 2, 1, 3], x.shape())
}

fn exchange(call: &mut Call<'_>, names: [&str; 2]) -> Made<Item> {
    let x = call.x()?;
    if x.rank() == 0 {
        return Ok(x.into());
    }
    let (a, b) = (call.axis(names[0], 0, x.rank())?, call.axis(names[1], 0, x.rank())?);
    let mut axes: Vec<usize> = (0..x.rank()).collect();
    axes.swap(a, b);
    Ok(call.low.permute(&x, &axes)?.into())
}

fn move_axes(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let (from, to) = (call.axes("source", x.rank())?, call.axes("destination", x.rank())?);
    let mut others = (0..x.rank()).filter(|axis| !from.contains(axis));
    let order: Option<Vec<usize>> = (0..x.rank())
        .map(|axis| match to.iter().position(|to| *to == axis) {
            Some(which) => from.get(which).copied(),
            None => others.next(),
        })
        .collect();
    let Some(order) = order else { return wrong(format!("axes {from:?} moved to {to:?}")) };
    Ok(call.low.permute(&x, &order)?.into())
}

/// Along each axis the last numbers before the first ones.
fn roll(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let (shifts, dims) = (call.ints("shifts")?.unwrap_or_default(), call.ints("dims")?.unwrap_or_default());
    let mut y = if dims.is_empty() { call.low.reshape(&x, &[x.count()])? } else { x.clone() };
    let dims = if dims.is_empty() { vec![0] } else { dims };
    for (shift, axis) in shifts.iter().zip(&dims) {
        let axis = axis_of(*axis, y.rank())?;
        let side = y.shape().get(axis).copied().unwrap_or(0);
        let first = (-shift).rem_euclid(side.max(1) as i64) as usize;
        if first > 0 {
            let [a, b] = [call.low.narrow(&y, axis, [first, side])?, call.low.narrow(&y, axis, [0, first])?];
            y = call.low.concat(&[&a, &b], axis)?;
        }
    }
    Ok(call.low.reshape(&y, x.shape())?.into())
}

/// Parts of an axis, one after the other.
fn parts(call: &mut Call<'_>, x: &Operand, axis: usize, lengths: &[usize]) -> Made<Item> {
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let mut start = 0_usize;
    let mut parts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let end = start.saturating_add(*length);
        if end > side {
            return wrong(format!("parts {lengths:?} of an axis of {side}"));
        }
        parts.push(call.low.narrow(x, axis, [start, end])?);
        start = end;
    }
    Ok(parts.into())
}

/// Lengths of parts of `length` each, of which the last may be shorter.
fn even(side: usize, length: usize) -> Vec<usize> {
    let count = side.div_ceil(length.max(1)).max(1);
    (0..count).map(|part| length.min(side - part * length)).collect()
}

fn split(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", 0, x.rank())?;
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let lengths = match call.int_or_list(["split_size", "split_sizes"])? {
        (Some(length), _) => even(side, usize::try_from(length).unwrap_or(0).max(1)),
        (None, lengths) => lengths.iter().map(|length| usize::try_from(*length).unwrap_or(usize::MAX)).collect(),
    };
    parts(call, &x, axis, &lengths)
}

fn chunk(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", 0, x.rank())?;
    let (side, count) = (x.shape().get(axis).copied().unwrap_or(0), call.sizes("chunks", 1, 1)?[0].max(1));
    parts(call, &x, axis, &even(side, side.div_ceil(count).max(1)))
}

fn tensor_split(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", 0, x.rank())?;
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let lengths: Vec<usize> = match (call.optional_int("sections")?, call.ints("indices")?) {
        (Some(count), _) => {
            let count = usize::try_from(count).unwrap_or(0).clamp(1, side.max(1));
            (0..count).map(|part| side / count + usize::from(part < side % count)).collect()
        }
        (None, Some(ends)) => {
            let mut ends: Vec<usize> = ends.iter().map(|end| usize::try_from(*end).unwrap_or(0).min(side)).collect();
            ends.push(side);
            let mut start = 0;
            ends.iter().map(|end| std::mem::replace(&mut start, *end).abs_diff(*end)).collect()
        }
        _ => return wrong("it lacks its sections"),
    };
    parts(call, &x, axis, &lengths)
}

fn unbind(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", 0, x.rank())?;
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let mut parts = Vec::new();
    for at in 0..side {
        let part = call.low.narrow(&x, axis, [at, at + 1])?;
        parts.push(call.low.squeeze(&part, &[axis])?);
    }
    Ok(parts.into())
}

fn stack(call: &mut Call<'_>) -> Made<Item> {
    let tensors = call.tensors("tensors")?;
    let rank = tensors.first().map_or(0, Operand::rank);
    let (axis, kind) = (call.axis("dim", 0, rank + 1)?, kind_of(&tensors));
    let parts = tensors.into_iter().map(|tensor| call.low.unsqueeze(&tensor.called(kind), &[axis]));
    let parts = parts.collect::<Made<Vec<_>>>()?;
    Ok(call.low.concat(&parts.iter().collect::<Vec<_>>(), axis)?.into())
}

/// Windows along an axis, each of whose places stand along a new last axis.
fn unfold(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dimension", 0, x.rank())?;
    let [size, step] = [call.sizes("size", 1, 1)?[0], call.sizes("step", 1, 1)?[0]];
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let Some(count) = side.checked_sub(size).filter(|_| step > 0).map(|more| more / step + 1) else {
        return wrong(format!("windows of {size} along an axis of {side}"));
    };
    call.low.afford_numbers(&[count, size])?;
    let places: Vec<i64> = (0..count * size).map(|at| (at / size * step + at % size) as i64).collect();
    let places = call.low.reshape(&Operand::whole(&places)?, &[count, size])?;
    let y = call.low.gather(&x, axis, &places)?;
    let order: Vec<usize> = (0..y.rank()).filter(|at| *at != axis + 1).chain([axis + 1]).collect();
    Ok(call.low.permute(&y, &order)?.into())
}

fn pad(call: &mut Call<'_>) -> Made<Item> {
    let edge = match call.text("mode") {
        None | Some("constant") => Edge::Constant,
        Some("reflect") => Edge::Reflect,
        Some("replicate") => Edge::Nearest,
        Some("circular") => Edge::Wrap,
        Some(other) => return wrong(format!("its mode is {other:?}")),
    };
    pad_by(call, "pad", edge)
}

/// Pairs of numbers before and behind, of the last axis first.
fn pad_by(call: &mut Call<'_>, name: &str, edge: Edge) -> Made<Item> {
    let (x, given) = (call.x()?, call.ints(name)?.unwrap_or_default());
    let filling = call.float("value", 0.0)?;
    let (pairs, rest) = given.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > x.rank() {
        return wrong(format!("{given:?} around a tensor {:?}", x.shape()));
    }
    let pads: Vec<(usize, [i64; 2])> =
        pairs.iter().enumerate().map(|(last, pair)| (x.rank() - 1 - last, *pair)).collect();
    if given.iter().all(|zeros| *zeros == 0) {
        return Ok(x.into());
    }
    if edge == Edge::Constant && filling == 0.0 && given.iter().all(|zeros| u32::try_from(*zeros).is_ok()) {
        let mut zeros = vec![[0; 2]; x.rank()];
        for (axis, pair) in &pads {
            zeros[*axis] = pair.map(|zeros| zeros as usize);
        }
        let shape: Vec<usize> = x.shape().iter().zip(&zeros).map(|(side, [a, b])| side + a + b).collect();
        counted(&shape)?;
        return Ok(call.low.on(Pad(zeros), &x)?.into());
    }
    let x = if filling.fract() == 0.0 { x } else { real(x) };
    Ok(call.low.pad(&x, &pads, edge, filling)?.into())
}
