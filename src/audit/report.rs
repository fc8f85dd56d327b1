//! What an audit comes to: means per finding, and one line per case and method.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::metrics::{Localisation, RIM_MM};
use super::{Audit, Case, Change, HuError, Method, Plan, STEPS, Scores, TARGET, words};
use crate::latent_shift::saliency::{CUBE_MM, INTEGRATION_STEPS, LUNG_HU, MOST_CUBES};
use crate::latent_shift::search::GOAL_TOLERANCE;

/// The JSON file.
#[derive(Debug, Serialize)]
pub struct Report {
    pub notice: &'static str,
    pub program: String,
    pub models: Models,
    /// The last one is not included.
    pub seeds: [u64; 2],
    pub search: String,
    pub settings: Settings,
    /// By name.
    pub findings: BTreeMap<&'static str, Summary>,
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
    /// Of the generator that drew the phantoms.
    pub phantom_version: u8,
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
    pub methods: BTreeMap<&'static str, Localisation>,
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
    pub fn new(plan: &Plan, audit: &Audit, search: &str, notice: &'static str) -> Self {
        let summarise = |finding: &crate::volume::phantom::Finding| {
            let cases: Vec<&Case> = audit.cases.iter().filter(|case| case.finding == *finding).collect();
            let missed = audit.missed.iter().filter(|(_, missed)| missed == finding).count();
            (finding.name(), Summary::of(finding.name(), &cases, missed))
        };
        Self {
            notice,
            program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            models: Models {
                autoencoder: ModelName { name: plan.autoencoder.name.clone(), sha256: plan.autoencoder.sha256.clone() },
                classifier: ModelName { name: plan.classifier.name.clone(), sha256: plan.classifier.sha256.clone() },
            },
            seeds: [plan.seeds.start, plan.seeds.end],
            search: search.to_owned(),
            settings: Settings {
                phantom_version: plan.version.number(),
                target: TARGET,
                target_tolerance: GOAL_TOLERANCE,
                max_change: plan.max_change,
                slices: plan.slices,
                outside: plan.options().outside().name(),
                sweep_steps: STEPS,
                rim_mm: RIM_MM,
                integration_steps: INTEGRATION_STEPS,
                occlusion_least_cube_mm: CUBE_MM,
                occlusion_most_cubes: MOST_CUBES,
                occlusion_filling_hu: LUNG_HU,
            },
            findings: plan.findings.iter().map(summarise).collect(),
        }
    }
}

impl Summary {
    fn of(name: &str, cases: &[&Case], missed: usize) -> Self {
        let mean =
            |value: &dyn Fn(&Case) -> f64| cases.iter().map(|case| value(case)).sum::<f64>() / cases.len() as f64;
        let of_method = |method: usize| Localisation {
            dice: mean(&|case| case.localisation[method].dice),
            energy_inside: mean(&|case| case.localisation[method].energy_inside),
            energy_rim: mean(&|case| case.localisation[method].energy_rim),
            pointing: mean(&|case| case.localisation[method].pointing),
            sparsity: mean(&|case| case.localisation[method].sparsity),
        };
        let hu_error = |of: &dyn Fn(&Case) -> HuError| HuError {
            counterfactual: mean(&|case| of(case).counterfactual),
            detail_kept: mean(&|case| of(case).detail_kept),
            no_change: mean(&|case| of(case).no_change),
        };
        let mut summary = Self {
            cases: cases.len(),
            missed,
            methods: Method::ALL.iter().enumerate().map(|(i, method)| (method.name(), of_method(i))).collect(),
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
        for (method, at) in Method::ALL.into_iter().zip(case.localisation) {
            let Case { seed, finding, dial, mask_voxels, mask_share, .. } = case;
            let Localisation { dice, energy_inside, energy_rim, pointing, sparsity } = at;
            let known = format!("{seed},{},{dial},{mask_voxels},{mask_share},{}", finding.name(), method.name());
            let rest = if method == Method::LatentShift { of_latent_shift(case) } else { Default::default() };
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
