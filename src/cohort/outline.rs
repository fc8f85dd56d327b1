//! Where the body and the lungs lie, in coarse voxels: without the table, by what is thick.

use glam::DVec3;

use super::coarse::Coarse;
use crate::quality;
use crate::volume::{Grid, Volume};

/// Halfway between air and water.
const AIR_BELOW_HU: f32 = -500.0;
/// What is thinner than twice this is no trunk: tables, clothes, arms.
const THIN_MM: f64 = 25.0;
/// Lungs have more air than this; what has less is bowel, or a scan without lungs.
const LEAST_LUNGS_ML: f64 = 200.0;
/// A box leaves so much of a mask out on each side: single voxels do not move it.
const LEFT_OUT: f64 = 0.005;

/// The outlines of a patient, and their boxes in patient space, from the lowest to the highest corner.
pub(super) struct Outline {
    pub(super) body: Vec<bool>,
    /// Air within the body.
    pub(super) lungs: Vec<bool>,
    pub(super) body_mm: [DVec3; 2],
    pub(super) lungs_mm: Option<[DVec3; 2]>,
}

pub(super) fn outline(coarse: &Coarse) -> Outline {
    let grid = coarse.grid;
    let all = quality::body(&Volume::from_f32(grid, coarse.scan.clone()));
    let trunk = trunk(&all, &grid);
    let body = if trunk.contains(&true) { trunk } else { all };
    let body = if body.contains(&true) { body } else { vec![true; grid.len()] };
    let lungs: Vec<bool> = body.iter().zip(&coarse.scan).map(|(body, hu)| *body && *hu < AIR_BELOW_HU).collect();
    let voxel_ml = grid.spacing_mm().iter().product::<f64>() / 1000.0;
    let has_lungs = quality::count(&lungs) as f64 * voxel_ml >= LEAST_LUNGS_ML;
    let (body_mm, lungs_mm) = (box_mm(&body, &grid), has_lungs.then(|| box_mm(&lungs, &grid)));
    Outline { body, lungs, body_mm, lungs_mm }
}

/// The largest part of a mask that stays together when all that is thin is taken away, slice by slice, with its own rim.
fn trunk(mask: &[bool], grid: &Grid) -> Vec<bool> {
    let spacing = grid.spacing_mm();
    let reach = [0, 1].map(|axis| (THIN_MM / spacing[axis]).round() as usize);
    let core = largest(&shrunk(mask, grid.shape, reach), grid.shape);
    let grown = grown(&core, grid.shape, reach);
    grown.iter().zip(mask).map(|(grown, mask)| *grown && *mask).collect()
}

/// What is left of a mask when as much is taken from its rim.
fn shrunk(mask: &[bool], shape: [usize; 3], reach: [usize; 2]) -> Vec<bool> {
    let around: Vec<bool> = mask.iter().map(|is_in| !is_in).collect();
    grown(&around, shape, reach).into_iter().map(|is_out| !is_out).collect()
}

/// A mask with so many voxels around it, along columns and rows.
fn grown(mask: &[bool], [width, height, slices]: [usize; 3], reach: [usize; 2]) -> Vec<bool> {
    let along = |mask: &[bool], length: usize, stride: usize, reach: usize| -> Vec<bool> {
        let near = |at: usize| {
            let place = at / stride % length;
            let first = at - place.min(reach) * stride;
            let last = at + (length - 1 - place).min(reach) * stride;
            (first..=last).step_by(stride).any(|other| mask[other])
        };
        (0..width * height * slices).map(near).collect()
    };
    along(&along(mask, width, 1, reach[0]), height, width, reach[1])
}

/// The largest part of a mask whose voxels touch by their faces.
fn largest(mask: &[bool], [width, height, slices]: [usize; 3]) -> Vec<bool> {
    let mut part_of = vec![0_u32; mask.len()];
    let mut sizes = vec![0_usize];
    let mut front = Vec::new();
    for seed in 0..mask.len() {
        if !mask[seed] || part_of[seed] != 0 {
            continue;
        }
        let part = sizes.len() as u32;
        sizes.push(0);
        part_of[seed] = part;
        front.push(seed);
        while let Some(at) = front.pop() {
            sizes[part as usize] += 1;
            let places = [at % width, at / width % height, at / width / height];
            let strides = [1, width, width * height];
            for ((place, stride), length) in places.into_iter().zip(strides).zip([width, height, slices]) {
                let below = (place > 0).then(|| at - stride);
                let above = (place + 1 < length).then(|| at + stride);
                for next in [below, above].into_iter().flatten() {
                    if mask[next] && part_of[next] == 0 {
                        part_of[next] = part;
                        front.push(next);
                    }
                }
            }
        }
    }
    let Some(largest) = (1..sizes.len()).max_by_key(|part| sizes[*part]) else { return vec![false; mask.len()] };
    part_of.into_iter().map(|part| part as usize == largest).collect()
}

/// The box of nearly all of a mask, to the outer faces of its voxels. The mask is not empty.
fn box_mm(mask: &[bool], grid: &Grid) -> [DVec3; 2] {
    let [width, height, _] = grid.shape;
    let inside = mask.iter().enumerate().filter(|(_, is_in)| **is_in);
    let places: Vec<DVec3> = inside
        .map(|(at, _)| {
            let voxel = [at % width, at / width % height, at / width / height].map(|n| n as f64);
            grid.world_from_voxel.transform_point3(DVec3::from_array(voxel))
        })
        .collect();
    let matrix = grid.world_from_voxel.matrix3;
    let half_mm = (matrix.x_axis.abs() + matrix.y_axis.abs() + matrix.z_axis.abs()) / 2.0;
    let left_out = (places.len() as f64 * LEFT_OUT) as usize;
    let ends: [[f64; 2]; 3] = std::array::from_fn(|axis| {
        let mut along: Vec<f64> = places.iter().map(|place| place[axis]).collect();
        along.sort_unstable_by(f64::total_cmp);
        [along[left_out], along[along.len() - 1 - left_out]]
    });
    let corner = |end: usize| DVec3::from_array(ends.map(|ends| ends[end]));
    [corner(0) - half_mm, corner(1) + half_mm]
}

#[cfg(test)]
mod tests {
    use glam::{DAffine3, DMat3};

    use super::*;

    #[test]
    fn the_trunk_is_found_without_the_table() {
        // A trunk of 16 by 12 voxels of 10 mm, and a table of 24 by 1 that touches it.
        let grid = Grid {
            shape: [30, 24, 3],
            world_from_voxel: DAffine3::from_mat3_translation(DMat3::from_diagonal(DVec3::splat(10.0)), DVec3::ZERO),
        };
        let is_trunk = |i: usize, j: usize| (6..22).contains(&i) && (4..16).contains(&j);
        let is_table = |i: usize, j: usize| (3..27).contains(&i) && j == 16;
        let at = |n: usize| (n % 30, n / 30 % 24);
        let mask: Vec<bool> =
            (0..grid.len()).map(|n| is_trunk(at(n).0, at(n).1) || is_table(at(n).0, at(n).1)).collect();
        let trunk = trunk(&mask, &grid);
        assert!((0..grid.len()).all(|n| trunk[n] || !is_trunk(at(n).0, at(n).1)), "all of the trunk");
        assert!((0..grid.len()).all(|n| !trunk[n] || (3..25).contains(&at(n).0)), "not the ends of the table");
        let [low, high] = box_mm(&trunk, &grid);
        assert!((low.x - 55.0).abs() <= 30.0 && (high.x - 215.0).abs() <= 30.0, "{low} {high}");
        assert_eq!((low.z, high.z), (-5.0, 25.0));
    }
}
