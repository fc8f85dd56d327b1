//! Batch, instance, group, layer and root-mean-square norms.

use candle_core::{DType, Device, Tensor};

use super::super::call::{Call, Item, Lower};
use crate::exchange::lower::{Made, Operand, beyond, wrong};
use crate::graph::ops::{Arithmetic, BatchNorm, Function, GroupNorm, LayerNorm, Reduction};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "batch_norm"
        | "native_batch_norm"
        | "cudnn_batch_norm"
        | "_native_batch_norm_legit"
        | "_native_batch_norm_legit_no_training"
        | "_batch_norm_no_update"
        | "miopen_batch_norm" => batch_norm,
        "instance_norm" => instance_norm,
        "group_norm" | "native_group_norm" => group_norm,
        "layer_norm" | "native_layer_norm" => layer_norm,
        "rms_norm" | "_fused_rms_norm" => rms_norm,
        "_weight_norm" | "_weight_norm_interface" => weight_norm,
        _ => return None,
    })
}

/// Numbers that no input changes; none where they are left out.
fn frozen(call: &Call<'_>, name: &str) -> Made<Option<Tensor>> {
    let Some(operand) = call.optional(name)? else { return Ok(None) };
    match call.low.tensor_of(&operand)? {
        Some(tensor) => Ok(Some(tensor)),
        None => beyond(format!("its {name} depends on the input")),
    }
}

/// Numbers by channel, or the same for each.
fn by_channel(call: &Call<'_>, name: &str, channels: usize, default: f64) -> Made<Tensor> {
    let numbers = match frozen(call, name)? {
        Some(numbers) => numbers,
        None => Tensor::full(default, channels, &Device::Cpu)?.to_dtype(DType::F64)?,
    };
    if numbers.dims() != [channels] {
        return wrong(format!("its {name} is {:?}, for {channels} channels", numbers.dims()));
    }
    Ok(numbers)
}

fn channels_of(x: &Operand) -> Made<usize> {
    match x.shape() {
        [_, channels, ..] => Ok(*channels),
        other => wrong(format!("a norm of {other:?}, which has no channels")),
    }
}

fn by_statistics(call: &mut Call<'_>, x: &Operand, eps: f64) -> Made<Item> {
    let channels = channels_of(x)?;
    let [weight, bias] = [by_channel(call, "weight", channels, 1.0)?, by_channel(call, "bias", channels, 0.0)?];
    let [mean, var] =
        [by_channel(call, "running_mean", channels, 0.0)?, by_channel(call, "running_var", channels, 1.0)?];
    Ok(call.low.on(BatchNorm::new(&weight, &bias, &mean, &var, eps)?, x)?.into())
}

fn batch_norm(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let eps = call.float("eps", 1e-5)?;
    let eps = call.number("epsilon")?.unwrap_or(eps);
    if call.optional("running_mean")?.is_none() {
        // The statistics of a batch of one are those of each of its channels: what an instance norm comes to.
        let channels = channels_of(&x)?;
        return match x.shape().first() {
            Some(1) => grouped(call, &x, channels, eps),
            _ => beyond("it has no running statistics, and norms each batch by its own"),
        };
    }
    if call.bool("training", false)? {
        return beyond("it is in training mode: call model.eval() before the export");
    }
    by_statistics(call, &x, eps)
}

fn instance_norm(call: &mut Call<'_>) -> Made<Item> {
    let (x, eps) = (call.tensor("input")?, call.float("eps", 1e-5)?);
    if !call.bool("use_input_stats", true)? {
        return by_statistics(call, &x, eps);
    }
    let channels = channels_of(&x)?;
    grouped(call, &x, channels, eps)
}

fn group_norm(call: &mut Call<'_>) -> Made<Item> {
    let (x, eps) = (call.tensor("input")?, call.float("eps", 1e-5)?);
    let groups = call.int("num_groups", 0)?.max(call.int("group", 0)?);
    grouped(call, &x, usize::try_from(groups).unwrap_or(0), eps)
}

fn grouped(call: &mut Call<'_>, x: &Operand, groups: usize, eps: f64) -> Made<Item> {
    let channels = channels_of(x)?;
    let [weight, bias] = [by_channel(call, "weight", channels, 1.0)?, by_channel(call, "bias", channels, 0.0)?];
    Ok(call.low.on(GroupNorm::new(&weight, &bias, groups, eps)?, x)?.into())
}

/// The last sides that a norm is over.
fn sides(call: &Call<'_>, x: &Operand) -> Made<Vec<usize>> {
    let given = call.ints("normalized_shape")?.unwrap_or_default();
    let sides: Vec<usize> = given.iter().filter_map(|side| usize::try_from(*side).ok()).collect();
    if given.is_empty() || !x.shape().ends_with(&sides) || sides.len() != given.len() {
        return wrong(format!("a norm over {given:?} of a tensor {:?}", x.shape()));
    }
    Ok(sides)
}

fn layer_norm(call: &mut Call<'_>) -> Made<Item> {
    let (x, eps) = (call.tensor("input")?, call.float("eps", 1e-5)?);
    let sides = sides(call, &x)?;
    let [weight, bias] = [frozen(call, "weight")?, frozen(call, "bias")?];
    Ok(call.low.on(LayerNorm::new(&sides, weight.as_ref(), bias.as_ref(), eps)?, &x)?.into())
}

/// x / sqrt(mean(x^2) + eps) weight
fn rms_norm(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let eps = call.number("eps")?.unwrap_or(f64::from(f32::EPSILON));
    let count = sides(call, &x)?.len();
    let axes: Vec<usize> = (x.rank() - count..x.rank()).collect();
    let squares = call.low.power(&x, 2.0)?;
    let mean = call.low.reduce(Reduction::Mean, &squares, &axes, true)?;
    let mean = call.low.affine(&mean, 1.0, eps)?;
    let rate = call.low.function(Function::Power(-0.5), &mean)?;
    let y = call.low.pairwise(Arithmetic::Multiply, &x, &rate)?;
    Ok(match call.optional("weight")? {
        Some(weight) => call.low.pairwise(Arithmetic::Multiply, &y, &weight)?,
        None => y,
    }
    .into())
}

/// g v / |v|, the length over all axes but one; and that length, which nothing but training needs.
fn weight_norm(call: &mut Call<'_>) -> Made<Item> {
    let (v, g) = (call.tensor("v")?, call.tensor("g")?);
    let axes: Vec<usize> = match call.int("dim", 0)? {
        -1 => (0..v.rank()).collect(),
        dim => {
            let stays = super::super::call::axis_of(dim, v.rank())?;
            (0..v.rank()).filter(|axis| *axis != stays).collect()
        }
    };
    let squares = call.low.power(&v, 2.0)?;
    let sum = call.low.reduce(Reduction::Sum, &squares, &axes, true)?;
    let length = call.low.function(Function::Sqrt, &sum)?;
    let rate = call.low.pairwise(Arithmetic::Divide, &g, &length)?;
    let weight = call.low.pairwise(Arithmetic::Multiply, &v, &rate)?;
    if super::base(call.node.operation()) == Some("_weight_norm") {
        return Ok(weight.into());
    }
    Ok(vec![weight, length].into())
}
