//! Operations of single numbers, and of pairs of them.

use super::{Lower, one};
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, beyond, wrong};
use crate::exchange::onnx::node::Node;
use crate::exchange::onnx::tensors::kind_of;
use crate::graph::ops::{Arithmetic, AtZero, Clip, Function, LeakyRelu, Relu, Steps};
use rten_onnx::onnx::DataType;

pub(super) fn lowering(name: &str) -> Option<Lower> {
    functions(name).or_else(|| bent(name)).or_else(|| pairs(name))
}

fn functions(name: &str) -> Option<Lower> {
    Some(match name {
        "Sigmoid" => |l, n| one(l.function(Function::Sigmoid, n.input(0)?)),
        "Tanh" => |l, n| one(l.function(Function::Tanh, n.input(0)?)),
        "Exp" => |l, n| one(l.function(Function::Exp, n.input(0)?)),
        "Sqrt" => |l, n| one(l.function(Function::Sqrt, n.input(0)?)),
        "Reciprocal" => |l, n| one(l.function(Function::Reciprocal, n.input(0)?)),
        "Log" => |l, n| one(l.function(Function::Log, n.input(0)?)),
        "Erf" => |l, n| one(l.function(Function::Erf, n.input(0)?)),
        "Abs" => |l, n| one(l.function(Function::Abs, n.input(0)?)),
        "Softplus" => |l, n| one(l.function(Function::Softplus, n.input(0)?)),
        "Mish" => |l, n| one(l.function(Function::Mish, n.input(0)?)),
        "Sin" => |l, n| one(l.function(Function::Sin, n.input(0)?)),
        "Cos" => |l, n| one(l.function(Function::Cos, n.input(0)?)),
        "Tan" => |l, n| one(l.function(Function::Tan, n.input(0)?)),
        "Asin" => |l, n| one(l.function(Function::Asin, n.input(0)?)),
        "Acos" => |l, n| one(l.function(Function::Acos, n.input(0)?)),
        "Atan" => |l, n| one(l.function(Function::Atan, n.input(0)?)),
        "Sinh" => |l, n| one(l.function(Function::Sinh, n.input(0)?)),
        "Cosh" => |l, n| one(l.function(Function::Cosh, n.input(0)?)),
        "Asinh" => |l, n| one(l.function(Function::Asinh, n.input(0)?)),
        "Acosh" => |l, n| one(l.function(Function::Acosh, n.input(0)?)),
        "Atanh" => |l, n| one(l.function(Function::Atanh, n.input(0)?)),
        "Neg" => |l, n| one(l.affine(n.input(0)?, -1.0, 0.0)),
        "Not" => |l, n| one(l.not(n.input(0)?)),
        "Floor" => |l, n| one(l.on(Steps::Floor, n.input(0)?)),
        "Ceil" => |l, n| one(l.on(Steps::Ceil, n.input(0)?)),
        "Round" => |l, n| one(l.on(Steps::Round, n.input(0)?)),
        "Sign" => |l, n| one(l.on(Steps::Sign, n.input(0)?)),
        "IsNaN" => |l, n| one(l.is_nan(n.input(0)?)),
        "IsInf" => is_infinite,
        _ => return None,
    })
}

/// Functions with a kink, or of several parts.
fn bent(name: &str) -> Option<Lower> {
    Some(match name {
        "Relu" => |l, n| one(l.on(Relu(AtZero::Nothing), n.input(0)?)),
        "Gelu" => gelu,
        "Elu" => |l, n| one(l.function(Function::Elu(n.float("alpha", 1.0)), n.input(0)?)),
        "Celu" => celu,
        "Selu" => selu,
        "HardSigmoid" => hard_sigmoid,
        "HardSwish" => hard_swish,
        "Swish" => swish,
        "Softsign" => softsign,
        "Shrink" => shrink,
        "LeakyRelu" => leaky_relu,
        "ThresholdedRelu" => thresholded,
        "PRelu" => prelu,
        "Clip" => clip,
        "Cast" | "CastLike" => cast,
        _ => return None,
    })
}

fn pairs(name: &str) -> Option<Lower> {
    Some(match name {
        "Add" => |l, n| one(l.pairwise(Arithmetic::Add, n.input(0)?, n.input(1)?)),
        "Sub" => |l, n| one(l.pairwise(Arithmetic::Subtract, n.input(0)?, n.input(1)?)),
        "Mul" | "And" => |l, n| one(l.pairwise(Arithmetic::Multiply, n.input(0)?, n.input(1)?)),
        "Div" => |l, n| one(l.pairwise(Arithmetic::Divide, n.input(0)?, n.input(1)?)),
        "Pow" => |l, n| one(l.pairwise(Arithmetic::Power, n.input(0)?, n.input(1)?)),
        "Equal" => |l, n| one(l.pairwise(Arithmetic::Equal, n.input(0)?, n.input(1)?)),
        "Greater" => |l, n| one(l.pairwise(Arithmetic::Greater, n.input(0)?, n.input(1)?)),
        "Less" => |l, n| one(l.pairwise(Arithmetic::Less, n.input(0)?, n.input(1)?)),
        "GreaterOrEqual" => |l, n| one(negated(l, Arithmetic::Less, n)),
        "LessOrEqual" => |l, n| one(negated(l, Arithmetic::Greater, n)),
        "Or" => |l, n| one(l.pairwise(Arithmetic::Larger, n.input(0)?, n.input(1)?)),
        "Xor" => |l, n| one(negated(l, Arithmetic::Equal, n)),
        "Mod" => modulo,
        "Max" => |l, n| one(all(l, n, Arithmetic::Larger)),
        "Min" => |l, n| one(all(l, n, Arithmetic::Smaller)),
        "Sum" => |l, n| one(all(l, n, Arithmetic::Add)),
        "Mean" => mean,
        "Where" => |l, n| one(l.choose(n.input(0)?, n.input(1)?, n.input(2)?)),
        _ => return None,
    })
}

fn negated(l: &mut Lowering, of: Arithmetic, n: &Node<'_>) -> Made<Operand> {
    let y = l.pairwise(of, n.input(0)?, n.input(1)?)?;
    l.not(&y)
}

fn gelu(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let function = match n.text("approximate", "none") {
        "none" => Function::Gelu,
        "tanh" => Function::GeluTanh,
        other => return wrong(format!("approximate {other:?}")),
    };
    one(l.function(function, n.input(0)?))
}

fn celu(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let alpha = n.float("alpha", 1.0);
    let x = l.affine(n.input(0)?, 1.0 / alpha, 0.0)?;
    let y = l.function(Function::Elu(1.0), &x)?;
    one(l.affine(&y, alpha, 0.0))
}

fn selu(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (alpha, gamma) = (n.float("alpha", 1.673_263_2), n.float("gamma", 1.050_701));
    let y = l.function(Function::Elu(alpha), n.input(0)?)?;
    one(l.affine(&y, gamma, 0.0))
}

fn hard_sigmoid(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (slope, offset) = (n.float("alpha", 0.2), n.float("beta", 0.5));
    one(l.function(Function::HardSigmoid { slope, offset }, n.input(0)?))
}

fn hard_swish(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let gate = l.function(Function::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 }, x)?;
    one(l.pairwise(Arithmetic::Multiply, x, &gate))
}

/// x sigmoid(alpha x)
fn swish(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let scaled = l.affine(x, n.float("alpha", 1.0), 0.0)?;
    let gate = l.function(Function::Sigmoid, &scaled)?;
    one(l.pairwise(Arithmetic::Multiply, x, &gate))
}

/// x / (1 + |x|)
fn softsign(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let size = l.function(Function::Abs, x)?;
    let size = l.affine(&size, 1.0, 1.0)?;
    one(l.pairwise(Arithmetic::Divide, x, &size))
}

/// x brought `bias` nearer to 0 where it lies beyond `lambd` of it, else 0.
fn shrink(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let (bound, bias) = (n.float("lambd", 0.5), n.float("bias", 0.0));
    let zero = l.affine(x, 0.0, 0.0)?;
    let beyond = |l: &mut Lowering, sign: f64| {
        let over = l.affine(x, sign, -bound)?;
        let mask = l.pairwise(Arithmetic::Greater, &over, &zero)?;
        let nearer = l.affine(x, 1.0, -sign * bias)?;
        l.choose(&mask, &nearer, &zero)
    };
    let (above, below) = (beyond(l, 1.0)?, beyond(l, -1.0)?);
    one(l.pairwise(Arithmetic::Add, &above, &below))
}

/// 1 where a number is infinite, of the signs that are asked for.
fn is_infinite(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let signs = [("detect_positive", f64::INFINITY), ("detect_negative", f64::NEG_INFINITY)];
    let mut found = l.filled(Meaning::Truth, 0.0, x.shape())?;
    for (_, infinity) in signs.into_iter().filter(|(name, _)| n.int(name, 1) != 0) {
        let is = l.is(x, infinity)?;
        found = l.pairwise(Arithmetic::Larger, &is, &found)?;
    }
    one(Ok(found))
}

fn leaky_relu(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    one(l.on(LeakyRelu { slopes: vec![n.float("alpha", 0.01)] }, n.input(0)?))
}

/// x where it is above a threshold, else 0.
fn thresholded(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let shifted = l.affine(x, 1.0, -n.float("alpha", 1.0))?;
    let zero = l.affine(x, 0.0, 0.0)?;
    let above = l.pairwise(Arithmetic::Greater, &shifted, &zero)?;
    one(l.choose(&above, x, &zero))
}

fn prelu(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, slope) = (n.input(0)?, n.input(1)?);
    let channels = x.shape().get(1).copied().unwrap_or(1);
    let voxels = x.rank().saturating_sub(2);
    let by_channel = slope
        .shape()
        .strip_suffix(vec![1; voxels].as_slice())
        .is_some_and(|before| before.last() == Some(&channels) && before.iter().rev().skip(1).all(|side| *side == 1));
    match slope.numbers() {
        Some(slopes) if slopes.len() == 1 || (by_channel && x.rank() > 1) => one(l.on(LeakyRelu { slopes }, x)),
        _ => {
            let above = l.on(Relu(AtZero::Nothing), x)?;
            let below = l.affine(x, -1.0, 0.0)?;
            let below = l.on(Relu(AtZero::Nothing), &below)?;
            let below = l.pairwise(Arithmetic::Multiply, &below, slope)?;
            one(l.pairwise(Arithmetic::Subtract, &above, &below))
        }
    }
}

/// Within two bounds, either of which may be missing.
fn clip(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let bound = |at: usize, otherwise: f64| match n.maybe(at) {
        Some(bound) => bound.scalar().map_or_else(|| beyond("its bounds depend on the network's input"), Ok),
        None => Ok(otherwise),
    };
    // Attributes before opset 11.
    let (low, high) = (n.float("min", f32::NEG_INFINITY), n.float("max", f32::INFINITY));
    one(l.on(Clip { low: bound(1, low)?, high: bound(2, high)? }, n.input(0)?))
}

fn cast(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let to = match n.maybe(1) {
        Some(like) => Some(like.kind),
        None => kind_of(DataType(n.int("to", 0) as i32)),
    };
    let Some(to) = to else { return beyond("it casts to a type that Parallax does not compute with") };
    one(match (x.kind, to) {
        (Meaning::Real, Meaning::Whole) => {
            let whole = l.on(Steps::Truncate, x)?.called(Meaning::Whole);
            Lowering::as_whole(whole)
        }
        (Meaning::Real | Meaning::Whole, Meaning::Truth) => {
            let zero = l.affine(x, 0.0, 0.0)?;
            let same = l.pairwise(Arithmetic::Equal, x, &zero)?;
            l.not(&same)
        }
        _ => Ok(x.clone().called(to)),
    })
}

/// The remainder with the sign of the divisor, or with `fmod` that of the dividend.
fn modulo(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (a, b) = (n.input(0)?, n.input(1)?);
    let quotient = l.quotient(a, b)?;
    let quotient = l.on(if n.int("fmod", 0) == 0 { Steps::Floor } else { Steps::Truncate }, &quotient)?;
    let whole = l.pairwise(Arithmetic::Multiply, &quotient, b)?;
    one(l.pairwise(Arithmetic::Subtract, a, &whole))
}

fn all(l: &mut Lowering, n: &Node<'_>, of: Arithmetic) -> Made<Operand> {
    let mut operands = n.all().into_iter();
    let Some(first) = operands.next().cloned() else { return wrong("no inputs") };
    operands.try_fold(first, |so_far, operand| l.pairwise(of, &so_far, operand))
}

fn mean(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let sum = all(l, n, Arithmetic::Add)?;
    one(l.affine(&sum, 1.0 / n.all().len() as f64, 0.0))
}
