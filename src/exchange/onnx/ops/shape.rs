//! Operations that change shapes, and those that make numbers of shapes.

use candle_core::{DType, Device, Tensor};

use super::{Lower, one};
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, axis_of, beyond, counted, wrong};
use crate::exchange::onnx::node::Node;
use crate::exchange::onnx::tensors::kind_of;
use rten_onnx::onnx::DataType;

pub(super) fn lowering(name: &str) -> Option<Lower> {
    Some(match name {
        "Identity" => |_, n| one(n.input(0).cloned()),
        "Dropout" => dropout,
        "Constant" => constant,
        "ConstantOfShape" => constant_of_shape,
        "Shape" => shape,
        "Size" => |_, n| one(number(n.input(0)?.count() as f64)),
        "Range" => range,
        "EyeLike" => eye_like,
        "Reshape" => reshape,
        "Flatten" => flatten,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Transpose" => transpose,
        "Expand" => expand,
        "DepthToSpace" => depth_to_space,
        "SpaceToDepth" => space_to_depth,
        _ => return None,
    })
}

/// A lone whole number.
fn number(number: f64) -> Made<Operand> {
    Ok(Operand::known(Meaning::Whole, Tensor::new(number, &Device::Cpu)?))
}

fn dropout(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let training = n.maybe(2).is_some_and(|training| training.scalar() != Some(0.0));
    let drops = n.maybe(1).is_none_or(|ratio| ratio.scalar() != Some(0.0));
    if training && drops && n.int("seed", 0) >= 0 && n.opset >= 12 {
        return beyond("it is in training mode; export the network after model.eval()");
    }
    let x = n.input(0)?;
    l.afford_numbers(x.shape())?;
    let all = if n.outputs() > 1 {
        Operand::known(Meaning::Truth, Tensor::ones(x.shape(), DType::F64, &Device::Cpu)?)
    } else {
        x.clone()
    };
    Ok(vec![x.clone(), all])
}

fn constant(_: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    if let Some(tensor) = n.tensor("value") {
        return one(tensor);
    }
    let floats = |floats: &[f32], shape: &[usize]| {
        Made::Ok(Operand::known(Meaning::Real, Tensor::from_slice(floats, shape, &Device::Cpu)?))
    };
    one(if n.has("value_float") {
        floats(&[n.float("value_float", 0.0) as f32], &[])
    } else if n.has("value_int") {
        number(n.int("value_int", 0) as f64)
    } else if let Some(numbers) = n.floats("value_floats") {
        floats(numbers, &[numbers.len()])
    } else if let Some(numbers) = n.ints("value_ints") {
        Operand::whole(numbers)
    } else {
        beyond("it is no tensor of numbers")
    })
}

/// Whole numbers as sides.
fn sides(numbers: &[i64]) -> Made<Vec<usize>> {
    let sides: Result<Vec<usize>, _> = numbers.iter().map(|side| usize::try_from(*side)).collect();
    match sides {
        Ok(sides) => {
            counted(&sides)?;
            Ok(sides)
        }
        Err(_) => wrong(format!("a tensor of the shape {numbers:?}")),
    }
}

fn known(n: &Node<'_>, at: usize) -> Made<Vec<i64>> {
    n.known(at)?.map_or_else(|| wrong(format!("its input {at} is missing")), Ok)
}

fn constant_of_shape(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let shape = sides(&known(n, 0)?)?;
    l.afford_numbers(&shape)?;
    let zero = || Made::Ok(Operand::known(Meaning::Real, Tensor::new(0.0_f32, &Device::Cpu)?));
    let value = match n.tensor("value") {
        Some(tensor) => tensor?,
        None => zero()?,
    };
    let (Some(number), Some(tensor)) = (value.scalar(), value.tensor()) else { return wrong("its value is no number") };
    let full = Tensor::full(number, shape, &Device::Cpu)?.to_dtype(tensor.dtype())?;
    one(Ok(Operand::known(value.kind, full)))
}

fn shape(_: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let shape = n.input(0)?.shape();
    let rank = shape.len() as i64;
    let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (bound(n.int("start", 0)), bound(n.int("end", rank)));
    let part: Vec<i64> = shape.get(start..end).unwrap_or(&[]).iter().map(|side| *side as i64).collect();
    one(Operand::whole(&part))
}

fn range(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let bound = |at: usize| match n.input(at)?.scalar() {
        Some(bound) => Ok(bound),
        None => beyond("its bounds depend on the network's input"),
    };
    let [start, end, step] = [bound(0)?, bound(1)?, bound(2)?];
    let count = ((end - start) / step).ceil().max(0.0);
    if !count.is_finite() || count >= usize::MAX as f64 / 16.0 {
        return wrong(format!("the numbers from {start} to {end} by {step}"));
    }
    let count = count as usize;
    l.afford_numbers(&[count])?;
    let numbers: Vec<f64> = (0..count).map(|at| start + at as f64 * step).collect();
    let (kind, numbers) = (n.input(0)?.kind, Tensor::from_vec(numbers, count, &Device::Cpu)?);
    one(Ok(Operand::known(kind, if kind == Meaning::Real { numbers.to_dtype(DType::F32)? } else { numbers })))
}

fn eye_like(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let &[rows, columns] = n.input(0)?.shape() else { return wrong("a matrix is wanted") };
    l.afford_numbers(&[rows, columns])?;
    let off = n.int("k", 0);
    let at = |place: usize| f64::from(u8::from((place % columns) as i64 - (place / columns) as i64 == off));
    let numbers: Vec<f64> = (0..rows * columns).map(at).collect();
    let kind = if n.has("dtype") { kind_of(DataType(n.int("dtype", 0) as i32)) } else { Some(n.input(0)?.kind) };
    let numbers = Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)?;
    let Some(kind) = kind else { return beyond("a type that Parallax does not compute with") };
    one(Ok(Operand::known(kind, if kind == Meaning::Real { numbers.to_dtype(DType::F32)? } else { numbers })))
}

fn reshape(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, wanted) = (n.input(0)?, known(n, 1)?);
    let zeros_stay = n.int("allowzero", 0) == 0;
    let mut open = None;
    let mut shape = Vec::with_capacity(wanted.len());
    for (axis, side) in wanted.iter().enumerate() {
        shape.push(match usize::try_from(*side) {
            Ok(0) if zeros_stay => match x.shape().get(axis) {
                Some(side) => *side,
                None => return wrong(format!("a tensor {:?} as {wanted:?}", x.shape())),
            },
            Ok(side) => side,
            Err(_) if *side == -1 && open.is_none() => {
                open = Some(axis);
                1
            }
            Err(_) => return wrong(format!("a tensor {:?} as {wanted:?}", x.shape())),
        });
    }
    if let Some(axis) = open {
        shape[axis] = x.count() / counted(&shape)?.max(1);
    }
    one(l.reshape(x, &shape))
}

fn flatten(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let axis = n.int("axis", 1);
    let axis = if axis == x.rank() as i64 { x.rank() } else { axis_of(axis, x.rank())? };
    let (before, behind) = x.shape().split_at(axis);
    one(l.reshape(x, &[before.iter().product(), behind.iter().product()]))
}

fn squeeze(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let axes = match n.listed("axes", 1)? {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, x.rank())).collect::<Made<Vec<_>>>()?,
        None => (0..x.rank()).filter(|axis| x.shape()[*axis] == 1).collect(),
    };
    one(l.squeeze(x, &axes))
}

fn unsqueeze(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, Some(axes)) = (n.input(0)?, n.listed("axes", 1)?) else { return wrong("its axes are missing") };
    let axes = axes.iter().map(|axis| axis_of(*axis, x.rank() + axes.len())).collect::<Made<Vec<_>>>()?;
    if (1..axes.len()).any(|at| axes[..at].contains(&axes[at])) {
        return wrong(format!("an axis of {axes:?} is named twice"));
    }
    one(l.unsqueeze(x, &axes))
}

fn transpose(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let axes = match n.ints("perm") {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, x.rank())).collect::<Made<Vec<_>>>()?,
        None => (0..x.rank()).rev().collect(),
    };
    one(l.permute(x, &axes))
}

fn expand(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    one(l.expand(n.input(0)?, &sides(&known(n, 1)?)?))
}

/// The block's side, and the sides of a tensor of slices.
fn block(n: &Node<'_>) -> Made<(usize, [usize; 4])> {
    let (block, shape) = (n.int("blocksize", 0), n.input(0)?.shape());
    match (usize::try_from(block), shape) {
        (Ok(block @ 1..=4096), [n, c, h, w]) => Ok((block, [*n, *c, *h, *w])),
        _ => wrong(format!("blocks of {block} of a tensor {shape:?}")),
    }
}

fn depth_to_space(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (b, [samples, c, h, w]) = block(n)?;
    let (split, order) = match n.text("mode", "DCR") {
        "DCR" => ([samples, b, b, c / (b * b), h, w], [0, 3, 4, 1, 5, 2]),
        _ => ([samples, c / (b * b), b, b, h, w], [0, 1, 4, 2, 5, 3]),
    };
    let x = l.reshape(n.input(0)?, &split)?;
    let x = l.permute(&x, &order)?;
    one(l.reshape(&x, &[samples, c / (b * b), h * b, w * b]))
}

fn space_to_depth(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (b, [samples, c, h, w]) = block(n)?;
    let x = l.reshape(n.input(0)?, &[samples, c, h / b, b, w / b, b])?;
    let x = l.permute(&x, &[0, 3, 5, 1, 2, 4])?;
    one(l.reshape(&x, &[samples, c * b * b, h / b, w / b]))
}
