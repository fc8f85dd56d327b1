//! What an audit comes to: means per finding, and one line per case and method.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::metrics::{Localisation, RIM_MM};
use super::{Audit, Case, Change, HuError, Method, STEPS, Scores, Setup, TARGET, words};
use crate::latent_shift::saliency::{CUBE_MM, INTEGRATION_STEPS, LUNG_HU, MOST_CUBES};
use crate::latent_shift::search::GOAL_TOLERANCE;
use crate::pipeline::Model;

/// The JSON file.
#[derive(Debug, Serialize)]
pub struct Report {
    pub notice: &'static str,
    pub program: String,
    pub models: Models,
    /// Of the phantoms; the last one is not included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<[u64; 2]>,
    pub search: String,
    pub settings: Settings,
    /// By name.
    pub findings: BTreeMap<String, Summary>,
}

#[derive(Debug, Serialize)]
pub struct Models {
    pub autoencoder: ModelName,
    pub classifier: ModelName,
}

#[derive(Debug, Serialize)]
pub struct ModelName {
    pub name: String,
    pub sha256: String,
}

/// Every number that the result rests on.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub target: f64,
    pub target_tolerance: f64,
    pub max_change: f64,
    /// How many slices might change, and were measured; null where all were.
    pub slices: Option<usize>,
    /// What the others were.
    pub outside: &'static str,
    pub sweep_steps: usize,
    pub rim_mm: f64,
    pub integration_steps: usize,
    pub occlusion_least_cube_mm: f64,
    pub occlusion_most_cubes: usize,
    pub occlusion_filling_hu: f32,
}

/// Means over the cases of one finding; `null` in JSON where there are none.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub cases: usize,
    /// Positive all the same, but the reconstruction scores at the target already: not in any mean.
    pub missed: usize,
    pub methods: BTreeMap<Method, Localisation>,
    /// The mask's share of all voxels: what chance scores in `dice`, `energy_inside` and `pointing`.
    pub chance: f64,
    /// Share of the cases in which the score came to the target.
    pub validity: f64,
    pub scores: Scores,
    /// Mean |score of the scan - score of its reconstruction|.
    pub reconstruction_gap: f64,
    pub drift: f64,
    pub monotonicity: f64,
    pub hu_error: Change,
    pub seconds: f64,
    /// In plain words.
    pub summary: String,
}

impl Report {
    /// Of an audit for these findings. `search` is how it is spelt on the command line.
    pub fn new(setup: &Setup, findings: &[&str], audit: &Audit, search: &str, notice: &'static str) -> Self {
        let summarise = |finding: &&str| {
            let cases: Vec<&Case> = audit.cases.iter().filter(|case| case.finding == *finding).collect();
            let missed = audit.missed.iter().filter(|missed| missed.finding == *finding).count();
            ((*finding).to_owned(), Summary::of(finding, &setup.methods, &cases, missed))
        };
        Self {
            notice,
            program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            models: Models {
                autoencoder: ModelName::of(&setup.autoencoder),
                classifier: ModelName::of(&setup.classifier),
            },
            seeds: None,
            search: search.to_owned(),
            settings: Settings {
                target: TARGET,
                target_tolerance: GOAL_TOLERANCE,
                max_change: setup.max_change,
                slices: setup.slices,
                outside: setup.options().outside().name(),
                sweep_steps: STEPS,
                rim_mm: RIM_MM,
                integration_steps: INTEGRATION_STEPS,
                occlusion_least_cube_mm: CUBE_MM,
                occlusion_most_cubes: MOST_CUBES,
                occlusion_filling_hu: LUNG_HU,
            },
            findings: findings.iter().map(summarise).collect(),
        }
    }
}

impl ModelName {
    fn of<T: ?Sized>(model: &Model<T>) -> Self {
        Self { name: model.name.clone(), sha256: model.sha256.clone() }
    }
}

impl Summary {
    fn of(name: &str, methods: &[Method], cases: &[&Case], missed: usize) -> Self {
        let mean =
            |value: &dyn Fn(&Case) -> f64| cases.iter().map(|case| value(case)).sum::<f64>() / cases.len() as f64;
        let of_method = |method: usize| Localisation {
            dice: mean(&|case| case.localisation[method].1.dice),
            energy_inside: mean(&|case| case.localisation[method].1.energy_inside),
            energy_rim: mean(&|case| case.localisation[method].1.energy_rim),
            pointing: mean(&|case| case.localisation[method].1.pointing),
            sparsity: mean(&|case| case.localisation[method].1.sparsity),
        };
        let hu_error = |of: &dyn Fn(&Case) -> HuError| HuError {
            counterfactual: mean(&|case| of(case).counterfactual),
            detail_kept: mean(&|case| of(case).detail_kept),
            no_change: mean(&|case| of(case).no_change),
        };
        let mut summary = Self {
            cases: cases.len(),
            missed,
            methods: methods.iter().enumerate().map(|(i, method)| (*method, of_method(i))).collect(),
            chance: mean(&|case| case.mask_share),
            validity: mean(&|case| f64::from(u8::from(case.reached))),
            scores: Scores {
                scan: mean(&|case| case.scores.scan),
                reconstruction: mean(&|case| case.scores.reconstruction),
                counterfactual: mean(&|case| case.scores.counterfactual),
                truth: mean(&|case| case.scores.truth),
            },
            reconstruction_gap: mean(&|case| (case.scores.scan - case.scores.reconstruction).abs()),
            drift: mean(&|case| case.drift),
            monotonicity: mean(&|case| case.monotonicity),
            hu_error: Change {
                inside: hu_error(&|case| case.hu_error.inside),
                outside: hu_error(&|case| case.hu_error.outside),
            },
            seconds: mean(&|case| case.seconds),
            summary: String::new(),
        };
        summary.summary = words::summary(name, &summary);
        summary
    }
}

/// The columns that latent shift alone has; they are empty for the other methods.
const OF_LATENT_SHIFT: [&str; 15] = [
    "score_scan",
    "score_reconstruction",
    "score_counterfactual",
    "score_truth",
    "reached",
    "drift",
    "monotonicity",
    "hu_inside_counterfactual",
    "hu_inside_detail_kept",
    "hu_inside_no_change",
    "hu_outside_counterfactual",
    "hu_outside_detail_kept",
    "hu_outside_no_change",
    "reconstruction_gap",
    "seconds",
];

/// One line per case and method.
pub fn csv(audit: &Audit) -> String {
    let mut text = "seed,finding,dial,mask_voxels,mask_share,method,dice,energy_inside,energy_rim,pointing,sparsity,"
        .to_owned()
        + &OF_LATENT_SHIFT.join(",")
        + "\n";
    for case in &audit.cases {
        for (method, at) in &case.localisation {
            let Case { finding, mask_voxels, mask_share, .. } = case;
            let (seed, dial) = (case.seed.map_or_else(String::new, |seed| seed.to_string()), case.dial);
            let dial = dial.map_or_else(String::new, |dial| dial.to_string());
            let Localisation { dice, energy_inside, energy_rim, pointing, sparsity } = at;
            let known = format!("{seed},{finding},{dial},{mask_voxels},{mask_share},{}", method.name());
            let rest = if *method == Method::LatentShift { of_latent_shift(case) } else { Default::default() };
            writeln!(text, "{known},{dice},{energy_inside},{energy_rim},{pointing},{sparsity},{}", rest.join(",")).ok(); // a String takes all
        }
    }
    text
}

fn of_latent_shift(case: &Case) -> [String; 15] {
    let Case { scores, hu_error: Change { inside, outside }, .. } = case;
    [
        scores.scan,
        scores.reconstruction,
        scores.counterfactual,
        scores.truth,
        f64::from(u8::from(case.reached)),
        case.drift,
        case.monotonicity,
        inside.counterfactual,
        inside.detail_kept,
        inside.no_change,
        outside.counterfactual,
        outside.detail_kept,
        outside.no_change,
        (scores.scan - scores.reconstruction).abs(),
        case.seconds,
    ]
    .map(|number| number.to_string())
}
