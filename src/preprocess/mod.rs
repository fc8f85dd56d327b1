//! From a scan to what a network was trained on, and back: orient, resample, rescale, pad, crop, display order.
//!
//! Source: `ct_counterfactuals` 0.0.4, `NIFTI_Dataset`, on MONAI 1.4.0's `Orientationd`, `Spacingd`, `ScaleIntensityRanged`,
//! `SpatialPadd`, `CenterSpatialCropd`, `Rotate90d`, `Flipd`. Geometry is f64, as there.

mod fit;
mod recipe;
mod words;

use glam::{DAffine3, DMat3, DVec3};

pub use recipe::{Axes, CHANNELS, Fit, OverSlices, Recipe};

use crate::job::{Cancelled, Monitor};
use crate::machine;
use crate::volume::resample::{Outside, resample, sample};
use crate::volume::{Grid, Turned, Volume, orientation};

/// A scan as the networks see it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Values where 0 and 1 are the ends of the recipe's window, `0..=1` where it clips. Voxel `(i, j, k)` is column, row, slice, so
    /// that memory is exactly the stack `[slices, 1, rows, columns]`:
    /// row 0 is anterior, column 0 the patient's right, slice 0 inferior. The grid says where that lies in world space.
    pub volume: Volume,
    pub recipe: Recipe,
    /// The grid after orientation and after resampling, as MONAI reports them.
    pub oriented: Grid,
    pub spaced: Grid,
    /// Columns, rows and slices that lie within the scan; the others are padding.
    pub filled: [usize; 3],
}

/// Spacings closer than this to the wanted one are left alone (MONAI, `Spacing`, `tol`).
const SPACING_TOLERANCE_MM: f64 = 1e-3;
/// An affine this near to the identity resamples nothing (MONAI, `SpatialResample`).
const IDENTITY_TOLERANCE: f64 = 1e-3;
/// numpy's default `atol`: the only one that acts when comparing with 0.
const ALLCLOSE: f64 = 1e-8;

/// More voxels than any body has at the published spacing: 3.6 cubic metres; 2 GiB of numbers.
const MAX_VOXELS: f64 = (1_u32 << 29) as f64;

/// Why a scan cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cancelled")]
    Cancelled(#[from] Cancelled),
    #[error(
        "{shape} voxels after resampling to {spacing_mm} mm, more than any scan has: its own spacing must be wrong; save it again in millimetres"
    )]
    TooLarge { shape: String, spacing_mm: String },
    #[error(
        "on {shape} voxels of {spacing_mm} mm it takes {needed} of memory, the scan itself included, and this process can have {most}; \
         set a larger recipe.spacing_mm or a smaller recipe.size in the model card, close what else uses memory, or allow more (--memory)"
    )]
    Memory { shape: String, spacing_mm: String, needed: String, most: String },
}

/// Prepares a scan by a recipe; by the default one exactly as the published pipeline does.
pub fn prepare(scan: &Volume, recipe: &Recipe, monitor: &Monitor) -> Result<Prepared, Error> {
    let oriented = orientation::reversed(orientation::to_ras(scan), recipe.axes.against_ras());
    let (grid, voxel_from_new) = spacing(&oriented.grid, recipe)?;
    let identity =
        (voxel_from_new.matrix3 - DMat3::IDENTITY).to_cols_array().iter().all(|x| x.abs() <= IDENTITY_TOLERANCE)
            && voxel_from_new.translation.abs().max_element() <= IDENTITY_TOLERANCE;
    let (spaced, voxel_from_spaced) = if identity && grid.shape == oriented.grid.shape {
        (oriented.grid, DAffine3::IDENTITY)
    } else {
        (grid, voxel_from_new)
    };
    check_memory(scan, &spaced, recipe)?;
    let (volume, there) = if is_plain(recipe) {
        (stack(oriented, &spaced, voxel_from_spaced, recipe, monitor)?, spaced.shape)
    } else {
        let fitted = fit::fitted(oriented, &spaced, voxel_from_spaced, recipe, monitor)?;
        (stack((&fitted).into(), &fitted.grid, DAffine3::IDENTITY, recipe, monitor)?, fitted.grid.shape)
    };
    let filled = [0, 1, 2].map(|axis| there[axis].min(volume.grid.shape[axis]));
    Ok(Prepared { volume, recipe: recipe.clone(), oriented: oriented.grid, spaced, filled })
}

/// Whether a scan is sampled at the stack's voxels alone, and never as a whole on a grid of another spacing.
fn is_plain(recipe: &Recipe) -> bool {
    recipe.fit == Fit::Crop && recipe.foreground_hu.is_none()
}

/// A recipe's size, where it leaves an axis open that of what is there.
fn sized(there: [usize; 3], recipe: &Recipe) -> [usize; 3] {
    [0, 1, 2].map(|axis| if recipe.size[axis] == 0 { there[axis] } else { recipe.size[axis] })
}

/// The most bytes that preparation holds at once, the scan apart: of f32, on the grid of the recipe's spacing where that is `spaced`.
fn peak_bytes(spaced: [usize; 3], recipe: &Recipe) -> u64 {
    let bytes = |shape: [usize; 3]| shape.iter().fold(4, |bytes: u64, side| bytes.saturating_mul(*side as u64));
    let (whole, stack) = (bytes(spaced), bytes(sized(spaced, recipe)));
    if is_plain(recipe) {
        return stack;
    }
    // The whole beside its foreground; the whole beside what it is resized to; that beside the stack.
    let foreground = whole.saturating_mul(if recipe.foreground_hu.is_some() { 2 } else { 1 });
    foreground.max(whole.saturating_add(stack)).max(stack.saturating_mul(2))
}

/// Refuses what this process has no memory for, before any is taken.
fn check_memory(scan: &Volume, spaced: &Grid, recipe: &Recipe) -> Result<(), Error> {
    let needed = scan.voxels.bytes().saturating_add(peak_bytes(spaced.shape, recipe));
    let Some(most) = machine::memory_bytes().filter(|most| needed > *most) else { return Ok(()) };
    let shape = sized(spaced.shape, recipe).map(|side| side.to_string()).join(" x ");
    let spacing_mm = spaced.spacing_mm().map(|mm| format!("{mm:.2}")).join(" x ");
    Err(Error::Memory { shape, spacing_mm, needed: machine::gigabytes(needed), most: machine::gigabytes(most) })
}

/// MONAI's `Spacing`: the new grid, and the map from its voxels to the old ones. The spacing comes from a file: a shape that
/// no memory holds is an error before it is a number of voxels.
fn spacing(grid: &Grid, recipe: &Recipe) -> Result<(Grid, DAffine3), Error> {
    let a = grid.world_from_voxel;
    let now = grid.spacing_mm();
    let wanted_mm = [0, 1, 2].map(|i| if recipe.spacing_mm[i] == 0.0 { now[i] } else { recipe.spacing_mm[i] });
    let target =
        [0, 1, 2].map(|i| if (now[i] - wanted_mm[i]).abs() <= SPACING_TOLERANCE_MM { now[i] } else { wanted_mm[i] });
    // `zoom_affine`: the Cholesky factor of M^T M holds scale and shear; what is left of M is the rotation.
    let zs = cholesky(a.matrix3.transpose() * a.matrix3).transpose();
    let rotation = a.matrix3 * zs.inverse();
    let scale = DVec3::from_array([0, 1, 2].map(|i| target[i] * zs.col(i)[i].signum()));
    let new = rotation * DMat3::from_diagonal(scale);

    // `compute_shape_offset`: the corner voxels in new units give the shape, and which corner stays in place.
    let last = grid.shape.map(|n| n as f64 - 1.0);
    let corner =
        |c: usize| DVec3::from_array([0, 1, 2].map(|axis| if c >> (2 - axis) & 1 == 1 { last[axis] } else { 0.0 }));
    // As one affine map, with the translation in it: where an extent lies between two numbers of voxels, its rounding decides.
    let new_from_old = DAffine3::from_mat3(new.inverse()) * a;
    let corners: Vec<DVec3> = (0..8).map(|c| new_from_old.transform_point3(corner(c))).collect();
    let (low, high) = corners.iter().fold((corners[0], corners[0]), |(l, h), c| (l.min(*c), h.max(*c)));
    let sizes = (high - low).to_array().map(|extent| (extent + 1.0).round_ties_even());
    let stacked = (0..3).map(|i| if recipe.size[i] == 0 { sizes[i] } else { recipe.size[i] as f64 }).product();
    // What is no number is in no range.
    if ![sizes.iter().product(), stacked].iter().all(|voxels: &f64| (1.0..=MAX_VOXELS).contains(voxels)) {
        let listed = |numbers: [f64; 3]| numbers.map(|n| n.to_string()).join(" x ");
        return Err(Error::TooLarge { shape: listed(sizes), spacing_mm: listed(wanted_mm) });
    }
    let shape = sizes.map(|n| n as usize);
    let kept = (0..8).find(|&c| {
        let nearest = corners.iter().fold(DVec3::INFINITY, |m, other| m.min(*other - corners[c]));
        nearest.abs().max_element() <= ALLCLOSE
    });
    let translation = if let Some(c) = kept {
        a.transform_point3(corner(c))
    } else {
        // Where no corner is the least in every axis, the middles are matched: by n / 2, not (n - 1) / 2.
        let half = |shape: [usize; 3]| DVec3::from_array(shape.map(|n| n as f64 / 2.0));
        a.transform_point3(half(grid.shape)) - new * half(shape)
    };
    let new = DAffine3::from_mat3_translation(new, translation);
    Ok((Grid { shape, world_from_voxel: new }, a.inverse() * new))
}

/// Lower triangular L with L L^T = m, for a symmetric positive matrix.
fn cholesky(m: DMat3) -> DMat3 {
    let at = |row: usize, col: usize| m.col(col)[row];
    let l00 = at(0, 0).sqrt();
    let (l10, l20) = (at(1, 0) / l00, at(2, 0) / l00);
    let l11 = (at(1, 1) - l10 * l10).sqrt();
    let l21 = (at(2, 1) - l20 * l10) / l11;
    let l22 = (at(2, 2) - l20 * l20 - l21 * l21).sqrt();
    DMat3::from_cols(DVec3::new(l00, l10, l20), DVec3::new(0.0, l11, l21), DVec3::new(0.0, 0.0, l22))
}

/// Resample, rescale and clip, pad, crop about the centre, and turn R, A, S into column, row, slice of the display:
/// with `a` the cropped `[R, A]` plane, row i and column j hold `a[columns - 1 - j, rows - 1 - i]`. What is cropped is not sampled.
fn stack(
    oriented: Turned,
    spaced: &Grid,
    voxel_from_spaced: DAffine3,
    recipe: &Recipe,
    monitor: &Monitor,
) -> Result<Volume, Cancelled> {
    let there = spaced.shape;
    let shape = sized(there, recipe);
    let begin = [0, 1, 2].map(|axis| first(there[axis], shape[axis]));
    // Columns run to the left and rows to the back, against R and A; slices run to the head, with S.
    let [left, back, down] = recipe.axes.against_ras();
    let along = [left, back, !down];
    let a = spaced.world_from_voxel;
    let matrix = [0, 1, 2].map(|axis| if along[axis] { a.matrix3.col(axis) } else { -a.matrix3.col(axis) });
    let first = |axis: usize| {
        let far = if along[axis] { 0.0 } else { shape[axis] as f64 - 1.0 };
        begin[axis] as f64 + far
    };
    let origin = a.transform_point3(DVec3::new(first(0), first(1), first(2)));
    let matrix = DMat3::from_cols(matrix[0], matrix[1], matrix[2]);
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, origin) };
    let place = |at: [usize; 3]| {
        let place = |axis: usize| if along[axis] { at[axis] } else { shape[axis] - 1 - at[axis] };
        let [r, a, s] = [0, 1, 2].map(|axis| begin[axis] + place(axis) as isize);
        let is_there = [r, a, s].iter().zip(there).all(|(at, side)| (0..side as isize).contains(at));
        is_there.then(|| voxel_from_spaced.transform_point3(DVec3::new(r as f64, a as f64, s as f64)))
    };
    let [low, high] = recipe.hu;
    let width = (f64::from(high) - f64::from(low)) as f32;
    let padding = recipe.pad_hu.unwrap_or(low);
    let mut voxels = sample(oriented, grid.shape, place, (Outside::Border, padding), monitor)?;
    for value in &mut voxels {
        *value = (*value - low) / width;
        if recipe.clip {
            *value = value.clamp(0.0, 1.0);
        }
    }
    Ok(Volume::from_f32(grid, voxels))
}

/// The index, before padding and cropping `n` to `side`, of what becomes index 0. Source: MONAI, `SpatialPad`, `CenterSpatialCrop`.
fn first(n: usize, side: usize) -> isize {
    if n < side { -(((side - n) / 2) as isize) } else { (n / 2 - side / 2) as isize }
}

/// Any volume on the model's grid, put on the scan's own; `outside` is what lies beyond the model's field of view.
pub fn restore(volume: &Volume, scan: &Grid, outside: f32, monitor: &Monitor) -> Result<Volume, Cancelled> {
    resample(volume, scan, outside, monitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_preparation_holds_is_known_before() {
        let crop = Recipe { size: [10, 10, 0], ..Recipe::default() };
        assert_eq!(peak_bytes([100, 100, 5], &crop), 4 * 500, "what is cropped is not sampled");
        let foreground = Recipe { foreground_hu: Some(-500.0), ..crop };
        assert_eq!(peak_bytes([100, 100, 5], &foreground), 2 * 4 * 50_000);
        let resized = Recipe { size: [10, 10, 10], fit: Fit::Resize, ..Recipe::default() };
        assert_eq!(peak_bytes([100, 100, 5], &resized), 4 * (50_000 + 1000));
        assert_eq!(peak_bytes([2, 2, 2], &resized), 2 * 4 * 1000, "a small scan becomes a large one");
    }
}
