//! Sums, extremes and products over axes, and products of matrices.

use candle_core::{DType, Device, Tensor};

use super::{Lower, one};
use crate::exchange::lower::{Equation, Lowering, Made, Meaning, Operand, axis_of, beyond, wrong};
use crate::exchange::onnx::node::Node;
use crate::graph::ops::{ArgMax, Arithmetic, Function, Linear, LogSoftmax, Reduction, Softmax};

/// Longest axis that is summed up step by step: each place takes a row of a matrix.
const LONGEST_SUM: usize = 1 << 12;

pub(super) fn lowering(name: &str) -> Option<Lower> {
    Some(match name {
        "ReduceSum" => |l, n| one(reduce(l, n, |l, x, axes, keep| l.reduce(Reduction::Sum, x, axes, keep))),
        "ReduceMean" => |l, n| one(reduce(l, n, |l, x, axes, keep| l.reduce(Reduction::Mean, x, axes, keep))),
        "ReduceMax" => |l, n| one(reduce(l, n, |l, x, axes, keep| l.reduce(Reduction::Max, x, axes, keep))),
        "ReduceMin" => |l, n| one(reduce(l, n, |l, x, axes, keep| l.reduce(Reduction::Min, x, axes, keep))),
        "ReduceL1" => |l, n| one(reduce(l, n, sum_of_sizes)),
        "ReduceL2" => |l, n| one(reduce(l, n, length)),
        "ReduceSumSquare" => |l, n| one(reduce(l, n, sum_of_squares)),
        "ReduceLogSum" => |l, n| one(reduce(l, n, log_sum)),
        "ReduceLogSumExp" => |l, n| one(reduce(l, n, log_sum_exp)),
        "ReduceProd" => |l, n| one(reduce(l, n, product)),
        "ArgMax" => |l, n| one(arg_max(l, n, 1.0)),
        "ArgMin" => |l, n| one(arg_max(l, n, -1.0)),
        "Softmax" => |l, n| one(softmax(l, n, false)),
        "LogSoftmax" => |l, n| one(softmax(l, n, true)),
        "CumSum" => cumulative,
        "TopK" => top_k,
        _ => return None,
    })
}

/// The axes that a reduction runs over.
fn axes(n: &Node<'_>, rank: usize) -> Made<Vec<usize>> {
    match n.listed("axes", 1)?.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, rank)).collect(),
        None if n.int("noop_with_empty_axes", 0) != 0 => Ok(Vec::new()),
        None => Ok((0..rank).collect()),
    }
}

type Reducing = fn(&mut Lowering, &Operand, &[usize], bool) -> Made<Operand>;

fn reduce(l: &mut Lowering, n: &Node<'_>, of: Reducing) -> Made<Operand> {
    let x = n.input(0)?;
    let y = of(l, x, &axes(n, x.rank())?, n.int("keepdims", 1) != 0)?;
    // Of no truths, none is the largest.
    if x.kind == Meaning::Truth && x.count() == 0 { l.filled(Meaning::Truth, 0.0, y.shape()) } else { Ok(y) }
}

fn sum_of_sizes(l: &mut Lowering, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    let sizes = l.function(Function::Abs, x)?;
    l.reduce(Reduction::Sum, &sizes, axes, keep)
}

fn sum_of_squares(l: &mut Lowering, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    let squares = l.function(Function::Power(2.0), x)?;
    l.reduce(Reduction::Sum, &squares, axes, keep)
}

fn length(l: &mut Lowering, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    let sum = sum_of_squares(l, x, axes, keep)?;
    l.function(Function::Sqrt, &sum)
}

fn log_sum(l: &mut Lowering, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    let sum = l.reduce(Reduction::Sum, x, axes, keep)?;
    l.function(Function::Log, &sum)
}

/// By x - log softmax(x), which is the same at every place: nothing overflows.
fn log_sum_exp(l: &mut Lowering, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    let most = l.reduce(Reduction::Max, x, axes, true)?;
    let below = l.pairwise(Arithmetic::Subtract, x, &most)?;
    let exp = l.function(Function::Exp, &below)?;
    let sum = l.reduce(Reduction::Sum, &exp, axes, true)?;
    let log = l.function(Function::Log, &sum)?;
    let y = l.pairwise(Arithmetic::Add, &log, &most)?;
    if keep { Ok(y) } else { l.squeeze(&y, axes) }
}

fn product(l: &mut Lowering, x: &Operand, axes: &[usize], keep: bool) -> Made<Operand> {
    if let Some(numbers) = x.numbers().filter(|_| axes.len() == x.rank()) {
        let shape = vec![1; if keep { x.rank() } else { 0 }];
        let product = Tensor::from_vec(vec![numbers.iter().product::<f64>()], shape, &Device::Cpu)?;
        return Ok(Operand::known(
            x.kind,
            if x.kind == Meaning::Real { product.to_dtype(DType::F32)? } else { product },
        ));
    }
    let mut y = x.clone();
    for axis in axes {
        y = l.product_along(&y, *axis)?;
    }
    if keep { Ok(y) } else { l.squeeze(&y, axes) }
}

/// The place of the largest number times a sign.
fn arg_max(l: &mut Lowering, n: &Node<'_>, sign: f64) -> Made<Operand> {
    let x = l.affine(n.input(0)?, sign, 0.0)?;
    let operation = ArgMax {
        axis: n.axis(0, x.rank())?,
        keep: n.int("keepdims", 1) != 0,
        last: n.int("select_last_index", 0) != 0,
    };
    l.apply(operation, &[&x], Meaning::Whole)
}

/// Over one axis, or before opset 13 over all from one on.
fn softmax(l: &mut Lowering, n: &Node<'_>, log: bool) -> Made<Operand> {
    let x = n.input(0)?;
    if x.rank() == 0 {
        return wrong("a softmax of a lone number");
    }
    let over = |l: &mut Lowering, x: &Operand, axis: usize| {
        if log { l.on(LogSoftmax { axis }, x) } else { l.on(Softmax { axis }, x) }
    };
    if n.opset >= 13 {
        return over(l, x, n.axis(-1, x.rank())?);
    }
    let axis = n.axis(1, x.rank().max(2)).unwrap_or(0).min(x.rank());
    let (before, behind) = x.shape().split_at(axis);
    let rows = l.reshape(x, &[before.iter().product(), behind.iter().product()])?;
    let y = over(l, &rows, 1)?;
    l.reshape(&y, x.shape())
}

/// Sums of all before, by a triangle of ones.
fn cumulative(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let Some(axis) = n.known(1)?.and_then(|axes| axes.first().copied()) else { return wrong("its axis is missing") };
    let axis = axis_of(axis, x.rank())?;
    let side = x.shape()[axis];
    if side > LONGEST_SUM {
        return beyond(format!("it sums up an axis of {side}, of more than {LONGEST_SUM}"));
    }
    l.afford_numbers(&[side, side])?;
    let (exclusive, reverse) = (n.int("exclusive", 0) != 0, n.int("reverse", 0) != 0);
    let counts = |place: usize| {
        let (from, to) = (place / side, place % side);
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        f64::from(u8::from(if exclusive { from < to } else { from <= to }))
    };
    let triangle = Tensor::from_vec((0..side * side).map(counts).collect::<Vec<_>>(), (side, side), &Device::Cpu)?;
    let mut order: Vec<usize> = (0..x.rank()).collect();
    order.swap(axis, x.rank() - 1);
    let last = l.permute(x, &order)?;
    let y = l.matmul(&last, &Operand::known(x.kind, triangle))?;
    one(l.permute(&y, &order))
}

/// The largest or smallest of known numbers, and where they lie.
fn top_k(_: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let (Some(numbers), Some(k)) = (x.numbers().filter(|_| x.rank() == 1), n.known(1)?) else {
        return beyond("which numbers it takes depends on the network's input");
    };
    let Some(k) = k.first().and_then(|k| usize::try_from(*k).ok()).filter(|k| *k <= numbers.len()) else {
        return wrong(format!("the first {k:?} of {} numbers", numbers.len()));
    };
    let mut places: Vec<usize> = (0..numbers.len()).collect();
    let sign = if n.int("largest", 1) != 0 { -1.0 } else { 1.0 };
    places.sort_by(|a, b| (sign * numbers[*a]).total_cmp(&(sign * numbers[*b])));
    places.truncate(k);
    let values = Tensor::from_vec(places.iter().map(|at| numbers[*at]).collect::<Vec<_>>(), k, &Device::Cpu)?;
    let values = if x.kind == Meaning::Real { values.to_dtype(DType::F32)? } else { values };
    let places: Vec<i64> = places.iter().map(|at| *at as i64).collect();
    Ok(vec![Operand::known(x.kind, values), Operand::whole(&places)?])
}

pub(super) fn matmul(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    one(l.matmul(n.input(0)?, n.input(1)?))
}

/// alpha a b + beta c, either of a and b transposed.
pub(super) fn gemm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (a, b) = (n.input(0)?, n.input(1)?);
    let (alpha, beta) = (n.float("alpha", 1.0), n.float("beta", 1.0));
    let a = if n.int("transA", 0) != 0 { l.transposed(a)? } else { a.clone() };
    let c = n.maybe(2).filter(|_| beta != 0.0);
    let b = if n.int("transB", 0) != 0 { l.transposed(b)? } else { b.clone() };
    let b = l.affine(&b, alpha, 0.0)?;
    // Weights and biases make one layer.
    let (weight, bias) = (l.tensor_of(&b)?, c.map(|c| l.affine(c, beta, 0.0)).transpose()?);
    if let (Some(weight), None, 2) = (weight, a.tensor(), a.rank()) {
        let of_row = bias.as_ref().filter(|bias| bias.shape() == [b.shape()[1]] || bias.shape() == [1, b.shape()[1]]);
        let row = of_row.map(|bias| l.tensor_of(bias)).transpose()?.flatten();
        if bias.is_none() || row.is_some() {
            let row = row.map(|row| row.flatten_all()).transpose()?;
            return one(l.on(Linear::new(&weight.t()?.contiguous()?, row.as_ref())?, &a));
        }
    }
    let y = l.matmul(&a, &b)?;
    one(match bias {
        Some(bias) => l.pairwise(Arithmetic::Add, &y, &bias),
        None => Ok(y),
    })
}

pub(super) fn einsum(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let operands = n.all();
    let ranks: Vec<usize> = operands.iter().map(|operand| operand.rank()).collect();
    one(l.einsum(&Equation::new(n.text("equation", ""), &ranks)?, &operands))
}
