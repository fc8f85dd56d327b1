//! DICOM files as one scan: grouped by series, ordered by position along the slice normal, never by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glam::{DAffine3, DMat3, DVec3};
use rayon::prelude::*;

use super::dicom::{Place, Slice, describe, pixels};
use super::{Error, Geometry, Scan};
use crate::job::Monitor;
use crate::volume::{Grid, Volume};

/// Slices nearer than this lie on each other.
const SAME_PLACE_MM: f64 = 1e-3;
/// Gaps may differ by this share of their median, or by rounding in the files.
const GAP_SHARE: f64 = 0.02;
const GAP_MM: f64 = 0.02;
/// A stack whose slices shift sideways by more than this was acquired with a tilted gantry.
const TILT_DEGREES: f64 = 0.5;
/// Slices decoded between two cancellation points.
const BATCH: usize = 16;
/// How many file names a message lists.
const NAMED: usize = 3;

/// Every DICOM file of a folder and of those in it; the largest series is the scan.
pub(super) fn open_folder(folder: &Path, monitor: &Monitor) -> Result<Scan, Error> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let io = |source| Error::Io { source, path: next.clone() };
        for entry in std::fs::read_dir(&next).map_err(io)? {
            let path = entry.map_err(io)?.path();
            // A link may lead back up: only real folders are entered.
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    open_files(folder, files, monitor)
}

pub(super) fn open_files(path: &Path, files: Vec<PathBuf>, monitor: &Monitor) -> Result<Scan, Error> {
    let (mut slices, mut skipped) = (Vec::new(), Vec::new());
    let total = files.len();
    for (i, file) in files.into_iter().enumerate() {
        monitor.step("reading headers", i, total)?;
        match describe(&file) {
            Ok(slice) => slices.push(slice),
            Err(what) => skipped.push((file, what)),
        }
    }
    if slices.is_empty() {
        return Err(match skipped.pop() {
            Some((file, what)) if total == 1 && what != "not a DICOM file" => Error::Unsuitable { what, path: file },
            _ => Error::NotAScan { path: path.to_owned() },
        });
    }
    let mut warnings = Vec::new();
    if let Some((file, what)) = skipped.first() {
        warnings.push(format!("{} of {total} files were left out, {} first: {what}", skipped.len(), name(file)));
    }
    let slices = largest_group(slices, &mut warnings);
    let (slices, grid) =
        arrange(slices, &mut warnings).map_err(|what| Error::Unsuitable { what, path: path.to_owned() })?;
    let values = decode(&slices, monitor)?;
    let voxels = super::voxels(values, &mut warnings);
    Ok(Scan {
        sha256: super::voxels_sha256(&voxels),
        volume: Volume::new(grid, voxels),
        source: path.to_owned(),
        format: format!("DICOM, {}", slices[0].syntax),
        geometry: Geometry::Dicom,
        warnings,
        window_hu: slices[0].window_hu,
    })
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Slices of one series, size, spacing and orientation; what differs is left out and said.
fn largest_group(slices: Vec<Slice>, warnings: &mut Vec<String>) -> Vec<Slice> {
    let mut groups: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
    for slice in slices {
        let rounded = |v: DVec3| v.to_array().map(|x| (x * 1e3).round() as i64);
        let orientation = slice.place.map(|p| (rounded(p.along_row), rounded(p.down_column)));
        let spacing = slice.spacing_mm.map(|s| (s * 1e4).round() as i64);
        groups.entry((slice.series.clone(), slice.rows, slice.columns, spacing, orientation)).or_default().push(slice);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let largest = groups.remove(0);
    if !groups.is_empty() {
        let sizes: Vec<_> = groups.iter().map(|g| format!("{} of {} x {}", g.len(), g[0].columns, g[0].rows)).collect();
        warnings.push(format!(
            "other series or orientations were left out ({} slices); open their folder alone to see them",
            sizes.join(", ")
        ));
    }
    largest
}

/// Orders slices along their normal and checks that they make a regular stack.
fn arrange(mut slices: Vec<Slice>, warnings: &mut Vec<String>) -> Result<(Vec<Slice>, Grid), String> {
    let [dx, dy] = slices[0].spacing_mm;
    let (columns, rows) = (slices[0].columns, slices[0].rows);
    let Some(Place { position, along_row, down_column }) = slices[0].place else {
        if slices.len() > 1 {
            return Err(format!("{} slices that do not say where they lie (no ImagePositionPatient)", slices.len()));
        }
        warnings.push("the file does not say where it lies: orientation is a guess".to_owned());
        let matrix = DMat3::from_diagonal(DVec3::new(-dx, -dy, thickness(&slices[0], warnings)));
        return Ok((
            slices,
            Grid { shape: [columns, rows, 1], world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::ZERO) },
        ));
    };
    let normal = along_row.cross(down_column).normalize();
    // From foot to head, from back to front, from left to right: whichever the normal is nearest to.
    let main = normal.to_array().into_iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() { x } else { best });
    let normal = if main < 0.0 { -normal } else { normal };
    let at = |slice: &Slice| slice.place.map_or(position, |p| p.position);
    let height = |slice: &Slice| at(slice).dot(normal);
    slices.sort_by(|a, b| height(a).total_cmp(&height(b)));

    let before = slices.len();
    let mut twice = Vec::new();
    slices.dedup_by(|next, kept| {
        let same = (height(next) - height(kept)).abs() < SAME_PLACE_MM;
        if same {
            twice.push(name(&next.path));
        }
        same
    });
    if !twice.is_empty() {
        twice.truncate(NAMED);
        warnings.push(format!(
            "{} slices lie where others do and were left out: {}",
            before - slices.len(),
            twice.join(", ")
        ));
    }
    let step = if slices.len() == 1 {
        normal * thickness(&slices[0], warnings)
    } else {
        let mut gaps: Vec<f64> = slices.windows(2).map(|w| height(&w[1]) - height(&w[0])).collect();
        gaps.sort_by(f64::total_cmp);
        let (least, median, most) = (gaps[0], gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
        if most - least > (GAP_SHARE * median).max(GAP_MM) {
            let wide = slices.windows(2).find(|w| height(&w[1]) - height(&w[0]) > median * (1.0 + GAP_SHARE));
            let after = wide.map_or_else(String::new, |w| format!(", after {}", name(&w[0].path)));
            return Err(format!(
                "slice spacing varies from {least:.2} to {most:.2} mm{after}: slices are missing, or two series are mixed; choose one complete series"
            ));
        }
        (at(&slices[slices.len() - 1]) - at(&slices[0])) / (slices.len() - 1) as f64
    };
    let tilt = (step.dot(normal) / step.length()).clamp(-1.0, 1.0).acos().to_degrees();
    if tilt > TILT_DEGREES {
        warnings.push(format!("the gantry was tilted by {tilt:.1} degrees: slices are shown sheared as acquired, and resampled for the networks"));
    }
    let matrix = DMat3::from_cols(along_row * dx, down_column * dy, step);
    let grid = Grid {
        shape: [columns, rows, slices.len()],
        world_from_voxel: DAffine3::from_mat3_translation(matrix, at(&slices[0])),
    };
    Ok((slices, grid))
}

/// The thickness of a slice that stands alone.
fn thickness(slice: &Slice, warnings: &mut Vec<String>) -> f64 {
    slice.thickness_mm.unwrap_or_else(|| {
        warnings.push("the slice does not say how thick it is: 1 mm is assumed".to_owned());
        1.0
    })
}

/// Every slice's pixels, one after the other.
fn decode(slices: &[Slice], monitor: &Monitor) -> Result<Vec<f32>, Error> {
    let pixels_each = slices[0].rows * slices[0].columns;
    let mut values = vec![0.0_f32; pixels_each * slices.len()];
    for (batch, out) in values.chunks_mut(pixels_each * BATCH).enumerate() {
        monitor.step("decoding slices", batch * BATCH, slices.len())?;
        out.par_chunks_mut(pixels_each).zip(&slices[batch * BATCH..]).try_for_each(|(out, slice)| {
            let decoded = pixels(slice).map_err(|what| Error::Damaged { what, path: slice.path.clone() })?;
            out.copy_from_slice(&decoded);
            Ok::<_, Error>(())
        })?;
    }
    Ok(values)
}
