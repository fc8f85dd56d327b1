//! DICOM files as one scan: grouped by series, ordered by position along the slice normal, never by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glam::DVec3;
use rayon::prelude::*;

use super::arriving::Arriving;
use super::dicom::{Refused, Slice, describe, pixels};
use super::preview::{Preview, Previews};
use super::study::Study;
use super::{Among, Error, Geometry, Note, Scan, phases, stacking};
use crate::job::Monitor;
use crate::volume::Volume;

/// Slices decoded between two cancellation points.
const BATCH: usize = 16;
/// How many reasons a message lists.
const NAMED: usize = 3;

/// Every DICOM file of a folder and of those in it; the largest series is the scan.
pub(super) fn open_folder(folder: &Path, monitor: &Monitor, show: &dyn Fn(Preview)) -> Result<Scan, Error> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    let mut closed = 0;
    while let Some(next) = folders.pop() {
        monitor.check()?;
        let entries = match std::fs::read_dir(&next) {
            Ok(entries) => entries,
            Err(source) if next == folder => return Err(Error::Io { source, path: next }),
            Err(_) => {
                closed += 1;
                continue;
            }
        };
        for entry in entries {
            let Ok(entry) = entry else {
                closed += 1;
                break; // what is left of this folder
            };
            let path = entry.path();
            // A link may lead back up: only real folders are entered.
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut scan = open_files(folder, files, monitor, show)?;
    if closed > 0 {
        scan.notes.push(Note::serious(format!("{closed} folders inside could not be read: slices may be missing")));
    }
    Ok(scan)
}

pub(super) fn open_files(
    path: &Path,
    files: Vec<PathBuf>,
    monitor: &Monitor,
    show: &dyn Fn(Preview),
) -> Result<Scan, Error> {
    let (mut slices, mut skipped) = (Vec::new(), Vec::new());
    let total = files.len();
    for (i, file) in files.into_iter().enumerate() {
        monitor.step("reading headers", i, total)?;
        match describe(&file) {
            Ok(slice) => slices.push(slice),
            Err(refused) => skipped.push((file, refused)),
        }
    }
    let unsuitable = |what| Error::Unsuitable { what, path: path.to_owned() };
    if slices.is_empty() {
        return Err(match skipped.pop() {
            Some((file, refused)) if total == 1 => refused.at(&file),
            Some(last) if skipped.iter().chain([&last]).any(|(_, refused)| !matches!(refused, Refused::Foreign)) => {
                skipped.push(last);
                unsuitable(format!("none of its {total} files is a CT slice: {}", reasons(&skipped)))
            }
            _ => Error::NotAScan { path: path.to_owned() },
        });
    }
    let mut notes = Vec::new();
    if !skipped.is_empty() {
        notes.push(Note::caution(format!("{} of {total} files were left out: {}", skipped.len(), reasons(&skipped))));
    }
    let mut slices = largest_group(slices, &mut notes);
    stacking::sort(&mut slices);
    let slices = phases::one_at_each_place(slices, path, &mut notes, monitor)?;
    let grid = stacking::grid(&slices, &mut notes).map_err(unsuitable)?;
    let previews = Previews { grid, window_hu: slices[0].window_hu, show };
    let voxels = decode(&slices, path, &previews, monitor)?.finish(&mut notes);
    if let Some(other) = slices.iter().filter_map(|slice| slice.modality.as_deref()).find(|said| *said != "CT") {
        notes.push(Note::serious(format!(
            "the files say that this is {other}, not CT: its numbers are not Hounsfield units"
        )));
    }
    Ok(Scan {
        volume: Volume::new(grid, voxels),
        source: path.to_owned(),
        format: format!("DICOM, {}", slices[0].syntax.name),
        geometry: Geometry::Dicom,
        notes,
        window_hu: slices[0].window_hu,
        study: Study::of(&slices),
        among: Among::default(),
    })
}

/// Why files were left out, with counts, the most frequent first. It names no file: names of files name patients.
fn reasons(skipped: &[(PathBuf, Refused)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, refused) in skipped {
        *counts.entry(refused.reason()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let listed = counts.iter().take(NAMED).map(|(reason, count)| format!("{count} x {reason}"));
    let more = (counts.len() > NAMED).then(|| format!("{} more reasons", counts.len() - NAMED));
    listed.chain(more).collect::<Vec<_>>().join("; ")
}

/// A file's name, for messages on screen. Never for a `Note`.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Slices of one series, size, spacing and orientation; what differs is left out and said.
fn largest_group(slices: Vec<Slice>, notes: &mut Vec<Note>) -> Vec<Slice> {
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
        notes.push(Note::caution(format!(
            "other series or orientations were left out ({} slices); open their folder alone to see them",
            sizes.join(", ")
        )));
    }
    largest
}

/// Every slice's pixels, one after the other.
fn decode(slices: &[Slice], path: &Path, previews: &Previews, monitor: &Monitor) -> Result<Arriving, Error> {
    let full = |what| Error::Unsuitable { what, path: path.to_owned() };
    let count = slices[0].rows.saturating_mul(slices[0].columns).saturating_mul(slices.len());
    let mut arriving = Arriving::new(count).map_err(full)?;
    for (batch, slices_now) in slices.chunks(BATCH).enumerate() {
        monitor.step("decoding slices", batch * BATCH, slices.len())?;
        let decode = |slice: &Slice| pixels(slice).map_err(|refused| refused.at(&slice.path));
        let decoded = slices_now.par_iter().map(decode).collect::<Result<Vec<_>, Error>>()?;
        decoded.iter().try_for_each(|slice| arriving.extend(slice)).map_err(full)?;
        previews.look(&arriving, batch * BATCH);
    }
    Ok(arriving)
}
