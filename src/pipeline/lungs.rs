//! Where the lungs are, by a segmenter: what the places of changed regions are told by.

use anyhow::Result;
use glam::DVec3;

use super::{Input, Model, adapted, told};
use crate::job::Monitor;
use crate::models::Segmenter;
use crate::nn::denormals;
use crate::volume::Grid;

/// Whether each voxel of an input's stack is of the lungs: the segmenter's likeliest class there is not its first, "No lung". A
/// segmenter of another recipe is given the scan as that has it, and a voxel of the stack takes the class of the one it lies in.
pub fn lungs(input: &Input, segmenter: &Model<Segmenter>, monitor: &Monitor) -> Result<Vec<bool>> {
    let _flushed = denormals::flushed();
    let is_own = input.scan.is_none() || segmenter.recipe == input.prepared.recipe;
    let other = (!is_own).then(|| adapted::prepared_for(input, &segmenter.recipe, monitor)).transpose()?;
    let prepared = other.as_ref().unwrap_or(&input.prepared);
    let grid = prepared.volume.grid;
    let [width, height, slices] = grid.shape;
    let stack = adapted::stack_of(&prepared.volume)?;
    let mut lungs = Vec::with_capacity(grid.len());
    for k in 0..slices {
        monitor.step("finding the lungs", k, slices)?;
        let slice = stack.narrow(0, k, 1)?.contiguous()?;
        let plan = segmenter.network.plan(slice.dims())?;
        let maps = plan.forward(&[slice], &|_, _| monitor.check()).map_err(|error| told(error.into()))?;
        let classes = maps[0].argmax(1)?;
        let (_, rows, columns) = classes.dims3()?;
        let classes: Vec<u32> = classes.flatten_all()?.to_vec1()?;
        // A map of fewer pixels lies in the middle of its slice.
        let [top, left] = [height.saturating_sub(rows) / 2, width.saturating_sub(columns) / 2];
        let is_lung = |x: usize, y: usize| {
            let at = y.checked_sub(top).zip(x.checked_sub(left)).filter(|(y, x)| *y < rows && *x < columns);
            at.and_then(|(y, x)| classes.get(y * columns + x)).is_some_and(|class| *class > 0)
        };
        lungs.extend((0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| is_lung(x, y)));
    }
    Ok(if is_own { lungs } else { nearest(&lungs, &grid, &input.prepared.volume.grid) })
}

/// A mask on another grid: each voxel takes what it lies in, and nothing beyond.
fn nearest(mask: &[bool], of: &Grid, onto: &Grid) -> Vec<bool> {
    let ([ni, nj, nk], [width, height, _]) = (of.shape, onto.shape);
    let of_from_onto = of.voxel_from_world() * onto.world_from_voxel;
    let value = |at: usize| {
        let voxel = [at % width, at / width % height, at / (width * height)].map(|n| n as f64);
        let [i, j, k] = of_from_onto.transform_point3(DVec3::from_array(voxel)).round().to_array();
        let is_there = [(i, ni), (j, nj), (k, nk)].iter().all(|(x, n)| *x >= 0.0 && *x < *n as f64);
        is_there && mask[i as usize + ni * (j as usize + nj * k as usize)]
    };
    (0..onto.len()).map(value).collect()
}
