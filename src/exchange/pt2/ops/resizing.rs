//! Slices and volumes of other sizes: nearest, linear and cubic.

use super::super::call::{Call, Item, Lower};
use crate::exchange::lower::{Made, wrong};
use crate::graph::ops::{Axis, Between, Coordinates, Interpolate, Pick, Rounding};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "upsample_nearest1d" | "upsample_nearest2d" | "upsample_nearest3d" => {
            |call| nearest(call, Coordinates::Asymmetric, Rounding::Down)
        }
        "_upsample_nearest_exact1d" | "_upsample_nearest_exact2d" | "_upsample_nearest_exact3d" => {
            |call| nearest(call, Coordinates::HalfPixel, Rounding::HalfUp)
        }
        "upsample_linear1d" | "upsample_bilinear2d" | "upsample_trilinear3d" => {
            |call| between(call, Between::Linear, false)
        }
        "upsample_bicubic2d" => |call| between(call, Between::Cubic(-0.75), false),
        "_upsample_bilinear2d_aa" => |call| between(call, Between::Linear, true),
        "_upsample_bicubic2d_aa" => |call| between(call, Between::Cubic(-0.5), true),
        _ => return None,
    })
}

/// How long each axis behind the channels becomes: by factors where the file has them, else by sizes.
fn axes(call: &Call<'_>, rank: usize) -> Made<Vec<(usize, Axis)>> {
    let count = rank.saturating_sub(2);
    let factors = if let Some(factors) = call.floats("scale_factors")? {
        Some(factors)
    } else {
        let names: &[&str] = match count {
            1 => &["scales"],
            2 => &["scales_h", "scales_w"],
            _ => &["scales_d", "scales_h", "scales_w"],
        };
        names.iter().map(|name| call.number(name)).collect::<Made<Option<Vec<f64>>>>()?
    };
    let sizes = call.ints("output_size")?.unwrap_or_default();
    let axes: Vec<Axis> = match factors {
        // The sizes of a file are those of its factors, which say where places lie.
        Some(factors) => factors.into_iter().map(Axis::Times).collect(),
        None => sizes.iter().map(|size| Axis::Size(usize::try_from(*size).unwrap_or(0))).collect(),
    };
    if axes.len() != count || count == 0 {
        return wrong(format!("{} sizes for {count} axes", axes.len()));
    }
    Ok(axes.into_iter().enumerate().map(|(which, axis)| (which + 2, axis)).collect())
}

fn nearest(call: &mut Call<'_>, coordinates: Coordinates, rounding: Rounding) -> Made<Item> {
    let x = call.x()?;
    let picks = axes(call, x.rank())?.into_iter().map(|(axis, to)| (axis, Pick::Nearest { to, coordinates, rounding }));
    Ok(call.low.select(&x, picks.collect(), 0.0)?.into())
}

fn between(call: &mut Call<'_>, between: Between, antialias: bool) -> Made<Item> {
    let x = call.x()?;
    let mut axes = axes(call, x.rank())?;
    let coordinates = if call.bool("align_corners", false)? {
        // Corners say where places lie, whatever the factor was.
        for (axis, to) in &mut axes {
            if let Axis::Times(factor) = *to {
                *to = Axis::Size((x.shape()[*axis] as f64 * factor) as usize);
            }
        }
        Coordinates::AlignCorners
    } else {
        Coordinates::HalfPixel
    };
    let to = Interpolate { axes, between, coordinates, antialias, exclude_outside: antialias };
    Ok(call.low.on(to, &x)?.into())
}
