//! Slices of a tilted gantry on a grid with right angles.
//!
//! A second volume is held meanwhile, of the kind that is given. Whole Hounsfield units stay whole: a value between two is
//! rounded, as dcm2niix does.

use std::sync::Arc;

use glam::{DAffine3, DMat3};
use rayon::prelude::*;

use crate::io::{Note, counted, reserve};
use crate::job::{Cancelled, Monitor};
use crate::volume::{Grid, Volume, Voxels};

/// A stack whose slices shift sideways by more than this was acquired with a tilted gantry.
const TILT_DEGREES: f64 = 0.5;
/// Slices that move by less than this share of a pixel over the whole stack stay, and the grid keeps their slant.
const STAY_PIXELS: f64 = 0.05;
/// A slice this near to whole pixels is copied, not interpolated.
pub(super) const WHOLE_PIXELS: f64 = 1e-4;
/// An upright grid may be this many times as large. Gantries tilt by 30 degrees, which doubles a head's.
const GROWTH: usize = 4;
/// Rows and columns of a slice are orthogonal to this cosine, or its grid cannot be upright.
const ORTHOGONAL: f64 = 1e-3;

/// Why there is no volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// In words: what is too large for memory.
    #[error("{0}")]
    Full(String),
}

/// How slices move within their planes: whole pixels that the grid grows by, and what is left.
struct Shear {
    /// Columns and rows, per slice.
    per_slice: [f64; 2],
    /// Columns and rows before the first slice's.
    before: [usize; 2],
    /// Columns and rows of a slice as acquired.
    acquired: [usize; 2],
    /// The upright one.
    grid: Grid,
}

/// The volume of a tilted gantry on a grid with right angles; `outside_hu` fills what no slice covers.
///
/// Slices are moved in their own planes by linear interpolation, as dcm2niix's `nii_saveNII3Dtilt` does. The grid grows so
/// that no pixel is lost, and the first slice's pixels stay where they are. A volume within 0.5 degrees of right angles is
/// returned as it is, without a note; one that would grow beyond four times its size is returned with a note.
pub(super) fn shear_upright(
    volume: &Volume,
    outside_hu: f32,
    monitor: &Monitor,
) -> Result<(Volume, Option<Note>), Stopped> {
    let grid = &volume.grid;
    let tilt_degrees = tilt_degrees(grid);
    if tilt_degrees <= TILT_DEGREES || grid.is_empty() {
        return Ok((volume.clone(), None));
    }
    let said = format!("the gantry was tilted by {tilt_degrees:.1} degrees");
    let Some(shear) = Shear::of(grid) else {
        let stay = "slices are shown sheared as acquired, because an upright grid would be too large";
        return Ok((volume.clone(), Some(Note::caution(format!("{said}: {stay}")))));
    };
    let voxels = match &volume.voxels {
        Voxels::I16(hu) => Voxels::I16(shear.apply(hu, outside_hu.round() as i16, round, monitor)?),
        Voxels::F32(hu) => Voxels::F32(shear.apply(hu, outside_hu, |value| value, monitor)?),
        Voxels::F16(hu) => Voxels::F32(shear.apply(hu, outside_hu, |value| value, monitor)?),
    };
    let pixel_mm = grid.spacing_mm();
    let far_mm = (0..2).map(|axis| shear.per_slice[axis] * pixel_mm[axis]).map(|mm| mm * mm).sum::<f64>().sqrt()
        * (grid.shape[2] - 1) as f64;
    let [columns, rows] = [0, 1].map(|axis| shear.grid.shape[axis] - grid.shape[axis]);
    let whole = if matches!(voxels, Voxels::I16(_)) { ", rounded to whole HU" } else { "" };
    let note = Note::caution(format!(
        "{said}: slices were moved onto an upright grid, the last one by {far_mm:.1} mm; values between pixels are interpolated{whole}, the grid grew by {} and {}, and what no slice covers is {outside_hu:.0} HU",
        counted(rows, "row"),
        counted(columns, "column")
    ));
    Ok((Volume::new(shear.grid, voxels), Some(note)))
}

/// The angle between the step from slice to slice and the slices' normal, degrees.
pub(super) fn tilt_degrees(grid: &Grid) -> f64 {
    let m = grid.world_from_voxel.matrix3;
    let normal = m.x_axis.cross(m.y_axis);
    let cosine = normal.dot(m.z_axis).abs() / (normal.length() * m.z_axis.length());
    if cosine.is_finite() { cosine.clamp(-1.0, 1.0).acos().to_degrees() } else { 0.0 }
}

pub(super) fn round(value: f32) -> i16 {
    value.round() as i16
}

impl Shear {
    /// None where the grid would grow too much, or where rows and columns are no right angle.
    fn of(grid: &Grid) -> Option<Self> {
        let m = grid.world_from_voxel.matrix3;
        let along = [m.x_axis, m.y_axis];
        if (m.x_axis.dot(m.y_axis) / (m.x_axis.length() * m.y_axis.length())).abs() > ORTHOGONAL {
            return None;
        }
        let last = (grid.shape[2] - 1) as f64;
        let (mut per_slice, mut before) = ([0.0; 2], [0; 2]);
        let (mut shape, mut step) = (grid.shape, m.z_axis);
        for axis in 0..2 {
            let pixels = m.z_axis.dot(along[axis]) / along[axis].length_squared();
            let far = pixels * last;
            if far.abs() < STAY_PIXELS {
                continue;
            }
            per_slice[axis] = pixels;
            step -= along[axis] * pixels;
            let grown = (far.abs() - WHOLE_PIXELS).ceil();
            if grown >= (GROWTH * grid.shape[axis]) as f64 {
                return None;
            }
            shape[axis] = grid.shape[axis].checked_add(grown as usize)?;
            before[axis] = if far < 0.0 { grown as usize } else { 0 };
        }
        let first = grid.world_from_voxel.translation - along[0] * before[0] as f64 - along[1] * before[1] as f64;
        let world_from_voxel = DAffine3::from_mat3_translation(DMat3::from_cols(along[0], along[1], step), first);
        let upright = Grid { shape, world_from_voxel };
        (upright.len() <= grid.len().checked_mul(GROWTH)?).then_some(Self {
            per_slice,
            before,
            acquired: [grid.shape[0], grid.shape[1]],
            grid: upright,
        })
    }

    fn apply<T: Copy + Into<f32> + Send + Sync, U: Copy + Send + Sync>(
        &self,
        voxels: &[T],
        outside: U,
        kept: impl Fn(f32) -> U + Sync,
        monitor: &Monitor,
    ) -> Result<Arc<Vec<U>>, Stopped> {
        let [columns, rows, slices] = self.grid.shape;
        let [acquired_columns, acquired_rows] = self.acquired;
        let mut upright = filled(self.grid.len(), outside)?;
        let acquired = voxels.chunks(acquired_columns * acquired_rows);
        for (k, (slice, from)) in upright.chunks_mut(columns * rows).zip(acquired).enumerate() {
            monitor.step("moving slices upright", k, slices)?;
            let across = Neighbours::of(self.before[0], self.per_slice[0] * k as f64);
            let down = Neighbours::of(self.before[1], self.per_slice[1] * k as f64);
            let from_rows: Vec<&[T]> = from.chunks(acquired_columns).collect();
            slice.par_chunks_mut(columns).enumerate().for_each(|(j, row)| {
                let Some((upper, lower)) = down.at(j, from_rows.len()) else { return };
                let (upper, lower) = (from_rows[upper], from_rows[lower]);
                let mixed = |i: usize| mix(upper[i].into(), lower[i].into(), down.share);
                for (i, value) in row.iter_mut().enumerate() {
                    if let Some((left, right)) = across.at(i, upper.len()) {
                        let right = if left == right { mixed(left) } else { mixed(right) };
                        *value = kept(mix(mixed(left), right, across.share));
                    }
                }
            });
        }
        Ok(upright.into())
    }
}

/// Which pixels of a moved line lie at a pixel of the grid: two neighbours and the share of the second.
struct Neighbours {
    /// The second neighbour of place 0 lies this many pixels before the line's first.
    shift: i64,
    share: f32,
}

impl Neighbours {
    fn of(before: usize, shift: f64) -> Self {
        let shift = before as f64 + shift;
        let whole = shift.floor();
        let part = shift - whole;
        if part < WHOLE_PIXELS {
            Self { shift: whole as i64, share: 0.0 }
        } else if part > 1.0 - WHOLE_PIXELS {
            Self { shift: whole as i64 + 1, share: 0.0 }
        } else {
            // Place x lies between pixels x - whole - 1 and x - whole; the farther the line moved, the nearer to the first.
            Self { shift: whole as i64 + 1, share: (1.0 - part) as f32 }
        }
    }

    /// The two neighbours of a place in a line of `count`; up to half a pixel beyond its ends the line goes on.
    fn at(&self, place: usize, count: usize) -> Option<(usize, usize)> {
        let (first, last) = (place as i64 - self.shift, count as i64 - 1);
        let is_near = (0..=last).contains(&first) || (first == -1 && self.share >= 0.5 && last >= 0);
        let is_far = first == last && self.share > 0.5;
        let clamped = |x: i64| x.clamp(0, last) as usize;
        (is_near && !is_far).then(|| (clamped(first), clamped(first + i64::from(self.share > 0.0))))
    }
}

#[inline]
pub(super) fn mix(a: f32, b: f32, share: f32) -> f32 {
    if share == 0.0 { a } else { a + (b - a) * share }
}

/// A vector of one value, in memory that is asked for first.
pub(super) fn filled<T: Copy + Send + Sync>(count: usize, value: T) -> Result<Vec<T>, Stopped> {
    let mut values = reserve(count).map_err(Stopped::Full)?;
    values.par_extend(rayon::iter::repeat_n(value, count));
    Ok(values)
}

#[cfg(test)]
mod tests {
    use glam::DVec3;

    use super::*;

    const OUTSIDE_HU: f32 = -1000.0;
    /// Values of some hundred HU in f32, mixed three times.
    const F32_HU: f64 = 1e-3;
    /// A whole number next to the true value, after two mixings in f32.
    const WHOLE_HU: f64 = 0.5 + F32_HU;

    /// Hounsfield units that grow evenly in every direction of the world.
    fn ramp(at: DVec3) -> f64 {
        at.dot(DVec3::new(1.5, -2.0, 0.75)) + 40.0
    }

    fn volume(grid: Grid, hu: impl Fn(DVec3) -> f64, is_whole: bool) -> Volume {
        let [ni, nj, nk] = grid.shape;
        let at = |n: usize| world(&grid, [n % ni, n / ni % nj, n / (ni * nj)]);
        let values: Vec<f64> = (0..ni * nj * nk).map(|n| hu(at(n))).collect();
        let voxels = if is_whole {
            Voxels::I16(values.iter().map(|hu| hu.round() as i16).collect::<Vec<_>>().into())
        } else {
            Voxels::F32(values.iter().map(|hu| *hu as f32).collect::<Vec<_>>().into())
        };
        Volume::new(grid, voxels)
    }

    fn world(grid: &Grid, at: [usize; 3]) -> DVec3 {
        grid.world_from_voxel.transform_point3(DVec3::from_array(at.map(|n| n as f64)))
    }

    /// A grid of oblique slices, each of which lies `slant` further along rows and columns than at a right angle, mm for a mm.
    fn slanted(shape: [usize; 3], slant: [f64; 2]) -> Grid {
        let turn = DMat3::from_rotation_x(0.3) * DMat3::from_rotation_z(-0.2);
        let step = DVec3::new(slant[0], slant[1], 1.0) * 2.5;
        let matrix = turn * DMat3::from_cols(DVec3::X * -0.8, DVec3::Y * -0.9, step);
        Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::new(31.0, -17.0, 5.0)) }
    }

    fn upright(volume: &Volume) -> (Volume, Option<Note>) {
        shear_upright(volume, OUTSIDE_HU, &Monitor::default()).expect("memory for a small one")
    }

    #[test]
    fn an_upright_volume_says_what_the_tilted_one_says_of_every_place_that_it_covers() {
        for slant in [[0.0, 0.36], [0.0, -0.36], [0.2, -0.1], [-0.03, 0.0]] {
            for is_whole in [false, true] {
                let tilted = volume(slanted([24, 20, 9], slant), |at| ramp(at).round(), is_whole);
                let exact = volume(tilted.grid, ramp, false);
                let (new, note) = upright(if is_whole { &tilted } else { &exact });
                assert!(tilt_degrees(&new.grid) < 1e-9 && note.is_some(), "{slant:?}");
                assert_eq!(matches!(new.voxels, Voxels::I16(_)), is_whole);
                let back = tilted.grid.voxel_from_world();
                let [ni, nj, nk] = new.grid.shape;
                let (mut inside, mut outside) = (0, 0);
                for n in 0..ni * nj * nk {
                    let place = [n % ni, n / ni % nj, n / (ni * nj)];
                    let at = world(&new.grid, place);
                    let from = back.transform_point3(at);
                    let got = f64::from(new.voxels.at(n));
                    let room = |axis: usize| from[axis].min(tilted.grid.shape[axis] as f64 - 1.0 - from[axis]);
                    if room(0).min(room(1)) >= -1e-6 {
                        // Whole values were rounded twice.
                        let bound = if is_whole { 2.0 * WHOLE_HU } else { F32_HU };
                        assert!((got - ramp(at)).abs() <= bound, "{slant:?} {place:?}: {got} for {}", ramp(at));
                        inside += 1;
                    } else if room(0).min(room(1)) < -0.51 {
                        assert_eq!(got, f64::from(OUTSIDE_HU), "{slant:?} {place:?}");
                        outside += 1;
                    }
                }
                // Nothing is lost: between its outermost pixels a slice has at least as many places less one each way.
                assert!(inside >= 23 * 19 * nk && outside > 0, "{inside} within, {outside} beyond");
            }
        }
    }

    #[test]
    fn the_first_slice_keeps_its_numbers_and_its_place() {
        for slant in [[0.0, 0.36], [0.21, -0.36]] {
            let tilted = volume(slanted([24, 20, 9], slant), |at| (at.x * 77.7).sin() * 900.0, true);
            let (new, _) = upright(&tilted);
            for j in 0..20 {
                for i in 0..24 {
                    let at = new.grid.voxel_from_world().transform_point3(world(&tilted.grid, [i, j, 0])).round();
                    let place = [at.x as usize, at.y as usize, 0];
                    assert!(world(&new.grid, place).distance(world(&tilted.grid, [i, j, 0])) < 1e-9);
                    assert_eq!(new.get(place), tilted.get([i, j, 0]));
                }
            }
        }
    }

    #[test]
    fn a_volume_at_right_angles_stays_as_it_is_and_one_without_end_is_said() {
        let straight = volume(slanted([24, 20, 9], [0.0, 0.005]), ramp, true);
        let (same, note) = upright(&straight);
        assert!(same.voxels.same(&straight.voxels) && same.grid == straight.grid && note.is_none());
        let shear = Shear::of(&slanted([24, 20, 9], [0.0, 0.0])).expect("upright");
        let Voxels::I16(hu) = &straight.voxels else { panic!("whole") };
        assert_eq!(*shear.apply(hu, 0, round, &Monitor::default()).expect("memory"), **hu);
        let endless = volume(slanted([24, 20, 9], [0.0, 9.0]), ramp, true);
        let (same, note) = upright(&endless);
        assert!(same.voxels.same(&endless.voxels) && note.expect("said").text.contains("too large"));
    }

    #[test]
    fn a_cancelled_resampling_stops() {
        let tilted = volume(slanted([6, 5, 4], [0.0, 0.3]), ramp, true);
        let monitor = Monitor::default();
        monitor.cancel();
        assert_eq!(shear_upright(&tilted, OUTSIDE_HU, &monitor).map(|_| ()), Err(Stopped::Cancelled(Cancelled)));
    }

    /// What `tests/data/tilt/make.py` printed of dcm2niix's grid, as columns of an affine.
    const DCM2NIIX: [f64; 12] =
        [-1.5, 0.0, 0.0, 0.0, -1.20741, -0.32352, 0.0, -1.0, 3.73205, 45.5, 39.28704, -118.38238];
    /// It keeps places in f32, and its script prints five decimals.
    const PLACE_MM: f64 = 1e-4;

    #[test]
    fn voxels_and_places_are_those_of_dcm2niix_to_the_bit() {
        let whole = |bytes: &[u8]| bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>();
        let acquired = whole(include_bytes!("../../../tests/data/tilt/acquired.i16"));
        let theirs = whole(include_bytes!("../../../tests/data/tilt/upright.i16"));
        let (sine, cosine) = (-15.0_f64).to_radians().sin_cos();
        let columns = DMat3::from_cols(DVec3::X * -1.5, DVec3::new(0.0, -1.25 * cosine, 1.25 * sine), DVec3::Z * 4.0);
        let world_from_voxel = DAffine3::from_mat3_translation(columns, DVec3::new(45.5, 33.25, -120.0));
        let tilted = Volume::new(Grid { shape: [12, 10, 7], world_from_voxel }, Voxels::I16(acquired.into()));
        let (new, note) = upright(&tilted);
        assert!(note.expect("said").text.contains("tilted by 15.0 degrees"));
        assert_eq!(new.grid.shape, [12, 15, 7]);
        let places = new.grid.world_from_voxel.to_cols_array();
        assert!(places.iter().zip(DCM2NIIX).all(|(a, b)| (a - b).abs() < PLACE_MM), "{places:?}");
        let mut compared = 0;
        for (n, theirs) in theirs.iter().enumerate() {
            let at = world(&new.grid, [n % 12, n / 12 % 15, n / 180]);
            let row = tilted.grid.voxel_from_world().transform_point3(at).y;
            // Beyond the outermost rows it pads with its own value.
            if (-1e-6..=9.0 + 1e-6).contains(&row) {
                assert_eq!(new.voxels.at(n), f32::from(*theirs), "voxel {n}");
                compared += 1;
            }
        }
        assert!(compared >= 9 * 12 * 7, "{compared}");
    }
}
