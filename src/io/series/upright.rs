//! Bent stacks on straight grids: slices of a tilted gantry moved upright, and uneven gaps made even.
//!
//! Both need memory for one more volume of the kind that they are given. Whole Hounsfield units stay whole: a value between two
//! is rounded, as dcm2niix does.

use std::sync::Arc;

use glam::{DAffine3, DMat3};
use rayon::prelude::*;

use crate::io::{Note, reserve};
use crate::job::{Cancelled, Monitor};
use crate::volume::{Grid, Volume, Voxels};

/// A stack whose slices shift sideways by more than this was acquired with a tilted gantry.
const TILT_DEGREES: f64 = 0.5;
/// Slices that move by less than this share of a pixel over the whole stack stay, and the grid keeps their slant.
const STAY_PIXELS: f64 = 0.05;
/// A slice this near to whole pixels is copied, not interpolated.
const WHOLE_PIXELS: f64 = 1e-4;
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
        "{said}: slices were moved onto an upright grid, the last one by {far_mm:.1} mm; values between pixels are interpolated{whole}, {rows} rows and {columns} columns were added, and what no slice covers is {outside_hu:.0} HU"
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

fn round(value: f32) -> i16 {
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
            let across = Taps::of(self.before[0], self.per_slice[0] * k as f64);
            let down = Taps::of(self.before[1], self.per_slice[1] * k as f64);
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
struct Taps {
    /// The second neighbour of place 0 lies this many pixels before the line's first.
    shift: i64,
    share: f32,
}

impl Taps {
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
fn mix(a: f32, b: f32, share: f32) -> f32 {
    if share == 0.0 { a } else { a + (b - a) * share }
}

/// A vector of one value, in memory that is asked for first.
fn filled<T: Copy + Send + Sync>(count: usize, value: T) -> Result<Vec<T>, Stopped> {
    let mut values = reserve(count).map_err(Stopped::Full)?;
    values.par_extend(rayon::iter::repeat_n(value, count));
    Ok(values)
}

/// A stack of uneven gaps on an even grid, by linear interpolation between slices. The first slice stays where it is; the last
/// one of the grid lies within half a step of the last slice, and repeats it where it lies beyond.
///
/// `heights_mm`: of each slice above the first, along the normal, rising from 0. `spacing_mm`: between slices of the grid, along
/// the normal. The volume's grid says in which direction slices follow each other; how far apart it says they are is ignored.
///
/// # Panics
/// When there are not as many heights as slices: a mistake in this program, not in a file.
pub(super) fn even_out(
    volume: &Volume,
    heights_mm: &[f64],
    spacing_mm: f64,
    monitor: &Monitor,
) -> Result<Volume, Stopped> {
    let [columns, rows, slices] = volume.grid.shape;
    assert_eq!(heights_mm.len(), slices, "a height for each slice");
    let rise_mm = heights_mm.last().copied().unwrap_or(0.0);
    let count = (rise_mm / spacing_mm).round().max(0.0) as usize + 1;
    let m = volume.grid.world_from_voxel.matrix3;
    let normal = m.x_axis.cross(m.y_axis).normalize();
    let step = m.z_axis * (spacing_mm / m.z_axis.dot(normal).abs());
    let matrix = DMat3::from_cols(m.x_axis, m.y_axis, step);
    let world_from_voxel = DAffine3::from_mat3_translation(matrix, volume.grid.world_from_voxel.translation);
    let grid = Grid { shape: [columns, rows, count], world_from_voxel };
    let even = Even { heights_mm, spacing_mm, pixels: columns * rows, count: grid.len() };
    let voxels = match &volume.voxels {
        Voxels::I16(hu) => Voxels::I16(even.apply(hu, 0, round, monitor)?),
        Voxels::F32(hu) => Voxels::F32(even.apply(hu, 0.0, |value| value, monitor)?),
        Voxels::F16(hu) => Voxels::F32(even.apply(hu, 0.0, |value| value, monitor)?),
    };
    Ok(Volume::new(grid, voxels))
}

struct Even<'a> {
    heights_mm: &'a [f64],
    spacing_mm: f64,
    /// Of a slice.
    pixels: usize,
    /// Voxels of the even grid.
    count: usize,
}

impl Even<'_> {
    fn apply<T: Copy + Into<f32> + Send + Sync, U: Copy + Send + Sync>(
        &self,
        voxels: &[T],
        zero: U,
        kept: impl Fn(f32) -> U + Sync,
        monitor: &Monitor,
    ) -> Result<Arc<Vec<U>>, Stopped> {
        let mut even = filled(self.count, zero)?;
        let pixels = self.pixels.max(1);
        let slice = |k: usize| &voxels[k * pixels..(k + 1) * pixels];
        for (k, onto) in even.chunks_mut(pixels).enumerate() {
            monitor.step("spacing slices evenly", k, self.count / pixels)?;
            let (low, share) = self.between(self.spacing_mm * k as f64);
            let (a, b) = (slice(low), slice(if share == 0.0 { low } else { low + 1 }));
            onto.par_iter_mut()
                .zip(a)
                .zip(b)
                .for_each(|((value, &a), &b)| *value = kept(mix(a.into(), b.into(), share)));
        }
        Ok(even.into())
    }

    /// The slice at or below a height, and the share of the next one.
    fn between(&self, height_mm: f64) -> (usize, f32) {
        let above = self.heights_mm.partition_point(|mm| *mm <= height_mm);
        let low = above.saturating_sub(1);
        let Some(&next) = self.heights_mm.get(above).filter(|_| above > 0) else { return (low, 0.0) };
        let share = (height_mm - self.heights_mm[low]) / (next - self.heights_mm[low]);
        if share < WHOLE_PIXELS {
            (low, 0.0)
        } else if share > 1.0 - WHOLE_PIXELS {
            (low + 1, 0.0)
        } else {
            (low, share as f32)
        }
    }
}
