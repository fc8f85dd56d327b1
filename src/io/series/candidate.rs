//! A stack of slices that may be opened: what a person chooses it by, and how it becomes a scan.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::evened::even_out;
use super::stack::{NoStack, Stack, is_axial, stack};
use super::upright::{Stopped, shear_upright};
use crate::io::arriving::Arriving;
use crate::io::dicom::{Decoded, KERNEL, Padding, Slice, decode};
use crate::io::preview::{Preview, Previews};
use crate::io::study::Study;
use crate::io::{AIR_HU, Among, Error, Geometry, Note, Scan, Series, counted};
use crate::job::Monitor;
use crate::volume::{Grid, Volume};

/// Slices decoded between two cancellation points.
const BATCH: usize = 16;

#[derive(Debug)]
pub(super) struct Candidate {
    /// In order along their normal.
    pub(super) slices: Vec<Slice>,
    pub(super) notes: Vec<Note>,
    pub(super) stack: Result<Stack, NoStack>,
}

impl Candidate {
    pub(super) fn new(slices: Vec<Slice>, notes: Vec<Note>) -> Self {
        let stack = stack(&slices);
        Self { slices, notes, stack }
    }

    pub(super) fn unusable(slices: Vec<Slice>, notes: Vec<Note>, why: NoStack) -> Self {
        Self { slices, notes, stack: Err(why) }
    }

    fn first(&self) -> &Slice {
        &self.slices[0] // a group has one at least
    }

    /// By which the scan to open is chosen where no one chooses: CT before others, what stacks, no localizer, axial slices,
    /// the most of them; of as many, those that no program derived from others.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let is_ct = self.first().modality.as_deref().is_none_or(|modality| modality == "CT");
        let first = self.first();
        let axial = is_axial(&self.slices);
        (is_ct, self.stack.is_ok(), !first.is_localizer(), axial, self.slices.len(), !first.is_derived())
    }

    /// What a person chooses by; `number` is its place in the list.
    pub(super) fn series(&self, number: usize) -> Series {
        let first = self.first();
        Series {
            number,
            uid: Some(first.series.clone()).filter(|uid| !uid.is_empty()),
            modality: first.modality.clone().unwrap_or_else(|| "DICOM".to_owned()),
            description: first.description.clone(),
            kernel: first.attributes[KERNEL].clone().map(|kernel| shown(&kernel)),
            slices: self.slices.len(),
            size: [first.columns(), first.rows()],
            spacing_mm: self.stack.as_ref().ok().map(|stack| stack.grid.spacing_mm()),
            thickness_mm: first.thickness_mm,
            unusable: self.stack.as_ref().err().map(|why| why.what.clone()),
        }
    }

    /// The middle slice where it lies, HU; none where it cannot be decoded.
    pub(super) fn thumbnail(&self) -> Option<Volume> {
        let middle = &self.slices[self.slices.len() / 2];
        let alone = stack(std::slice::from_ref(middle)).ok()?;
        let decoded = decode(middle).ok()?; // that it cannot be decoded is said when it is opened
        let mut arriving = Arriving::new(decoded.hu.len()).ok()?;
        arriving.extend(&decoded.hu).ok()?;
        Some(Volume::new(alone.grid, arriving.finish(&mut Vec::new())))
    }

    /// Decodes the slices. `path` is what was opened.
    pub(super) fn open(self, path: &Path, monitor: &Monitor, show: &dyn Fn(Preview)) -> Result<Scan, Error> {
        let unsuitable = |what: String| Error::Unsuitable { what, path: path.to_owned() };
        let Self { slices, mut notes, stack } = self;
        let Stack { grid, uneven, notes: of_stack } = stack.map_err(|why| unsuitable(why.named))?;
        notes.extend(of_stack);
        notes.extend(notes_of(&slices));
        let previews = Previews { grid, window_hu: slices[0].window_hu, show };
        let (arriving, found) = decode_all(&slices, path, &previews, monitor)?;
        found.say(&slices[0], &mut notes);
        let mut volume = Volume::new(grid, arriving.finish(&mut notes));
        let stopped = |stopped: Stopped| match stopped {
            Stopped::Cancelled(cancelled) => cancelled.into(),
            Stopped::Full(what) => unsuitable(what),
        };
        if let Some(uneven) = &uneven {
            volume = even_out(&volume, &uneven.heights_mm, uneven.spacing_mm, monitor).map_err(stopped)?;
        }
        let (volume, sheared) = shear_upright(&volume, AIR_HU, monitor).map_err(stopped)?;
        let as_stored = uneven.is_none() && volume.grid == grid;
        notes.extend(sheared);
        Ok(Scan {
            volume,
            source: path.to_owned(),
            format: format(&slices[0]),
            geometry: Geometry::Dicom,
            notes,
            window_hu: slices[0].window_hu,
            study: Study::of(&slices, as_stored),
            among: Among::default(),
        })
    }
}

fn format(slice: &Slice) -> String {
    let frames = if slice.stored.frames > 1 { "multi-frame, " } else { "" };
    format!("DICOM, {frames}{}", slice.stored.syntax.name)
}

/// Words of a file's own that are shown: without control characters, and not too many.
fn shown(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(32).collect()
}

/// What the slices' descriptions say, each thing once.
fn notes_of(slices: &[Slice]) -> Vec<Note> {
    let mut counts: BTreeMap<&str, (usize, &Note)> = BTreeMap::new();
    for note in slices.iter().flat_map(|slice| &slice.notes) {
        counts.entry(&note.text).or_insert((0, note)).0 += 1;
    }
    let of_some = |(count, note): (usize, &Note)| {
        if count == slices.len() {
            return note.clone();
        }
        Note { weight: note.weight, text: format!("{} (in {count} of {} slices)", note.text, slices.len()) }
    };
    let mut notes: Vec<Note> = counts.into_values().map(of_some).collect();
    if let Some(other) = slices.iter().filter_map(|slice| slice.modality.as_deref()).find(|said| *said != "CT") {
        notes.push(Note::serious(format!(
            "the files say that this is {other}, not CT: its numbers are not Hounsfield units"
        )));
    }
    notes
}

/// What was found while slices were decoded.
#[derive(Debug, Default)]
struct Found {
    padded: usize,
    kept: usize,
    overfull: usize,
    lossy: bool,
}

impl Found {
    fn add(&mut self, decoded: &Decoded) {
        self.padded += decoded.padded;
        self.kept += decoded.kept;
        self.overfull += decoded.overfull;
        self.lossy |= decoded.lossy;
    }

    fn say(&self, first: &Slice, notes: &mut Vec<Note>) {
        let Self { padded, kept, overfull, lossy } = *self;
        if padded > 0 {
            notes.push(Note::fact(format!(
                "{} taken for padding by PixelPaddingValue, and made air",
                counted(padded, "voxel")
            )));
        }
        if let Padding::Kept(hu) = &first.padding {
            notes.push(Note::caution(format!(
                "PixelPaddingValue means {hu} HU, which lies among the patient's own numbers: {} of it not taken for padding",
                counted(kept, "voxel")
            )));
        }
        if overfull > 0 {
            notes.push(Note::serious(format!(
                "more bits than BitsStored ({}) says in {}: all {} bits were taken",
                first.stored.bits_stored(),
                counted(overfull, "voxel"),
                first.stored.bits_allocated()
            )));
        }
        if lossy && !first.stored.syntax.is_lossy() {
            notes.push(Note::serious(format!(
                "the pixels are compressed with loss, though the transfer syntax is {}",
                first.stored.syntax.name
            )));
        }
    }
}

/// Every slice's pixels, one after the other.
fn decode_all(
    slices: &[Slice],
    path: &Path,
    previews: &Previews,
    monitor: &Monitor,
) -> Result<(Arriving, Found), Error> {
    let full = |what| Error::Unsuitable { what, path: path.to_owned() };
    let Grid { shape: [columns, rows, _], .. } = previews.grid;
    let count = rows.saturating_mul(columns).saturating_mul(slices.len());
    let mut arriving = Arriving::new(count).map_err(full)?;
    let mut found = Found::default();
    for (batch, slices_now) in slices.chunks(BATCH).enumerate() {
        monitor.step("decoding slices", batch * BATCH, slices.len())?;
        let decode = |slice: &Slice| decode(slice).map_err(|refused| refused.at(slice.stored.source.path()));
        let decoded = slices_now.par_iter().map(decode).collect::<Result<Vec<_>, Error>>()?;
        for slice in &decoded {
            arriving.extend(&slice.hu).map_err(full)?;
            found.add(slice);
        }
        previews.look(&arriving, batch * BATCH);
    }
    Ok((arriving, found))
}
