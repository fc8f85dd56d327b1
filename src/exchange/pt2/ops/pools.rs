//! Pools over windows, and adaptive ones, whose windows the sizes say.

use super::super::call::{Call, Item, Lower};
use crate::exchange::lower::{Columns, Made, Operand, beyond, wrong};
use crate::graph::ops::{AveragePool, GlobalMean, Linear, MaxPool, Reduction, Windows};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "max_pool1d" | "max_pool1d_with_indices" => |call| max(call, 1),
        "max_pool2d" | "max_pool2d_with_indices" => |call| max(call, 2),
        "max_pool3d" | "max_pool3d_with_indices" => |call| max(call, 3),
        "avg_pool1d" => |call| average(call, 1),
        "avg_pool2d" => |call| average(call, 2),
        "avg_pool3d" => |call| average(call, 3),
        "adaptive_avg_pool1d" => |call| adaptive(call, 1, Reduction::Mean),
        "adaptive_avg_pool2d" | "_adaptive_avg_pool2d" => |call| adaptive(call, 2, Reduction::Mean),
        "adaptive_avg_pool3d" | "_adaptive_avg_pool3d" => |call| adaptive(call, 3, Reduction::Mean),
        "adaptive_max_pool1d" => |call| adaptive(call, 1, Reduction::Max),
        "adaptive_max_pool2d" => |call| adaptive(call, 2, Reduction::Max),
        "adaptive_max_pool3d" => |call| adaptive(call, 3, Reduction::Max),
        "im2col" => |call| {
            let x = call.x()?;
            let &[.., h, w] = x.shape() else { return wrong("windows over no slices") };
            let batched = if x.rank() == 3 { call.low.unsqueeze(&x, &[0])? } else { x.clone() };
            let of = columns(call, [h, w])?;
            let y = call.low.columns(&batched, &of)?;
            Ok(if x.rank() == 3 { call.low.squeeze(&y, &[0])? } else { y }.into())
        },
        "col2im" => |call| {
            let (x, size) = (call.x()?, call.sizes("output_size", 2, 0)?);
            let batched = if x.rank() == 2 { call.low.unsqueeze(&x, &[0])? } else { x.clone() };
            let of = columns(call, [size[0], size[1]])?;
            let y = call.low.folded(&batched, &of)?;
            Ok(if x.rank() == 2 { call.low.squeeze(&y, &[0])? } else { y }.into())
        },
        _ => return None,
    })
}

/// Windows of slices of a size.
fn columns(call: &Call<'_>, size: [usize; 2]) -> Made<Columns> {
    let pair = |name: &str, default: usize| -> Made<[usize; 2]> {
        let sizes = call.sizes(name, 2, default)?;
        Ok([sizes[0], sizes[1]])
    };
    let padding = pair("padding", 0)?.map(|pad| [pad; 2]);
    Ok(Columns {
        size,
        kernel: pair("kernel_size", 1)?,
        stride: pair("stride", 1)?,
        dilation: pair("dilation", 1)?,
        padding,
    })
}

/// Windows along depth, height and width, of slices 1 deep.
fn windows(call: &Call<'_>, axes: usize) -> Made<Windows> {
    let kernel = call.sizes("kernel_size", axes, 1)?;
    let mut stride = call.sizes("stride", axes, 0)?;
    if stride.iter().all(|stride| *stride == 0) {
        stride.clone_from(&kernel);
    }
    let padding = call.sizes("padding", axes, 0)?;
    let three = |sizes: &[usize], default: usize| {
        let mut three = [default; 3];
        three[3 - axes..].copy_from_slice(sizes);
        three
    };
    let [kernel, stride, padding] = [three(&kernel, 1), three(&stride, 1), three(&padding, 0)];
    if kernel.iter().chain(&stride).chain(&padding).any(|size| u32::try_from(*size).is_err()) {
        return wrong("windows larger than any tensor");
    }
    Ok(Windows { kernel, stride, padding, ceil: call.bool("ceil_mode", false)? })
}

/// A tensor as a pool takes it, `[n, c, …]` with two or three axes behind; and back.
fn pooled(
    call: &mut Call<'_>,
    axes: usize,
    x: &Operand,
    pool: impl FnOnce(&mut Call<'_>, &Operand) -> Made<Operand>,
) -> Made<Item> {
    let alone = x.rank() == axes + 1;
    let mut new = if alone { vec![0] } else { Vec::new() };
    if axes == 1 {
        new.push(2);
    }
    if x.rank() != axes + 1 && x.rank() != axes + 2 {
        return wrong(format!("a pool over {axes} axes of a tensor {:?}", x.shape()));
    }
    let x = call.low.unsqueeze(x, &new)?;
    let y = pool(call, &x)?;
    Ok(call.low.squeeze(&y, &new)?.into())
}

fn max(call: &mut Call<'_>, axes: usize) -> Made<Item> {
    let (x, windows) = (call.x()?, windows(call, axes)?);
    if call.sizes("dilation", axes, 1)?.iter().any(|dilation| *dilation != 1) {
        return beyond("its windows have gaps (dilation)");
    }
    let y = pooled(call, axes, &x, |call, x| call.low.on(MaxPool(windows), x))?;
    Ok(Item::List(vec![y, Item::Unmade]))
}

fn average(call: &mut Call<'_>, axes: usize) -> Made<Item> {
    let (x, windows, count_padding) = (call.x()?, windows(call, axes)?, call.bool("count_include_pad", true)?);
    let places: usize = windows.kernel.iter().fold(1, |product: usize, side| product.saturating_mul(*side));
    let scale = match call.optional_int("divisor_override")? {
        None => 1.0,
        Some(_) if windows.ceil => return beyond("it divides by a number of its own, and rounds sizes up"),
        Some(0) => return wrong("it divides by 0"),
        Some(divisor) => places as f64 / divisor as f64,
    };
    let count_padding = count_padding || scale != 1.0;
    pooled(call, axes, &x, |call, x| {
        let y = call.low.on(AveragePool { windows, count_padding }, x)?;
        call.low.affine(&y, scale, 0.0)
    })
}

/// As many places along each axis as are asked for. Place i of m sees those from floor(i n / m) to before ceil((i + 1) n / m).
fn adaptive(call: &mut Call<'_>, axes: usize, reduction: Reduction) -> Made<Item> {
    let mut x = call.x()?;
    let Some(first) = x.rank().checked_sub(axes).filter(|first| *first > 0) else {
        return wrong(format!("a pool over {axes} axes of a tensor {:?}", x.shape()));
    };
    let asked = match call.node.argument("output_size") {
        Some(_) => call.sizes("output_size", axes, 1)?,
        None => return wrong("it lacks its argument output_size"),
    };
    let y = if asked.iter().all(|side| *side == 1) {
        let over: Vec<usize> = (first..x.rank()).collect();
        if reduction == Reduction::Mean && first == 2 && axes > 1 {
            let mean = call.low.on(GlobalMean, &x)?;
            let shape: Vec<usize> = mean.shape().iter().copied().chain(vec![1; axes]).collect();
            call.low.reshape(&mean, &shape)?
        } else {
            call.low.reduce(reduction, &x, &over, true)?
        }
    } else {
        for (which, to) in asked.iter().enumerate() {
            x = along(call, &x, first + which, *to, reduction)?;
        }
        x
    };
    Ok(Item::List(vec![y.into(), Item::Unmade]))
}

/// One axis brought to another length.
fn along(call: &mut Call<'_>, x: &Operand, axis: usize, to: usize, reduction: Reduction) -> Made<Operand> {
    let side = x.shape()[axis];
    if side == to {
        return Ok(x.clone());
    }
    if side == 0 || to == 0 {
        return wrong(format!("an axis of {side} brought to {to}"));
    }
    let range = |at: usize| [at * side / to, ((at + 1) * side).div_ceil(to)];
    if reduction == Reduction::Mean {
        call.low.afford_numbers(&[to, side])?;
        let mut shares = vec![0.0; to * side];
        for (at, row) in shares.chunks_mut(side).enumerate() {
            let [start, end] = range(at);
            row[start..end].fill(1.0 / (end - start) as f64);
        }
        let matrix = candle_core::Tensor::from_vec(shares, (to, side), &candle_core::Device::Cpu)?;
        let mut axes: Vec<usize> = (0..x.rank()).collect();
        axes.swap(axis, x.rank() - 1);
        let x = call.low.permute(x, &axes)?;
        let y = call.low.on(Linear::new(&matrix, None)?, &x)?;
        return call.low.permute(&y, &axes);
    }
    let mut parts = Vec::with_capacity(to);
    for at in 0..to {
        let seen = call.low.narrow(x, axis, range(at))?;
        parts.push(call.low.reduce(reduction, &seen, &[axis], true)?);
    }
    call.low.concat(&parts.iter().collect::<Vec<_>>(), axis)
}
