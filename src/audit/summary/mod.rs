//! What an audit comes to: means per finding with their intervals, as JSON, as a table and, case by case, as CSV.

mod cases;
pub mod estimate;
mod means;
pub mod words;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::cases::csv;
use self::estimate::Interval;
pub use self::means::{Means, Measured};
pub use self::words::table;
use super::curves::{BLUR_MM, SHARES};
use super::metrics::RIM_MM;
use super::realism::{self, Realism};
use super::{Audit, Case, Method, STEPS, Setup, TARGET, curves};
use crate::latent_shift::rise::{MASKS, SEED as RISE_SEED};
use crate::latent_shift::saliency::{CUBE_MM, INTEGRATION_STEPS, LUNG_HU, MOST_CUBES};
use crate::latent_shift::search::GOAL_TOLERANCE;
use crate::pipeline::Model;
use crate::quality::CHANGED_HU;

/// The JSON file.
#[derive(Debug, Serialize)]
pub struct Report {
    pub notice: &'static str,
    pub program: String,
    pub models: Models,
    /// The first seed of the phantoms, and the first that is not one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<[u64; 2]>,
    /// The version of the generator that drew the phantoms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phantom_version: Option<u8>,
    pub search: String,
    pub settings: Settings,
    /// Methods that the classifier has no map for, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<Method, String>,
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
    /// That the audit has maps of, in the order of the tables.
    pub methods: Vec<Method>,
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
    pub rise_masks: usize,
    pub rise_seed: u64,
    pub changed_hu: f32,
    /// How often the cases were drawn anew for the intervals, from which seed, and of how many cases at least.
    pub bootstrap_resamples: usize,
    pub bootstrap_seed: u64,
    pub bootstrap_least_cases: usize,
    /// Fewer cases have no Frechet distance.
    pub realism_least_cases: usize,
    /// What deletion and insertion follow; null where they were not asked for.
    pub curves: Option<CurveSettings>,
}

/// How deletion and insertion are made.
#[derive(Debug, Serialize)]
pub struct CurveSettings {
    /// The shares of the voxels at which the score is taken.
    pub shares: Vec<f64>,
    pub deleted_hu: f32,
    pub blur_mm: f64,
    pub ties_seed: u64,
}

/// What the cases of one finding come to; `null` in JSON where there are none.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub cases: usize,
    /// Positive all the same, but the reconstruction scores at the target already: not in any mean.
    pub missed: usize,
    #[serde(flatten)]
    pub means: Means<f64>,
    /// Where 95 % of the means of resampled cases lie, for each of the means.
    pub intervals: Means<Interval>,
    pub realism: Realism,
    /// In plain words.
    pub summary: String,
}

impl Report {
    /// Of an audit for these findings. `search` is how it is spelt on the command line.
    pub fn new(setup: &Setup, findings: &[&str], audit: &Audit, search: &str, notice: &'static str) -> Self {
        let is_there = |method: &&Method| !audit.absent.iter().any(|(absent, _)| absent == *method);
        let methods: Vec<Method> = setup.methods.iter().filter(is_there).copied().collect();
        let curve_settings = || CurveSettings {
            shares: SHARES.to_vec(),
            deleted_hu: LUNG_HU,
            blur_mm: BLUR_MM,
            ties_seed: curves::SEED,
        };
        let summarise = |finding: &&str| {
            let cases: Vec<&Case> = audit.cases.iter().filter(|case| case.finding == *finding).collect();
            let missed = audit.missed.iter().filter(|missed| missed.finding == *finding).count();
            ((*finding).to_owned(), Summary::of(finding, &methods, &cases, missed, audit))
        };
        Self {
            notice,
            program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            models: Models {
                autoencoder: ModelName::of(&setup.autoencoder),
                classifier: ModelName::of(&setup.classifier),
            },
            seeds: None,
            phantom_version: None,
            search: search.to_owned(),
            absent: audit.absent.iter().cloned().collect(),
            findings: findings.iter().map(summarise).collect(),
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
                rise_masks: MASKS,
                rise_seed: RISE_SEED,
                changed_hu: CHANGED_HU,
                bootstrap_resamples: estimate::RESAMPLES,
                bootstrap_seed: estimate::SEED,
                bootstrap_least_cases: estimate::LEAST_CASES,
                realism_least_cases: realism::LEAST_CASES,
                curves: setup.curves.then(curve_settings),
                methods,
            },
        }
    }
}

impl ModelName {
    fn of<T: ?Sized>(model: &Model<T>) -> Self {
        Self { name: model.name.clone(), sha256: model.sha256.clone() }
    }
}

impl Summary {
    fn of(name: &str, methods: &[Method], cases: &[&Case], missed: usize, audit: &Audit) -> Self {
        let mut summary = Self {
            cases: cases.len(),
            missed,
            means: Means::of(methods, cases, &|values| estimate::mean(values)),
            intervals: Means::of(methods, cases, &|values| estimate::interval(values)),
            realism: Realism::of(cases, audit.without_features.as_deref()),
            summary: String::new(),
        };
        summary.summary = words::summary(name, &summary);
        summary
    }
}
