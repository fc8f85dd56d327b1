//! Places of tensors: slices, selections, gathers by known indices, and what is written into them.

use super::super::call::{Call, Item, Lower, scalar};
use crate::exchange::lower::{Made, Meaning, Operand, beyond, elements, wrong};
use crate::graph::ops::{Arithmetic, Narrow, Pick};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "slice" | "slice_copy" => slice,
        "select" | "select_copy" => select,
        "narrow" | "narrow_copy" => narrow,
        "index" | "_unsafe_index" => |call| {
            let (x, indices) = (call.tensor("self")?, call.optional_tensors("indices")?);
            Ok(indexed(call, &x, &indices)?.into())
        },
        "index_put" | "_unsafe_index_put" | "_index_put_impl" => index_put,
        "scatter" | "scatter_add" => scatter,
        "index_add" | "index_copy" => index_add,
        "index_select" => index_select,
        "gather" => gather,
        "embedding" => embedding,
        "one_hot" => one_hot,
        "slice_scatter" => |call| {
            let (x, src) = (call.tensor("self")?, call.tensor("src")?);
            Ok(slice_scatter(call, &x, &src)?.into())
        },
        "select_scatter" => |call| {
            let (x, src) = (call.tensor("self")?, call.tensor("src")?);
            Ok(select_scatter(call, &x, &src)?.into())
        },
        "fill" => |call| {
            let (x, value) = (call.tensor("self")?, call.tensor("value")?);
            let value = value.called(x.kind);
            Ok(call.low.expand(&value, x.shape())?.into())
        },
        "zero" => |call| {
            let x = call.tensor("self")?;
            let zero = scalar(x.kind, 0.0)?;
            Ok(call.low.expand(&zero, x.shape())?.into())
        },
        "copy" => |call| {
            let (x, src) = (call.tensor("self")?, call.tensor("src")?);
            let src = src.called(x.kind);
            Ok(call.low.expand(&src, x.shape())?.into())
        },
        "tril" => |call| triangle(call, |row, column, diagonal| column - row <= diagonal),
        "triu" => |call| triangle(call, |row, column, diagonal| column - row >= diagonal),
        _ => return None,
    })
}

/// Start, end and step of a slice of an axis of `side` places, within it.
fn range(call: &Call<'_>, side: usize) -> Made<[i64; 3]> {
    let length = i64::try_from(side).unwrap_or(i64::MAX);
    let within = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at.min(length) };
    let [start, end] = [call.optional_int("start")?.unwrap_or(0), call.optional_int("end")?.unwrap_or(i64::MAX)];
    let (start, end, step) = (within(start), within(end), call.int("step", 1)?);
    if step <= 0 {
        return wrong(format!("a slice of steps of {step}"));
    }
    Ok([start, end.max(start), step])
}

fn slice(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", 0, x.rank())?;
    let Some(&side) = x.shape().get(axis) else { return wrong("a slice of a tensor without axes") };
    let [start, end, step] = range(call, side)?;
    if step == 1 {
        return Ok(narrowed(call, &x, axis, [start as usize, end as usize])?.into());
    }
    Ok(call.low.select(&x, vec![(axis, Pick::Slice { start, end, step })], 0.0)?.into())
}

/// Places from `start` to before `end`.
fn narrowed(call: &mut Call<'_>, x: &Operand, axis: usize, [start, end]: [usize; 2]) -> Made<Operand> {
    if x.shape().get(axis) == Some(&(end - start)) {
        return Ok(x.clone());
    }
    call.low.on(Narrow { axis, start, length: end - start }, x)
}

/// One place of an axis, which goes.
fn selected(call: &mut Call<'_>, x: &Operand, axis: usize, at: i64) -> Made<Operand> {
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let place = if at < 0 { at.saturating_add(side as i64) } else { at };
    match usize::try_from(place).ok().filter(|place| *place < side) {
        Some(place) => {
            let one = narrowed(call, x, axis, [place, place + 1])?;
            call.low.squeeze(&one, &[axis])
        }
        None => wrong(format!("place {at} of an axis of {side}")),
    }
}

fn select(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let (axis, at) = (call.axis("dim", 0, x.rank())?, call.int("index", 0)?);
    Ok(selected(call, &x, axis, at)?.into())
}

fn narrow(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let (axis, [start, length]) = (call.axis("dim", 0, x.rank())?, [call.int("start", 0)?, call.int("length", 0)?]);
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let start = if start < 0 { start.saturating_add(side as i64) } else { start };
    match (usize::try_from(start), usize::try_from(start.saturating_add(length))) {
        (Ok(start), Ok(end)) if start <= end && end <= side => Ok(narrowed(call, &x, axis, [start, end])?.into()),
        _ => wrong(format!("{length} places from {start} of an axis of {side}")),
    }
}

/// The places that a known tensor names: where it is true, or its numbers.
fn places_of(indices: &Operand, sides: &[usize]) -> Made<Vec<(Vec<i64>, Vec<usize>)>> {
    let Some(numbers) = indices.integers() else { return beyond("it takes places that the input decides") };
    if indices.kind != Meaning::Truth {
        return Ok(vec![(numbers, indices.shape().to_vec())]);
    }
    if !sides.starts_with(indices.shape()) {
        return wrong(format!("a mask {:?} of a tensor {sides:?}", indices.shape()));
    }
    let mut axes = vec![Vec::new(); indices.rank()];
    for (flat, _) in numbers.iter().enumerate().filter(|(_, truth)| **truth != 0) {
        let mut rest = flat;
        for (axis, side) in indices.shape().iter().enumerate().rev() {
            axes[axis].push((rest % side) as i64);
            rest /= side;
        }
    }
    Ok(axes.into_iter().map(|places| (places.clone(), vec![places.len()])).collect())
}

/// Numbers by indices along some axes, as in NumPy: adjacent axes leave their place to those of the indices, others go first.
fn indexed(call: &mut Call<'_>, x: &Operand, indices: &[Option<Operand>]) -> Made<Operand> {
    if let [Some(only)] = indices
        && only.tensor().is_none()
        && only.kind == Meaning::Whole
    {
        return call.low.gather(x, 0, only);
    }
    let (mut axis, mut axes, mut places) = (0, Vec::new(), Vec::new());
    for index in indices {
        let Some(index) = index else {
            axis += 1;
            continue;
        };
        let Some(sides) = x.shape().get(axis..) else { return wrong("more indices than axes") };
        for of_axis in places_of(index, sides)? {
            axes.push(axis);
            places.push(of_axis);
            axis += 1;
        }
    }
    if axis > x.rank() {
        return wrong(format!("indices of {axis} axes of a tensor {:?}", x.shape()));
    }
    let mut shape = Vec::new();
    for (_, of) in &places {
        shape = crate::exchange::lower::broadcast(&shape, of)?;
    }
    let adjacent = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let first = if adjacent { axes.first().copied().unwrap_or(0) } else { 0 };
    let mut order: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    order.splice(first..first, axes.iter().copied());
    let moved = call.low.permute(x, &order)?;
    let [before, rest] = [&moved.shape()[..first], &moved.shape()[first..]];
    let (sides, behind) = rest.split_at(axes.len());
    let as_one = [before, &[sides.iter().product()], behind].concat();
    call.low.afford_numbers(&shape)?;
    let flat = flat_of(call, &places, &shape, sides)?;
    let whole = [before, &shape, behind].concat();
    let one = call.low.reshape(&moved, &as_one)?;
    let flat = Operand::whole(&flat)?;
    let picked = call.low.gather(&one, first, &flat)?;
    call.low.reshape(&picked, &whole)
}

/// Others in the places that indices name, or added to them.
fn index_put(call: &mut Call<'_>) -> Made<Item> {
    let (x, indices) = (call.tensor("self")?, call.optional_tensors("indices")?);
    let (values, adds) = (call.tensor("values")?.called(x.kind), call.bool("accumulate", false)?);
    if let [Some(mask)] = indices.as_slice()
        && mask.tensor().is_none()
        && mask.kind == Meaning::Truth
        && (values.count(), adds) == (1, false)
    {
        let more: Vec<usize> = (mask.rank()..x.rank()).collect();
        let (mask, value) = (call.low.unsqueeze(mask, &more)?, call.low.reshape(&values, &[])?);
        return Ok(call.low.choose(&mask, &value, &x)?.into());
    }
    // The places of all numbers, indexed as the numbers would be.
    call.low.afford_numbers(x.shape())?;
    let all = Operand::whole(&(0..x.count() as i64).collect::<Vec<_>>())?;
    let all = call.low.reshape(&all, x.shape())?;
    let named = indexed(call, &all, &indices)?;
    let Some(places) = named.integers() else { return beyond("it writes to places that the input decides") };
    let values = call.low.expand(&values, named.shape())?;
    if values.shape() != named.shape() {
        return wrong(format!("numbers {:?} for places {:?}", values.shape(), named.shape()));
    }
    Ok(call.low.scatter(&x, &values, &places, adds)?.into())
}

/// Others in the places that an index names along an axis, or added to them.
fn scatter(call: &mut Call<'_>) -> Made<Item> {
    let (x, index) = (call.tensor("self")?, call.tensor("index")?);
    let axis = call.axis("dim", 0, x.rank())?;
    let adds = match (super::base(call.node.operation()), call.text("reduce")) {
        (Some("scatter_add"), _) | (_, Some("add" | "sum")) => true,
        (_, None) => false,
        (_, Some(other)) => return beyond(format!("it writes by {other:?}")),
    };
    let Some(numbers) = index.integers() else { return beyond("it writes to places that the input decides") };
    let places = elements(&numbers, index.shape(), x.shape(), axis)?;
    let mut values =
        call.optional("src")?.or(call.optional("value")?).map_or_else(|| wrong("it writes nothing"), Ok)?;
    if values.rank() == 0 {
        values = call.low.expand(&values, index.shape())?;
    }
    for (axis, side) in index.shape().iter().enumerate() {
        values = call.low.narrow(&values, axis, [0, *side])?;
    }
    Ok(call.low.scatter(&x, &values.called(x.kind), &places, adds)?.into())
}

/// Indices along several axes, repeated to one shape, as places of those axes in a row.
fn flat_of(call: &mut Call<'_>, places: &[(Vec<i64>, Vec<usize>)], shape: &[usize], sides: &[usize]) -> Made<Vec<i64>> {
    let mut flat = vec![0_i64; shape.iter().product()];
    for ((numbers, of), side) in places.iter().zip(sides) {
        let index = call.low.reshape(&Operand::whole(numbers)?, of)?;
        let Some(numbers) = call.low.expand(&index, shape)?.integers() else { return wrong("indices without numbers") };
        for (flat, number) in flat.iter_mut().zip(numbers) {
            let place = if number < 0 { number.saturating_add(*side as i64) } else { number };
            if !(0..*side as i64).contains(&place) {
                return wrong(format!("place {number} of an axis of {side}"));
            }
            *flat = flat.saturating_mul(*side as i64).saturating_add(place);
        }
    }
    Ok(flat)
}

/// Others in the places of an axis that an index names, or added to them.
fn index_add(call: &mut Call<'_>) -> Made<Item> {
    let (x, index, source) = (call.tensor("self")?, call.tensor("index")?, call.tensor("source")?);
    let (axis, adds) = (call.axis("dim", 0, x.rank())?, super::base(call.node.operation()) == Some("index_add"));
    let source = call.low.affine(&source, call.float("alpha", 1.0)?, 0.0)?;
    call.low.afford_numbers(x.shape())?;
    let all = Operand::whole(&(0..x.count() as i64).collect::<Vec<_>>())?;
    let all = call.low.reshape(&all, x.shape())?;
    let named = call.low.gather(&all, axis, &index)?;
    let Some(places) = named.integers() else { return beyond("it writes to places that the input decides") };
    if source.shape() != named.shape() {
        return wrong(format!("numbers {:?} for places {:?}", source.shape(), named.shape()));
    }
    Ok(call.low.scatter(&x, &source.called(x.kind), &places, adds)?.into())
}

fn index_select(call: &mut Call<'_>) -> Made<Item> {
    let (x, index) = (call.x()?, call.tensor("index")?);
    let axis = call.axis("dim", 0, x.rank())?;
    Ok(call.low.gather(&x, axis, &index)?.into())
}

/// By place of the index, the number at that place along the other axes and at the index along this one.
fn gather(call: &mut Call<'_>) -> Made<Item> {
    let (x, index) = (call.x()?, call.tensor("index")?);
    let axis = call.axis("dim", 0, x.rank())?;
    let Some(numbers) = index.integers() else { return beyond("it takes places that the input decides") };
    let places = elements(&numbers, index.shape(), x.shape(), axis)?;
    Ok(call.low.flat(&x, places, index.shape())?.into())
}

fn embedding(call: &mut Call<'_>) -> Made<Item> {
    let (table, indices) = (call.tensor("weight")?, call.tensor("indices")?);
    Ok(call.low.gather(&table, 0, &indices)?.into())
}

/// A new last axis, with 1 at the place that a number names.
fn one_hot(call: &mut Call<'_>) -> Made<Item> {
    let (x, classes) = (call.tensor("self")?, call.int("num_classes", -1)?);
    let Some(classes) = usize::try_from(classes).ok().filter(|classes| *classes > 0) else {
        return beyond("it has as many classes as the input decides");
    };
    call.low.afford_numbers(&[classes])?;
    let classes = Operand::whole(&(0..classes as i64).collect::<Vec<_>>())?;
    let x = call.low.unsqueeze(&x, &[x.rank()])?;
    Ok(call.low.pairwise(Arithmetic::Equal, &x, &classes)?.called(Meaning::Whole).into())
}

/// Others in place of some places of an axis: each place is one of the two side by side.
fn replaced(call: &mut Call<'_>, x: &Operand, src: &Operand, axis: usize, places: &[usize]) -> Made<Operand> {
    let side = x.shape()[axis];
    let mut shape = x.shape().to_vec();
    shape[axis] = places.len();
    let src = call.low.expand(&src.clone().called(x.kind), &shape)?;
    if src.shape() != shape {
        return wrong(format!("a tensor {:?} in place of {shape:?}", src.shape()));
    }
    if places.len() == side {
        return Ok(src);
    }
    let both = call.low.concat(&[x, &src], axis)?;
    let mut from: Vec<i64> = (0..side as i64).collect();
    places.iter().enumerate().for_each(|(which, place)| from[*place] = (side + which) as i64);
    let from = Operand::whole(&from)?;
    call.low.gather(&both, axis, &from)
}

fn slice_scatter(call: &mut Call<'_>, x: &Operand, src: &Operand) -> Made<Operand> {
    let axis = call.axis("dim", 0, x.rank())?;
    let Some(&side) = x.shape().get(axis) else { return wrong("a slice of a tensor without axes") };
    let [start, end, step] = range(call, side)?;
    let places: Vec<usize> = (start..end).step_by(step as usize).map(|place| place as usize).collect();
    if places.is_empty() {
        return Ok(x.clone());
    }
    replaced(call, x, src, axis, &places)
}

fn select_scatter(call: &mut Call<'_>, x: &Operand, src: &Operand) -> Made<Operand> {
    let axis = call.axis("dim", 0, x.rank())?;
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let at = call.int("index", 0)?;
    let place = if at < 0 { at.saturating_add(side as i64) } else { at };
    let Some(place) = usize::try_from(place).ok().filter(|place| *place < side) else {
        return wrong(format!("place {at} of an axis of {side}"));
    };
    let src = call.low.unsqueeze(src, &[axis])?;
    replaced(call, x, &src, axis, &[place])
}

/// What a tensor becomes where the part that this node took of it is written anew; none where that is not known here.
pub(in super::super) fn put_back(call: &mut Call<'_>, x: &Operand, part: &Operand) -> Option<Made<Operand>> {
    Some(match super::base(call.node.operation())? {
        "slice" => slice_scatter(call, x, part),
        "select" => select_scatter(call, x, part),
        "view" | "reshape" | "_unsafe_view" | "unsqueeze" | "squeeze" | "flatten" | "view_as" | "alias" | "detach" => {
            call.low.reshape(part, x.shape())
        }
        "transpose" | "t" => {
            let [a, b] = [call.int("dim0", 0).ok()?, call.int("dim1", 1).ok()?];
            let [a, b] = [a, b].map(|axis| super::super::call::axis_of(axis, x.rank()).ok());
            let mut axes: Vec<usize> = (0..x.rank()).collect();
            axes.swap(a?, b?);
            call.low.permute(part, &axes)
        }
        "permute" => {
            let axes = call.axes("dims", x.rank()).ok()?;
            let mut back = vec![0; axes.len()];
            axes.iter().enumerate().for_each(|(to, from)| back[*from] = to);
            call.low.permute(part, &back)
        }
        _ => return None,
    })
}

/// The numbers of the last two axes on one side of a diagonal; 0 on the other.
fn triangle(call: &mut Call<'_>, stays: fn(i64, i64, i64) -> bool) -> Made<Item> {
    let (x, diagonal) = (call.x()?, call.int("diagonal", 0)?);
    let [.., rows, columns] = x.shape() else { return wrong("a triangle of no matrix") };
    call.low.afford_numbers(&[*rows, *columns])?;
    let width = (*columns).max(1);
    let of = |at: usize| i64::from(stays((at / width) as i64, (at % width) as i64, diagonal));
    let mask = Operand::whole(&(0..rows * columns).map(of).collect::<Vec<_>>())?.called(Meaning::Truth);
    let mask = call.low.reshape(&mask, &[*rows, *columns])?;
    let zero = scalar(x.kind, 0.0)?;
    Ok(call.low.choose(&mask, &x, &zero)?.into())
}
