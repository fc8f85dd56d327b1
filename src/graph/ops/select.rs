//! Numbers of an axis in another order, fewer of them, several times, or with others around.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::along::counted;
use super::interpolate::{Axis, Coordinates};
use super::table::{Table, apply_all, vjp_all};
use super::{Operation, Pass, Saved, Saves, Sum, each, only};

/// Which places of an axis are taken, one after the other.
#[derive(Debug, Clone)]
pub enum Pick {
    /// Every `step`-th place is taken from `start` on, up to before `end`. Negative places count from the end of the axis, places
    /// beyond it are its ends; a negative step goes towards the first place.
    Slice { start: i64, end: i64, step: i64 },
    /// So many more before and behind; fewer where a number is negative.
    Pad { before: i64, behind: i64, edge: Edge },
    /// These. Negative places count from the end of the axis.
    Indices(Arc<Vec<i64>>),
    /// The whole axis so many times.
    Tile(usize),
    /// The nearest place is taken for each place of an axis of another length.
    Nearest { to: Axis, coordinates: Coordinates, rounding: Rounding },
}

/// What lies beyond the ends of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// One number everywhere.
    Constant,
    /// The number at the end.
    Nearest,
    /// The numbers before the end in reverse, the one at the end not again.
    Reflect,
    /// The numbers from the other end on.
    Wrap,
}

/// Which of two places is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    Down,
    Up,
    /// A place goes to the nearer one, to the lower of two as near.
    HalfDown,
    /// A place goes to the nearer one, to the upper of two as near.
    HalfUp,
}

/// Some places of some axes, and one number where there is none.
pub struct Select {
    /// Axes, each once, and what is taken of them.
    pub picks: Vec<(usize, Pick)>,
    pub filling: f64,
}

/// A place as counted from the end where it is negative, within 0 and `most`.
fn within(place: i64, side: i64, most: [i64; 2]) -> i64 {
    let place = if place < 0 { place.saturating_add(side) } else { place };
    place.clamp(most[0], most[1])
}

/// The first place, the step, and how many places a slice takes.
fn slice(side: usize, start: i64, end: i64, step: i64) -> Result<(i64, i64, usize)> {
    let length = i64::try_from(side).unwrap_or(i64::MAX);
    let (start, end) = match step {
        0 => bail!("a slice of steps of 0"),
        1.. => (within(start, length, [0, length]), within(end, length, [0, length])),
        // Before the first place lies -1, where a slice back ends.
        _ => (within(start, length, [-1, length - 1]), within(end, length, [-1, length - 1])),
    };
    let way = if step > 0 { end - start } else { start - end };
    let count = (way.max(0) as u64).div_ceil(step.unsigned_abs());
    Ok((start, step, count as usize))
}

impl Pick {
    /// How many places are taken of an axis of `side` places.
    fn length(&self, side: usize) -> Result<usize> {
        match self {
            Self::Slice { start, end, step } => Ok(slice(side, *start, *end, *step)?.2),
            Self::Pad { before, behind, edge } => {
                let length = (side as i128) + i128::from(*before) + i128::from(*behind);
                let more = (*before).max(*behind).max(0) as u64;
                let reach = match edge {
                    Edge::Constant => u64::MAX,
                    Edge::Nearest | Edge::Wrap if side > 0 => u64::MAX,
                    Edge::Reflect if side > 0 => side as u64 - 1,
                    _ => 0,
                };
                match usize::try_from(length) {
                    Ok(length) if more <= reach => Ok(length),
                    _ => bail!("{self:?} of an axis of {side}, whose ends reach {reach} places further"),
                }
            }
            Self::Indices(indices) => Ok(indices.len()),
            Self::Tile(times) => match side.checked_mul(*times) {
                Some(length) => Ok(length),
                None => bail!("{times} times an axis of {side}"),
            },
            Self::Nearest { to, .. } => to.length(side),
        }
    }

    /// The places that are taken of an axis of `side` places.
    fn table(&self, side: usize) -> Result<Table> {
        let length = self.length(side)?;
        match self {
            Self::Slice { start, end, step } => {
                let (first, step, count) = slice(side, *start, *end, *step)?;
                Table::of_places(side, (0..count as i64).map(|at| usize::try_from(first + at * step).ok()))
            }
            Self::Pad { before, edge, .. } => {
                let (side, edge) = (side as i64, *edge);
                // A length that `length` gives and `counted` bounds, and an axis that is there, are far from the ends of an i64.
                let rows = (0..length as i64).map(|at| beyond(at.saturating_sub(*before), side, edge));
                Table::of_places(side as usize, rows)
            }
            Self::Indices(indices) => {
                let place = |index: i64| if index < 0 { index.saturating_add(side as i64) } else { index };
                if let Some(wrong) = indices.iter().find(|index| !(0..side as i64).contains(&place(**index))) {
                    bail!(
                        "place {wrong} of an axis of {side}: places are from {} to {}",
                        -(side as i64),
                        side as i64 - 1
                    );
                }
                Table::of_places(side, indices.iter().map(|index| Some(place(*index) as usize)))
            }
            Self::Tile(_) => Table::of_places(side, (0..length).map(|at| Some(at % side.max(1)))),
            Self::Nearest { to, coordinates, rounding } => {
                let place = |at: usize| {
                    let x = coordinates.of(at, side, to);
                    let x = match rounding {
                        Rounding::Down => x.floor(),
                        Rounding::Up => x.ceil(),
                        Rounding::HalfDown => (x - 0.5).ceil(),
                        Rounding::HalfUp => (x + 0.5).floor(),
                    };
                    Some((x.max(0.0) as usize).min(side - 1)) // `length` refuses an empty axis
                };
                Table::of_places(side, (0..length).map(place))
            }
        }
    }
}

/// What lies at a place that may be beyond the ends of an axis.
fn beyond(place: i64, side: i64, edge: Edge) -> Option<usize> {
    let inside = match edge {
        _ if (0..side).contains(&place) => place,
        Edge::Constant => return None,
        Edge::Nearest => place.clamp(0, side - 1),
        Edge::Reflect if place < 0 => -place,
        Edge::Reflect => 2 * (side - 1) - place,
        Edge::Wrap => place.rem_euclid(side),
    };
    usize::try_from(inside).ok()
}

impl Select {
    /// Each axis with the table of its places, for an input of such a shape; those that change nothing left out.
    fn tables(&self, shape: &[usize]) -> Result<Vec<(usize, Table)>> {
        let tables = self.picks.iter().map(|(axis, pick)| Ok((*axis, pick.table(shape[*axis])?)));
        let tables = tables.collect::<Result<Vec<_>>>()?;
        Ok(tables.into_iter().filter(|(_, table)| !table.is_identity()).collect())
    }
}

impl Operation for Select {
    fn name(&self) -> String {
        let short = |pick: &Pick| match pick {
            Pick::Indices(indices) => format!("{} places", indices.len()),
            other => format!("{other:?}"),
        };
        let picks: Vec<String> =
            self.picks.iter().map(|(axis, pick)| format!("{} of axis {axis}", short(pick))).collect();
        picks.join(", ")
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let mut shape = only(inputs)?.to_vec();
        for (at, (axis, pick)) in self.picks.iter().enumerate() {
            if *axis >= shape.len() || self.picks[..at].iter().any(|(other, _)| other == axis) {
                bail!("{} of {shape:?}: each axis must be one of its {}, once", self.name(), shape.len());
            }
            shape[*axis] = pick.length(shape[*axis])?;
            if let Pick::Indices(_) = pick {
                pick.table(only(inputs)?[*axis])?;
            }
        }
        counted(&self.name(), shape)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        self.shape(&[inputs[0].dims()])?;
        Ok((apply_all(&self.tables(inputs[0].dims())?, inputs[0], self.filling)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let tables = self.tables(only(pass.shapes)?)?;
        each(into, |_| vjp_all(&tables, gradient))
    }
}
