//! Numbers that depend on the sizes of the inputs, which are known when a graph is made; and checks, which give nothing.

use super::super::call::{Call, Item, Lower};
use crate::exchange::lower::{Made, beyond, wrong};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "sym_size" | "size" => |call| {
            let x = call.x()?;
            let axis = call.axis("dim", 0, x.rank())?;
            Ok(Item::Int(x.shape().get(axis).copied().unwrap_or(1) as i64))
        },
        "sym_numel" | "numel" => |call| Ok(Item::Int(call.x()?.count() as i64)),
        "sym_stride" => |_| beyond("it asks how numbers lie in memory"),
        "item" | "_local_scalar_dense" => |call| {
            let x = call.x()?;
            match (x.scalar(), x.kind) {
                (Some(number), crate::exchange::lower::Meaning::Real) => Ok(Item::Float(number)),
                (Some(number), _) => Ok(Item::Int(number as i64)),
                (None, _) => beyond("it makes a number of the input"),
            }
        },
        "add" | "mul" | "sub" | "floordiv" | "truediv" | "mod" | "pow" | "sym_max" | "sym_min" => two,
        "neg" | "sym_int" | "sym_float" | "sym_ite" | "trunc" | "floor" | "ceil" | "sqrt" | "sym_not" | "not"
        | "sym_sqrt" | "round" => one,
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and_" | "or_" => compared,
        "getitem" => getitem,
        "_assert_scalar"
        | "_assert_tensor_metadata"
        | "_assert_async"
        | "sym_constrain_range"
        | "sym_constrain_range_for_size"
        | "_assert"
        | "_check" => |_| Ok(Item::None),
        _ => return None,
    })
}

/// The argument at a place, as a number.
fn number(call: &Call<'_>, at: usize) -> Made<f64> {
    let name = call.node.inputs.get(at).map(|input| input.name.as_str());
    match name.map(|name| call.number(name)).transpose()?.flatten() {
        Some(number) => Ok(number),
        None => wrong("it lacks a number"),
    }
}

fn is_real(call: &Call<'_>) -> Made<bool> {
    for input in &call.node.inputs {
        if let Item::Float(_) = call.item(&input.name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whole numbers up to here are exact in f64.
const MOST_WHOLE: f64 = (1_u64 << 53) as f64;

/// A number as what it was made of: whole numbers stay whole.
fn made(number: f64, is_real: bool) -> Made<Item> {
    if is_real {
        return Ok(Item::Float(number));
    }
    if number.fract() == 0.0 && number.abs() <= MOST_WHOLE {
        Ok(Item::Int(number as i64))
    } else {
        wrong(format!("a size of {number}"))
    }
}

fn two(call: &mut Call<'_>) -> Made<Item> {
    let ([a, b], is_real) = ([number(call, 0)?, number(call, 1)?], is_real(call)?);
    let y = match super::base(call.node.operation()) {
        Some("add") => a + b,
        Some("sub") => a - b,
        Some("mul") => a * b,
        Some("truediv") => return made(a / b, true),
        Some("floordiv" | "mod") if b == 0.0 => return wrong("a division by 0"),
        Some("floordiv") => (a / b).floor(),
        Some("mod") => a - b * (a / b).floor(),
        Some("pow") => a.powf(b),
        Some("sym_max") => a.max(b),
        _ => a.min(b),
    };
    made(y, is_real)
}

fn one(call: &mut Call<'_>) -> Made<Item> {
    let (a, is_real) = (number(call, 0)?, is_real(call)?);
    match super::base(call.node.operation()) {
        Some("neg") => made(-a, is_real),
        Some("sym_float") => made(a, true),
        Some("sqrt" | "sym_sqrt") => made(a.sqrt(), true),
        Some("floor") => made(a.floor(), false),
        Some("ceil") => made(a.ceil(), false),
        Some("round") => made(a.round_ties_even(), false),
        Some("sym_not" | "not") => Ok(Item::Bool(a == 0.0)),
        Some("sym_ite") => made(if a == 0.0 { number(call, 2)? } else { number(call, 1)? }, is_real),
        _ => made(a.trunc(), false),
    }
}

fn compared(call: &mut Call<'_>) -> Made<Item> {
    let [a, b] = [number(call, 0)?, number(call, 1)?];
    Ok(Item::Bool(match super::base(call.node.operation()) {
        Some("eq") => a == b,
        Some("ne") => a != b,
        Some("lt") => a < b,
        Some("le") => a <= b,
        Some("gt") => a > b,
        Some("ge") => a >= b,
        Some("and_") => a != 0.0 && b != 0.0,
        _ => a != 0.0 || b != 0.0,
    }))
}

/// One of a list.
fn getitem(call: &mut Call<'_>) -> Made<Item> {
    let [list, at] = [0, 1].map(|which| call.node.inputs.get(which).map(|input| call.item(&input.name)));
    match (list.transpose()?, at.transpose()?) {
        (Some(Item::List(list)), Some(Item::Int(at))) => match usize::try_from(at).ok().and_then(|at| list.get(at)) {
            Some(item) => Ok(item.clone()),
            None => wrong(format!("place {at} of a list of {}", list.len())),
        },
        (Some(item @ Item::Tensor(_)), Some(Item::Int(0))) => Ok(item),
        _ => wrong("it takes of what is no list"),
    }
}
