//! What a folder, an archive or a single file holds: a list of series, of which one is opened.

mod candidate;
mod divide;
mod evened;
pub(super) mod files;
mod group;
mod line;
mod reasons;
mod rounding;
mod row;
mod stack;
mod upright;
mod volumes;

use std::path::Path;

use rayon::prelude::*;

use self::candidate::Candidate;
use self::files::Files;
use self::volumes::Volumes;
use super::dicom::{Refused, Slice, describe};
use super::source::Source;
use super::{Arrival, Choice, Error, Note, Scan, Series, Which, Whole};
use crate::job::Monitor;

/// Headers read between two cancellation points.
const BATCH: usize = 64;
/// How many other series a note lists.
const LISTED: usize = 4;
/// In a folder of more files than this, what lies beside the opened one is not looked for.
const MOST_BESIDE: usize = 5000;

/// All that was found in files.
pub(super) struct Found {
    candidates: Vec<Candidate>,
    skipped: Vec<Refused>,
    /// Files that are no DICOM.
    foreign: Vec<Source>,
    notes: Vec<Note>,
    total: usize,
}

impl Found {
    /// Reads the headers of all files.
    pub(super) fn of(files: Files, monitor: &Monitor) -> Result<Self, Error> {
        let Files { sources, notes } = files;
        let total = sources.len();
        let (mut slices, mut skipped, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
        for (batch, sources) in sources.chunks(BATCH).enumerate() {
            monitor.step("reading headers", batch * BATCH, total)?;
            let described: Vec<_> = sources.par_iter().map(describe).collect();
            for (source, described) in sources.iter().zip(described) {
                match described {
                    Ok(frames) => slices.extend(frames),
                    Err(Refused::Foreign) => foreign.push(source.clone()),
                    Err(Refused::Directory) => {}
                    Err(refused) => skipped.push(refused),
                }
            }
        }
        let mut candidates = Vec::new();
        for group in group::groups(slices) {
            candidates.extend(divide::stacks(group, monitor)?);
        }
        reasons::name_misfits(&mut candidates);
        Ok(Self { candidates, skipped, foreign, notes, total })
    }

    /// The files that are volumes by themselves; none where there are slices, which these lie beside.
    pub(super) fn volumes(&self) -> Volumes {
        if self.candidates.is_empty() { Volumes::among(&self.foreign) } else { Volumes::default() }
    }

    /// What a person chooses from.
    pub(super) fn list(&self) -> Vec<Series> {
        self.candidates.iter().enumerate().map(|(k, candidate)| candidate.series(k + 1)).collect()
    }

    /// Opens the chosen series, or the one that is most likely meant. `path` is what was opened.
    pub(super) fn open(
        mut self,
        path: &Path,
        choice: &Choice,
        monitor: &Monitor,
        show: &dyn Fn(Arrival),
    ) -> Result<Scan, Error> {
        if self.candidates.is_empty() {
            return Err(self.nothing(path));
        }
        let series = self.list();
        if series.len() > 1 {
            show(Arrival::Listed(series.clone()));
            for (candidate, series) in self.candidates.iter().zip(&series) {
                monitor.check()?;
                if let Some(thumbnail) = candidate.thumbnail() {
                    show(Arrival::Thumbnail(series.number, thumbnail));
                }
            }
        }
        let index = self.chosen(&series, choice).map_err(|what| Error::Unsuitable { what, path: path.to_owned() })?;
        let mut notes = std::mem::take(&mut self.notes);
        if !self.skipped.is_empty() || !self.foreign.is_empty() && self.total > 1 {
            let left_out = self.skipped.len() + self.foreign.len();
            let reasons = reasons::counted(&self.skipped, self.foreign.len());
            notes.push(Note::caution(format!("{left_out} of {} files were left out: {reasons}", self.total)));
        }
        let candidate = self.candidates.swap_remove(index);
        let mut scan = candidate.open(path, monitor, &|preview| show(Arrival::Slice(preview)))?;
        notes.append(&mut scan.notes);
        notes.extend(others(&series, index));
        scan.notes = notes;
        if series.len() > 1 {
            (scan.among.number, scan.among.series) = (index + 1, series);
        }
        Ok(scan)
    }

    /// Which candidate is meant.
    fn chosen(&self, series: &[Series], choice: &Choice) -> Result<usize, String> {
        if choice.volume.is_some_and(|volume| volume != 1) {
            return Err("a DICOM series is one volume; choose another by --series".to_owned());
        }
        let among = |indices: Vec<usize>| indices.into_iter().rev().max_by_key(|index| self.candidates[*index].rank());
        let listed =
            || series.iter().map(|one| format!("{}: {}", one.number, one.words())).collect::<Vec<_>>().join("; ");
        match &choice.series {
            None => {
                let whole = (0..series.len()).filter(|index| !self.is_fragment(*index));
                let index = among(whole.collect()).ok_or("no series")?;
                match &self.candidates[index].stack {
                    Err(why) if series.len() > 1 => Err(format!("{}; found {}", why.named, listed())),
                    _ => Ok(index),
                }
            }
            Some(Which::Number(number)) if (1..=series.len()).contains(number) => Ok(number - 1),
            Some(Which::Number(number)) => Err(format!("no series {number}; found {}", listed())),
            Some(Which::Uid(uid)) => {
                let of_uid = series.iter().enumerate().filter(|(_, one)| one.uid.as_deref() == Some(uid));
                among(of_uid.map(|(index, _)| index).collect())
                    .ok_or_else(|| format!("no series with the UID {uid}; found {}", listed()))
            }
        }
    }

    /// Whether a candidate is what was left of a larger one that does not stack: a few slices of its series, or a lone slice of
    /// its kind. No one means these.
    fn is_fragment(&self, index: usize) -> bool {
        let candidate = &self.candidates[index];
        self.candidates.iter().any(|other| {
            let is_larger = other.stack.is_err() && other.slices.len() > candidate.slices.len();
            let [one, another] = [&candidate.slices[0], &other.slices[0]];
            let is_of_it = one.series == another.series || candidate.slices.len() == 1;
            is_larger && is_of_it && one.modality == another.modality
        })
    }

    /// The error of files without a single slice.
    fn nothing(mut self, path: &Path) -> Error {
        match self.skipped.pop() {
            Some(refused) if self.total == 1 => refused.at(path),
            Some(last) => {
                self.skipped.push(last);
                let reasons = reasons::counted(&self.skipped, self.foreign.len());
                let what = format!("none of its {} files is a CT slice: {reasons}", self.total);
                Error::Unsuitable { what, path: path.to_owned() }
            }
            None => match self.foreign.iter().find_map(packed) {
                Some(what) => Error::Unsuitable { what: what.to_owned(), path: path.to_owned() },
                None => Error::NotAScan { path: path.to_owned() },
            },
        }
    }
}

/// What to say of a file that is packed in a way that is not looked into.
fn packed(source: &Source) -> Option<&'static str> {
    const TAR: usize = 257;
    let head = source.head(TAR as u64 + 5).ok()?;
    let begins: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "it holds a .zip archive and no scan beside it; choose the archive"),
        (b"\x1f\x8b", "packed by gzip, and no NIfTI, NRRD or MetaImage file within; unpack it first"),
        (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
        (b"Rar!", "a RAR archive; unpack it first"),
        (b"\xfd7zXZ", "packed by xz; unpack it first"),
        (b"BZh", "packed by bzip2; unpack it first"),
    ];
    let is_tar = head.get(TAR..).is_some_and(|rest| rest.starts_with(b"ustar"));
    let found = begins.iter().find(|(begin, _)| head.starts_with(begin)).map(|(_, what)| *what);
    found.or_else(|| is_tar.then_some("a tar archive; unpack it first"))
}

/// What else could have been opened, in words that name no patient.
fn others(series: &[Series], opened: usize) -> Option<Note> {
    let others: Vec<&Series> = series.iter().filter(|one| one.number != opened + 1).collect();
    if others.is_empty() {
        return None;
    }
    let words = |one: &&Series| {
        let stacks = if one.unusable.is_some() { ", which does not stack" } else { "" };
        format!("series {}: {}{stacks}", one.number, one.words())
    };
    let listed = others.iter().take(LISTED).map(words);
    let more = (others.len() > LISTED).then(|| format!("{} more", others.len() - LISTED));
    let listed = listed.chain(more).collect::<Vec<_>>().join("; ");
    Some(Note::caution(format!(
        "{} other series or stacks were left out; choose one by its number to see it: {listed}",
        others.len()
    )))
}

/// Says of which series a single file is, where other files of the series lie beside it.
pub(super) fn say_whole(scan: &mut Scan, file: &Path, monitor: &Monitor) -> Result<(), Error> {
    let (Some(folder), Ok(slices)) = (file.parent(), describe(&Source::File(file.to_owned()))) else { return Ok(()) };
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).take(MOST_BESIDE + 1).collect();
    let [Slice { series, study, .. }] = slices.as_slice() else { return Ok(()) };
    if series.is_empty() || paths.len() > MOST_BESIDE {
        return Ok(());
    }
    let mut beside = 0;
    for paths in paths.chunks(BATCH) {
        monitor.check()?;
        let is_of_series = |path: &std::path::PathBuf| {
            path != file
                && path.is_file()
                && describe(&Source::File(path.clone()))
                    .is_ok_and(|slices| slices.iter().any(|other| other.series == *series && other.study == *study))
        };
        beside += paths.par_iter().filter(|path| is_of_series(path)).count();
    }
    if beside > 0 {
        scan.notes.push(Note::caution(format!(
            "this is one file of a series: {beside} more files of it lie beside it; open their folder for the whole series"
        )));
        let choice = Choice { series: Some(Which::Uid(series.clone())), volume: None };
        scan.among.whole = Some(Whole { folder: folder.to_owned(), choice, slices: beside + 1 });
    }
    Ok(())
}
