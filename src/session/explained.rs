//! A finished run with all that is shown of it.

use std::sync::Arc;

use super::open_scan::OpenScan;
use super::view::scale::Scale;
use crate::export::report::{Report, report};
use crate::frame::{HEATMAPS, Layers, Shift, SizeMap};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::{Counterfactual, HeatmapMethod, Step};
use crate::pipeline::{Asked, Run};
use crate::quality::regions::{Change, Regions, regions};
use crate::stability::Stability;

/// A finished run with all that is shown of it.
#[derive(Clone)]
pub struct Explained {
    pub scan: Arc<OpenScan>,
    pub run: Arc<Run>,
    pub layers: Arc<Layers>,
    /// Colours saturate at +- this, at every lambda alike.
    pub scale_hu: f32,
    /// Where the colours of each heatmap saturate, HU, by `HeatmapMethod::ALL`.
    pub heat_scales_hu: [f32; HEATMAPS],
    /// Mean |change| of each slice of the stack, HU, and the slice where it is largest.
    pub change_per_slice_hu: Vec<f32>,
    pub most_changed_slice: usize,
    pub report: Report,
    /// The share of repetitions that agree, voxel by voxel; nothing where none were made.
    pub agreement: Option<SizeMap>,
}

impl Explained {
    /// All that is shown of a run, made now or on another day.
    pub fn new(scan: Arc<OpenScan>, run: Run) -> Self {
        let shift = Shift::of(&run.result);
        Self {
            scale_hu: shift.scale_hu(),
            heat_scales_hu: HeatmapMethod::ALL.map(|method| shift.heat_scale_hu(method)),
            change_per_slice_hu: run.result.change_per_slice_hu(),
            most_changed_slice: run.result.most_changed_slice(),
            report: report(&run, Regions::usual(&run.result, &scan.layers.scan.grid)),
            layers: Arc::new(Layers { scan: scan.layers.scan.clone(), shift: Some(shift), map: None }),
            agreement: None,
            scan,
            run: Arc::new(run),
        }
    }

    /// What came of the run.
    pub fn result(&self) -> &Counterfactual {
        &self.run.result
    }

    /// What was asked for.
    pub fn asked(&self) -> &Asked {
        &self.run.asked
    }
}

impl Explained {
    /// This result with what came again of it in repetitions. Its pictures stay the same.
    #[must_use]
    pub fn repeated(&self, stability: Stability) -> Self {
        let grid = self.result().grid;
        let (shares, slab) = (stability.shares(), self.result().slab_voxels());
        let mut sizes = vec![0.0; grid.len()];
        for (size, share) in sizes.iter_mut().skip(slab.start).zip(shares) {
            *size = share;
        }
        let top = if stability.runs == 1 { "the one run".to_owned() } else { format!("all {} runs", stability.runs) };
        let agreement = Some(SizeMap::new(grid, sizes.into_iter(), 1.0, top));
        let mut repeated = Self { agreement, ..self.clone() };
        repeated.report.stability = Some(stability);
        repeated
    }

    /// This result with the regions that changed by more than `above_hu`, HU. Its pictures stay the same.
    ///
    /// # Errors
    /// Where the work is cancelled.
    pub fn with_regions_above(&self, above_hu: f32, monitor: &Monitor) -> Result<Self, Cancelled> {
        let change = Change::of(self.result(), &self.scan.layers.scan.grid);
        let mut regrouped = self.clone();
        regrouped.report.regions = regions(&change, above_hu, None, monitor)?;
        Ok(regrouped)
    }

    /// Whether both are one result, whatever has come to be known of it since.
    pub fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layers, &other.layers)
    }

    /// Slices of the stack that changed more than their neighbours, upwards.
    pub fn peaks(&self) -> impl Iterator<Item = usize> {
        let changes = &self.change_per_slice_hu;
        let is_peak = |k: &usize| {
            let beside = |n: Option<usize>| n.and_then(|n| changes.get(n)).is_none_or(|other| *other < changes[*k]);
            changes[*k] > 0.0 && beside(k.checked_sub(1)) && beside(k.checked_add(1))
        };
        (0..changes.len()).filter(is_peak)
    }

    /// How its scores are told.
    pub fn scale(&self, logits: bool) -> Scale {
        let scores = self.result().scores;
        Scale::new(self.result().score_kind, logits, [scores.scan, scores.reconstruction, scores.counterfactual])
    }

    /// The score at a place along the steps: between two steps by a straight line, for the eye only.
    pub fn score_at(&self, step: f32) -> f64 {
        self.between(step, |step| step.score)
    }

    /// Lambda at a place along the steps.
    pub fn lambda_at(&self, step: f32) -> f64 {
        self.between(step, |step| step.lambda)
    }

    fn between(&self, step: f32, of: impl Fn(&Step) -> f64) -> f64 {
        let steps = &self.result().steps;
        let low = (step.max(0.0) as usize).min(steps.len() - 1);
        let high = (low + 1).min(steps.len() - 1);
        let share = f64::from(step - low as f32).clamp(0.0, 1.0);
        let [low, high] = [low, high].map(|at| of(&steps[at]));
        low + (high - low) * share
    }

    /// The place along the steps where lambda is; the inverse of `lambda_at`.
    pub fn step_at(&self, lambda: f64) -> f32 {
        let steps = &self.result().steps;
        let above = steps.partition_point(|step| step.lambda <= lambda);
        let Some(low) = above.checked_sub(1) else { return 0.0 };
        let Some(high) = steps.get(above) else { return (steps.len() - 1) as f32 };
        low as f32 + ((lambda - steps[low].lambda) / (high.lambda - steps[low].lambda)) as f32
    }
}
