//! An enlarged heart: the heart that the scan has, moved outward into the lungs beside it by a smooth warp; wall, spine, diaphragm and
//! great vessels stay where they are.

use glam::DVec3;
use rayon::prelude::*;

use super::canvas::Canvas;
use super::coarse::Coarse;
use super::lungs::{LEFT, Lungs, RIGHT};
use super::paint::{around, slabs};
use super::{Chest, NoPlace};
use crate::job::Monitor;
use crate::volume::smoothing::smooth;
use crate::volume::{Grid, Volume};

/// A heart is as wide as this, from its middle to the nearest lung.
const RADIUS_MM: std::ops::Range<f32> = 24.0..95.0;
/// Slices of less lung than this share of the fullest one show the diaphragm's dome, or the top.
const LEAST_LUNG: f64 = 0.45;
/// The heart's middle lies no farther to the right of the lungs' own, millimetres.
const RIGHTMOST_MM: f64 = 15.0;
/// What of the space between the lungs is narrower than this share of the heart is no heart.
const OPENED_SHARE: f32 = 0.6;
const HIGH_SHARE: f64 = 1.15;
/// How far its border moves at a dial of 1, as a share of its radius.
const GROWTH_SHARE: f32 = 0.34;
/// To the right it moves by this share of what it moves to the left.
const TO_THE_RIGHT: f64 = 0.6;
/// The lung that gives way is so many times as wide as the way that the border moves.
const YIELDING: f32 = 3.2;
/// From the wall, the spine and the diaphragm on, what may move grows to all over this distance.
const HELD_MM: f32 = 16.0;
const SMOOTH_MM: f32 = 8.0;
/// Moves of less than this are none.
const LEAST_MM: f32 = 0.02;
/// Halfway between lung and heart, HU.
const HALFWAY_HU: f32 = -400.0;
/// What was lung came from the heart where it comes from no farther outside it than this, millimetres.
const NEAR_MM: f32 = 2.5;

struct Heart {
    middle: DVec3,
    radius_mm: f32,
    /// Cells of it.
    is_in: Vec<bool>,
}

pub(super) fn draw(chest: &Chest, dial: f32, canvas: &mut Canvas, monitor: &Monitor) -> Result<String, NoPlace> {
    let lungs = &chest.lungs;
    let (grid, coarse) = (&chest.scan.grid, &lungs.coarse);
    let heart = Heart::of(lungs).ok_or(NoPlace::NoHeart)?;
    monitor.check()?;
    let warp = Warp::of(lungs, &heart, dial);
    monitor.check()?;
    let (mut low, mut high) = (DVec3::INFINITY, DVec3::NEG_INFINITY);
    for cell in (0..warp.moves_mm.len()).filter(|cell| warp.moves_mm[*cell] > LEAST_MM) {
        (low, high) = (low.min(coarse.world(cell)), high.max(coarse.world(cell)));
    }
    if !low.is_finite() {
        return Err(NoPlace::NoHeart);
    }
    let within = around(grid, low, high, coarse.cell_mm);
    let voxel_from_world = grid.voxel_from_world();
    for slab in slabs(&within) {
        monitor.step("drawing the finding", slab[2].start - within[2].start, within[2].len())?;
        let voxels = voxels(grid, &slab);
        let moved: Vec<Option<(f32, bool)>> = voxels
            .par_iter()
            .map(|(voxel, at)| {
                let world = grid.world_from_voxel.transform_point3(*at);
                let from = warp.from(coarse, &heart, world)?;
                let hu = cubic(&chest.scan, voxel_from_world.transform_point3(from));
                // Deep in the lungs, a vessel was lung as well.
                let old = chest.scan.voxels.at(*voxel);
                let was_lung = lungs.space[coarse.cell(world)]
                    && (old < HALFWAY_HU || coarse.at(&lungs.depth_mm, world) > NEAR_MM);
                let is_of_heart = was_lung && coarse.at(&warp.outside_mm, from) <= NEAR_MM;
                Some((hu, is_of_heart))
            })
            .collect();
        for ((voxel, _), (hu, is_of_heart)) in voxels.iter().zip(moved).filter_map(|(v, m)| Some((v, m?))) {
            canvas.mask[*voxel] = is_of_heart && hu >= HALFWAY_HU;
            canvas.put(*voxel, hu);
        }
    }
    let growth = GROWTH_SHARE * heart.radius_mm * dial;
    Ok(format!("the heart's border moved into the lungs by up to {growth:.0} mm"))
}

impl Heart {
    /// The widest of what lies between the lungs, told from the liver by the lung around it.
    fn of(lungs: &Lungs) -> Option<Self> {
        let coarse = &lungs.coarse;
        let [ni, nj, nk] = coarse.grid.shape;
        let between = between(lungs);
        let slice = ni * nj;
        let areas: Vec<usize> =
            (0..nk).map(|k| lungs.space[k * slice..(k + 1) * slice].iter().filter(|is_in| **is_in).count()).collect();
        let fullest = *areas.iter().max()? as f64;
        let is_full = |k: usize| areas[k] as f64 >= LEAST_LUNG * fullest;
        let (sum, count) = (0..lungs.space.len())
            .filter(|cell| lungs.space[*cell])
            .fold((0.0, 0_usize), |(sum, count), cell| (sum + coarse.world(cell).x, count + 1));
        let rightmost = sum / count.max(1) as f64 + RIGHTMOST_MM;
        // How wide it is in each slice: the largest disc that meets no lung.
        let discs: Vec<(f32, usize)> = (0..nk)
            .into_par_iter()
            .map(|k| {
                let depths = depths_in_slice(coarse, &between, k);
                let at_left = |cell: &usize| coarse.world(k * slice + cell).x <= rightmost;
                let widest = (0..slice)
                    .filter(|cell| is_full(k) && at_left(cell))
                    .max_by(|a, b| depths[*a].total_cmp(&depths[*b]));
                widest.map_or((0.0, k * slice), |cell| (depths[cell], k * slice + cell))
            })
            .collect();
        let (radius_mm, middle) = discs.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
        if !RADIUS_MM.contains(&radius_mm) {
            return None;
        }
        let middle = coarse.world(middle);
        let least = OPENED_SHARE * radius_mm;
        let mut is_in = vec![false; between.len()];
        for k in 0..nk {
            let up = (coarse.world(k * slice).z - middle.z).abs();
            if up > HIGH_SHARE * f64::from(radius_mm) || !is_full(k) {
                continue;
            }
            let depths = depths_in_slice(coarse, &between, k);
            let cores: Vec<bool> = depths.iter().map(|mm| *mm >= least).collect();
            let from_core = flat_distances(coarse, |cell| cores[cell]);
            for cell in (0..slice).filter(|cell| from_core[*cell] <= least && between[k * slice + cell]) {
                // Behind it lie the spine and the aorta.
                let is_before = coarse.world(k * slice + cell).y >= middle.y - f64::from(radius_mm);
                is_in[k * slice + cell] = is_before;
            }
        }
        Some(Self { middle, radius_mm, is_in })
    }
}

/// What is no lung and has one lung to its right and the other to its left.
fn between(lungs: &Lungs) -> Vec<bool> {
    let [ni, ..] = lungs.coarse.grid.shape;
    let mut between = vec![false; lungs.space.len()];
    for (row, between) in between.chunks_mut(ni).enumerate() {
        let first = row * ni;
        let is_of = |i: &usize, side: u8| lungs.space[first + i] && lungs.side[first + i] == side;
        let innermost = [(0..ni).filter(|i| is_of(i, LEFT)).max(), (0..ni).filter(|i| is_of(i, RIGHT)).min()];
        if let [Some(left), Some(right)] = innermost
            && left < right
        {
            (left + 1..right).for_each(|i| between[i] = !lungs.space[first + i]);
        }
    }
    between
}

/// Distances within one axial slice to its cells in which `is_in` holds, millimetres.
fn flat_distances(coarse: &Coarse, is_in: impl Fn(usize) -> bool + Sync) -> Vec<f32> {
    let [ni, nj, _] = coarse.grid.shape;
    let grid = Grid { shape: [ni, nj, 1], world_from_voxel: coarse.grid.world_from_voxel };
    Coarse { grid, cell_mm: coarse.cell_mm, hu: Vec::new() }.distances_mm(is_in)
}

/// How far each cell of an axial slice that lies between the lungs is from the nearest that does not; where rows have no lung on both
/// sides, as before and behind, nothing ends.
fn depths_in_slice(coarse: &Coarse, between: &[bool], k: usize) -> Vec<f32> {
    let slice = coarse.grid.shape[0] * coarse.grid.shape[1];
    let here = &between[k * slice..(k + 1) * slice];
    if !here.contains(&true) {
        return vec![0.0; slice];
    }
    flat_distances(coarse, |cell| !here[cell])
}

/// Where each place came from: outward from the heart's middle, by so much.
struct Warp {
    /// Of each cell, millimetres.
    moves_mm: Vec<f32>,
    /// How far each cell lies outside the heart, millimetres; 0 within.
    outside_mm: Vec<f32>,
}

impl Warp {
    fn of(lungs: &Lungs, heart: &Heart, dial: f32) -> Self {
        let coarse = &lungs.coarse;
        let growth = GROWTH_SHARE * heart.radius_mm * dial;
        let outside_mm = coarse.distances_mm(|cell| heart.is_in[cell]);
        let inside_mm = coarse.distances_mm(|cell| !heart.is_in[cell]);
        let held_mm = coarse.distances_mm(|cell| !heart.is_in[cell] && !lungs.space[cell]);
        let mut moves_mm: Vec<f32> = (0..coarse.grid.len())
            .into_par_iter()
            .map(|cell| {
                let (outside, inside) = (outside_mm[cell], inside_mm[cell]);
                let part = if heart.is_in[cell] {
                    let from_middle = coarse.world(cell).distance(heart.middle) as f32;
                    from_middle / (from_middle + inside).max(1e-3)
                } else {
                    let t = (outside / (YIELDING * growth)).min(1.0);
                    (1.0 - t).powi(2) * (1.0 + 2.0 * t)
                };
                let free = (held_mm[cell] / HELD_MM).min(1.0);
                growth * part * free * free * (3.0 - 2.0 * free)
            })
            .collect();
        smooth(&mut moves_mm, coarse.grid.shape, [SMOOTH_MM / coarse.cell_mm as f32; 3]);
        Self { moves_mm, outside_mm }
    }

    /// Where what is seen at a place was before; `None` where it is as before.
    fn from(&self, coarse: &Coarse, heart: &Heart, world: DVec3) -> Option<DVec3> {
        let moves = coarse.at(&self.moves_mm, world);
        if moves <= LEAST_MM {
            return None;
        }
        let away = world - heart.middle;
        let direction = away.normalize_or_zero();
        let to_the_right = direction.x.max(0.0);
        let share = 1.0 - (1.0 - TO_THE_RIGHT) * to_the_right;
        // Never past the middle.
        Some(world - direction * (f64::from(moves) * share).min(away.length()))
    }
}

fn voxels(grid: &Grid, [wi, wj, wk]: &[std::ops::Range<usize>; 3]) -> Vec<(usize, DVec3)> {
    let [ni, nj, _] = grid.shape;
    let rows = wk.clone().flat_map(|k| wj.clone().map(move |j| (j, k)));
    rows.flat_map(|(j, k)| wi.clone().map(move |i| (i + ni * (j + nj * k), DVec3::new(i as f64, j as f64, k as f64))))
        .collect()
}

/// A volume between its voxels by Catmull and Rom's cubic, which keeps edges and noise better than a linear one; the border's voxels
/// beyond it.
fn cubic(volume: &Volume, at: DVec3) -> f32 {
    let shape = volume.grid.shape;
    let at = at.to_array();
    let mut first = [0_isize; 3];
    let mut weights = [[0.0_f32; 4]; 3];
    for axis in 0..3 {
        let x = at[axis].clamp(0.0, shape[axis] as f64 - 1.0);
        let low = x.floor();
        let t = (x - low) as f32;
        first[axis] = low as isize - 1;
        weights[axis] = [
            ((2.0 - t) * t - 1.0) * t / 2.0,
            1.0 + (1.5 * t - 2.5) * t * t,
            ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
            (t - 1.0) * t * t / 2.0,
        ];
    }
    let index = |axis: usize, n: usize| (first[axis] + n as isize).clamp(0, shape[axis] as isize - 1) as usize;
    let mut sum = 0.0;
    for (c, wk) in weights[2].iter().enumerate() {
        for (b, wj) in weights[1].iter().enumerate() {
            let row = shape[0] * (index(1, b) + shape[1] * index(2, c));
            let line: f32 = weights[0].iter().enumerate().map(|(a, wi)| wi * volume.voxels.at(row + index(0, a))).sum();
            sum += wk * wj * line;
        }
    }
    sum
}
