//! A volume at evenly spaced places along its axes, by lines between the numbers: one network's grid among another's.

use candle_core::{Result, Tensor, bail};

use super::along::counted;
use super::table::{Table, apply_all, vjp_all};
use super::{Operation, Pass, Saved, Saves, Sum, each, only};

/// Rounding of places, in voxels.
const SLACK: f64 = 1e-6;

/// Places along an axis: `length` of them, the first at `start`, each `step` further. Whole places are those of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub start: f64,
    pub step: f64,
    pub length: usize,
}

/// Some axes at places between the input's. Up to half a voxel beyond the ends stands the number at the end, further on 0.
#[derive(Debug, Clone)]
pub struct Sample(pub Vec<(usize, Line)>);

impl Line {
    /// Every place of an axis of a length.
    pub fn whole(length: usize) -> Self {
        Self { start: 0.0, step: 1.0, length }
    }

    /// Whether the places are those of an axis of `side`, to the rounding.
    pub fn is_whole(&self, side: usize) -> bool {
        let drift = (self.step - 1.0).abs() * side as f64;
        self.length == side && self.start.abs() <= SLACK && drift <= SLACK
    }

    /// Where the place of that number lies among those of an axis of `side`; none where it lies beyond.
    pub fn place(&self, at: usize, side: usize) -> Option<f64> {
        let place = self.start + self.step * at as f64;
        let last = side as f64 - 1.0;
        (-0.5 - SLACK..=last + 0.5 + SLACK).contains(&place).then(|| place.clamp(0.0, last))
    }

    /// The shares that it takes of the places before and behind it.
    fn row(&self, at: usize, side: usize) -> Vec<(usize, f64)> {
        let Some(place) = self.place(at, side) else { return Vec::new() };
        let low = (place as usize).min(side.saturating_sub(2));
        let share = place - low as f64;
        [(low, 1.0 - share), (low + 1, share)].into_iter().filter(|(_, share)| *share != 0.0).collect()
    }
}

impl Sample {
    fn tables(&self, shape: &[usize]) -> Result<Vec<(usize, Table)>> {
        let changes = |(axis, line): &&(usize, Line)| !line.is_whole(shape[*axis]);
        let tables = self.0.iter().filter(changes).map(|(axis, line)| {
            let rows = (0..line.length).map(|at| line.row(at, shape[*axis]));
            Ok((*axis, Table::of_shares(shape[*axis], rows)?))
        });
        tables.collect()
    }
}

impl Operation for Sample {
    fn name(&self) -> String {
        let sizes: Vec<usize> = self.0.iter().map(|(_, line)| line.length).collect();
        format!("resampling to {sizes:?}")
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let mut shape = only(inputs)?.to_vec();
        for (at, (axis, line)) in self.0.iter().enumerate() {
            let finite = line.start.is_finite() && line.step.is_finite();
            let again = self.0[..at].iter().any(|(other, _)| other == axis);
            if *axis >= shape.len() || again || !finite || shape[*axis] == 0 {
                bail!("{} of {shape:?}: each axis must be one of its {}, once", self.name(), shape.len());
            }
            shape[*axis] = line.length;
        }
        counted(&self.name(), shape)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((apply_all(&self.tables(inputs[0].dims())?, inputs[0], 0.0)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let tables = self.tables(only(pass.shapes)?)?;
        each(into, |_| vjp_all(&tables, gradient))
    }
}
