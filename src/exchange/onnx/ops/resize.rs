//! Operations that resize a tensor along its axes.

use super::one;
use crate::exchange::lower::{Lowering, Made, Operand, axis_of, beyond, wrong};
use crate::exchange::onnx::node::Node;
use crate::graph::ops::{Axis, Between, Coordinates, Interpolate, Pick, Rounding};

/// By axis, how long it becomes; those that stay left out.
fn lengths(n: &Node<'_>) -> Made<Vec<(usize, Axis)>> {
    let x = n.input(0)?;
    let old = n.step.operation == "Upsample";
    let [scales, sizes] = if old { [1, 9] } else { [2, 3] };
    let axes = match n.ints("axes") {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, x.rank())).collect::<Made<Vec<_>>>()?,
        None => (0..x.rank()).collect(),
    };
    let lengths = match (n.known_reals(scales)?.filter(|scales| !scales.is_empty()), n.known(sizes)?) {
        (Some(scales), _) => scales.into_iter().map(Axis::Times).collect(),
        (None, Some(sizes)) => to_sizes(n, x, &axes, &sizes)?,
        (None, None) => return wrong("it says neither scales nor sizes"),
    };
    if lengths.len() != axes.len() {
        return wrong(format!("{} lengths for {} axes", lengths.len(), axes.len()));
    }
    let stays = |(axis, to): &(usize, Axis)| match to {
        Axis::Times(times) => *times == 1.0,
        Axis::Size(size) => *size == x.shape()[*axis],
    };
    Ok(axes.into_iter().zip(lengths).filter(|length| !stays(length)).collect())
}

/// These sizes, or the same factor for all that makes none larger, or none smaller.
fn to_sizes(n: &Node<'_>, x: &Operand, axes: &[usize], sizes: &[i64]) -> Made<Vec<Axis>> {
    let fits = |size: &i64| (1..=1 << 30).contains(size);
    if sizes.len() != axes.len() || !sizes.iter().all(fits) || axes.iter().any(|axis| x.shape()[*axis] == 0) {
        return wrong(format!("sizes {sizes:?} of a tensor {:?}", x.shape()));
    }
    let factors = axes.iter().zip(sizes).map(|(axis, size)| *size as f64 / x.shape()[*axis] as f64);
    let factor = match n.text("keep_aspect_ratio_policy", "stretch") {
        "not_larger" => factors.fold(f64::INFINITY, f64::min),
        "not_smaller" => factors.fold(0.0, f64::max),
        _ => return Ok(sizes.iter().map(|size| Axis::Size(*size as usize)).collect()),
    };
    Ok(axes.iter().map(|axis| Axis::Size((factor * x.shape()[*axis] as f64).round() as usize)).collect())
}

pub(super) fn resize(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, axes) = (n.input(0)?, lengths(n)?);
    let old = n.step.operation == "Upsample";
    let coordinates = match n.text("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" }) {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelAboutCentre,
        "pytorch_half_pixel" => Coordinates::HalfPixelOrFirst,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => return beyond(format!("its coordinates are {other:?}")),
    };
    let between = match n.text("mode", "nearest") {
        "nearest" => return one(nearest(l, n, axes, coordinates)),
        "linear" => Between::Linear,
        "cubic" => Between::Cubic(n.float("cubic_coeff_a", -0.75)),
        other => return beyond(format!("its mode is {other:?}")),
    };
    if axes.is_empty() {
        return one(Ok(x.clone()));
    }
    let (antialias, exclude_outside) = (n.int("antialias", 0) != 0, n.int("exclude_outside", 0) != 0);
    one(l.on(Interpolate { axes, between, coordinates, antialias, exclude_outside }, x))
}

fn nearest(l: &mut Lowering, n: &Node<'_>, axes: Vec<(usize, Axis)>, coordinates: Coordinates) -> Made<Operand> {
    let old = n.step.operation == "Upsample";
    let rounding = match n.text("nearest_mode", if old { "floor" } else { "round_prefer_floor" }) {
        "round_prefer_floor" => Rounding::HalfDown,
        "round_prefer_ceil" => Rounding::HalfUp,
        "floor" => Rounding::Down,
        "ceil" => Rounding::Up,
        other => return beyond(format!("it rounds by {other:?}")),
    };
    let picks = axes.into_iter().map(|(axis, to)| (axis, Pick::Nearest { to, coordinates, rounding }));
    l.select(n.input(0)?, picks.collect(), 0.0)
}
