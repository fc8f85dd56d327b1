//! One phantom after the other: what is shared by its findings once, then a search and the phantom without it for each.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use super::metrics::{self, Localisation, RIM_MM};
use super::{Audit, Plan, TARGET};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::latent_shift::saliency::Saliency;
use crate::models::Classifier;
use crate::pipeline::{self, Input, Request, Target};
use crate::quality;
use crate::volume::phantom::{Dials, Finding, Mask};

/// What points at a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// |counterfactual - reconstruction|.
    LatentShift,
    Gradient,
    IntegratedGradients,
    Occlusion,
}

impl Method {
    pub const ALL: [Self; 4] = [Self::LatentShift, Self::Gradient, Self::IntegratedGradients, Self::Occlusion];

    pub fn name(self) -> &'static str {
        match self {
            Self::LatentShift => "latent_shift",
            Self::Gradient => "gradient",
            Self::IntegratedGradients => "integrated_gradients",
            Self::Occlusion => "occlusion",
        }
    }
}

/// The score of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    pub scan: f64,
    pub reconstruction: f64,
    pub counterfactual: f64,
    /// Of the same phantom without the finding.
    pub truth: f64,
}

/// Mean distance to the same phantom without the finding, HU. All is held within the recipe's range, as the truth is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HuError {
    /// As decoded.
    pub counterfactual: f64,
    /// Scan + counterfactual - reconstruction.
    pub detail_kept: f64,
    /// The scan as it is.
    pub no_change: f64,
}

/// What was drawn, against the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// In the mask.
    pub inside: HuError,
    /// In the body, beyond the mask's rim.
    pub outside: HuError,
}

/// One finding of one phantom, explained.
#[derive(Debug, Clone)]
pub struct Case {
    pub seed: u64,
    pub finding: Finding,
    pub dial: f32,
    pub mask_voxels: usize,
    /// Share of the finding among all voxels that might change, which is the Dice coefficient of chance.
    pub mask_share: f64,
    /// By `Method::ALL`.
    pub localisation: [Localisation; 4],
    pub scores: Scores,
    /// The score came to the target.
    pub reached: bool,
    /// Mean |change| of the other findings' scores, from reconstruction to counterfactual; not a number where the classifier
    /// knows none.
    pub drift: f64,
    pub monotonicity: f64,
    pub hu_error: Change,
    /// Of the search with its sweep.
    pub seconds: f64,
}

/// A phantom as the networks see it, and what they say of it before any search.
struct Patient<'a> {
    plan: &'a Plan,
    seed: u64,
    dials: Dials,
    input: Input,
    /// The classifier for stacks like the input's.
    classifier: Arc<Classifier>,
    /// On the networks' grid.
    masks: Vec<u8>,
}

/// Adds the cases of one phantom. `report` hears how many are done.
pub(super) fn examine(
    plan: &Plan,
    seed: u64,
    audit: &mut Audit,
    report: impl Fn(usize) -> Result<(), Cancelled>,
    monitor: &Monitor,
) -> Result<()> {
    let dials = Dials::random(seed);
    let (phantom, input) = pipeline::draw_version(plan.version, seed, dials, &plan.autoencoder.recipe, monitor)?;
    let masks = phantom.masks_on(&input.prepared.volume.grid);
    let visible = |finding: &Finding| masks.iter().any(|masks| masks & finding.mask() as u8 != 0);
    let positive: Vec<Finding> = plan.positive(dials).filter(visible).collect();
    if positive.is_empty() {
        return Ok(());
    }
    let classifier = pipeline::classifier_for(&plan.classifier, &input, monitor)?;
    let patient = Patient { plan, seed, dials, input, classifier, masks };
    let explained = patient.explained(positive, &mut audit.missed, monitor)?;
    let labels: Vec<usize> = explained.iter().map(|(_, label, _)| *label).collect();
    if labels.is_empty() {
        return Ok(());
    }
    let saliency = pipeline::saliency(&patient.input, &plan.classifier, &labels, monitor)?;
    for (n, ((finding, label, slab), saliency)) in explained.into_iter().zip(saliency).enumerate() {
        report(n)?;
        audit.cases.push(patient.case(finding, &patient.request(label, slab), &saliency, monitor)?);
    }
    Ok(())
}

impl Patient<'_> {
    /// Which findings there is something to explain of: each with its label and its slab.
    fn explained(
        &self,
        positive: Vec<Finding>,
        missed: &mut Vec<(u64, Finding)>,
        monitor: &Monitor,
    ) -> Result<Vec<(Finding, usize, Range<usize>)>> {
        let (autoencoder, classifier) = (&*self.plan.autoencoder.network, &*self.classifier);
        let outside = self.plan.options().outside();
        let mut scores_at_lambda_0 = HashMap::new();
        let mut explained = Vec::new();
        for finding in positive {
            let slab = self.slab(finding);
            let encoded = outside.encoded(&slab, self.input.prepared.volume.grid.shape[2]);
            if !scores_at_lambda_0.contains_key(&encoded) {
                let start = pipeline::reconstruct(&self.input, autoencoder, encoded.clone(), monitor)?;
                scores_at_lambda_0.insert(encoded.clone(), pipeline::probabilities(&start, classifier, monitor)?);
            }
            match self.plan.label(finding) {
                Some(label) if scores_at_lambda_0[&encoded][label] > TARGET => explained.push((finding, label, slab)),
                _ => missed.push((self.seed, finding)),
            }
        }
        Ok(explained)
    }

    /// The slices that may change: of all stretches as long as the plan says, the first with most of the finding.
    fn slab(&self, finding: Finding) -> Range<usize> {
        let [width, height, slices] = self.input.prepared.volume.grid.shape;
        let length = self.plan.slices.unwrap_or(slices).clamp(1, slices);
        let per_slice: Vec<usize> = self.masked(finding.mask()).chunks(width * height).map(quality::count).collect();
        let held: Vec<usize> = per_slice.windows(length).map(|stretch| stretch.iter().sum()).collect();
        let first = (0..held.len()).rev().max_by_key(|first| held[*first]).unwrap_or(0);
        first..first + length
    }

    fn case(&self, finding: Finding, request: &Request, saliency: &Saliency, monitor: &Monitor) -> Result<Case> {
        let classifier = &*self.classifier;
        let label = self.plan.label(finding).context("the plan was checked for a label of each finding")?;
        let began = Instant::now();
        let result = pipeline::explain(&self.input, request, monitor)?;
        let seconds = began.elapsed().as_secs_f64();
        if !result.complete {
            return Err(Cancelled.into()); // half a search is no case
        }
        let without = self.dials.with(finding, 0.0);
        let (_, healthy) =
            pipeline::draw_version(self.plan.version, self.seed, without, &self.plan.autoencoder.recipe, monitor)?;
        let truth = pipeline::probabilities(&healthy.prepared.volume, classifier, monitor)?[label];

        let at = result.slab_voxels();
        let whole = self.masked(finding.mask());
        let (rim, mask) = (&metrics::rim(&whole, &result.grid, RIM_MM)[at.clone()], &whole[at.clone()]);
        let difference: Vec<f32> = result.difference_hu(result.chosen).voxels.iter().map(f32::abs).collect();
        let Saliency { gradient, integrated_gradients, occlusion } = saliency;
        let maps = [&difference, gradient, integrated_gradients, occlusion];
        let sweep: Vec<f64> = result.steps.iter().map(|step| step.score).collect();
        let mask_voxels = quality::count(mask);
        Ok(Case {
            seed: self.seed,
            finding,
            dial: self.dials.of(finding),
            mask_voxels,
            mask_share: mask_voxels as f64 / mask.len() as f64,
            localisation: maps.map(|map| Localisation::of(&map[at.clone()], mask, rim)),
            scores: Scores {
                scan: result.scores.scan,
                reconstruction: result.scores.reconstruction,
                counterfactual: result.scores.counterfactual,
                truth,
            },
            reached: quality::reached(result.scores.reconstruction, TARGET, result.scores.counterfactual),
            drift: self.drift(label, &result),
            monotonicity: quality::monotonicity(&sweep),
            hu_error: self.change(&result, &healthy, mask, rim),
            seconds,
        })
    }

    fn request(&self, label: usize, slab: Range<usize>) -> Request {
        let classifier = self.plan.classifier.clone();
        Request {
            autoencoder: self.plan.autoencoder.clone(),
            target: Target::Classes { classifier, terms: vec![(label, 1.0)], offset: 0.0 },
            slab: Some(slab),
            options: self.plan.options(),
        }
    }

    fn masked(&self, mask: Mask) -> Vec<bool> {
        self.masks.iter().map(|masks| masks & mask as u8 != 0).collect()
    }

    fn drift(&self, explained: usize, result: &Counterfactual) -> f64 {
        let classifier = &self.plan.classifier.network;
        let mut others = quality::drift(result, classifier.labels(), &[explained], classifier.probabilities());
        others.retain(|output| Finding::ALL.iter().any(|finding| finding.name() == output.name));
        others.iter().map(|output| output.change().abs()).sum::<f64>() / others.len() as f64
    }

    /// How far from the truth within the slab: what was decoded, the scan with the change added, and the scan as it is.
    fn change(&self, result: &Counterfactual, healthy: &Input, mask: &[bool], rim: &[bool]) -> Change {
        let [slope, offset] = self.plan.autoencoder.recipe.hu_from_unit();
        let [low, high] = self.plan.autoencoder.recipe.hu;
        let hu = |input: &Input| -> Vec<f32> {
            input.prepared.volume.voxels.iter().map(|unit| slope * unit + offset).collect()
        };
        let (scan, truth) = (hu(&self.input), hu(healthy));
        let decoded: Vec<f32> =
            result.step_hu(result.chosen).voxels.iter().map(|value| value.clamp(low, high)).collect();
        let difference = result.difference_hu(result.chosen);
        let detailed: Vec<f32> =
            scan.iter().zip(difference.voxels.iter()).map(|(scan, change)| (scan + change).clamp(low, high)).collect();
        let at = result.slab_voxels();
        let body = &self.masked(Mask::Body)[at.clone()];
        let beyond: Vec<bool> = body.iter().zip(rim).map(|(is_body, is_near)| *is_body && !is_near).collect();
        let error = |region: &[bool]| {
            let from_truth = |hu: &[f32]| quality::mean_distance(&hu[at.clone()], &truth[at.clone()], region);
            HuError {
                counterfactual: from_truth(&decoded),
                detail_kept: from_truth(&detailed),
                no_change: from_truth(&scan),
            }
        };
        Change { inside: error(mask), outside: error(&beyond) }
    }
}
