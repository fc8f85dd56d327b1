//! Batch, instance, group and layer norms of ONNX.

use candle_core::Tensor;

use super::{Lower, one};
use crate::exchange::lower::{Lowering, Made, Operand, beyond, broadcast, wrong};
use crate::exchange::onnx::node::Node;
use crate::graph::ops::{Arithmetic, BatchNorm, Function, GroupNorm, LayerNorm, Reduction};

pub(super) fn lowering(name: &str) -> Option<Lower> {
    Some(match name {
        "BatchNormalization" => batch_norm,
        "InstanceNormalization" => instance_norm,
        "GroupNormalization" => group_norm,
        "LayerNormalization" => layer_norm,
        "RMSNormalization" => rms_norm,
        "LpNormalization" => lp_norm,
        "MeanVarianceNormalization" => mean_variance,
        _ => return None,
    })
}

/// Frozen numbers of an input.
fn frozen(l: &Lowering, n: &Node<'_>, at: usize) -> Made<Tensor> {
    match n.weights(at)? {
        Some(operand) => l.tensor_of(operand)?.map_or_else(|| wrong("weights without numbers"), Ok),
        None => wrong(format!("its input {at} is missing")),
    }
}

fn row(l: &Lowering, n: &Node<'_>, at: usize, channels: usize) -> Made<Tensor> {
    let row = frozen(l, n, at)?;
    if row.dims() == [channels] {
        Ok(row)
    } else {
        wrong(format!("its input {at} is {:?}, for {channels} channels", row.dims()))
    }
}

fn channels(x: &Operand) -> Made<usize> {
    x.shape().get(1).copied().map_or_else(|| wrong(format!("a tensor {:?} has no channels", x.shape())), Ok)
}

fn batch_norm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let c = channels(x)?;
    let eps = n.float("epsilon", 1e-5);
    if n.int("training_mode", 0) != 0 {
        return standardised(l, n, eps);
    }
    if (1..=4).any(|at| n.maybe(at).is_none_or(|of| of.tensor().is_none())) {
        return statistics(l, n, eps);
    }
    let [scale, bias, mean, variance] = [row(l, n, 1, c)?, row(l, n, 2, c)?, row(l, n, 3, c)?, row(l, n, 4, c)?];
    one(l.on(BatchNorm::new(&scale, &bias, &mean, &variance, eps)?, x))
}

/// Frozen numbers by their own statistics: how networks without norms (NFNet, BiT) standardise their weights.
fn standardised(l: &mut Lowering, n: &Node<'_>, eps: f64) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    if x.tensor().is_none() {
        return beyond("it is in training mode; export the network after model.eval()");
    }
    let axes: Vec<usize> = (0..x.rank()).filter(|axis| *axis != 1).collect();
    let mean = l.reduce(Reduction::Mean, x, &axes, true)?;
    let centred = l.pairwise(Arithmetic::Subtract, x, &mean)?;
    let squares = l.power(&centred, 2.0)?;
    let variance = l.reduce(Reduction::Mean, &squares, &axes, true)?;
    scaled(l, n, &centred, &variance, eps)
}

/// A batch norm whose statistics the network computes: (x - mean) / sqrt(variance + eps) scale + bias.
fn statistics(l: &mut Lowering, n: &Node<'_>, eps: f64) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let mut shape = vec![1; x.rank()];
    shape[1] = channels(x)?;
    let (mean, variance) = (l.reshape(n.input(3)?, &shape)?, l.reshape(n.input(4)?, &shape)?);
    let centred = l.pairwise(Arithmetic::Subtract, x, &mean)?;
    scaled(l, n, &centred, &variance, eps)
}

/// centred / sqrt(variance + eps) scale + bias
fn scaled(l: &mut Lowering, n: &Node<'_>, centred: &Operand, variance: &Operand, eps: f64) -> Made<Vec<Operand>> {
    let mut shape = vec![1; centred.rank()];
    shape[1] = channels(centred)?;
    let (scale, bias) = (l.reshape(n.input(1)?, &shape)?, l.reshape(n.input(2)?, &shape)?);
    let variance = l.affine(variance, 1.0, eps)?;
    let deviation = l.function(Function::Sqrt, &variance)?;
    let normed = l.pairwise(Arithmetic::Divide, centred, &deviation)?;
    let scaled = l.pairwise(Arithmetic::Multiply, &normed, &scale)?;
    one(l.pairwise(Arithmetic::Add, &scaled, &bias))
}

fn instance_norm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, c) = (n.input(0)?, channels(n.input(0)?)?);
    let (scale, bias) = (row(l, n, 1, c)?, row(l, n, 2, c)?);
    one(l.on(GroupNorm::new(&scale, &bias, c, n.float("epsilon", 1e-5))?, x))
}

/// Weights of each group in opset 18, of each channel from 21 on.
fn group_norm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, c) = (n.input(0)?, channels(n.input(0)?)?);
    let groups = usize::try_from(n.int("num_groups", 0)).unwrap_or(0);
    if groups == 0 || c % groups != 0 {
        return wrong(format!("{c} channels in {groups} groups"));
    }
    let by_channel = |numbers: Tensor| -> Made<Tensor> {
        if n.opset < 21 && numbers.dims() == [groups] {
            return Ok(numbers.unsqueeze(1)?.broadcast_as((groups, c / groups))?.flatten_all()?);
        }
        Ok(numbers)
    };
    let (scale, bias) = (by_channel(frozen(l, n, 1)?)?, by_channel(frozen(l, n, 2)?)?);
    if scale.dims() != [c] || bias.dims() != [c] {
        return wrong(format!("weights {:?} and {:?} for {c} channels", scale.dims(), bias.dims()));
    }
    one(l.on(GroupNorm::new(&scale, &bias, groups, n.float("epsilon", 1e-5))?, x))
}

fn layer_norm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let axis = n.axis(-1, x.rank())?;
    let sides = x.shape()[axis..].to_vec();
    let of_sides = |l: &Lowering, at: usize| -> Made<Option<Tensor>> {
        let Some(operand) = n.maybe(at).filter(|operand| operand.tensor().is_some()) else { return Ok(None) };
        let fits = broadcast(operand.shape(), &sides).is_ok_and(|shape| shape == sides);
        let Some(tensor) = l.tensor_of(operand)?.filter(|_| fits) else { return Ok(None) };
        Ok(Some(tensor.broadcast_as(sides.as_slice())?.contiguous()?))
    };
    let (scale, bias) = (of_sides(l, 1)?, of_sides(l, 2)?);
    let norm = LayerNorm::new(&sides, scale.as_ref(), bias.as_ref(), n.float("epsilon", 1e-5))?;
    let y = l.on(norm, x)?;
    // What is not frozen stands beside it.
    let y = match n.maybe(1) {
        Some(given) if scale.is_none() => l.pairwise(Arithmetic::Multiply, &y, given)?,
        _ => y,
    };
    let y = match n.maybe(2) {
        Some(given) if bias.is_none() => l.pairwise(Arithmetic::Add, &y, given)?,
        _ => y,
    };
    if !n.wants_more() {
        return Ok(vec![y]);
    }
    let [mean, deviation] = mean_and_deviation(l, n, x, axis)?;
    Ok(vec![y, mean, deviation])
}

/// The mean of each sample of a layer norm, and 1 / its standard deviation.
fn mean_and_deviation(l: &mut Lowering, n: &Node<'_>, x: &Operand, axis: usize) -> Made<[Operand; 2]> {
    let axes: Vec<usize> = (axis..x.rank()).collect();
    let mean = l.reduce(Reduction::Mean, x, &axes, true)?;
    let distance = l.pairwise(Arithmetic::Subtract, x, &mean)?;
    let squares = l.function(Function::Power(2.0), &distance)?;
    let variance = l.reduce(Reduction::Mean, &squares, &axes, true)?;
    let variance = l.affine(&variance, 1.0, n.float("epsilon", 1e-5))?;
    let deviation = l.function(Function::Sqrt, &variance)?;
    Ok([mean, l.function(Function::Reciprocal, &deviation)?])
}

/// x / sqrt(mean(x^2) + eps) scale
fn rms_norm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let axes: Vec<usize> = (n.axis(-1, x.rank())?..x.rank()).collect();
    let squares = l.function(Function::Power(2.0), x)?;
    let mean = l.reduce(Reduction::Mean, &squares, &axes, true)?;
    let mean = l.affine(&mean, 1.0, n.float("epsilon", 1e-5))?;
    let size = l.function(Function::Sqrt, &mean)?;
    let y = l.pairwise(Arithmetic::Divide, x, &size)?;
    one(l.pairwise(Arithmetic::Multiply, &y, n.input(1)?))
}

/// x over its length along an axis.
fn lp_norm(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let axis = n.axis(-1, x.rank())?;
    let size = if n.int("p", 2) == 1 {
        let sizes = l.function(Function::Abs, x)?;
        l.reduce(Reduction::Sum, &sizes, &[axis], true)?
    } else {
        let squares = l.function(Function::Power(2.0), x)?;
        let sum = l.reduce(Reduction::Sum, &squares, &[axis], true)?;
        l.function(Function::Sqrt, &sum)?
    };
    one(l.pairwise(Arithmetic::Divide, x, &size))
}

/// Mean 0 and deviation 1 over some axes.
fn mean_variance(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    const EPS: f64 = 1e-9;
    let x = n.input(0)?;
    let axes = n.ints("axes").unwrap_or(&[0, 2, 3]).iter();
    let axes = axes.map(|axis| crate::exchange::lower::axis_of(*axis, x.rank())).collect::<Made<Vec<_>>>()?;
    let mean = l.reduce(Reduction::Mean, x, &axes, true)?;
    let centred = l.pairwise(Arithmetic::Subtract, x, &mean)?;
    let squares = l.function(Function::Power(2.0), &centred)?;
    let variance = l.reduce(Reduction::Mean, &squares, &axes, true)?;
    let deviation = l.function(Function::Sqrt, &variance)?;
    let deviation = l.affine(&deviation, 1.0, EPS)?;
    one(l.pairwise(Arithmetic::Divide, &centred, &deviation))
}
