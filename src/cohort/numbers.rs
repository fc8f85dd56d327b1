//! What a cohort reads of a case's `result.json`.

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
pub(super) struct Numbers {
    pub(super) input: Input,
    pub(super) autoencoder: Network,
    pub(super) scored_by: Network,
    pub(super) target: String,
    pub(super) scores: Scores,
    pub(super) lambda: f64,
    pub(super) lambdas: Vec<IgnoredAny>,
    pub(super) walk: Vec<IgnoredAny>,
    pub(super) stop: String,
    pub(super) goal: Option<f64>,
    pub(super) goal_reached: Option<bool>,
    pub(super) score_change: f64,
    pub(super) logit_change: Option<f64>,
    pub(super) reconstruction_gap: f64,
    pub(super) mean_change_hu: Option<f64>,
    pub(super) largest_change_hu: Option<f64>,
    pub(super) changed_body_share: Option<f64>,
    pub(super) sparsity: Option<f64>,
    pub(super) latents_moved: Option<f64>,
    pub(super) monotonicity: Option<f64>,
    pub(super) regions: Regions,
    pub(super) drift: Option<Vec<Drift>>,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) seconds_per_phase: Vec<(String, f64)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Input {
    pub(super) sha256: String,
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Network {
    pub(super) name: String,
    pub(super) sha256: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Scores {
    pub(super) scan: f64,
    pub(super) reconstruction: f64,
    pub(super) counterfactual: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Regions {
    pub(super) list: Vec<IgnoredAny>,
}

/// Another output of the classifier, at lambda 0 and at the counterfactual.
#[derive(Debug, Deserialize)]
pub(super) struct Drift {
    pub(super) name: String,
    pub(super) scores: [Option<f64>; 2],
}
