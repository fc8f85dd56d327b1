//! `result.json`: the numbers of a run, and all that is needed to run it again.

use serde::Serialize;

use crate::latent_shift::{Counterfactual, HeatmapMethod, SearchWay};
use crate::pipeline::{Input, Request};

/// Bumped when a field changes its meaning.
const VERSION: u32 = 1;
pub const NOTICE: &str = "Research use only. Not for diagnosis. Counterfactual images are synthetic.";

#[derive(Debug, Serialize)]
pub struct Report {
    format: &'static str,
    version: u32,
    notice: &'static str,
    program: Program,
    input: InputReport,
    autoencoder: ModelReport,
    scored_by: ModelReport,
    target: String,
    slab: [usize; 2],
    options: OptionsReport,
    scores: ScoresReport,
    /// Lambda of the counterfactual.
    lambda: f64,
    lambdas: Vec<f64>,
    sweep_scores: Vec<f64>,
    /// Every trial of the search: lambda, score, sum of |change|.
    walk: Vec<[f64; 3]>,
    stop: String,
    complete: bool,
    /// Reconstruction = slope * scan + offset, HU.
    reconstruction_slope: f64,
    reconstruction_offset_hu: f64,
    largest_change_hu: f32,
    /// Counted from 0.
    most_changed_slice: usize,
    device: String,
    threads: usize,
    seconds_per_phase: Vec<(&'static str, f64)>,
}

#[derive(Debug, Serialize)]
struct Program {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct InputReport {
    /// Of the voxels, not of the file: f32, little-endian.
    sha256: String,
    format: String,
    scan_shape: [usize; 3],
    stack_shape: [usize; 3],
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ModelReport {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct OptionsReport {
    search: &'static str,
    range: Option<[f64; 2]>,
    steps: usize,
    drop: f64,
    floor: f64,
    max_lambda: Option<f64>,
    step_size: f64,
    max_change: f64,
    heatmap: &'static str,
}

#[derive(Debug, Serialize)]
struct ScoresReport {
    scan: f64,
    reconstruction: f64,
    counterfactual: f64,
}

/// Where and how long.
pub struct Timing {
    pub device: String,
    pub threads: usize,
    pub seconds_per_phase: Vec<(&'static str, f64)>,
}

pub fn report(input: &Input, request: &Request, result: &Counterfactual, timing: Timing) -> Report {
    let (name, sha256) = request.target.scored_by();
    let scored_by = ModelReport { name: name.to_owned(), sha256: sha256.to_owned() };
    let change = result.difference_hu(result.chosen);
    let options = &request.options;
    Report {
        format: "parallax result",
        version: VERSION,
        notice: NOTICE,
        program: Program { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        input: InputReport {
            sha256: input.sha256(),
            format: input.scan.as_ref().map_or("stack".to_owned(), |scan| scan.format.clone()),
            scan_shape: input.display_volume().grid.shape,
            stack_shape: result.grid.shape,
            warnings: input.warnings(),
        },
        autoencoder: ModelReport { name: request.autoencoder.name.clone(), sha256: request.autoencoder.sha256.clone() },
        scored_by,
        target: request.target.name(),
        slab: [result.slab.start, result.slab.end],
        options: OptionsReport {
            search: match options.search {
                SearchWay::Aim => "aim",
                SearchWay::Reference => "reference",
                SearchWay::Path => "path",
            },
            range: options.range,
            steps: options.steps,
            drop: options.drop,
            floor: options.floor,
            max_lambda: options.max_lambda,
            step_size: options.step_size,
            max_change: options.max_change,
            heatmap: match options.heatmap {
                HeatmapMethod::Int => "int",
                HeatmapMethod::Mean => "mean",
                HeatmapMethod::MinMax => "mm",
                HeatmapMethod::Max => "max",
            },
        },
        scores: ScoresReport {
            scan: result.scores.scan,
            reconstruction: result.scores.reconstruction,
            counterfactual: result.scores.counterfactual,
        },
        lambda: result.steps[result.chosen].lambda,
        lambdas: result.steps.iter().map(|step| step.lambda).collect(),
        sweep_scores: result.steps.iter().map(|step| step.score).collect(),
        walk: result.walk.iter().map(|t| [t.lambda, t.score, t.change]).collect(),
        stop: result.stop.clone(),
        complete: result.complete,
        reconstruction_slope: result.calibration[0],
        reconstruction_offset_hu: result.calibration[1],
        largest_change_hu: change
            .voxels
            .iter()
            .fold(0.0, |worst: f32, x| if x.abs() > worst.abs() { x } else { worst }),
        most_changed_slice: result.most_changed_slice(),
        device: timing.device,
        threads: timing.threads,
        seconds_per_phase: timing.seconds_per_phase,
    }
}
