//! What a counterfactual is worth, in numbers: whether it did what was asked, and how little it changed on the way.

mod body;
mod drift;
mod measures;
pub mod regions;
pub mod words;

use serde::Serialize;

pub use body::body;
pub use drift::{Drift, drift};
pub use measures::{count, mean_distance, monotonicity, reached, share_above, sparsity};

use crate::latent_shift::search::logit;
use crate::latent_shift::{Counterfactual, Options, ScoreKind};
use crate::volume::Volume;

/// A voxel counts as changed from here on, HU: about the noise of a chest CT.
pub const CHANGED_HU: f32 = 10.0;

/// The numbers of one run. Scores and pixels are compared at the counterfactual and at lambda 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Where the score was to go; nothing where a range was given.
    pub goal: Option<f64>,
    /// Whether it came there: the validity of a counterfactual.
    pub goal_reached: Option<bool>,
    pub score_change: f64,
    /// Of a classifier's probability; no other score has a logit, nor has a sum beyond `0..=1`.
    pub logit_change: Option<f64>,
    /// |score of the scan - score of the reconstruction|.
    pub reconstruction_gap: f64,
    /// Over the body; not a number where there is none.
    pub mean_change_hu: f64,
    /// With its sign.
    pub largest_change_hu: f32,
    /// Share of the body's voxels changed by more than `CHANGED_HU`; not a number where there is none.
    pub changed_body_share: f64,
    /// Share of all voxels that holds 90 % of the change.
    pub sparsity: f64,
    /// How far the latents moved, as a share of their length.
    pub latents_moved: f64,
    /// Share of neighbouring steps in which the score rises with lambda.
    pub monotonicity: f64,
}

impl Quality {
    pub fn of(result: &Counterfactual, options: &Options) -> Self {
        let scores = result.scores;
        let (start, end) = (scores.reconstruction, scores.counterfactual);
        let goal = options.goal(start);
        let is_probability =
            result.score_kind == ScoreKind::Probability && [start, end].iter().all(|score| (0.0..=1.0).contains(score));
        let body = body(&result.original_hu());
        let flat = |volume: Volume| volume.voxels.iter().collect::<Vec<f32>>();
        let change = flat(result.difference_hu(result.chosen)).into_iter().map(f32::abs).collect::<Vec<f32>>();
        let sweep: Vec<f64> = result.steps.iter().map(|step| step.score).collect();
        Self {
            goal,
            goal_reached: goal.map(|goal| reached(start, goal, end)),
            score_change: end - start,
            logit_change: is_probability.then(|| logit(end) - logit(start)),
            reconstruction_gap: (scores.scan - start).abs(),
            mean_change_hu: mean_distance(&change, &vec![0.0; change.len()], &body),
            largest_change_hu: result.largest_change_hu(),
            changed_body_share: share_above(&change, CHANGED_HU, &body),
            sparsity: sparsity(&change),
            latents_moved: result.latents_moved,
            monotonicity: monotonicity(&sweep),
        }
    }
}
