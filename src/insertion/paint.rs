//! How a shape becomes voxels: the share of each that it covers, blurred as the scan blurs edges.

use std::ops::Range;

use glam::DVec3;
use rayon::prelude::*;

use super::scanner::Scanner;
use crate::volume::Grid;
use crate::volume::smoothing::smooth;

/// Slices that are painted at a time: memory follows this and not the scan.
const SLAB: usize = 24;
/// How many samples a voxel has along an axis.
const SAMPLES: std::ops::RangeInclusive<usize> = 2..=8;
/// Blurred shares below this are none: what is drawn ends.
const LEAST_SHARE: f32 = 0.004;

/// A box of voxels and what is painted in it: slices of a box of the scan's, as many at a time as memory allows.
pub(super) struct Painted {
    pub(super) within: [Range<usize>; 3],
    /// The share of each voxel that the shape covers, before the blur.
    pub(super) covered: Vec<f32>,
    /// After it.
    pub(super) shares: Vec<f32>,
}

impl Painted {
    /// Every voxel: its place in the box, and in the scan.
    pub(super) fn voxels(&self, grid: &Grid) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [ni, nj, _] = grid.shape;
        let [wi, wj, wk] = self.within.clone();
        let rows = wk.flat_map(move |k| wj.clone().map(move |j| ni * (j + nj * k)));
        rows.flat_map(move |row| wi.clone().map(move |i| row + i)).enumerate()
    }
}

/// The box of voxels around a box in the world, with so many millimetres more on every side; empty where they do not meet.
pub(super) fn around(grid: &Grid, low: DVec3, high: DVec3, margin_mm: f64) -> [Range<usize>; 3] {
    let voxel_from_world = grid.voxel_from_world();
    let corner = |at: usize| {
        let world = DVec3::from_array([0, 1, 2].map(|axis| if at >> axis & 1 == 1 { high[axis] } else { low[axis] }));
        voxel_from_world.transform_point3(world)
    };
    let least = (0..8).map(corner).fold(DVec3::INFINITY, DVec3::min);
    let most = (0..8).map(corner).fold(DVec3::NEG_INFINITY, DVec3::max);
    let spacing = grid.spacing_mm();
    [0, 1, 2].map(|axis| {
        let margin = margin_mm / spacing[axis] + 1.0;
        let first = (least[axis] - margin).floor().clamp(0.0, grid.shape[axis] as f64) as usize;
        let end = (most[axis] + margin).ceil().clamp(0.0, grid.shape[axis] as f64 - 1.0) as usize + 1;
        first..end.max(first)
    })
}

/// Slabs of a box.
pub(super) fn slabs(within: &[Range<usize>; 3]) -> Vec<[Range<usize>; 3]> {
    let [i, j, k] = within;
    k.clone().step_by(SLAB).map(|from| [i.clone(), j.clone(), from..(from + SLAB).min(k.end)]).collect()
}

/// Paints a shape in a slab. `distance_mm` is below 0 within the shape and grows by no more than `steepness` a millimetre;
/// samples are no farther apart than `sample_mm`, as far as a voxel may have so many.
pub(super) fn paint(
    grid: &Grid,
    slab: &[Range<usize>; 3],
    scanner: &Scanner,
    (steepness, sample_mm): (f64, f64),
    distance_mm: &(impl Fn(DVec3) -> f32 + Sync),
) -> Painted {
    let blur = scanner.blur_beyond_box();
    let reach = blur.map(|blur| (3.0 * blur).ceil() as usize);
    let wide = [0, 1, 2].map(|axis| {
        let Range { start, end } = slab[axis];
        start.saturating_sub(reach[axis])..(end + reach[axis]).min(grid.shape[axis])
    });
    let covered = covered(grid, &wide, (steepness, sample_mm), distance_mm);
    let mut blurred = covered.clone();
    smooth(&mut blurred, [0, 1, 2].map(|axis| wide[axis].len()), blur);
    let mut shares = cut(&blurred, &wide, slab);
    for share in &mut shares {
        *share = if *share < LEAST_SHARE { 0.0 } else { share.min(1.0) };
    }
    Painted { within: slab.clone(), covered: cut(&covered, &wide, slab), shares }
}

/// The share of each voxel that a shape covers.
fn covered(
    grid: &Grid,
    within: &[Range<usize>; 3],
    (steepness, sample_mm): (f64, f64),
    distance_mm: &(impl Fn(DVec3) -> f32 + Sync),
) -> Vec<f32> {
    let spacing = grid.spacing_mm();
    let counts = spacing.map(|mm| ((mm / sample_mm).ceil() as usize).clamp(*SAMPLES.start(), *SAMPLES.end()));
    let offset = |axis: usize, n: usize| (n as f64 + 0.5) / counts[axis] as f64 - 0.5;
    let samples: Vec<DVec3> = (0..counts[2])
        .flat_map(|k| (0..counts[1]).flat_map(move |j| (0..counts[0]).map(move |i| [i, j, k])))
        .map(|[i, j, k]| DVec3::new(offset(0, i), offset(1, j), offset(2, k)))
        .map(|offset| grid.world_from_voxel.transform_vector3(offset))
        .collect();
    let half = spacing.iter().map(|mm| mm * mm).sum::<f64>().sqrt() / 2.0 * steepness;
    let [ni, nj, _] = [0, 1, 2].map(|axis| within[axis].len());
    let mut covered = vec![0.0_f32; within.iter().map(ExactSizeIterator::len).product()];
    covered.par_chunks_mut(ni.max(1)).enumerate().for_each(|(row, out)| {
        let (j, k) = (within[1].start + row % nj, within[2].start + row / nj);
        for (i, out) in within[0].clone().zip(out) {
            let middle = grid.world_from_voxel.transform_point3(DVec3::new(i as f64, j as f64, k as f64));
            let distance = f64::from(distance_mm(middle));
            *out = if distance >= half {
                0.0
            } else if distance <= -half {
                1.0
            } else {
                let inside = samples.iter().filter(|offset| distance_mm(middle + **offset) < 0.0).count();
                inside as f32 / samples.len() as f32
            };
        }
    });
    covered
}

/// A box out of a wider one.
fn cut(values: &[f32], wide: &[Range<usize>; 3], within: &[Range<usize>; 3]) -> Vec<f32> {
    let [ni, nj, _] = [0, 1, 2].map(|axis| wide[axis].len());
    let first = within[0].start - wide[0].start;
    let rows = within[2].clone().flat_map(|k| within[1].clone().map(move |j| (j, k)));
    rows.flat_map(|(j, k)| {
        let row = ni * (j - wide[1].start + nj * (k - wide[2].start)) + first;
        values[row..row + within[0].len()].iter().copied()
    })
    .collect()
}
