//! Values as they are typed: slabs, ranges, seeds, numbers within bounds.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use crate::cohort;

/// Slices that may change; `None` is all.
#[derive(Debug, Clone)]
pub struct Slab(pub Option<Range<usize>>);

/// Seeds of phantoms, the last one not included.
#[derive(Debug, Clone)]
pub struct Seeds(pub Range<u64>);

/// The sides of a tensor.
#[derive(Debug, Clone)]
pub struct Shape(pub Vec<usize>);

/// A lambda range, ascending.
#[derive(Debug, Clone, Copy)]
pub struct LambdaRange(pub [f64; 2]);

pub(super) fn slab(text: &str) -> Result<Slab, String> {
    cohort::slab(text).map(Slab)
}

pub(super) fn size(text: &str) -> Result<Shape, String> {
    let side = |side: &str| match side.parse::<usize>() {
        Ok(side) if side > 0 => Ok(side),
        _ => Err(format!("{side:?} is no side; want AxBx..., as 1x1x96x96x96")),
    };
    text.split('x').map(side).collect::<Result<_, _>>().map(Shape)
}

/// Reads a whole number of a range.
pub(super) fn within<N>(range: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let (start, end) = (range.start(), range.end());
        let number: N =
            text.parse().ok().ok_or_else(|| format!("{text:?} is no whole number; want one of {start} to {end}"))?;
        if range.contains(&number) { Ok(number) } else { Err(format!("{number} is not in {start}..={end}")) }
    }
}

pub(super) fn seeds(text: &str) -> Result<Seeds, String> {
    let (start, end) = text.split_once(':').ok_or("want A:B")?;
    let number = |s: &str| s.parse::<u64>().map_err(|e| format!("{s:?}: {e}; want A:B"));
    let seeds = number(start)?..number(end)?;
    if seeds.is_empty() { Err(format!("{text} holds no seed; want A:B with A < B")) } else { Ok(Seeds(seeds)) }
}

pub(super) fn range(text: &str) -> Result<LambdaRange, String> {
    let (min, max) = text.split_once(':').ok_or("want MIN:MAX")?;
    let (min, max) = (finite(min)?, finite(max)?);
    if min <= max { Ok(LambdaRange([min, max])) } else { Err(format!("{min} is above {max}; want MIN:MAX")) }
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if value.is_finite() { Ok(value) } else { Err("want a finite number".to_owned()) }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let value = finite(text)?;
    if value > 0.0 { Ok(value) } else { Err("want a number above 0".to_owned()) }
}
