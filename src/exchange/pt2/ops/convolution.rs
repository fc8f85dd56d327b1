//! Convolutions and transposed convolutions.

use candle_core::Tensor;

use super::super::call::{Call, Item, Lower};
use crate::exchange::lower::{Made, Operand, beyond, wrong};
use crate::graph::ops::{Conv, ConvTranspose, GroupedConv};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "conv1d" | "conv2d" | "conv3d" | "convolution" | "_convolution" => conv,
        "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d" => transposed,
        _ => return None,
    })
}

/// Weights and biases that no input changes.
struct Weights {
    weight: Tensor,
    bias: Option<Tensor>,
    /// Axes of voxels.
    axes: usize,
}

fn weights(call: &Call<'_>) -> Made<Weights> {
    let frozen = |operand: &Operand| match call.low.tensor_of(operand)? {
        Some(tensor) => Ok(tensor),
        None => beyond("its weights depend on the input"),
    };
    let weight = frozen(&call.tensor("weight")?)?;
    let bias = call.optional("bias")?.map(|bias| frozen(&bias)).transpose()?;
    let axes = weight.rank().wrapping_sub(2);
    if !(1..=3).contains(&axes) {
        return beyond(format!("its weights are {:?}, where a kernel of one to three axes is wanted", weight.dims()));
    }
    Ok(Weights { weight, bias, axes })
}

/// Numbers along some axes as those along depth, height and width.
fn three<T: Copy>(sizes: &[T], default: T) -> [T; 3] {
    let mut three = [default; 3];
    three.iter_mut().rev().zip(sizes.iter().rev()).for_each(|(to, from)| *to = *from);
    three
}

/// Gives a tensor an axis of samples, where there was none.
fn batched(call: &mut Call<'_>, x: Operand, axes: usize) -> Made<(Operand, bool)> {
    if x.rank() == axes + 1 { Ok((call.low.unsqueeze(&x, &[0])?, true)) } else { Ok((x, false)) }
}

fn finished(call: &mut Call<'_>, y: Operand, alone: bool) -> Made<Item> {
    Ok(if alone { call.low.squeeze(&y, &[0])? } else { y }.into())
}

fn conv(call: &mut Call<'_>) -> Made<Item> {
    if call.bool("transposed", false)? {
        return transposed(call);
    }
    let (x, Weights { weight, bias, axes }) = (call.tensor("input")?, weights(call)?);
    let [stride, dilation] = [call.sizes("stride", axes, 1)?, call.sizes("dilation", axes, 1)?];
    let (stride, dilation) = (three(&stride, 1), three(&dilation, 1));
    let zeros = match call.text("padding") {
        None => three(&call.sizes("padding", axes, 0)?, 0).map(|zeros| [zeros; 2]),
        Some("valid") => [[0; 2]; 3],
        Some("same") => {
            let kernel = three(&weight.dims()[2..], 1);
            std::array::from_fn(|axis| {
                let zeros = kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]);
                [zeros / 2, zeros - zeros / 2]
            })
        }
        Some(other) => return wrong(format!("its padding is {other:?}")),
    };
    let place = |weight: &Tensor, bias: Option<&Tensor>| {
        Ok(Conv::dilated(weight, bias, dilation)?.strided(stride).padded_unevenly(zeros))
    };
    let (x, alone) = batched(call, x, axes)?;
    let y = match call.int("groups", 1)? {
        1 => call.low.on(place(&weight, bias.as_ref())?, &x)?,
        groups => {
            let groups = usize::try_from(groups).unwrap_or(0);
            call.low.on(GroupedConv::new(&weight, bias.as_ref(), groups, place)?, &x)?
        }
    };
    finished(call, y, alone)
}

fn transposed(call: &mut Call<'_>) -> Made<Item> {
    let (x, Weights { weight, bias, axes }) = (call.tensor("input")?, weights(call)?);
    let [stride, dilation] = [call.sizes("stride", axes, 1)?, call.sizes("dilation", axes, 1)?];
    let [padding, more] = [call.sizes("padding", axes, 0)?, call.sizes("output_padding", axes, 0)?];
    let whole = |size: &usize| i64::try_from(*size).unwrap_or(i64::MAX);
    let cut: Vec<[i64; 2]> = padding
        .iter()
        .zip(&more)
        .map(|(padding, more)| [whole(padding), whole(padding).saturating_sub(whole(more))])
        .collect();
    let groups = usize::try_from(call.int("groups", 1)?).unwrap_or(0);
    let steps = [three(&stride, 1), three(&dilation, 1)];
    let conv = ConvTranspose::new(&weight, bias.as_ref(), groups, steps, three(&cut, [0; 2]))?;
    let (x, alone) = batched(call, x, axes)?;
    let y = call.low.on(conv, &x)?;
    finished(call, y, alone)
}
