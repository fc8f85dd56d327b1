//! Sums, means, extremes and spreads over axes; softmaxes.

use candle_core::{Device, Tensor};

use super::super::call::{Call, Item, Lower};
use super::elementwise::real;
use crate::exchange::lower::{Made, Meaning, Operand, beyond};
use crate::graph::ops::{ArgMax, Arithmetic, Function, Linear, LogSoftmax, Reduction, Softmax};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "mean" => |call| over(call, Reduction::Mean),
        "sum" => |call| over(call, Reduction::Sum),
        "amax" => |call| over(call, Reduction::Max),
        "amin" => |call| over(call, Reduction::Min),
        "max" => |call| extreme(call, Reduction::Max),
        "min" => |call| extreme(call, Reduction::Min),
        "any" => |call| of_truths(call, Reduction::Max),
        "all" => |call| of_truths(call, Reduction::Min),
        "argmax" => |call| place(call, 1.0),
        "argmin" => |call| place(call, -1.0),
        "var" => |call| spread(call, false),
        "std" => |call| spread(call, true),
        "var_mean" => |call| with_mean(call, false),
        "std_mean" => |call| with_mean(call, true),
        "linalg_vector_norm" | "norm" | "frobenius_norm" => norm,
        "softmax" | "_softmax" | "_safe_softmax" => softmax,
        "log_softmax" | "_log_softmax" => |call| {
            let x = real(call.x()?);
            let axis = call.axis("dim", -1, x.rank())?;
            Ok(call.low.on(LogSoftmax { axis }, &x)?.into())
        },
        "logsumexp" => logsumexp,
        "prod" => product,
        "cumsum" => cumsum,
        _ => return None,
    })
}

fn over(call: &mut Call<'_>, reduction: Reduction) -> Made<Item> {
    let x = call.x()?;
    let x = match (reduction, x.kind) {
        (Reduction::Mean, _) => real(x),
        (Reduction::Sum, Meaning::Truth) => x.called(Meaning::Whole),
        _ => x,
    };
    let (axes, keep) = (call.axes("dim", x.rank())?, call.bool("keepdim", false)?);
    Ok(reduced(call, reduction, &x, &axes, keep)?.into())
}

/// A reduction; of a tensor without axes, itself.
fn reduced(call: &mut Call<'_>, reduction: Reduction, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    if x.rank() == 0 { Ok(x.clone()) } else { call.low.reduce(reduction, x, axes, keep) }
}

/// The largest or smallest numbers of an axis and their places; of all numbers; or of two tensors.
fn extreme(call: &mut Call<'_>, reduction: Reduction) -> Made<Item> {
    let x = call.x()?;
    if call.node.argument("other").is_some() {
        let other = call.tensor("other")?;
        let larger = if reduction == Reduction::Max { Arithmetic::Larger } else { Arithmetic::Smaller };
        return Ok(call.low.pairwise(larger, &x, &other)?.into());
    }
    if call.node.argument("dim").is_none() {
        let axes: Vec<usize> = (0..x.rank()).collect();
        return Ok(reduced(call, reduction, &x, &axes, false)?.into());
    }
    let (axis, keep) = (call.axis("dim", 0, x.rank())?, call.bool("keepdim", false)?);
    let most = reduced(call, reduction, &x, &[axis], keep)?;
    let sign = if reduction == Reduction::Max { 1.0 } else { -1.0 };
    let place = place_of(call, &x, axis, keep, sign)?;
    Ok(vec![most, place].into())
}

fn of_truths(call: &mut Call<'_>, reduction: Reduction) -> Made<Item> {
    let x = call.x()?;
    if x.kind != Meaning::Truth {
        return beyond("it asks of numbers whether they are true");
    }
    let (axes, keep) = (call.axes("dim", x.rank())?, call.bool("keepdim", false)?);
    Ok(reduced(call, reduction, &x, &axes, keep)?.into())
}

/// Where along an axis the largest number lies; with a sign of -1 the smallest.
fn place_of(call: &mut Call<'_>, x: &Operand, axis: usize, keep: bool, sign: f64) -> Made<Operand> {
    let x = call.low.affine(x, sign, 0.0)?;
    Ok(call.low.on(ArgMax { axis, keep, last: false }, &x)?.called(Meaning::Whole))
}

fn place(call: &mut Call<'_>, sign: f64) -> Made<Item> {
    let x = call.x()?;
    if call.item("dim")?.is_none() {
        let row = call.low.reshape(&x, &[x.count()])?;
        return Ok(place_of(call, &row, 0, false, sign)?.into());
    }
    let (axis, keep) = (call.axis("dim", 0, x.rank())?, call.bool("keepdim", false)?);
    Ok(place_of(call, &x, axis, keep, sign)?.into())
}

/// The variance over axes, or its root; and the mean.
fn moments(call: &mut Call<'_>, root: bool) -> Made<[Operand; 2]> {
    let x = real(call.x()?);
    let (axes, keep) = (call.axes("dim", x.rank())?, call.bool("keepdim", false)?);
    let correction = match call.number("correction")? {
        Some(correction) => correction,
        None => f64::from(u8::from(call.bool("unbiased", true)?)),
    };
    let count: usize = axes.iter().filter_map(|axis| x.shape().get(*axis)).product();
    let mean = reduced(call, Reduction::Mean, &x, &axes, true)?;
    let centred = call.low.pairwise(Arithmetic::Subtract, &x, &mean)?;
    let squares = call.low.power(&centred, 2.0)?;
    let variance = reduced(call, Reduction::Mean, &squares, &axes, keep)?;
    let variance = call.low.affine(&variance, count as f64 / (count as f64 - correction), 0.0)?;
    let spread = if root { call.low.function(Function::Sqrt, &variance)? } else { variance };
    let mean = if keep { mean } else { call.low.squeeze(&mean, &axes)? };
    Ok([spread, mean])
}

fn spread(call: &mut Call<'_>, root: bool) -> Made<Item> {
    let [spread, _] = moments(call, root)?;
    Ok(spread.into())
}

fn with_mean(call: &mut Call<'_>, root: bool) -> Made<Item> {
    Ok(moments(call, root)?.to_vec().into())
}

fn norm(call: &mut Call<'_>) -> Made<Item> {
    let x = real(call.x()?);
    let order = call.number("ord")?.or(call.number("p")?).unwrap_or(2.0);
    let (axes, keep) = (call.axes("dim", x.rank())?, call.bool("keepdim", false)?);
    let (function, power) = match order {
        1.0 => (Function::Abs, 1.0),
        2.0 => (Function::Power(2.0), 0.5),
        _ => return beyond(format!("it is a norm of order {order}")),
    };
    let parts = call.low.function(function, &x)?;
    let sum = reduced(call, Reduction::Sum, &parts, &axes, keep)?;
    Ok(call.low.power(&sum, power)?.into())
}

fn softmax(call: &mut Call<'_>) -> Made<Item> {
    let x = real(call.x()?);
    let axis = call.axis("dim", -1, x.rank())?;
    Ok(call.low.on(Softmax { axis }, &x)?.into())
}

/// The product along an axis, or of all numbers.
fn product(call: &mut Call<'_>) -> Made<Item> {
    let (x, keep) = (call.x()?, call.bool("keepdim", false)?);
    if call.item("dim")?.is_none() {
        let row = call.low.reshape(&x, &[x.count()])?;
        let y = call.low.product_along(&row, 0)?;
        return Ok(call.low.squeeze(&y, &[0])?.into());
    }
    let axis = call.axis("dim", 0, x.rank())?;
    let y = call.low.product_along(&x, axis)?;
    Ok(if keep { y } else { call.low.squeeze(&y, &[axis])? }.into())
}

/// x - log_softmax(x) is the same all along an axis.
fn logsumexp(call: &mut Call<'_>) -> Made<Item> {
    let x = real(call.x()?);
    let (axes, keep) = (call.axes("dim", x.rank())?, call.bool("keepdim", false)?);
    let [axis] = axes[..] else { return beyond("it is over several axes") };
    let shares = call.low.on(LogSoftmax { axis }, &x)?;
    let [x, shares] = [call.low.narrow(&x, axis, [0, 1])?, call.low.narrow(&shares, axis, [0, 1])?];
    let y = call.low.pairwise(Arithmetic::Subtract, &x, &shares)?;
    Ok(if keep { y } else { call.low.squeeze(&y, &[axis])? }.into())
}

/// Sums of a number and those before it, by a triangular matrix.
fn cumsum(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", 0, x.rank())?;
    let Some(&side) = x.shape().get(axis) else { return Ok(x.into()) };
    let kind = if x.kind == Meaning::Truth { Meaning::Whole } else { x.kind };
    call.low.afford_numbers(&[side, side])?;
    let numbers: Vec<f64> = (0..side * side).map(|at| if at % side <= at / side { 1.0 } else { 0.0 }).collect();
    let matrix = Tensor::from_vec(numbers, (side, side), &Device::Cpu)?;
    let mut axes: Vec<usize> = (0..x.rank()).collect();
    axes.swap(axis, x.rank() - 1);
    let x = call.low.permute(&x, &axes)?;
    let y = call.low.on(Linear::new(&matrix, None)?, &x)?;
    Ok(call.low.permute(&y, &axes)?.called(kind).into())
}
