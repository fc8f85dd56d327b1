//! Convolutions and their transposes.

use super::one;
use crate::exchange::lower::{Lowering, Made, Operand, beyond, wrong};
use crate::exchange::onnx::node::{Node, three};
use crate::graph::ops::{Arithmetic, Conv, ConvTranspose, GroupedConv};

/// Sides of the windows along each axis of voxels, dilation counted.
fn extents(kernel: &[usize], dilation: &[usize]) -> Made<Vec<usize>> {
    let extent = |(side, apart): (&usize, &usize)| side.max(&1).checked_sub(1)?.checked_mul(*apart)?.checked_add(1);
    let extents: Option<Vec<usize>> = kernel.iter().zip(dilation).map(extent).collect();
    extents.map_or_else(|| wrong("windows larger than any memory"), Ok)
}

fn groups(n: &Node<'_>) -> Made<usize> {
    let groups = n.int("group", 1);
    usize::try_from(groups).ok().filter(|groups| *groups > 0).map_or_else(|| wrong(format!("{groups} groups")), Ok)
}

pub(super) fn conv(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let Some(weight) = n.weights(1)? else { return wrong("its weights are missing") };
    let (Some([_, _, size @ ..]), Some([_, _, kernel @ ..])) = (Some(x.shape()), Some(weight.shape())) else {
        return wrong(format!("weights {:?} of a tensor {:?}", weight.shape(), x.shape()));
    };
    let axes = size.len();
    if kernel.len() != axes || axes == 0 {
        return wrong(format!("weights {:?} of a tensor {:?}", weight.shape(), x.shape()));
    }
    if axes > 3 {
        return beyond(format!("{axes} axes of voxels; one to three can be had"));
    }
    let (strides, dilations, groups) = (n.steps("strides", axes, 1)?, n.steps("dilations", axes, 1)?, groups(n)?);
    let pads = n.window_pads(size, &extents(kernel, &dilations)?, &strides)?;
    let place = (three(&strides, 1)?, three(&dilations, 1)?, three(&pads, [0; 2])?);
    let Some(numbers) = l.tensor_of(weight)? else { return beyond("its weights depend on the network's input") };
    // A bias that the network computes is added behind.
    let bias = n.maybe(2).map(|bias| l.tensor_of(bias)).transpose()?.flatten();
    let made = |weight: &candle_core::Tensor, bias: Option<&candle_core::Tensor>| {
        Ok(Conv::dilated(weight, bias, place.1)?.strided(place.0).padded_unevenly(place.2))
    };
    let y = if groups == 1 {
        l.on(made(&numbers, bias.as_ref())?, x)?
    } else {
        l.on(GroupedConv::new(&numbers, bias.as_ref(), groups, made)?, x)?
    };
    one(match n.maybe(2).filter(|_| bias.is_none()) {
        Some(computed) => {
            let mut shape = vec![1; y.rank()];
            shape[1] = computed.count();
            let beside = l.reshape(computed, &shape)?;
            l.pairwise(Arithmetic::Add, &y, &beside)
        }
        None => Ok(y),
    })
}

pub(super) fn transposed(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let Some(weight) = n.weights(1)? else { return wrong("its weights are missing") };
    let ([_, _, size @ ..], [_, _, kernel @ ..]) = (x.shape(), weight.shape()) else {
        return wrong(format!("weights {:?} of a tensor {:?}", weight.shape(), x.shape()));
    };
    let axes = size.len();
    if kernel.len() != axes || axes == 0 {
        return wrong(format!("weights {:?} of a tensor {:?}", weight.shape(), x.shape()));
    }
    let (strides, dilations, groups) = (n.steps("strides", axes, 1)?, n.steps("dilations", axes, 1)?, groups(n)?);
    let cut = cuts(n, size, &extents(kernel, &dilations)?, &strides)?;
    let Some(numbers) = l.tensor_of(weight)? else { return beyond("its weights depend on the network's input") };
    let bias = match n.weights(2)? {
        Some(bias) => l.tensor_of(bias)?,
        None => None,
    };
    let steps = [three(&strides, 1)?, three(&dilations, 1)?];
    one(l.on(ConvTranspose::new(&numbers, bias.as_ref(), groups, steps, three(&cut, [0; 2])?)?, x))
}

/// What is cut off before and behind, along each axis.
fn cuts(n: &Node<'_>, size: &[usize], extents: &[usize], strides: &[usize]) -> Made<Vec<[i64; 2]>> {
    let axes = size.len();
    let more = n.ints("output_padding").filter(|more| !more.is_empty()).unwrap_or(&[0, 0, 0][..axes.min(3)]);
    let wanted = n.ints("output_shape").filter(|shape| !shape.is_empty());
    let same = match n.text("auto_pad", "NOTSET") {
        "SAME_UPPER" => Some(true),
        "SAME_LOWER" => Some(false),
        _ => None,
    };
    if more.len() != axes || more.iter().any(|more| !(0..=1 << 20).contains(more)) {
        return wrong(format!("an output padding {more:?} for {axes} axes"));
    }
    if wanted.is_none() && same.is_none() {
        let pads = if n.text("auto_pad", "NOTSET") == "VALID" { vec![[0; 2]; axes] } else { n.pads(axes)? };
        return Ok(pads.iter().zip(more).map(|([before, behind], more)| [*before, behind - more]).collect());
    }
    let upper = same.unwrap_or(false);
    (0..axes)
        .map(|axis| {
            let whole = size[axis].saturating_sub(1).saturating_mul(strides[axis]).saturating_add(extents[axis]);
            let whole = i64::try_from(whole).unwrap_or(i64::MAX).saturating_add(more[axis]);
            let wanted = match wanted {
                Some(shape) => shape.get(shape.len().saturating_sub(axes) + axis).copied().unwrap_or(0),
                None => i64::try_from(size[axis].saturating_mul(strides[axis])).unwrap_or(i64::MAX),
            };
            // More than there is are zeros behind.
            if !(1..=whole.saturating_add(1 << 20)).contains(&wanted) {
                return wrong(format!("an output of {wanted} along axis {axis}, of {whole}"));
            }
            let all = whole - wanted;
            let [less, rest] = [all / 2, all - all / 2];
            let cut = if upper || all < 0 { [less, rest] } else { [rest, less] };
            Ok([cut[0], cut[1] - more[axis]])
        })
        .collect()
}
