//! How a score follows what a map calls important: deletion and insertion (Petsiuk, Das and Saenko 2018, arXiv 1806.07421, section 4.1).
//!
//! Voxels go in order of their size on a map. Deletion sets them to inflated lung, as occlusion does: a map that is true lets the score fall
//! soon. Insertion begins with the blurred scan and puts them back: it lets the score rise soon. The truth that phantoms have is not what
//! stands in for a voxel, so that phantoms and scans of patients are measured alike.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::job::Monitor;
use crate::latent_shift::saliency::LUNG_HU;
use crate::models::Classifier;
use crate::pipeline::{self, Input};
use crate::random::Stream;
use crate::volume::smoothing::smooth;
use crate::volume::{Grid, Volume};

/// Shares of the voxels at which the score is taken, close together at first, since a finding is a small part of a scan.
pub const SHARES: [f64; 15] = [0.0, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1.0];
/// Width of the Gaussian that the scan is blurred with, millimetres: half a cube of occlusion.
pub const BLUR_MM: f64 = 14.0;
/// Where the order of voxels of one size begins: one seed gives the same order on every machine.
pub const SEED: u64 = 0;

/// The score of a finding along the shares of voxels that were deleted, or inserted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    pub deletion: Vec<f64>,
    pub insertion: Vec<f64>,
}

impl Curves {
    /// The area under the curve of deletion, `0..=1`: the smaller, the better.
    pub fn deletion_area(&self) -> f64 {
        area(&self.deletion)
    }

    /// The area under the curve of insertion, `0..=1`: the larger, the better.
    pub fn insertion_area(&self) -> f64 {
        area(&self.insertion)
    }
}

/// The area under scores at [`SHARES`], by trapezoids.
pub fn area(scores: &[f64]) -> f64 {
    let pairs = SHARES.windows(2).zip(scores.windows(2));
    pairs.map(|(shares, scores)| (shares[1] - shares[0]) * f64::midpoint(scores[0], scores[1])).sum()
}

/// What the curves of one finding share: the scan with its substitutes, and the scores at both ends.
pub struct Along<'a> {
    classifier: &'a Classifier,
    label: usize,
    grid: Grid,
    /// Where voxels may go.
    at: std::ops::Range<usize>,
    scan: Vec<f32>,
    lung: f32,
    blurred: Vec<f32>,
    score_of_scan: f64,
    score_deleted: f64,
    score_blurred: f64,
}

impl<'a> Along<'a> {
    /// `at` are the voxels that may go, and `score_of_scan` is what the classifier gives the whole.
    pub fn new(
        input: &Input,
        (classifier, label): (&'a Classifier, usize),
        at: std::ops::Range<usize>,
        score_of_scan: f64,
        monitor: &Monitor,
    ) -> Result<Self> {
        let (volume, recipe) = (&input.prepared.volume, &input.prepared.recipe);
        let [slope, offset] = recipe.hu_from_unit();
        let scan: Vec<f32> = volume.voxels.iter().collect();
        let mut blurred = scan.clone();
        smooth(&mut blurred, volume.grid.shape, volume.grid.spacing_mm().map(|mm| (BLUR_MM / mm) as f32));
        let ([score_deleted, score_blurred], lung) = ([0.0; 2], ((LUNG_HU - offset) / slope).clamp(0.0, 1.0));
        let grid = volume.grid;
        let mut along =
            Self { classifier, label, grid, at, scan, lung, blurred, score_of_scan, score_deleted, score_blurred };
        let all: Vec<usize> = (0..along.at.len()).collect();
        along.score_deleted = along.score(&along.deleted(&all), monitor)?;
        along.score_blurred = along.score(&along.inserted(&[]), monitor)?;
        Ok(along)
    }

    /// The curves of a map, given at the voxels that may go.
    pub fn curves(&self, map: &[f32], monitor: &Monitor) -> Result<Curves> {
        let order = order(map);
        let (mut deletion, mut insertion) = (vec![self.score_of_scan], vec![self.score_blurred]);
        for share in &SHARES[1..SHARES.len() - 1] {
            let gone = &order[..(share * order.len() as f64).round() as usize];
            deletion.push(self.score(&self.deleted(gone), monitor)?);
            insertion.push(self.score(&self.inserted(gone), monitor)?);
        }
        deletion.push(self.score_deleted);
        insertion.push(self.score_of_scan);
        Ok(Curves { deletion, insertion })
    }

    fn deleted(&self, gone: &[usize]) -> Vec<f32> {
        let mut voxels = self.scan.clone();
        for voxel in gone.iter().map(|voxel| self.at.start + voxel) {
            voxels[voxel] = self.lung;
        }
        voxels
    }

    fn inserted(&self, back: &[usize]) -> Vec<f32> {
        let mut voxels = self.scan.clone();
        voxels[self.at.clone()].copy_from_slice(&self.blurred[self.at.clone()]);
        for voxel in back.iter().map(|voxel| self.at.start + voxel) {
            voxels[voxel] = self.scan[voxel];
        }
        voxels
    }

    fn score(&self, voxels: &[f32], monitor: &Monitor) -> Result<f64> {
        let volume = Volume::from_f32(self.grid, voxels.to_vec());
        Ok(pipeline::probabilities(&volume, self.classifier, monitor)?[self.label])
    }
}

/// The voxels of a map, the largest first; those of one size in a random order, so that none depends on where they lie.
pub fn order(map: &[f32]) -> Vec<usize> {
    let mut stream = Stream::new(SEED, "audit curves");
    let drawn: Vec<u32> = map.iter().map(|_| stream.below(1 << 32) as u32).collect();
    let mut order: Vec<usize> = (0..map.len()).collect();
    order.sort_unstable_by(|a, b| map[*b].total_cmp(&map[*a]).then(drawn[*a].cmp(&drawn[*b])).then(a.cmp(b)));
    order
}
