//! Axes of another length, by linear or cubic interpolation: slices and volumes resized.

use candle_core::{Result, Tensor, bail};

use super::along::counted;
use super::table::{Table, apply_all, vjp_all};
use super::{Operation, Pass, Saved, Saves, Sum, each, only};

/// How long an axis becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Axis {
    Size(usize),
    /// So many times as long, rounded down. Places are where this factor puts them, the rest of the axis falls off.
    Times(f64),
}

/// Where a place of the output lies along the input. Source: ONNX, `Resize`, `coordinate_transformation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// Ends of pixels on ends of pixels.
    HalfPixel,
    /// Ends of pixels on ends of pixels; the first place where the output has but one.
    HalfPixelOrFirst,
    /// Ends of pixels lie on ends of pixels about the centre; a factor that is rounded down moves the ends.
    HalfPixelAboutCentre,
    /// Centres of the pixels at the ends on centres of pixels at the ends.
    AlignCorners,
    /// The first place on the first place.
    Asymmetric,
}

/// What lies between numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Between {
    /// A line.
    Linear,
    /// The cubic convolution of that parameter, mostly -0.75 or -0.5 (Keys 1981).
    Cubic(f64),
}

/// Some axes of another length. Beyond the ends stands the number at the end.
#[derive(Debug, Clone)]
pub struct Interpolate {
    pub axes: Vec<(usize, Axis)>,
    pub between: Between,
    pub coordinates: Coordinates,
    /// Whether an axis that becomes shorter is smoothed.
    pub antialias: bool,
    /// Whether what lies beyond the ends has no share instead, as in PyTorch's resizing with antialias.
    pub exclude_outside: bool,
}

impl Axis {
    pub(super) fn length(&self, side: usize) -> Result<usize> {
        let length = match self {
            Self::Size(size) => *size,
            Self::Times(factor) if factor.is_finite() && *factor > 0.0 => (side as f64 * factor).floor() as usize,
            Self::Times(factor) => bail!("an axis {factor} times as long: the factor must be positive"),
        };
        if length == 0 || side == 0 {
            bail!("an axis of {side} resized to {length}");
        }
        Ok(length)
    }

    fn factor(&self, side: usize) -> f64 {
        match self {
            Self::Size(size) => *size as f64 / side as f64,
            Self::Times(factor) => *factor,
        }
    }
}

impl Coordinates {
    /// Gives the coordinate along the input of a place of the output, where the axis of `side` goes `to` another length.
    pub(super) fn of(self, at: usize, side: usize, to: &Axis) -> f64 {
        let (at, side, factor) = (at as f64, side as f64, to.factor(side));
        let length = side * factor;
        let half = (at + 0.5) / factor - 0.5;
        match self {
            Self::HalfPixel => half,
            Self::HalfPixelOrFirst if length > 1.0 => half,
            Self::HalfPixelAboutCentre => half + side / 2.0 * (1.0 - length.floor() / length),
            Self::AlignCorners if length > 1.0 => at * (side - 1.0) / (length - 1.0),
            Self::HalfPixelOrFirst | Self::AlignCorners => 0.0,
            Self::Asymmetric => at / factor,
        }
    }
}

impl Between {
    /// How far a number's share reaches.
    fn reach(self) -> f64 {
        match self {
            Self::Linear => 1.0,
            Self::Cubic(_) => 2.0,
        }
    }

    /// The share of a number at a distance.
    fn share(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Linear => (1.0 - x).max(0.0),
            Self::Cubic(a) if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            Self::Cubic(a) if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
            Self::Cubic(_) => 0.0,
        }
    }
}

impl Interpolate {
    /// The shares that a place of the output takes of an axis of `side`.
    fn row(&self, at: usize, side: usize, to: &Axis) -> Vec<(usize, f64)> {
        let centre = self.coordinates.of(at, side, to);
        let stretch = if self.antialias { to.factor(side).min(1.0) } else { 1.0 };
        let reach = self.between.reach() / stretch;
        let last = side as i64 - 1;
        let (mut row, mut whole) = (Vec::<(usize, f64)>::new(), 0.0);
        for place in (centre - reach).floor() as i64..=(centre + reach).ceil() as i64 {
            let share = self.between.share((place as f64 - centre) * stretch);
            let inside = place.clamp(0, last);
            if share == 0.0 || (self.exclude_outside && inside != place) {
                continue;
            }
            whole += share;
            match row.last_mut() {
                Some((same, sum)) if *same == inside as usize => *sum += share,
                _ => row.push((inside as usize, share)),
            }
        }
        for (_, share) in &mut row {
            *share /= whole;
        }
        row
    }

    /// Each axis with the table of its shares, for an input of such a shape; those that change nothing left out.
    fn tables(&self, shape: &[usize]) -> Result<Vec<(usize, Table)>> {
        let changes = |(axis, to): &&(usize, Axis)| to.length(shape[*axis]).is_ok_and(|to| to != shape[*axis]);
        let tables = self.axes.iter().filter(changes).map(|(axis, to)| {
            let side = shape[*axis];
            let rows = (0..to.length(side)?).map(|at| self.row(at, side, to));
            Ok((*axis, Table::of_shares(side, rows)?))
        });
        tables.collect()
    }
}

impl Operation for Interpolate {
    fn name(&self) -> String {
        format!("{:?} interpolation to {:?}", self.between, self.axes).to_lowercase()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let mut shape = only(inputs)?.to_vec();
        for (at, (axis, to)) in self.axes.iter().enumerate() {
            if *axis >= shape.len() || self.axes[..at].iter().any(|(other, _)| other == axis) {
                bail!("{} of {shape:?}: each axis must be one of its {}, once", self.name(), shape.len());
            }
            shape[*axis] = to.length(shape[*axis])?;
        }
        counted(&self.name(), shape)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        self.shape(&[inputs[0].dims()])?;
        Ok((apply_all(&self.tables(inputs[0].dims())?, inputs[0], 0.0)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let tables = self.tables(only(pass.shapes)?)?;
        each(into, |_| vjp_all(&tables, gradient))
    }
}
