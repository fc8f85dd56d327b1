//! What a run gives back: plain numbers on grids, no tensors.

use std::ops::Range;
use std::sync::Arc;

use super::ScoreKind;
use crate::volume::{Grid, Volume};

/// An autoencoder counts as calibrated within these: a tenth of the contrast, a fat-to-water distance of HU.
const SLOPE_TOLERANCE: f64 = 0.1;
const OFFSET_TOLERANCE_HU: f64 = 100.0;

/// One lambda tried by a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    pub lambda: f64,
    pub score: f64,
    /// Sum over the whole stack of |step - reconstruction|, decoded units.
    pub change: f64,
}

/// One image on the lambda path. Only slab slices are kept: all others are those of lambda 0.
#[derive(Debug, Clone)]
pub struct Step {
    pub lambda: f64,
    pub score: f64,
    /// Every logit of the classifier behind the score, by label; none where no classifier is.
    pub logits: Arc<[f32]>,
    /// Slab slices `[slab, height, width]`, decoded units.
    pub slab: Arc<[f32]>,
}

/// The three scores that are always shown together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    pub scan: f64,
    pub reconstruction: f64,
    pub counterfactual: f64,
}

/// The answer of a run. Reconstruction, steps and heatmap are in decoded units; `hu_from_decoded` leads to HU.
#[derive(Debug, Clone)]
pub struct Counterfactual {
    /// The model's grid: voxel `(i, j, k)` is column, row, slice.
    pub grid: Grid,
    /// Slices that may change.
    pub slab: Range<usize>,
    /// What was explained, `0..=1`.
    pub stack: Volume,
    /// The step at lambda 0: decode(encode(x)), or the scan's own slices where only those of the slab were encoded.
    pub reconstruction: Volume,
    /// The steps by ascending lambda; never empty.
    pub steps: Vec<Step>,
    /// Index into `steps` of the chosen end.
    pub chosen: usize,
    pub scores: Scores,
    /// What kind of number they are.
    pub score_kind: ScoreKind,
    /// The score of the scan as the network that gives it prepares it, where that is not how the autoencoder has it.
    pub scan_as_predicted: Option<f64>,
    /// As those of the steps.
    pub scan_logits: Arc<[f32]>,
    pub reconstruction_logits: Arc<[f32]>,
    /// How far the latents of the slab moved to the chosen end, as a share of their length.
    pub latents_moved: f64,
    /// The difference of fast arithmetic from f32 in the score of the chosen end, for the same latents; none where it was not
    /// chosen.
    pub fast_error: Option<f64>,
    pub walk: Vec<Trial>,
    /// Why the search ended, in words.
    pub stop: String,
    /// False where the run was cancelled and these are its partial results.
    pub complete: bool,
    pub heatmap: Volume,
    /// `[slope, offset]`: HU = slope * decoded + offset.
    pub hu_from_decoded: [f32; 2],
    /// `[slope, offset]`: HU = slope * unit + offset, for `stack`.
    pub hu_from_unit: [f32; 2],
    /// `[slope, offset]` of the least-squares line reconstruction = slope * scan + offset, both in HU:
    /// 1 and 0 for an autoencoder that keeps intensities. Of the slices that were encoded.
    pub calibration: [f64; 2],
    /// `[encoded, channels, h, w]`, flat: of every slice, or of the slab's where the others stay as scanned.
    pub latents: Vec<f32>,
    /// d score / d latents at lambda 0, of these slices; zero outside the slab.
    pub gradient: Vec<f32>,
    pub latent_shape: [usize; 4],
}

impl Counterfactual {
    /// What was explained, in HU.
    pub fn original_hu(&self) -> Volume {
        scaled(&self.stack, self.hu_from_unit)
    }

    /// The step at lambda 0, in HU.
    pub fn reconstruction_hu(&self) -> Volume {
        scaled(&self.reconstruction, self.hu_from_decoded)
    }

    /// Step `index` as a whole volume, HU.
    pub fn step_hu(&self, index: usize) -> Volume {
        scaled(&self.frame(index), self.hu_from_decoded)
    }

    /// Step `index` minus the reconstruction, HU.
    pub fn difference_hu(&self, index: usize) -> Volume {
        let [slope, _] = self.hu_from_decoded;
        let (at, lambda_zero) = (self.slab_voxels(), &self.reconstruction.voxels);
        let mut difference = vec![0.0; self.grid.len()];
        for (i, &value) in at.zip(self.steps[index].slab.iter()) {
            difference[i] = slope * (value - lambda_zero.at(i));
        }
        Volume::from_f32(self.grid, difference)
    }

    /// The heatmap in HU: a size of change, so the offset does not enter.
    pub fn heatmap_hu(&self) -> Volume {
        scaled(&self.heatmap, [self.hu_from_decoded[0].abs(), 0.0])
    }

    /// The voxel that changed most at the chosen step, HU with its sign.
    pub fn largest_change_hu(&self) -> f32 {
        let larger = |worst: f32, x: f32| if x.abs() > worst.abs() { x } else { worst };
        self.difference_hu(self.chosen).voxels.iter().fold(0.0, larger)
    }

    /// Mean |step - reconstruction| of each slice at the chosen step, HU.
    pub fn change_per_slice_hu(&self) -> Vec<f32> {
        let difference = self.difference_hu(self.chosen);
        let pixels = self.grid.shape[0] * self.grid.shape[1];
        let slice = |k: usize| (k * pixels..(k + 1) * pixels).map(|i| difference.voxels.at(i).abs());
        (0..self.grid.shape[2]).map(|k| slice(k).sum::<f32>() / pixels as f32).collect()
    }

    /// The slice that changed most at the chosen step, counted from 0.
    pub fn most_changed_slice(&self) -> usize {
        let changes = self.change_per_slice_hu();
        (0..changes.len()).max_by(|&a, &b| changes[a].total_cmp(&changes[b])).unwrap_or(self.slab.start)
    }

    /// Which of the two scores of the scan is its score here, in words; nothing where there is one alone.
    pub fn which_scan_score(&self) -> Option<String> {
        let score = self.scan_as_predicted?;
        // An embedder's cosine is nothing that `predict` gives.
        let by = if self.score_kind == ScoreKind::Cosine { "" } else { ", as `predict` gives it," };
        Some(format!("as the autoencoder's grid has it; on the network's own grid{by} {score:.4}"))
    }

    /// What a reader of these numbers must know, in words.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let [slope, offset] = self.calibration;
        if (slope - 1.0).abs() > SLOPE_TOLERANCE || offset.abs() > OFFSET_TOLERANCE_HU {
            notes.push(format!(
                "the autoencoder does not keep intensities: reconstruction = {slope:.2} * scan {offset:+.0} HU; read its HU with care"
            ));
        }
        if let Some(error) = self.fast_error {
            notes.push(format!(
                "computed with fast arithmetic: it moved the score of the counterfactual by {error:+.1e} from that of f32"
            ));
        }
        let (gap, shift) = (
            (self.scores.scan - self.scores.reconstruction).abs(),
            (self.scores.reconstruction - self.scores.counterfactual).abs(),
        );
        if gap > shift {
            notes.push(format!(
                "the autoencoder alone moved the score by {gap:.4}, more than the shift did ({shift:.4})"
            ));
        }
        notes
    }

    /// Step `index` as a whole volume, decoded units.
    pub fn frame(&self, index: usize) -> Volume {
        let mut voxels: Vec<f32> = self.reconstruction.voxels.iter().collect();
        voxels[self.slab_voxels()].copy_from_slice(&self.steps[index].slab);
        Volume::from_f32(self.grid, voxels)
    }

    /// Where the slab lies in memory.
    pub fn slab_voxels(&self) -> Range<usize> {
        let pixels = self.grid.shape[0] * self.grid.shape[1];
        self.slab.start * pixels..self.slab.end * pixels
    }
}

fn scaled(volume: &Volume, [slope, offset]: [f32; 2]) -> Volume {
    let voxels: Vec<f32> = volume.voxels.iter().map(|x| slope * x + offset).collect();
    Volume::from_f32(volume.grid, voxels)
}
