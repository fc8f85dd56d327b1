//! Where a score comes from, by random masks alone: RISE (Petsiuk, Das and Saenko 2018, arXiv 1806.07421), in three dimensions.
//!
//! A mask hides parts of the stack behind air, which is 0. Masks that leave what matters score higher: the map is the mean of all masks,
//! each weighted by its score. A logit has no zero of its own, so it is counted from the mean over the masks, where the paper weights by
//! a probability.

use super::Error;
use crate::job::Monitor;
use crate::random::Stream;
use crate::volume::Grid;

/// Masks of a map. The paper takes 4000 to 8000 for photographs; each costs a pass over the whole stack here.
pub const MASKS: usize = 256;
/// Share of a mask that is left, on average (section 4.2 of the paper).
pub const KEPT: f32 = 0.5;
/// Edge of a cell, millimetres, as near as whole cells come to it: a seventh of a chest, as the paper has seven along a photograph.
pub const CELL_MM: f64 = 45.0;
/// Cells along an axis.
const CELLS: [usize; 2] = [2, 12];
/// Where the masks begin: one seed gives the same masks on every machine.
pub const SEED: u64 = 0;

/// Smooth random masks for stacks of one shape, each made when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks {
    shape: [usize; 3],
    /// Along each axis; where a stack has one voxel, one.
    cells: [usize; 3],
    seed: u64,
}

impl Masks {
    pub fn of(grid: &Grid, seed: u64) -> Self {
        let spacing_mm = grid.spacing_mm();
        let along = |axis: usize| {
            let voxels = grid.shape[axis];
            let cells = (voxels as f64 * spacing_mm[axis] / CELL_MM).round() as usize;
            cells.clamp(CELLS[0], CELLS[1]).min(voxels.max(1))
        };
        Self { shape: grid.shape, cells: [0, 1, 2].map(along), seed }
    }

    /// Mask `index`, `0..=1`, one number for each voxel: nodes a cell apart, each 1 by the chance `KEPT` and else 0, linear between them,
    /// moved by a random part of a cell along each axis.
    pub fn mask(&self, index: usize) -> Vec<f32> {
        let mut stream = Stream::new(self.seed.wrapping_add(index as u64), "rise");
        let [ni, nj, nk] = self.cells.map(|cells| cells + 2);
        let nodes: Vec<f32> = (0..ni * nj * nk).map(|_| f32::from(u8::from(stream.within(0.0, 1.0) < KEPT))).collect();
        let moved = [(); 3].map(|()| stream.within(0.0, 1.0));
        let [columns, rows, slices] = [0, 1, 2].map(|axis| self.between(axis, moved[axis]));
        let mut mask = Vec::with_capacity(self.shape.iter().product());
        let blend = |a: &[f32], b: &[f32], share: f32| -> Vec<f32> {
            a.iter().zip(b).map(|(a, b)| a + (b - a) * share).collect()
        };
        for (k, share) in slices {
            let plane = |k: usize| &nodes[ni * nj * k..ni * nj * (k + 1)];
            let plane = blend(plane(k), plane(k + 1), share);
            for &(j, share) in &rows {
                let row = |j: usize| &plane[ni * j..ni * (j + 1)];
                let row = blend(row(j), row(j + 1), share);
                mask.extend(columns.iter().map(|&(i, share)| row[i] + (row[i + 1] - row[i]) * share));
            }
        }
        mask
    }

    /// For each voxel along an axis the node below it, and how far it lies towards the next one.
    fn between(&self, axis: usize, moved: f32) -> Vec<(usize, f32)> {
        let (voxels, cells) = (self.shape[axis], self.cells[axis]);
        let place = |voxel: usize| {
            let at = voxel as f32 * cells as f32 / voxels as f32 + moved;
            let low = (at as usize).min(cells);
            (low, at - low as f32)
        };
        (0..voxels).map(place).collect()
    }
}

/// The sum over `count` masks of (score - mean score) * mask / (count * `KEPT`) for each score, signed: equation 6 of the paper, of scores
/// less their mean. `scores` gives as many scores of a masked stack each time.
pub fn weigh(
    masks: &Masks,
    count: usize,
    stack: &[f32],
    mut scores: impl FnMut(Vec<f32>) -> Result<Vec<f32>, Error>,
    monitor: &Monitor,
) -> Result<Vec<Vec<f32>>, Error> {
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        monitor.step("scoring behind random masks", index, count)?;
        let mask = masks.mask(index);
        all.push(scores(stack.iter().zip(&mask).map(|(x, kept)| x * kept).collect())?);
    }
    let number = all.first().map_or(0, Vec::len);
    let mean = |score: usize| all.iter().map(|scores| f64::from(scores[score])).sum::<f64>() / count.max(1) as f64;
    let means: Vec<f64> = (0..number).map(mean).collect();
    let mut maps = vec![vec![0.0; stack.len()]; number];
    for (index, scores) in all.iter().enumerate() {
        monitor.check()?;
        let mask = masks.mask(index);
        for ((map, score), mean) in maps.iter_mut().zip(scores).zip(&means) {
            let weight = ((f64::from(*score) - mean) / (count as f64 * f64::from(KEPT))) as f32;
            map.iter_mut().zip(&mask).for_each(|(sum, kept)| *sum += weight * kept);
        }
    }
    Ok(maps)
}
