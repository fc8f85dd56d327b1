//! Tensors that nodes make of sizes and numbers, and tensors as another type.

use candle_core::{DType, Device, Tensor};

use super::super::archive::type_of;
use super::super::call::{Call, Item, Lower, scalar};
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, beyond, broadcast, counted, wrong};
use crate::graph::ops::Steps;

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "zeros" | "new_zeros" | "empty" | "new_empty" | "empty_strided" | "new_empty_strided" | "empty_permuted" => {
            |call| filled(call, 0.0)
        }
        "ones" | "new_ones" => |call| filled(call, 1.0),
        "full" | "new_full" => |call| {
            let value = call.float("fill_value", 0.0)?;
            filled(call, value)
        },
        "zeros_like" | "empty_like" => |call| like(call, 0.0),
        "ones_like" => |call| like(call, 1.0),
        "full_like" => |call| {
            let value = call.float("fill_value", 0.0)?;
            like(call, value)
        },
        "arange" => arange,
        "linspace" => linspace,
        "scalar_tensor" | "tensor" => |call| {
            let x = call.tensor("s")?;
            converted(call, x)
        },
        "eye" => eye,
        "meshgrid" => meshgrid,
        "_to_copy" | "to" | "type_as" | "float" | "double" | "long" | "int" | "bool" | "_cast_Float" => |call| {
            let x = call.x()?;
            converted(call, x)
        },
        _ => return None,
    })
}

/// What numbers of a type of the schema stand for.
pub(in super::super) fn kind_of_type(number: u64) -> Made<Meaning> {
    match number {
        1..=5 => Ok(Meaning::Whole),
        7 | 8 => Ok(Meaning::Real),
        12 => Ok(Meaning::Truth),
        _ => beyond(format!("it computes in {}: export the network in float32 (model.float())", type_of(number).0)),
    }
}

/// The kind that is asked for, or another.
fn kind(call: &Call<'_>, default: Meaning) -> Made<Meaning> {
    call.scalar_type("dtype").map_or(Ok(default), kind_of_type)
}

fn of(call: &mut Call<'_>, kind: Meaning, value: f64, shape: &[usize]) -> Made<Item> {
    counted(shape)?;
    call.low.afford_numbers(shape)?;
    Ok(Operand::known(kind, Tensor::full(value, shape, &Device::Cpu)?.contiguous()?).into())
}

fn filled(call: &mut Call<'_>, value: f64) -> Made<Item> {
    let given = call.ints("size")?.unwrap_or_default();
    let shape: Vec<usize> = given.iter().filter_map(|side| usize::try_from(*side).ok()).collect();
    if shape.len() != given.len() {
        return wrong(format!("a tensor {given:?}"));
    }
    let default = match (call.optional("self")?, call.item("fill_value")?) {
        (Some(x), _) => x.kind,
        (None, Item::Int(_)) => Meaning::Whole,
        (None, Item::Bool(_)) => Meaning::Truth,
        _ => Meaning::Real,
    };
    let kind = kind(call, default)?;
    of(call, kind, value, &shape)
}

fn like(call: &mut Call<'_>, value: f64) -> Made<Item> {
    let x = call.tensor("self")?;
    let kind = kind(call, x.kind)?;
    of(call, kind, value, x.shape())
}

fn arange(call: &mut Call<'_>) -> Made<Item> {
    let Some(end) = call.number("end")? else { return wrong("it lacks its end") };
    let [start, step] = [call.float("start", 0.0)?, call.float("step", 1.0)?];
    let count = ((end - start) / step).ceil();
    if !(0.0..=f64::from(u32::MAX)).contains(&count) {
        return wrong(format!("numbers from {start} to {end} by steps of {step}"));
    }
    let is_real = ["start", "end", "step"].iter().any(|name| matches!(call.item(name), Ok(Item::Float(_))));
    let kind = kind(call, if is_real { Meaning::Real } else { Meaning::Whole })?;
    call.low.afford_numbers(&[count as usize])?;
    let numbers: Vec<f64> = (0..count as usize).map(|at| start + step * at as f64).collect();
    let length = numbers.len();
    Ok(Operand::known(kind, Tensor::from_vec(numbers, length, &Device::Cpu)?).into())
}

fn linspace(call: &mut Call<'_>) -> Made<Item> {
    let ([start, end], steps) = ([call.float("start", 0.0)?, call.float("end", 0.0)?], call.sizes("steps", 1, 1)?[0]);
    call.low.afford_numbers(&[steps])?;
    let last = steps.max(2) as f64 - 1.0;
    let numbers: Vec<f64> = (0..steps).map(|at| start + (end - start) * at as f64 / last).collect();
    Ok(Operand::known(Meaning::Real, Tensor::from_vec(numbers, steps, &Device::Cpu)?).into())
}

fn eye(call: &mut Call<'_>) -> Made<Item> {
    let rows = call.sizes("n", 1, 1)?[0];
    let columns = if call.item("m")?.is_none() { rows } else { call.sizes("m", 1, 1)?[0] };
    call.low.afford_numbers(&[rows, columns])?;
    let of = |at: usize| f64::from(u8::from(at / columns.max(1) == at % columns.max(1)));
    let numbers: Vec<f64> = (0..rows * columns).map(of).collect();
    let kind = kind(call, Meaning::Real)?;
    Ok(Operand::known(kind, Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)?).into())
}

fn meshgrid(call: &mut Call<'_>) -> Made<Item> {
    let tensors = call.tensors("tensors")?;
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    let by_columns = call.text("indexing") == Some("xy") && tensors.len() > 1;
    if by_columns {
        order.swap(0, 1);
    }
    let shape = order.iter().fold(Vec::new(), |shape, which| [shape, vec![tensors[*which].count()]].concat());
    let mut grids = Vec::with_capacity(tensors.len());
    for (which, tensor) in tensors.iter().enumerate() {
        let axis = order.iter().position(|at| *at == which).unwrap_or(which);
        let mut sides = vec![1; tensors.len()];
        sides[axis] = tensor.count();
        let line = call.low.reshape(tensor, &sides)?;
        let whole = broadcast(&sides, &shape)?;
        grids.push(call.low.expand(&line, &whole)?);
    }
    Ok(grids.into())
}

/// A tensor as another type.
fn converted(call: &mut Call<'_>, x: Operand) -> Made<Item> {
    let to = match super::base(call.node.operation()) {
        Some("type_as") => call.tensor("other")?.kind,
        Some("to") if call.node.argument("other").is_some() => call.tensor("other")?.kind,
        Some("float" | "double" | "_cast_Float") => Meaning::Real,
        Some("long" | "int") => Meaning::Whole,
        Some("bool") => Meaning::Truth,
        _ => kind(call, x.kind)?,
    };
    Ok(match (x.kind, to) {
        (from, to) if from == to => x,
        (Meaning::Real, Meaning::Whole) => {
            let whole = call.low.on(Steps::Truncate, &x)?;
            Lowering::as_whole(whole)?
        }
        (_, Meaning::Truth) => {
            let zero = scalar(x.kind, 0.0)?;
            let is_zero = call.low.pairwise(crate::graph::ops::Arithmetic::Equal, &x, &zero)?;
            call.low.not(&is_zero)?
        }
        _ => match x.tensor() {
            Some(tensor) => Operand::known(to, tensor.to_dtype(DType::F64)?),
            None => x.called(to),
        },
    }
    .into())
}
