//! Which way a grid's axes point: nibabel's rule, and the letters of the anatomical directions.

use std::fmt;

use glam::{DAffine3, DMat3, DVec3};

use super::{Grid, Turned, Volume};

/// Where each voxel axis points: which world axis (0 R-L, 1 A-P, 2 S-I), and whether towards R, A, S.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisCodes(pub [(usize, bool); 3]);

impl fmt::Display for AxisCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (axis, positive) in self.0 {
            f.write_str(letter_of(axis, positive))?;
        }
        Ok(())
    }
}

fn letter_of(axis: usize, positive: bool) -> &'static str {
    [["L", "R"], ["P", "A"], ["I", "S"]][axis][usize::from(positive)]
}

/// nibabel's `io_orientation`: the columns of the affine, scaled to unit length, are brought to the nearest rotation; then
/// each voxel axis, strongest first, takes the free world axis that it points along most.
pub fn axis_codes(grid: &Grid) -> AxisCodes {
    let columns = rotation(grid.world_from_voxel.matrix3);
    let mut order = [0, 1, 2];
    let strength = |axis: usize| columns[axis].to_array().iter().map(|x| x * x).fold(0.0, f64::max);
    order.sort_by(|&a, &b| strength(b).total_cmp(&strength(a))); // stable, as numpy's sort of -max
    let mut codes = [(0, true); 3];
    let mut free = [true; 3];
    for axis in order {
        let column = columns[axis].to_array();
        let mut best: Option<usize> = None;
        for world in (0..3).filter(|&world| free[world]) {
            if best.is_none_or(|b| column[world].abs() > column[b].abs()) {
                best = Some(world);
            }
        }
        if let Some(world) = best {
            free[world] = false;
            codes[axis] = (world, column[world] >= 0.0);
        }
    }
    AxisCodes(codes)
}

/// The nearest rotation (or mirrored one) to a matrix whose columns are first brought to unit length: the orthogonal factor
/// of its polar decomposition, by Newton's iteration (Higham 1986, SIAM J. Sci. Stat. Comput. 7:1160).
fn rotation(matrix: DMat3) -> [DVec3; 3] {
    let unit = |v: DVec3| if v.length() > 0.0 { v / v.length() } else { v };
    let mut q = DMat3::from_cols(unit(matrix.x_axis), unit(matrix.y_axis), unit(matrix.z_axis));
    for _ in 0..64 {
        if q.determinant().abs() < 1e-12 {
            break; // a flat grid has no rotation; readers refuse it
        }
        let next = (q + q.inverse().transpose()) * 0.5;
        let change = (next - q).to_cols_array().iter().fold(0.0_f64, |worst, x| worst.max(x.abs()));
        q = next;
        if change < 1e-15 {
            break;
        }
    }
    [q.x_axis, q.y_axis, q.z_axis]
}

/// The volume with its axes transposed and flipped to point towards R, A, S. Nothing moves, in memory or in the world.
pub fn to_ras(volume: &Volume) -> Turned<'_> {
    let AxisCodes(codes) = axis_codes(&volume.grid);
    let from = volume.grid.shape;
    // For each world axis: the voxel axis along it, and where it begins.
    let mut source = [0; 3];
    for (axis, (world, _)) in codes.iter().enumerate() {
        source[*world] = axis;
    }
    let shape = source.map(|axis| from[axis]);
    let steps = [1, from[0] as isize, (from[0] * from[1]) as isize];
    let positive = source.map(|axis| codes[axis].1);
    let strides = [0, 1, 2].map(|w| if positive[w] { steps[source[w]] } else { -steps[source[w]] });
    let start = (0..3).map(|w| if positive[w] { 0 } else { (shape[w] as isize - 1) * steps[source[w]] }).sum();

    let columns = volume.grid.world_from_voxel.matrix3;
    let mut origin = volume.grid.world_from_voxel.translation;
    let mut turned = [DVec3::ZERO; 3];
    for w in 0..3 {
        let column = columns.col(source[w]);
        turned[w] = if positive[w] { column } else { -column };
        if !positive[w] {
            origin += column * (shape[w] as f64 - 1.0);
        }
    }
    let matrix = DMat3::from_cols(turned[0], turned[1], turned[2]);
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, origin) };
    Turned { grid, voxels: &volume.voxels, start, strides }
}

/// Runs some axes of a volume the other way. Nothing moves, in memory or in the world.
pub fn reversed(mut volume: Turned<'_>, axes: [bool; 3]) -> Turned<'_> {
    for axis in (0..3).filter(|axis| axes[*axis]) {
        let last = volume.grid.shape[axis] as isize - 1;
        volume.start += last * volume.strides[axis];
        volume.strides[axis] = -volume.strides[axis];
        let world = &mut volume.grid.world_from_voxel;
        let column = world.matrix3.col(axis);
        world.translation += column * last as f64;
        *world.matrix3.col_mut(axis) = -column;
    }
    volume
}

/// The letter of the anatomical direction nearest to a direction in world space.
pub fn letter(direction: DVec3) -> &'static str {
    let parts = direction.to_array();
    let axis = (0..3).fold(0, |best, axis| if parts[axis].abs() > parts[best].abs() { axis } else { best });
    letter_of(axis, parts[axis] >= 0.0)
}

/// The largest angle between a voxel axis and its anatomical direction, degrees. 0 for an axis-aligned scan.
pub fn obliqueness_degrees(grid: &Grid) -> f64 {
    let AxisCodes(codes) = axis_codes(grid);
    let along = |axis: usize| {
        let column = grid.world_from_voxel.matrix3.col(axis);
        (column.to_array()[codes[axis].0].abs() / column.length()).clamp(0.0, 1.0)
    };
    (0..3).map(|axis| along(axis).acos().to_degrees()).fold(0.0, f64::max)
}
