//! One patient after the other: what is shared by the findings once, then a search and, where it is known, the scan without it for each.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::curves::{Along, Curves};
use super::metrics::{self, Localisation, RIM_MM};
use super::{Audit, Method, Missed, Setup, TARGET};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::{Counterfactual, saliency};
use crate::models::Classifier;
use crate::pipeline::{self, Input, Request, Target};
use crate::quality::{self, CHANGED_HU};
use crate::volume::Volume;

/// The score of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores<T = f64> {
    pub scan: T,
    pub reconstruction: T,
    pub counterfactual: T,
    /// The score of the same scan without the finding; not a number where no one knows that scan.
    pub truth: T,
}

/// Mean distance to the same scan without the finding, HU. All is held within the recipe's range, as the truth is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HuError<T = f64> {
    /// As decoded.
    pub counterfactual: T,
    /// Scan + counterfactual - reconstruction.
    pub detail_kept: T,
    /// The scan as it is.
    pub no_change: T,
}

/// What was drawn, against the truth; not numbers where no one knows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change<T = f64> {
    /// In the mask.
    pub inside: HuError<T>,
    /// In the body, beyond the mask's rim.
    pub outside: HuError<T>,
}

/// What the classifier's last linear layer takes, averaged over space, of the images of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Features {
    pub scan: Vec<f64>,
    pub reconstruction: Vec<f64>,
    pub counterfactual: Vec<f64>,
    /// The features of the scan without the finding, where that scan is known.
    pub truth: Option<Vec<f64>>,
}

/// One finding of one patient, explained.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// The name of the patient.
    pub name: String,
    /// That the patient was drawn from.
    pub seed: Option<u64>,
    pub finding: String,
    /// How severe it was drawn.
    pub dial: Option<f32>,
    pub mask_voxels: usize,
    /// Share of the finding among all voxels that might change, which is the Dice coefficient of chance.
    pub mask_share: f64,
    /// By method, in the order of the setup, without those that the classifier has no map for.
    pub localisation: Vec<(Method, Localisation)>,
    /// By method likewise; empty where they were not asked for.
    pub curves: Vec<(Method, Curves)>,
    pub scores: Scores,
    /// The score came to the target.
    pub reached: bool,
    /// Mean |change| of the watched labels' other scores, from reconstruction to counterfactual; not a number where there are none.
    pub drift: f64,
    pub monotonicity: f64,
    /// Mean |counterfactual - reconstruction| over the body, HU; not a number where there is no body.
    pub proximity_hu: f64,
    /// Share of the body that changed by more than [`CHANGED_HU`]; not a number where there is no body.
    pub changed_body_share: f64,
    /// Share of the voxels that might change, the most changed ones, that holds 90 % of the change.
    pub sparsity: f64,
    pub hu_error: Change,
    /// None where the classifier has none.
    pub features: Option<Features>,
    /// Of the search with its sweep.
    pub seconds: f64,
}

/// A finding whose place is known.
#[derive(Debug, Clone)]
pub struct Marked {
    pub finding: String,
    /// Where the classifier has its score.
    pub label: usize,
    /// How severe it was drawn.
    pub dial: Option<f32>,
    /// Where it is, on the networks' grid.
    pub mask: Vec<bool>,
}

/// Gives the scan without a finding; none where no one knows it.
type Without<'a> = Box<dyn Fn(&Marked, &Monitor) -> Result<Option<Input>> + 'a>;

/// A scan as the autoencoder sees it, and what is known of it.
pub struct Patient<'a> {
    pub name: String,
    /// That it was drawn from.
    pub seed: Option<u64>,
    pub input: Input,
    /// Where the body is, on the networks' grid.
    pub body: Vec<bool>,
    pub findings: Vec<Marked>,
    pub without: Without<'a>,
}

/// Adds the cases of one patient. `report` hears how many are done.
pub fn examine(
    setup: &Setup,
    patient: &Patient,
    audit: &mut Audit,
    report: &dyn Fn(usize) -> Result<(), Cancelled>,
    monitor: &Monitor,
) -> Result<()> {
    if patient.findings.is_empty() {
        return Ok(());
    }
    let classifier = pipeline::classifier_for(&setup.classifier, &patient.input, monitor)?;
    let examined = Examined { setup, patient, classifier };
    let explained = examined.explained(&mut audit.missed, monitor)?;
    let labels: Vec<usize> = explained.iter().map(|(marked, _)| marked.label).collect();
    if labels.is_empty() {
        return Ok(());
    }
    let mut maps = maps(setup, &patient.input, &labels, &mut audit.absent, monitor)?;
    for (n, (marked, slab)) in explained.into_iter().enumerate() {
        report(n)?;
        let maps: Vec<(Method, Vec<f32>)> =
            maps.iter_mut().filter_map(|(method, maps)| Some((*method, maps.next()?))).collect();
        let why_not = &mut audit.without_features;
        audit.cases.push(examined.case(marked, &examined.request(marked.label, slab), &maps, why_not, monitor)?);
    }
    Ok(())
}

/// A map for each label.
type Maps = std::vec::IntoIter<Vec<f32>>;

/// What the methods beside latent shift say of each label; those without a map are told to be absent.
fn maps(
    setup: &Setup,
    input: &Input,
    labels: &[usize],
    absent: &mut Vec<(Method, String)>,
    monitor: &Monitor,
) -> Result<Vec<(Method, Maps)>> {
    let mut maps = Vec::new();
    for method in &setup.methods {
        let of_labels = match method {
            Method::LatentShift => continue,
            Method::Of(saliency::Method::GradCam) => {
                match pipeline::grad_cam(input, &setup.classifier, labels, monitor)? {
                    Ok(maps) => maps,
                    Err(why) => {
                        if !absent.iter().any(|(other, _)| other == method) {
                            absent.push((*method, why));
                        }
                        continue;
                    }
                }
            }
            Method::Of(of) => pipeline::maps(input, &setup.classifier, labels, *of, monitor)?,
        };
        maps.push((*method, of_labels.into_iter()));
    }
    Ok(maps)
}

/// A patient with the networks that are asked.
struct Examined<'a> {
    setup: &'a Setup,
    patient: &'a Patient<'a>,
    /// The classifier for stacks like the patient's.
    classifier: Arc<Classifier>,
}

impl<'a> Examined<'a> {
    /// Which findings there is something to explain of: each with its slab.
    fn explained(&self, missed: &mut Vec<Missed>, monitor: &Monitor) -> Result<Vec<(&'a Marked, Range<usize>)>> {
        let (autoencoder, classifier) = (&*self.setup.autoencoder.network, &*self.classifier);
        let outside = self.setup.options().outside();
        let input = &self.patient.input;
        let mut scores_at_lambda_0 = HashMap::new();
        let mut explained = Vec::new();
        for marked in &self.patient.findings {
            let slab = self.slab(&marked.mask);
            let encoded = outside.encoded(&slab, input.prepared.volume.grid.shape[2]);
            if !scores_at_lambda_0.contains_key(&encoded) {
                let start = pipeline::reconstruct(input, autoencoder, encoded.clone(), monitor)?;
                scores_at_lambda_0.insert(encoded.clone(), pipeline::probabilities(&start, classifier, monitor)?);
            }
            if scores_at_lambda_0[&encoded][marked.label] > TARGET {
                explained.push((marked, slab));
            } else {
                missed.push(Missed { name: self.patient.name.clone(), finding: marked.finding.clone() });
            }
        }
        Ok(explained)
    }

    /// The slices that may change: of all stretches as long as the setup says, the first with most of the finding.
    fn slab(&self, mask: &[bool]) -> Range<usize> {
        let [width, height, slices] = self.patient.input.prepared.volume.grid.shape;
        let length = self.setup.slices.unwrap_or(slices).clamp(1, slices);
        let per_slice: Vec<usize> = mask.chunks(width * height).map(quality::count).collect();
        let held: Vec<usize> = per_slice.windows(length).map(|stretch| stretch.iter().sum()).collect();
        let first = (0..held.len()).rev().max_by_key(|first| held[*first]).unwrap_or(0);
        first..first + length
    }

    /// `maps` are those of the methods beside latent shift.
    fn case(
        &self,
        marked: &Marked,
        request: &Request,
        maps: &[(Method, Vec<f32>)],
        without_features: &mut Option<String>,
        monitor: &Monitor,
    ) -> Result<Case> {
        let Patient { name, seed, input, body, .. } = self.patient;
        let began = Instant::now();
        let result = pipeline::explain(input, request, monitor)?;
        let seconds = began.elapsed().as_secs_f64();
        if !result.complete {
            return Err(Cancelled.into()); // half a search is no case
        }
        let healthy = (self.patient.without)(marked, monitor)?;
        let truth = match &healthy {
            Some(healthy) => {
                pipeline::probabilities(&healthy.prepared.volume, &self.classifier, monitor)?[marked.label]
            }
            None => f64::NAN,
        };

        let at = result.slab_voxels();
        let (rim, mask) = (&metrics::rim(&marked.mask, &result.grid, RIM_MM)[at.clone()], &marked.mask[at.clone()]);
        let change: Vec<f32> = result.difference_hu(result.chosen).voxels.iter().map(f32::abs).collect();
        let maps = self.in_order(&change, maps, &at);
        let localisation = maps.iter().map(|(method, map)| (*method, Localisation::of(map, mask, rim))).collect();
        let features = self.features(&result, healthy.as_ref(), without_features, monitor)?;
        let sweep: Vec<f64> = result.steps.iter().map(|step| step.score).collect();
        let mask_voxels = quality::count(mask);
        Ok(Case {
            name: name.clone(),
            seed: *seed,
            finding: marked.finding.clone(),
            dial: marked.dial,
            mask_voxels,
            mask_share: mask_voxels as f64 / mask.len() as f64,
            localisation,
            curves: self.curves(marked.label, &result, &maps, monitor)?,
            scores: Scores {
                scan: result.scores.scan,
                reconstruction: result.scores.reconstruction,
                counterfactual: result.scores.counterfactual,
                truth,
            },
            reached: quality::reached(result.scores.reconstruction, TARGET, result.scores.counterfactual),
            drift: self.drift(marked.label, &result),
            monotonicity: quality::monotonicity(&sweep),
            proximity_hu: quality::mean_distance(&change, &vec![0.0; change.len()], body),
            changed_body_share: quality::share_above(&change, CHANGED_HU, body),
            sparsity: quality::sparsity(&change[at]),
            hu_error: healthy.map_or(Change::UNKNOWN, |healthy| self.change(&result, &healthy, mask, rim)),
            features,
            seconds,
        })
    }

    /// The maps where voxels might change, in the order of the setup.
    fn in_order<'m>(
        &self,
        change: &'m [f32],
        maps: &'m [(Method, Vec<f32>)],
        at: &Range<usize>,
    ) -> Vec<(Method, &'m [f32])> {
        let map = |method: &Method| match method {
            Method::LatentShift => Some((*method, &change[at.clone()])),
            Method::Of(_) => {
                let (_, map) = maps.iter().find(|(of, _)| of == method)?;
                Some((*method, &map[at.clone()]))
            }
        };
        self.setup.methods.iter().filter_map(map).collect()
    }

    /// The score along deletion and insertion by each map, where that was asked for.
    fn curves(
        &self,
        label: usize,
        result: &Counterfactual,
        maps: &[(Method, &[f32])],
        monitor: &Monitor,
    ) -> Result<Vec<(Method, Curves)>> {
        if !self.setup.curves {
            return Ok(Vec::new());
        }
        let (at, scan) = (result.slab_voxels(), result.scores.scan);
        let along = Along::new(&self.patient.input, (&self.classifier, label), at, scan, monitor)?;
        maps.iter().map(|(method, map)| Ok((*method, along.curves(map, monitor)?))).collect()
    }

    /// What the classifier's last layer takes of each image; nothing where there is no such layer, and why.
    fn features(
        &self,
        result: &Counterfactual,
        healthy: Option<&Input>,
        why_not: &mut Option<String>,
        monitor: &Monitor,
    ) -> Result<Option<Features>> {
        let [slope, offset] = result.hu_from_unit;
        let unit = |hu: Volume| {
            let units: Vec<f32> = hu.voxels.iter().map(|hu| (hu - offset) / slope).collect();
            Volume::from_f32(hu.grid, units)
        };
        let mut of = |volume: &Volume| -> Result<Option<Vec<f64>>> {
            match pipeline::features(volume, &self.classifier, monitor)? {
                Ok(features) => Ok(Some(features)),
                Err(why) => {
                    *why_not = Some(why);
                    Ok(None)
                }
            }
        };
        let Some(scan) = of(&result.stack)? else { return Ok(None) };
        let images = [result.reconstruction_hu(), result.step_hu(result.chosen)].map(unit);
        let [Some(reconstruction), Some(counterfactual)] = [of(&images[0])?, of(&images[1])?] else { return Ok(None) };
        let truth = match healthy {
            Some(healthy) => of(&healthy.prepared.volume)?,
            None => None,
        };
        Ok(Some(Features { scan, reconstruction, counterfactual, truth }))
    }

    fn request(&self, label: usize, slab: Range<usize>) -> Request {
        let classifier = self.setup.classifier.clone();
        Request {
            autoencoder: self.setup.autoencoder.clone(),
            target: Target::Classes { classifier, terms: vec![(label, 1.0)], offset: 0.0 },
            slab: Some(slab),
            options: self.setup.options(),
        }
    }

    fn drift(&self, explained: usize, result: &Counterfactual) -> f64 {
        let classifier = &self.setup.classifier.network;
        let unwatched = (0..classifier.labels().len()).filter(|label| !self.setup.watched.contains(label));
        let left_out: Vec<usize> = unwatched.chain([explained]).collect();
        let others = quality::drift(result, classifier.labels(), &left_out, classifier.probabilities());
        others.iter().map(|output| output.change().abs()).sum::<f64>() / others.len() as f64
    }

    /// How far from the truth within the slab: what was decoded, the scan with the change added, and the scan as it is.
    fn change(&self, result: &Counterfactual, healthy: &Input, mask: &[bool], rim: &[bool]) -> Change {
        let recipe = &self.setup.autoencoder.recipe;
        let ([slope, offset], [low, high]) = (recipe.hu_from_unit(), recipe.hu);
        let hu = |input: &Input| -> Vec<f32> {
            input.prepared.volume.voxels.iter().map(|unit| slope * unit + offset).collect()
        };
        let (scan, truth) = (hu(&self.patient.input), hu(healthy));
        let decoded: Vec<f32> =
            result.step_hu(result.chosen).voxels.iter().map(|value| value.clamp(low, high)).collect();
        let difference = result.difference_hu(result.chosen);
        let detailed: Vec<f32> =
            scan.iter().zip(difference.voxels.iter()).map(|(scan, change)| (scan + change).clamp(low, high)).collect();
        let at = result.slab_voxels();
        let body = &self.patient.body[at.clone()];
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

impl Change {
    /// Where no one knows the truth.
    pub const UNKNOWN: Self = {
        let nothing = HuError { counterfactual: f64::NAN, detail_kept: f64::NAN, no_change: f64::NAN };
        Self { inside: nothing, outside: nothing }
    };
}
