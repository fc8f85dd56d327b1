//! How the body's intensities lie against a network's windows, and against what it was trained on.

use serde::Serialize;

use super::coverage::Body;
use crate::models::TrainedOn;
use crate::preprocess::Recipe;
use crate::quality;

/// HU that are counted one by one; what lies beyond counts as the last.
const COUNTED_HU: [f32; 2] = [-2048.0, 4095.0];
/// Shares of voxels below the low and the high end of what is called its range.
const PERCENTILES: [f64; 2] = [0.005, 0.995];

/// The HU of the body that a network sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intensities {
    pub mean_hu: f64,
    pub deviation_hu: f64,
    /// The percentiles 0.5 and 99.5, to a whole HU.
    pub range_hu: [f64; 2],
    /// One for each window of the recipe.
    pub windows: Vec<Clipped>,
    /// Whether the recipe gives what lies beyond a window the number of its edge.
    pub clips: bool,
    /// Against what the card says of the training; nothing where it says nothing.
    pub training: Option<Training>,
}

/// Shares of the body's voxels beyond a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clipped {
    pub window_hu: [f32; 2],
    pub below: f64,
    pub above: f64,
}

/// The distance of a scan's intensities from those of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Training {
    pub stated: TrainedOn,
    /// The mean less that of the training, in its deviations.
    pub mean_off: Option<f64>,
    /// Share of the body's voxels beyond the stated range, of which about 1 % of the training's lay.
    pub beyond: Option<f64>,
}

/// Of the voxels that are seen; nothing where there are none.
pub(super) fn intensities(
    body: &Body,
    seen: &[bool],
    recipe: &Recipe,
    trained_on: Option<TrainedOn>,
) -> Option<Intensities> {
    let voxels = quality::count(seen);
    if voxels == 0 {
        return None;
    }
    let all = || body.hu.iter().zip(seen).filter(|(_, seen)| **seen).map(|(hu, _)| *hu);
    let share = |is: &dyn Fn(f32) -> bool| all().filter(|hu| is(*hu)).count() as f64 / voxels as f64;
    let mean_hu = all().map(f64::from).sum::<f64>() / voxels as f64;
    let variance = all().map(|hu| (f64::from(hu) - mean_hu).powi(2)).sum::<f64>() / voxels as f64;
    let of_window = |window_hu: [f32; 2]| {
        let [low, high] = window_hu;
        Clipped { window_hu, below: share(&|hu| hu < low), above: share(&|hu| hu > high) }
    };
    let windows = if recipe.windows.is_empty() { vec![recipe.hu] } else { recipe.windows.clone() };
    let training = trained_on.map(|stated| Training {
        stated,
        mean_off: stated.mean.zip(stated.deviation).map(|(mean, deviation)| (mean_hu - mean) / deviation),
        beyond: (stated.low.is_some() || stated.high.is_some()).then(|| {
            let (low, high) = (stated.low.unwrap_or(f64::NEG_INFINITY), stated.high.unwrap_or(f64::INFINITY));
            share(&|hu| !(low..=high).contains(&f64::from(hu)))
        }),
    });
    Some(Intensities {
        mean_hu,
        deviation_hu: variance.sqrt(),
        range_hu: percentiles(all(), voxels),
        windows: windows.into_iter().map(of_window).collect(),
        clips: recipe.clip,
        training,
    })
}

/// The percentiles of numbers of HU, to a whole one.
fn percentiles(all: impl Iterator<Item = f32>, count: usize) -> [f64; 2] {
    let [least, most] = COUNTED_HU;
    let mut counts = vec![0_usize; (most - least) as usize + 1];
    for hu in all {
        // What is no number is counted as the least.
        counts[(hu.round().clamp(least, most) - least) as usize] += 1;
    }
    PERCENTILES.map(|share| {
        let wanted = (share * count as f64).ceil().max(1.0) as usize;
        let mut sum = 0;
        let at = counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        f64::from(least) + at.unwrap_or(counts.len() - 1) as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let all: Vec<f32> = (0..1000_u16).map(|at| f32::from(at) - 500.0).collect();
        assert_eq!(percentiles(all.iter().copied(), all.len()), [-496.0, 494.0]);
        assert_eq!(percentiles([f32::NAN, 9e9].into_iter(), 2), [-2048.0, 4095.0]);
    }
}
