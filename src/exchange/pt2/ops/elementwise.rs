//! Functions of single numbers, arithmetic of two tensors, and choices between them.

use super::super::call::{Call, Item, Lower, scalar};
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, beyond, wrong};
use crate::graph::ops::{Arithmetic, AtZero, Clip, Function, LeakyRelu, Relu, Steps, Swish};

pub(super) fn find(base: &str) -> Option<Lower> {
    functions(base).or_else(|| bent(base)).or_else(|| arithmetic(base)).or_else(|| truths(base))
}

/// A function of the first argument.
macro_rules! function {
    ($function:expr) => {
        |call| {
            let x = real(call.x()?);
            Ok(call.low.function($function, &x)?.into())
        }
    };
}

/// An operation on the first argument.
macro_rules! on {
    ($operation:expr) => {
        |call| {
            let x = call.x()?;
            Ok(call.low.on($operation, &x)?.into())
        }
    };
}

fn functions(base: &str) -> Option<Lower> {
    Some(match base {
        "sigmoid" | "special_expit" => function!(Function::Sigmoid),
        "tanh" => function!(Function::Tanh),
        "exp" => function!(Function::Exp),
        "sqrt" => function!(Function::Sqrt),
        "rsqrt" => function!(Function::Power(-0.5)),
        "reciprocal" => function!(Function::Reciprocal),
        "log" => function!(Function::Log),
        "erf" | "special_erf" => function!(Function::Erf),
        "abs" => on!(Function::Abs),
        "mish" => function!(Function::Mish),
        "sin" => function!(Function::Sin),
        "cos" => function!(Function::Cos),
        "tan" => function!(Function::Tan),
        "asin" | "arcsin" => function!(Function::Asin),
        "acos" | "arccos" => function!(Function::Acos),
        "atan" | "arctan" => function!(Function::Atan),
        "sinh" => function!(Function::Sinh),
        "cosh" => function!(Function::Cosh),
        "asinh" | "arcsinh" => function!(Function::Asinh),
        "acosh" | "arccosh" => function!(Function::Acosh),
        "atanh" | "arctanh" => function!(Function::Atanh),
        "log1p" | "special_log1p" => function!(Function::Log1p),
        "expm1" | "special_expm1" => function!(Function::Expm1),
        "square" => on!(Function::Power(2.0)),
        "floor" => on!(Steps::Floor),
        "ceil" => on!(Steps::Ceil),
        "trunc" | "fix" => on!(Steps::Truncate),
        "sign" | "sgn" => on!(Steps::Sign),
        "relu" => on!(Relu(AtZero::Nothing)),
        "silu" => on!(Swish),
        "neg" => |call| by_line(call, -1.0, 0.0),
        _ => return None,
    })
}

fn bent(base: &str) -> Option<Lower> {
    Some(match base {
        "gelu" => gelu,
        "leaky_relu" => leaky_relu,
        "prelu" | "_prelu_kernel" => prelu,
        "relu6" => |call| {
            let x = call.x()?;
            above_zero(call, &x, 6.0)
        },
        "elu" | "celu" | "selu" => elu,
        "softplus" => softplus,
        "log_sigmoid" | "log_sigmoid_forward" => |call| {
            let x = call.x()?;
            let x = call.low.affine(&x, -1.0, 0.0)?;
            let y = call.low.function(Function::Softplus, &x)?;
            Ok(call.low.affine(&y, -1.0, 0.0)?.into())
        },
        "hardsigmoid" => function!(HARD_SIGMOID),
        "hardswish" => |call| {
            let x = call.x()?;
            let gate = call.low.function(HARD_SIGMOID, &x)?;
            Ok(call.low.pairwise(Arithmetic::Multiply, &x, &gate)?.into())
        },
        "hardtanh" => hardtanh,
        "clamp" | "clip" | "clamp_min" | "clamp_max" => clamp,
        "softshrink" => |call| {
            let (x, bound) = (call.x()?, call.float("lambd", 0.5)?);
            let inside = call.low.on(Clip { low: -bound, high: bound }, &x)?;
            Ok(call.low.pairwise(Arithmetic::Subtract, &x, &inside)?.into())
        },
        "hardshrink" => |call| {
            let (x, bound) = (call.x()?, call.float("lambd", 0.5)?);
            let size = call.low.function(Function::Abs, &x)?;
            beyond_bound(call, &x, &size, [bound, 0.0])
        },
        "threshold" => |call| {
            let (x, bound) = (call.x()?, [call.float("threshold", 0.0)?, call.float("value", 0.0)?]);
            beyond_bound(call, &x, &x, bound)
        },
        _ => return None,
    })
}

/// PyTorch's: min(max(x + 3, 0), 6) / 6.
const HARD_SIGMOID: Function = Function::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 };
/// Slope and scale of the self-normalising exponential unit. Source: Klambauer et al. 2017, arXiv 1706.02515.
const SELU: [f64; 2] = [1.673_263_242_354_377_2, 1.050_700_987_355_480_5];

fn arithmetic(base: &str) -> Option<Lower> {
    Some(match base {
        "add" => |call| sum(call, ["self", "other"], 1.0),
        "sub" | "subtract" => |call| sum(call, ["self", "other"], -1.0),
        "rsub" => |call| sum(call, ["other", "self"], -1.0),
        "mul" | "multiply" => |call| pair(call, Arithmetic::Multiply),
        "div" | "divide" | "true_divide" => divide,
        "floor_divide" => |call| {
            let kinds = [call.tensor("self")?.kind, call.tensor("other")?.kind];
            let y = quotient(call)?;
            let y = call.low.on(Steps::Floor, &y)?;
            Ok(of_kind(y, kinds)?.into())
        },
        "remainder" | "fmod" => remainder,
        "maximum" => |call| pair(call, Arithmetic::Larger),
        "minimum" => |call| pair(call, Arithmetic::Smaller),
        "pow" => power,
        "addcmul" => |call| fused(call, Arithmetic::Multiply),
        "addcdiv" => |call| fused(call, Arithmetic::Divide),
        "lerp" => lerp,
        "glu" => glu,
        _ => return None,
    })
}

fn truths(base: &str) -> Option<Lower> {
    Some(match base {
        "eq" => |call| pair(call, Arithmetic::Equal),
        "gt" | "greater" => |call| pair(call, Arithmetic::Greater),
        "lt" | "less" => |call| pair(call, Arithmetic::Less),
        "ne" | "not_equal" => |call| not_pair(call, Arithmetic::Equal),
        "ge" | "greater_equal" => |call| not_pair(call, Arithmetic::Less),
        "le" | "less_equal" => |call| not_pair(call, Arithmetic::Greater),
        "logical_not" | "bitwise_not" => |call| {
            let x = call.x()?;
            let [x, _] = truths_of(call, x.clone(), x)?;
            Ok(call.low.not(&x)?.into())
        },
        "logical_xor" | "bitwise_xor" | "__xor__" => |call| {
            let same = both(call, Arithmetic::Equal)?;
            Ok(call.low.not(&same)?.into())
        },
        "logical_and" | "bitwise_and" | "__and__" => |call| Ok(both(call, Arithmetic::Multiply)?.into()),
        "logical_or" | "bitwise_or" | "__or__" => |call| Ok(both(call, Arithmetic::Larger)?.into()),
        "where" => choose,
        "masked_fill" => masked_fill,
        _ => return None,
    })
}

/// Takes numbers as real ones.
pub(super) fn real(x: Operand) -> Operand {
    x.called(Meaning::Real)
}

/// Two operands of the kind that PyTorch computes both in.
pub(super) fn alike(a: Operand, b: Operand) -> [Operand; 2] {
    match (a.kind, b.kind) {
        (a_kind, b_kind) if a_kind == b_kind => [a, b],
        (Meaning::Real, _) | (_, Meaning::Real) => [real(a), real(b)],
        _ => [a.called(Meaning::Whole), b.called(Meaning::Whole)],
    }
}

fn two(call: &Call<'_>, names: [&str; 2]) -> Made<[Operand; 2]> {
    Ok(alike(call.tensor(names[0])?, call.tensor(names[1])?))
}

fn by_line(call: &mut Call<'_>, slope: f64, offset: f64) -> Made<Item> {
    let x = call.x()?;
    Ok(call.low.affine(&x, slope, offset)?.into())
}

fn gelu(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let function = match call.text("approximate") {
        None | Some("none") => Function::Gelu,
        Some("tanh") => Function::GeluTanh,
        Some(other) => return wrong(format!("its approximation is {other:?}")),
    };
    Ok(call.low.function(function, &x)?.into())
}

fn leaky_relu(call: &mut Call<'_>) -> Made<Item> {
    let (x, slope) = (call.x()?, call.float("negative_slope", 0.01)?);
    Ok(call.low.on(LeakyRelu { slopes: vec![slope] }, &x)?.into())
}

fn prelu(call: &mut Call<'_>) -> Made<Item> {
    let (x, weight) = (call.x()?, call.tensor("weight")?);
    let Some(slopes) = weight.numbers() else { return beyond("its slopes depend on the input") };
    Ok(call.low.on(LeakyRelu { slopes }, &x)?.into())
}

/// x where a measure of it is above a bound, else another number.
fn beyond_bound(call: &mut Call<'_>, x: &Operand, measure: &Operand, [bound, other]: [f64; 2]) -> Made<Item> {
    let above = call.low.pairwise(Arithmetic::Greater, measure, &scalar(Meaning::Real, bound)?)?;
    let other = scalar(Meaning::Real, other)?;
    Ok(call.low.choose(&above, x, &other)?.into())
}

/// scale (x, or alpha (e^(rate x) - 1) where x is negative)
fn elu(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let [alpha, scale, rate] = match super::base(call.node.operation()) {
        Some("selu") => [SELU[0], SELU[1], 1.0],
        Some("celu") => {
            let alpha = call.float("alpha", 1.0)?;
            [alpha, 1.0, 1.0 / alpha]
        }
        _ => [call.float("alpha", 1.0)?, call.float("scale", 1.0)?, call.float("input_scale", 1.0)?],
    };
    if rate == 0.0 || !rate.is_finite() {
        return wrong("a rate of 0");
    }
    // In the units of the exponent: x = (rate x) / rate where x is positive.
    let x = call.low.affine(&x, rate, 0.0)?;
    let y = call.low.function(Function::Elu(alpha * rate), &x)?;
    Ok(call.low.affine(&y, scale / rate, 0.0)?.into())
}

fn softplus(call: &mut Call<'_>) -> Made<Item> {
    let (x, beta) = (call.x()?, call.float("beta", 1.0)?);
    if beta == 0.0 {
        return wrong("a softplus of beta 0");
    }
    let x = call.low.affine(&x, beta, 0.0)?;
    let y = call.low.function(Function::Softplus, &x)?;
    Ok(call.low.affine(&y, 1.0 / beta, 0.0)?.into())
}

fn clipped(call: &mut Call<'_>, names: [&str; 2], defaults: [f64; 2]) -> Made<Item> {
    let (low, high) = (call.float(names[0], defaults[0])?, call.float(names[1], defaults[1])?);
    let x = call.x()?;
    Ok(call.low.on(Clip { low, high }, &x)?.into())
}

/// x where it is positive, up to a bound. At 0 nothing passes, as in PyTorch.
fn above_zero(call: &mut Call<'_>, x: &Operand, high: f64) -> Made<Item> {
    let y = call.low.on(Relu(AtZero::Nothing), x)?;
    Ok(call.low.on(Clip { low: f64::NEG_INFINITY, high }, &y)?.into())
}

fn hardtanh(call: &mut Call<'_>) -> Made<Item> {
    // What a decomposed relu6 is.
    if call.float("min_val", -1.0)? == 0.0 {
        let (x, high) = (call.x()?, call.float("max_val", 1.0)?);
        return above_zero(call, &x, high);
    }
    clipped(call, ["min_val", "max_val"], [-1.0, 1.0])
}

fn clamp(call: &mut Call<'_>) -> Made<Item> {
    let mut x = call.x()?;
    let bounds = [call.optional("min")?, call.optional("max")?];
    if bounds.iter().flatten().all(|bound| bound.rank() == 0 && bound.tensor().is_some()) {
        return clipped(call, ["min", "max"], [f64::NEG_INFINITY, f64::INFINITY]);
    }
    for (bound, arithmetic) in bounds.into_iter().zip([Arithmetic::Larger, Arithmetic::Smaller]) {
        if let Some(bound) = bound {
            let [a, b] = alike(x, bound);
            x = call.low.pairwise(arithmetic, &a, &b)?;
        }
    }
    Ok(x.into())
}

fn pair(call: &mut Call<'_>, arithmetic: Arithmetic) -> Made<Item> {
    let [a, b] = two(call, ["self", "other"])?;
    Ok(call.low.pairwise(arithmetic, &a, &b)?.into())
}

fn not_pair(call: &mut Call<'_>, arithmetic: Arithmetic) -> Made<Item> {
    let [a, b] = two(call, ["self", "other"])?;
    let y = call.low.pairwise(arithmetic, &a, &b)?;
    Ok(call.low.not(&y)?.into())
}

/// Says of each number whether it is not 0.
fn truth(call: &mut Call<'_>, x: Operand) -> Made<Operand> {
    if x.kind == Meaning::Truth {
        return Ok(x);
    }
    let zero = scalar(x.kind, 0.0)?;
    let is_zero = call.low.pairwise(Arithmetic::Equal, &x, &zero)?;
    call.low.not(&is_zero)
}

/// Two operands as truths. Those of operations on bits are truths already.
fn truths_of(call: &mut Call<'_>, a: Operand, b: Operand) -> Made<[Operand; 2]> {
    let logical = super::base(call.node.operation()).is_some_and(|base| base.starts_with("logical"));
    if !logical && [a.kind, b.kind] != [Meaning::Truth; 2] {
        return beyond("it works on the bits of whole numbers");
    }
    Ok([truth(call, a)?, truth(call, b)?])
}

fn both(call: &mut Call<'_>, arithmetic: Arithmetic) -> Made<Operand> {
    let (a, b) = (call.tensor("self")?, call.tensor("other")?);
    let [a, b] = truths_of(call, a, b)?;
    Ok(call.low.pairwise(arithmetic, &a, &b)?.called(Meaning::Truth))
}

/// a + sign alpha b
fn sum(call: &mut Call<'_>, names: [&str; 2], sign: f64) -> Made<Item> {
    let ([a, b], alpha) = (two(call, names)?, call.float("alpha", 1.0)?);
    if alpha == 1.0 {
        let arithmetic = if sign > 0.0 { Arithmetic::Add } else { Arithmetic::Subtract };
        return Ok(call.low.pairwise(arithmetic, &a, &b)?.into());
    }
    let b = call.low.affine(&b, sign * alpha, 0.0)?;
    Ok(call.low.pairwise(Arithmetic::Add, &a, &b)?.into())
}

/// a / b, which steps follow.
fn quotient(call: &mut Call<'_>) -> Made<Operand> {
    let (a, b) = (call.tensor("self")?, call.tensor("other")?);
    call.low.quotient(&real(a), &real(b))
}

fn divide(call: &mut Call<'_>) -> Made<Item> {
    let kinds = [call.tensor("self")?.kind, call.tensor("other")?.kind];
    let steps = match call.text("rounding_mode") {
        None => {
            let (a, b) = (call.tensor("self")?, call.tensor("other")?);
            return Ok(call.low.pairwise(Arithmetic::Divide, &real(a), &real(b))?.into());
        }
        Some("floor") => Steps::Floor,
        Some("trunc") => Steps::Truncate,
        Some(other) => return wrong(format!("its rounding is {other:?}")),
    };
    let y = quotient(call)?;
    let y = call.low.on(steps, &y)?;
    Ok(of_kind(y, kinds)?.into())
}

/// Takes numbers without a fraction as what operands of these kinds make: whole numbers where neither is real.
fn of_kind(x: Operand, kinds: [Meaning; 2]) -> Made<Operand> {
    if kinds.contains(&Meaning::Real) { Ok(x) } else { Lowering::as_whole(x) }
}

/// a - b floor(a / b)
fn remainder(call: &mut Call<'_>) -> Made<Item> {
    let [a, b] = two(call, ["self", "other"])?;
    let y = quotient(call)?;
    let is_fmod = super::base(call.node.operation()) == Some("fmod");
    let whole = call.low.on(if is_fmod { Steps::Truncate } else { Steps::Floor }, &y)?;
    let whole = of_kind(whole, [a.kind, b.kind])?;
    let parts = call.low.pairwise(Arithmetic::Multiply, &whole, &b)?;
    Ok(call.low.pairwise(Arithmetic::Subtract, &a, &parts)?.into())
}

fn power(call: &mut Call<'_>) -> Made<Item> {
    let (x, exponent) = (call.tensor("self")?, call.tensor("exponent")?);
    if let Some(power) = exponent.scalar().filter(|_| exponent.rank() == 0) {
        return Ok(call.low.power(&x, power)?.into());
    }
    let [a, b] = alike(x, exponent);
    Ok(call.low.pairwise(Arithmetic::Power, &a, &b)?.into())
}

/// x + value (a by b)
fn fused(call: &mut Call<'_>, arithmetic: Arithmetic) -> Made<Item> {
    let (x, value) = (call.tensor("self")?, call.float("value", 1.0)?);
    let [a, b] = two(call, ["tensor1", "tensor2"])?;
    let y = call.low.pairwise(arithmetic, &a, &b)?;
    let y = call.low.affine(&y, value, 0.0)?;
    Ok(call.low.pairwise(Arithmetic::Add, &x, &y)?.into())
}

/// a + weight (b - a)
fn lerp(call: &mut Call<'_>) -> Made<Item> {
    let ([a, b], weight) = (two(call, ["self", "end"])?, call.tensor("weight")?);
    let way = call.low.pairwise(Arithmetic::Subtract, &b, &a)?;
    let part = call.low.pairwise(Arithmetic::Multiply, &way, &real(weight))?;
    Ok(call.low.pairwise(Arithmetic::Add, &a, &part)?.into())
}

/// The first half times the sigmoid of the second.
fn glu(call: &mut Call<'_>) -> Made<Item> {
    let x = call.x()?;
    let axis = call.axis("dim", -1, x.rank())?;
    let side = x.shape().get(axis).copied().unwrap_or(0);
    let first = call.low.narrow(&x, axis, [0, side / 2])?;
    let second = call.low.narrow(&x, axis, [side / 2, side])?;
    let gate = call.low.function(Function::Sigmoid, &second)?;
    Ok(call.low.pairwise(Arithmetic::Multiply, &first, &gate)?.into())
}

fn choose(call: &mut Call<'_>) -> Made<Item> {
    if call.node.inputs.len() < 3 {
        return beyond("it gives the places of what is not 0, as many as there are");
    }
    let ([yes, no], mask) = (two(call, ["self", "other"])?, call.tensor("condition")?);
    Ok(call.low.choose(&mask, &yes, &no)?.into())
}

fn masked_fill(call: &mut Call<'_>) -> Made<Item> {
    let (x, mask, value) = (call.tensor("self")?, call.tensor("mask")?, call.tensor("value")?);
    let value = value.called(x.kind);
    Ok(call.low.choose(&mask, &value, &x)?.into())
}
