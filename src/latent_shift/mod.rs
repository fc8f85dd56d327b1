//! The method: encode, one exact gradient, a search along it, a sweep of steps, heatmaps.
//! Source: Cohen, Blankemeier, Chaudhari, arXiv 2502.07156, and its published code `ct_counterfactuals` 0.0.4.

use std::ops::Range;

use crate::volume::{Grid, Volume};

/// One lambda tried by a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    pub lambda: f64,
    pub score: f64,
    /// Sum over the whole stack of |step - reconstruction|, in decoded units.
    pub change: f64,
}

/// One image on the lambda path. Only slab slices are kept: all others are the reconstruction's.
#[derive(Debug, Clone)]
pub struct Step {
    pub lambda: f64,
    pub score: f64,
    /// Slab slices `[slab, height, width]`, decoded units.
    pub slab: std::sync::Arc<[f32]>,
}

/// The three scores that are always shown together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    pub scan: f64,
    pub reconstruction: f64,
    pub counterfactual: f64,
}

/// The answer of a run. Values of steps and reconstruction are in decoded units; `hu_from_decoded` leads to HU.
#[derive(Debug, Clone)]
pub struct Counterfactual {
    /// The model's grid: voxel `(i, j, k)` is column, row, slice.
    pub grid: Grid,
    /// Slices that may change.
    pub slab: Range<usize>,
    /// What was explained, `0..=1`.
    pub stack: Volume,
    /// decode(encode(x)), the step at lambda 0.
    pub reconstruction: Volume,
    /// By ascending lambda; never empty.
    pub steps: Vec<Step>,
    /// Index into `steps` of the chosen end.
    pub chosen: usize,
    pub scores: Scores,
    pub walk: Vec<Trial>,
    /// Why the search ended, in words.
    pub stop: String,
    /// False where the run was cancelled and these are its partial results.
    pub complete: bool,
    pub heatmap: Volume,
    /// `[slope, offset]`: HU = slope * decoded + offset.
    pub hu_from_decoded: [f32; 2],
    /// HU = slope * unit + offset, for `stack`.
    pub hu_from_unit: [f32; 2],
    /// Latents and gradient `[slices, channels, h, w]`, flat, with that shape.
    pub latents: (Vec<f32>, [usize; 4]),
    pub gradient: Vec<f32>,
}

impl Counterfactual {
    /// The scan's stack in HU.
    pub fn original_hu(&self) -> Volume { todo!() }
    /// The reconstruction in HU: the step at lambda 0.
    pub fn reconstruction_hu(&self) -> Volume { todo!() }
    /// Step `index` as a whole volume, HU.
    pub fn step_hu(&self, _index: usize) -> Volume { todo!() }
    /// Step `index` minus the reconstruction, HU.
    pub fn difference_hu(&self, _index: usize) -> Volume { todo!() }
    /// Mean |step - reconstruction| of each slice at the chosen step, HU.
    pub fn change_per_slice_hu(&self) -> Vec<f32> { todo!() }
}

/// How lambda is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchWay {
    /// Aimed by |g|^2, bracketed, bisected to the wanted drop.
    Aim,
    /// The published walk, every stop rule, with its overshoot.
    Reference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeatmapMethod { Int, Mean, MinMax, Max }

/// What a run is told, besides its networks and target. `Default` is the reference's with the aimed search.
#[derive(Debug, Clone)]
pub struct Options {
    pub search: SearchWay,
    /// Fixed lambda range, `fix_range` of the reference: no search.
    pub range: Option<[f64; 2]>,
    /// Images on the sweep.
    pub steps: usize,
    /// Wanted change of the score; positive lowers it (lambda < 0), negative raises it.
    pub drop: f64,
    pub floor: f64,
    pub max_lambda: f64,
    pub step_size: f64,
    /// Largest allowed sum |change| as a share of the sum of |reconstruction|.
    pub max_change: f64,
    pub heatmap: HeatmapMethod,
    /// Slices decoded with a graph at a time.
    pub chunk: usize,
}
