//! Emphysema: holes in the lung's tissue, more of them towards the head; vessels and the noise of the scan stay.

use glam::DVec3;

use super::canvas::Canvas;
use super::lungs::Lungs;
use super::paint::{around, paint, slabs};
use super::{Chest, NoPlace};
use crate::job::Monitor;
use crate::random::Stream;
use crate::volume::smoothing::smooth_noise;

/// What is left in a hole.
const HOLE_HU: [f32; 2] = [-985.0, -960.0];
/// Share of the lungs that is holes at a dial of 1.
const MOST_SHARE: f64 = 0.45;
/// Holes are about three times as wide as this.
const WIDTH_MM: [f32; 2] = [2.4, 4.0];
/// How much more likely holes are at the top than at the bottom, in deviations of what decides.
const TOWARDS_HEAD: f32 = 1.6;
/// A hole stays so far from the border of the lung.
const BORDER_MM: f32 = 2.0;
/// What is so deep within a hole is surely one; holes end so far from it.
const SURE_MM: f32 = 1.0;
const NEAR_SURE_MM: f32 = 6.0;
const FAR_MM: f32 = 1000.0;
/// From the first on there is too much tissue for a hole; below the second there may be one.
const TISSUE_HU: [f32; 2] = [-620.0, -740.0];
/// What is denser than its surroundings by more than this is a vessel, and no noise.
const STANDS_OUT_HU: f32 = 120.0;
const STEEPNESS: f64 = 1.6;
const SAMPLE_MM: f64 = 1.2;

pub(super) fn draw(
    chest: &Chest,
    dial: f32,
    seed: u64,
    canvas: &mut Canvas,
    monitor: &Monitor,
) -> Result<String, NoPlace> {
    let (grid, scanner, lungs) = (&chest.scan.grid, &chest.scanner, &chest.lungs);
    let coarse = &lungs.coarse;
    let mut g = Stream::new(seed, "emphysema to insert");
    let (width_mm, hole_hu) = (g.within(WIDTH_MM[0], WIDTH_MM[1]), g.within(HOLE_HU[0], HOLE_HU[1]));
    let mut holes = noise_of_lungs(lungs, &mut g, width_mm);
    monitor.check()?;
    let [foot, head] = lungs.heights_mm;
    for (cell, value) in holes.iter_mut().enumerate() {
        let along = (coarse.world(cell).z - foot) / (head - foot).max(1.0);
        *value += TOWARDS_HEAD * (along as f32 - 0.5);
    }
    let mut in_lungs: Vec<f32> = (0..holes.len()).filter(|cell| lungs.space[*cell]).map(|cell| holes[cell]).collect();
    let below = (in_lungs.len() as f64 * (1.0 - MOST_SHARE * f64::from(dial))) as usize;
    let at = below.min(in_lungs.len() - 1);
    let (_, threshold, _) = in_lungs.select_nth_unstable_by(at, f32::total_cmp);
    let threshold = *threshold;
    // A field of deviation 1 and this width falls by about 1 over its width.
    for value in &mut holes {
        *value = (threshold - *value) * width_mm;
    }
    let hu = coarse.filled();
    // What lies far from all that is surely a hole would be a shade of one.
    let border_mm = BORDER_MM + coarse.cell_mm as f32 / 2.0;
    let is_sure =
        |cell: usize| holes[cell] <= -SURE_MM && lungs.depth_mm[cell] >= border_mm + SURE_MM && hu[cell] < TISSUE_HU[1];
    let mut from_sure = coarse.distances_mm(is_sure);
    for mm in &mut from_sure {
        *mm = mm.min(FAR_MM);
    }
    let distance = |world: DVec3| {
        let border = border_mm - coarse.at(&lungs.depth_mm, world);
        if border > border_mm / 2.0 {
            return 2.0 * border; // beyond the lung, or nearly so
        }
        let hole = coarse.at(&holes, world).max(coarse.at(&from_sure, world) - NEAR_SURE_MM);
        hole.max(border)
    };
    let (mut low, mut high) = (DVec3::INFINITY, DVec3::NEG_INFINITY);
    for cell in (0..holes.len()).filter(|cell| lungs.space[*cell]) {
        let world = coarse.world(cell);
        (low, high) = (low.min(world), high.max(world));
    }
    let spacing = grid.spacing_mm();
    let blur_mm = (0..3).map(|axis| scanner.blur_voxels[axis] * spacing[axis]).fold(0.0, f64::max);
    let within = around(grid, low, high, 3.0 * blur_mm);
    let mut marked = 0_usize;
    for slab in slabs(&within) {
        monitor.step("drawing the finding", slab[2].start - within[2].start, within[2].len())?;
        let painted = paint(grid, &slab, scanner, (STEEPNESS, SAMPLE_MM), &distance);
        for (at, voxel) in painted.voxels(grid).filter(|(at, _)| painted.shares[*at] > 0.0) {
            let [i, j, k] = place(grid.shape, voxel);
            let world = grid.world_from_voxel.transform_point3(DVec3::new(i, j, k));
            let old = chest.scan.voxels.at(voxel);
            let around = coarse.at(&hu, world);
            // Vessels stay: those that fill cells, and those that stand out of the noise.
            let tissue = around.max(old - STANDS_OUT_HU);
            let is_free = ((TISSUE_HU[0] - tissue) / (TISSUE_HU[0] - TISSUE_HU[1])).clamp(0.0, 1.0);
            let share = painted.shares[at] * is_free;
            // The tissue's mean goes down to that of a hole; what varies about it is noise, and stays.
            canvas.put(voxel, old + share * (hole_hu - around).min(0.0));
            let is_hole = painted.covered[at] * is_free >= 0.5;
            canvas.mask[voxel] |= is_hole;
            marked += usize::from(is_hole);
        }
    }
    let ml = marked as f64 * grid.world_from_voxel.matrix3.determinant().abs() / 1000.0;
    Ok(format!("emphysema: holes of {hole_hu:.0} HU, {ml:.0} ml together, more of them towards the head"))
}

/// Smooth noise of deviation 1 in the box of the lungs; 0 beyond.
fn noise_of_lungs(lungs: &Lungs, g: &mut Stream, width_mm: f32) -> Vec<f32> {
    let coarse = &lungs.coarse;
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for cell in (0..lungs.space.len()).filter(|cell| lungs.space[*cell]) {
        let place = coarse.place(cell);
        for axis in 0..3 {
            (low[axis], high[axis]) = (low[axis].min(place[axis]), high[axis].max(place[axis]));
        }
    }
    let shape = [0, 1, 2].map(|axis| high[axis] + 1 - low[axis]);
    let noise = smooth_noise(g, shape, [width_mm / coarse.cell_mm as f32; 3]);
    let mut field = vec![0.0; coarse.grid.len()];
    let [ni, nj, _] = coarse.grid.shape;
    for (row, noise) in noise.chunks(shape[0]).enumerate() {
        let (j, k) = (low[1] + row % shape[1], low[2] + row / shape[1]);
        field[low[0] + ni * (j + nj * k)..][..shape[0]].copy_from_slice(noise);
    }
    field
}

fn place([ni, nj, _]: [usize; 3], voxel: usize) -> [f64; 3] {
    [voxel % ni, voxel / ni % nj, voxel / (ni * nj)].map(|n| n as f64)
}
