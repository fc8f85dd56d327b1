//! Values as they are typed: slabs, ranges, seeds, numbers within bounds.

use std::ffi::OsStr;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum};

use crate::cohort;
use crate::reach::url;

/// Slices that may change; `None` is all.
#[derive(Debug, Clone)]
pub struct Slab(pub Option<Range<usize>>);

/// Seeds of phantoms, the last one not included.
#[derive(Debug, Clone)]
pub struct Seeds(pub Range<u64>);

/// The sides of a tensor.
#[derive(Debug, Clone)]
pub struct Shape(pub Vec<usize>);

/// A number for each axis of a scan: columns, rows, slices.
#[derive(Debug, Clone, Copy)]
pub struct PerAxis<N>(pub [N; 3]);

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

/// Reads the columns, rows and slices of a scan.
pub(super) fn matrix(text: &str) -> Result<PerAxis<usize>, String> {
    per_axis(text, whole, "512x512x300")
}

/// Reads the millimetres between columns, rows and slices.
pub(super) fn spacing(text: &str) -> Result<PerAxis<f64>, String> {
    per_axis(text, positive, "0.7x0.7x1")
}

fn per_axis<N>(text: &str, read: impl Fn(&str) -> Result<N, String>, such: &str) -> Result<PerAxis<N>, String> {
    let numbers: Vec<N> = text.split('x').map(read).collect::<Result<_, _>>()?;
    let three = <[N; 3]>::try_from(numbers).map_err(|_other| format!("{text:?} is not three numbers; want {such}"))?;
    Ok(PerAxis(three))
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

/// Reads one word of a list with commas, with blanks around it.
pub(super) fn listed<E: ValueEnum + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = E> {
    Listed(EnumValueParser::<E>::new())
}

#[derive(Clone)]
struct Listed<P>(P);

impl<P: TypedValueParser> TypedValueParser for Listed<P> {
    type Value = P::Value;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<P::Value, clap::Error> {
        // What is no text is no word of the list either, and is refused as it is.
        let trimmed = value.to_str().map_or(value, |text| OsStr::new(text.trim()));
        self.0.parse_ref(command, arg, trimmed)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// Reads a whole number.
pub(super) fn whole<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_no_number| {
        if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) {
            format!("{text} is too large a number")
        } else {
            format!("{text:?} is no whole number of 0 or more")
        }
    })
}

/// Reads a port of a machine.
pub(super) fn port(text: &str) -> Result<u16, String> {
    url::check_port(text)?;
    whole(text)
}

/// Reads how much of something a phantom has.
pub(super) fn dial(text: &str) -> Result<f32, String> {
    finite(text).map(|value| value as f32)
}

pub(super) fn seeds(text: &str) -> Result<Seeds, String> {
    let (start, end) = text.split_once(':').ok_or("want A:B")?;
    let number = |s: &str| whole(s).map_err(|why| format!("{why}; want A:B"));
    let seeds = number(start)?..number(end)?;
    if seeds.is_empty() { Err(format!("{text} holds no seed; want A:B with A < B")) } else { Ok(Seeds(seeds)) }
}

pub(super) fn range(text: &str) -> Result<LambdaRange, String> {
    let (min, max) = text.split_once(':').ok_or("want MIN:MAX")?;
    let (min, max) = (finite(min)?, finite(max)?);
    if min <= max { Ok(LambdaRange([min, max])) } else { Err(format!("{min} is above {max}; want MIN:MAX")) }
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_no_number| format!("{text:?} is no number"))?;
    if value.is_finite() { Ok(value) } else { Err("want a finite number".to_owned()) }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let value = finite(text)?;
    if value > 0.0 { Ok(value) } else { Err("want a number above 0".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told_in_words() {
        assert_eq!(whole::<usize>("12"), Ok(12));
        for (text, said) in [
            ("", "\"\" is no whole number of 0 or more"),
            ("-1", "\"-1\" is no whole number of 0 or more"),
            ("1.5", "\"1.5\" is no whole number of 0 or more"),
            ("99999999999999999999", "99999999999999999999 is too large a number"),
        ] {
            assert_eq!(whole::<usize>(text), Err(said.to_owned()));
        }
        assert_eq!(port("104"), Ok(104));
        for text in ["0", "65536", "99999999999999999999", "x", ""] {
            assert!(port(text).is_err_and(|why| why.contains("from 1 to 65535")), "{text}");
        }
        assert_eq!(finite("1,5"), Err("\"1,5\" is no number".to_owned()));
        assert_eq!(seeds("1:x").unwrap_err(), "\"x\" is no whole number of 0 or more; want A:B");
    }
}
