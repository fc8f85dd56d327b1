//! Functions of numbers that are made of several operations.

use super::super::call::{Call, Item, Lower, scalar};
use super::elementwise::{alike, real};
use crate::exchange::lower::{Made, Meaning, Operand, beyond};
use crate::graph::ops::{Arithmetic, Clip, Function, Reduction, Steps};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "log2" => |call| logarithm(call, std::f64::consts::LOG2_E),
        "log10" => |call| logarithm(call, std::f64::consts::LOG10_E),
        "exp2" | "special_exp2" => |call| {
            let x = real(call.x()?);
            let x = call.low.affine(&x, std::f64::consts::LN_2, 0.0)?;
            Ok(call.low.function(Function::Exp, &x)?.into())
        },
        "erfc" | "special_erfc" => |call| {
            let x = real(call.x()?);
            let y = call.low.function(Function::Erf, &x)?;
            Ok(call.low.affine(&y, -1.0, 1.0)?.into())
        },
        "frac" => |call| {
            let x = call.x()?;
            let whole = call.low.on(Steps::Truncate, &x)?;
            Ok(call.low.pairwise(Arithmetic::Subtract, &x, &whole)?.into())
        },
        "round" => round,
        "logit" | "special_logit" => logit,
        "hypot" => hypot,
        "logaddexp" => logaddexp,
        "isnan" => |call| {
            let x = call.x()?;
            Ok(call.low.is_nan(&x)?.into())
        },
        "isinf" => |call| {
            let x = call.x()?;
            let size = call.low.function(Function::Abs, &x)?;
            Ok(call.low.is(&size, f64::INFINITY)?.into())
        },
        "nan_to_num" => nan_to_num,
        "cdist" | "_cdist_forward" | "_euclidean_dist" => distances,
        _ => return None,
    })
}

/// log(x) scale
fn logarithm(call: &mut Call<'_>, scale: f64) -> Made<Item> {
    let x = real(call.x()?);
    let y = call.low.function(Function::Log, &x)?;
    Ok(call.low.affine(&y, scale, 0.0)?.into())
}

/// The nearest number of so many decimals; of two as near, the even one.
fn round(call: &mut Call<'_>) -> Made<Item> {
    let (x, decimals) = (call.x()?, call.int("decimals", 0)?);
    let Some(scale) = i32::try_from(decimals).ok().map(|decimals| 10_f64.powi(decimals)).filter(|s| s.is_normal())
    else {
        return beyond(format!("it rounds to {decimals} decimals"));
    };
    let x = call.low.affine(&x, scale, 0.0)?;
    let y = call.low.on(Steps::Round, &x)?;
    Ok(call.low.affine(&y, 1.0 / scale, 0.0)?.into())
}

/// log(x / (1 - x)), x first brought within eps and 1 - eps.
fn logit(call: &mut Call<'_>) -> Made<Item> {
    let mut x = real(call.x()?);
    if let Some(eps) = call.number("eps")? {
        x = call.low.on(Clip { low: eps, high: 1.0 - eps }, &x)?;
    }
    let left = call.low.affine(&x, -1.0, 1.0)?;
    let (of_x, of_left) = (call.low.function(Function::Log, &x)?, call.low.function(Function::Log, &left)?);
    Ok(call.low.pairwise(Arithmetic::Subtract, &of_x, &of_left)?.into())
}

fn two(call: &Call<'_>) -> Made<[Operand; 2]> {
    Ok(alike(call.tensor("self")?, call.tensor("other")?))
}

/// sqrt(a^2 + b^2)
fn hypot(call: &mut Call<'_>) -> Made<Item> {
    let [a, b] = two(call)?;
    let (a, b) = (call.low.power(&a, 2.0)?, call.low.power(&b, 2.0)?);
    let sum = call.low.pairwise(Arithmetic::Add, &a, &b)?;
    Ok(call.low.function(Function::Sqrt, &sum)?.into())
}

/// log(e^a + e^b) = a + log(1 + e^(b - a))
fn logaddexp(call: &mut Call<'_>) -> Made<Item> {
    let [a, b] = two(call)?;
    let over = call.low.pairwise(Arithmetic::Subtract, &b, &a)?;
    let over = call.low.function(Function::Softplus, &over)?;
    Ok(call.low.pairwise(Arithmetic::Add, &a, &over)?.into())
}

/// What two vectors must be apart, squared, for their distance to have a slope.
const APART: f64 = 1e-30;

/// Euclidean distances of the rows of a from those of b: sqrt(|a|^2 + |b|^2 - 2 a b), as PyTorch has them of more than 25 rows.
fn distances(call: &mut Call<'_>) -> Made<Item> {
    let (a, b, p) = (call.tensor("x1")?, call.tensor("x2")?, call.float("p", 2.0)?);
    if p != 2.0 || a.rank() < 2 || b.rank() < 2 {
        return beyond(format!("its distances are of the norm {p}"));
    }
    let turned = call.low.transposed(&b)?;
    let products = call.low.matmul(&a, &turned)?;
    let products = call.low.affine(&products, -2.0, 0.0)?;
    let (of_a, of_b) = (call.low.power(&a, 2.0)?, call.low.power(&turned, 2.0)?);
    let of_a = call.low.reduce(Reduction::Sum, &of_a, &[a.rank() - 1], true)?;
    let of_b = call.low.reduce(Reduction::Sum, &of_b, &[b.rank() - 2], true)?;
    let sum = call.low.pairwise(Arithmetic::Add, &products, &of_a)?;
    let sum = call.low.pairwise(Arithmetic::Add, &sum, &of_b)?;
    let sum = call.low.on(Clip { low: APART, high: f64::INFINITY }, &sum)?;
    Ok(call.low.function(Function::Sqrt, &sum)?.into())
}

/// Numbers in the place of what is none, or infinite.
fn nan_to_num(call: &mut Call<'_>) -> Made<Item> {
    let mut x = call.x()?;
    let most = f64::from(f32::MAX);
    let replaced = [
        (f64::NAN, call.float("nan", 0.0)?),
        (f64::INFINITY, call.float("posinf", most)?),
        (f64::NEG_INFINITY, call.float("neginf", -most)?),
    ];
    for (odd, number) in replaced {
        let mask = if odd.is_nan() { call.low.is_nan(&x)? } else { call.low.is(&x, odd)? };
        let number = scalar(Meaning::Real, number)?;
        x = call.low.choose(&mask, &number, &x)?;
    }
    Ok(x.into())
}
