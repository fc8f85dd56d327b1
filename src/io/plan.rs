//! One volume of a file as its header describes it, and how its voxels are read.

use std::fs::File;
use std::io::Read;

use super::arriving::Arriving;
use super::disk::{read_exact_at, regular};
use super::fault::Fault;
use super::numbers::Numbers;
use super::preview::{Preview, Previews};
use super::source::Source;
use super::stream::{Rest, Stream};
use super::{Among, Geometry, Note, Scan};
use crate::job::Monitor;
use crate::volume::{Grid, Volume, Voxels};

/// Larger than any CT: 4096 x 4096 x 2048 numbers of 8 bytes.
const MOST_BYTES: u64 = 1 << 38;
/// Packed numbers are read in blocks of this size: a whole number of numbers of every kind.
const BLOCK_BYTES: usize = 1 << 20;
/// The block where all threads read numbers as they lie: a scan is mostly one such block.
const PLAIN_BYTES: usize = 128 << 20;
const NUMBER_BYTES: usize = i16::BITS as usize / 8;
/// What is read of later volumes for the checksum behind them: about three seconds' worth.
const MOST_LATER_BYTES: u64 = 1 << 30;
/// What is read of bytes that no header declares, for the checksum behind them.
const MOST_UNDECLARED_BYTES: u64 = 64 << 20;
/// Numbers of text read together, and room to begin with.
const PART: usize = 1 << 16;
/// Packed scans are seldom smaller than this share of their voxels.
const LIKELY_INFLATION: u64 = 4;

/// How numbers lie in their file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// One volume after the other.
    Volumes,
    /// Each voxel's numbers of all volumes together.
    Interleaved,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Binary,
    Text,
}

/// Where one volume's numbers lie among a file's bytes.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) grid: Grid,
    pub(super) numbers: Numbers,
    pub(super) writing: Writing,
    pub(super) order: Order,
    /// How many bytes lie before the first volume, from where the stream stands.
    pub(super) before: u64,
    /// How many volumes there are, and which is meant, counted from 1.
    pub(super) volumes: usize,
    pub(super) volume: usize,
    /// How many bytes each number has by a field of the header that contradicts its kind.
    pub(super) otherwise_bytes: Option<usize>,
}

/// All that is known before a voxel is read.
pub(super) struct Plan {
    /// The file that was chosen.
    pub(super) chosen: Source,
    /// The file that holds the numbers.
    pub(super) numbers_in: Source,
    /// The bytes of the numbers.
    pub(super) stream: Stream,
    pub(super) layout: Layout,
    /// "NIfTI-1": for people.
    pub(super) format: &'static str,
    pub(super) geometry: Geometry,
    pub(super) notes: Vec<Note>,
}

/// The volume that is meant, counted from 1: by default the first.
pub(super) fn choose(volume: Option<usize>, volumes: usize) -> Result<usize, Fault> {
    match volume.unwrap_or(1) {
        chosen if (1..=volumes).contains(&chosen) => Ok(chosen),
        chosen if volumes == 1 => Err(Fault::Unsuitable(format!("volume {chosen}, where the file holds one alone"))),
        chosen => {
            Err(Fault::Unsuitable(format!("volume {chosen}, where the file holds {volumes}; choose 1 to {volumes}")))
        }
    }
}

impl Plan {
    /// Reads the voxels. `show` is given the first slice and the middle one as soon as they are in.
    pub(super) fn carry_out(mut self, monitor: &Monitor, show: &dyn Fn(Preview)) -> Result<Scan, Fault> {
        let Layout { grid, numbers, volumes, volume, .. } = self.layout;
        let previews = Previews { grid, window_hu: None, show };
        let first = self.stream.at().saturating_add(self.layout.before);
        let arriving = self.layout.read(&self.numbers_in, &mut self.stream, &previews, monitor)?;
        let behind = self.layout.behind(&mut self.stream, first, &mut self.notes, monitor)?;
        self.layout.check_behind(behind, &mut self.notes)?;
        monitor.check()?;
        if volumes > 1 {
            self.notes.push(Note::caution(format!(
                "the file holds {volumes} volumes; this is volume {volume}, and the others are left out"
            )));
        }
        let voxels: Voxels = arriving.finish(&mut self.notes);
        let among = if volumes > 1 { Among { volumes, volume, ..Among::default() } } else { Among::default() };
        Ok(Scan {
            volume: Volume::new(grid, voxels),
            source: self.chosen.path().to_owned(),
            format: format!("{}, {:?}", self.format, numbers.kind),
            geometry: self.geometry,
            notes: self.notes,
            window_hu: None,
            study: None,
            among,
        })
    }
}

impl Layout {
    /// How many bytes one volume has; an error where no scan has as many.
    fn volume_bytes(&self) -> Result<u64, Fault> {
        let shape = self.grid.shape;
        let each = self.numbers.kind.bytes() as u64;
        let bytes = shape.iter().try_fold(each, |n, size| n.checked_mul(*size as u64)).filter(|n| *n <= MOST_BYTES);
        bytes.ok_or_else(|| Fault::Unsuitable(format!("a size of {shape:?} voxels, which no scan has")))
    }

    fn volumes_bytes(&self, volumes: usize) -> Result<u64, Fault> {
        let many = || Fault::Unsuitable(format!("{volumes} volumes, which no file holds"));
        self.volume_bytes()?.checked_mul(volumes as u64).ok_or_else(many)
    }

    /// How many bytes lie before the first volume where the numbers are the last bytes of a stream.
    pub(super) fn before_the_last(&self, stream: &Stream) -> Result<u64, Fault> {
        let all = self.volumes_bytes(self.volumes)?;
        stream
            .most()
            .checked_sub(stream.at().saturating_add(all))
            .ok_or_else(|| self.short(stream.most() - stream.at()))
    }

    fn short(&self, there: u64) -> Fault {
        let Self { grid, numbers, volumes, volume, .. } = self;
        let of = if *volumes > 1 { format!(" (volume {volume} of {volumes})") } else { String::new() };
        let needed = self.volume_bytes().unwrap_or(u64::MAX);
        let (shape, kind) = (grid.shape, numbers.kind);
        Fault::Damaged(format!("{shape:?} voxels of {kind:?}{of} need {needed} bytes, {there} are there"))
    }

    /// All voxels of the volume.
    fn read(
        &self,
        file: &Source,
        stream: &mut Stream,
        previews: &Previews,
        monitor: &Monitor,
    ) -> Result<Arriving, Fault> {
        let bytes = self.volume_bytes()?;
        if self.writing == Writing::Text {
            return self.read_text(stream, previews, monitor);
        }
        let (skipped, needed) = match self.order {
            Order::Volumes => (self.volumes_bytes(self.volume - 1)?, bytes),
            Order::Interleaved => (0, self.volumes_bytes(self.volumes)?),
        };
        let start = stream.at().saturating_add(self.before).saturating_add(skipped);
        if start.saturating_add(needed) > stream.most() {
            return Err(self.short(stream.most().saturating_sub(start)));
        }
        if let Source::File(path) = file
            && stream.layers() == 0
            && self.order == Order::Volumes
            && self.numbers.plain()
        {
            return read_plain(&regular(path).map_err(Fault::Io)?, start, previews, monitor);
        }
        stream.skip(self.before.saturating_add(skipped), monitor)?;
        self.read_blocks(stream, needed, previews, monitor)
    }

    /// All voxels, a block of numbers after the other.
    fn read_blocks(
        &self,
        stream: &mut Stream,
        needed: u64,
        previews: &Previews,
        monitor: &Monitor,
    ) -> Result<Arriving, Fault> {
        let [ni, nj, nk] = self.grid.shape;
        let total = self.grid.len();
        let likely = match stream.layers() {
            0 => total,
            // What has come unpacked is no more than the file is long, many times over.
            _ => {
                usize::try_from(stream.most() / super::stream::MOST_INFLATION * LIKELY_INFLATION).unwrap_or(total)
                    + PART
            }
        };
        let mut arriving = Arriving::growing(total, likely).map_err(Fault::Unsuitable)?;
        let (mut raw, mut left) = (Vec::new(), needed);
        while left > 0 {
            let known = arriving.len() / (ni * nj);
            monitor.step("reading slices", known, nk)?;
            let block = self.block_bytes().min(left);
            raw.clear();
            (&mut *stream).take(block).read_to_end(&mut raw)?;
            if (raw.len() as u64) < block {
                return Err(self.short(needed - left + raw.len() as u64));
            }
            left -= block;
            self.pick(&mut raw);
            self.numbers.take(&raw, &mut arriving).map_err(Fault::Unsuitable)?;
            previews.look(&arriving, known);
        }
        Ok(arriving)
    }

    /// About a megabyte that holds whole voxels.
    fn block_bytes(&self) -> u64 {
        match self.order {
            Order::Volumes => BLOCK_BYTES as u64,
            Order::Interleaved => {
                let each = (self.volumes as u64).saturating_mul(self.numbers.kind.bytes() as u64);
                (BLOCK_BYTES as u64 / each).max(1).saturating_mul(each)
            }
        }
    }

    /// Leaves the numbers of the one volume alone.
    fn pick(&self, raw: &mut Vec<u8>) {
        if self.order == Order::Volumes {
            return;
        }
        let size = self.numbers.kind.bytes();
        let voxels = raw.len() / (size * self.volumes);
        for voxel in 0..voxels {
            let from = (voxel * self.volumes + self.volume - 1) * size;
            raw.copy_within(from..from + size, voxel * size);
        }
        raw.truncate(voxels * size);
    }

    /// All voxels of a volume that is written as text.
    fn read_text(&self, stream: &mut Stream, previews: &Previews, monitor: &Monitor) -> Result<Arriving, Fault> {
        let [ni, nj, nk] = self.grid.shape;
        let total = self.grid.len();
        // Each number has a digit, and a space before the next one.
        let there = stream.most().saturating_sub(stream.at()).div_ceil(2);
        if total as u64 > there {
            return Err(self.short(there));
        }
        stream.skip(self.before, monitor)?;
        let mut arriving = Arriving::growing(total, total).map_err(Fault::Unsuitable)?;
        let (mut skipped, each, phase) = match self.order {
            Order::Volumes => (total.saturating_mul(self.volume - 1), 1, 0),
            Order::Interleaved => (0, self.volumes, self.volume - 1),
        };
        while arriving.len() < total {
            let known = arriving.len() / (ni * nj);
            monitor.step("reading slices", known, nk)?;
            let left = if skipped > 0 { skipped } else { total - arriving.len() };
            let wanted = left.min((PART / each).max(1)) * each;
            let values = self.numbers.spelled(stream, wanted)?;
            if values.len() < wanted {
                return Err(self.short(((arriving.len() + values.len()) * self.numbers.kind.bytes()) as u64));
            }
            if skipped > 0 {
                skipped -= wanted;
                continue;
            }
            let picked: Vec<f32> = values.iter().skip(phase).step_by(each).copied().collect();
            arriving.extend(&picked).map_err(Fault::Unsuitable)?;
            previews.look(&arriving, known);
        }
        Ok(arriving)
    }

    /// How many bytes of later volumes the header declares.
    fn later_bytes(&self) -> Result<u64, Fault> {
        match self.order {
            Order::Volumes => self.volumes_bytes(self.volumes - self.volume),
            Order::Interleaved => Ok(0),
        }
    }

    /// How many bytes lie behind the volume; `first` is where the first volume begins. A packed file is read to its end, where
    /// its checksum stands; none where that end is too far away.
    fn behind(
        &self,
        stream: &mut Stream,
        first: u64,
        notes: &mut Vec<Note>,
        monitor: &Monitor,
    ) -> Result<Option<u64>, Fault> {
        if self.writing == Writing::Text {
            return Ok(None);
        }
        let later = self.later_bytes()?;
        if stream.layers() == 0 {
            let end = first.saturating_add(self.volumes_bytes(self.volumes)? - later);
            return Ok(Some(stream.most().saturating_sub(end)));
        }
        match stream.rest(later.min(MOST_LATER_BYTES) + MOST_UNDECLARED_BYTES, monitor)? {
            Rest::Ended(bytes) => return Ok(Some(bytes)),
            Rest::Unread if later > MOST_LATER_BYTES => notes.push(Note::caution(
                "the volumes behind this one are not read to their end, where the checksum of all stands",
            )),
            Rest::Unread => notes.push(Note::serious(format!(
                "more than {} MB follow behind the voxels that the header does not declare: they are not read, and the \
                 checksum behind them is not compared",
                MOST_UNDECLARED_BYTES >> 20
            ))),
        }
        Ok(None)
    }

    /// Says which volumes are missing, or that bytes lie behind the voxels which no field declares.
    fn check_behind(&self, behind: Option<u64>, notes: &mut Vec<Note>) -> Result<(), Fault> {
        let Some(behind) = behind else { return Ok(()) };
        let (later, volume_bytes) = (self.later_bytes()?, self.volume_bytes()?.max(1));
        let slice_bytes = volume_bytes / self.grid.shape[2].max(1) as u64;
        match behind.checked_sub(later) {
            None => notes.push(Note::serious(format!(
                "the header declares {} volumes; missing or cut at the end: {}",
                self.volumes,
                (later - behind).div_ceil(volume_bytes)
            ))),
            Some(undeclared) => {
                self.check_otherwise(undeclared)?;
                if undeclared >= slice_bytes {
                    notes.push(Note::caution(format!(
                        "{undeclared} bytes follow behind the voxels that the header does not declare; they are left out"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses a file whose length agrees with the field that contradicts the numbers' kind.
    fn check_otherwise(&self, undeclared: u64) -> Result<(), Fault> {
        let size = self.numbers.kind.bytes();
        let Some(otherwise) = self.otherwise_bytes.filter(|bytes| *bytes > size) else { return Ok(()) };
        let numbers = self.volumes_bytes(self.volumes)? / size as u64;
        if numbers.checked_mul((otherwise - size) as u64) == Some(undeclared) {
            return Err(Fault::Damaged(format!(
                "its header says {:?} (datatype), and {} bits for each number (bitpix), which its length agrees with",
                self.numbers.kind,
                otherwise * 8
            )));
        }
        Ok(())
    }
}

/// All voxels of a file that holds them as memory does, from byte `start` on: by all threads, for the copying is what takes time.
fn read_plain(file: &File, start: u64, previews: &Previews, monitor: &Monitor) -> Result<Arriving, Fault> {
    let [ni, nj, nk] = previews.grid.shape;
    let run = (PLAIN_BYTES / (ni * nj * NUMBER_BYTES)).max(1);
    let mut arriving = Arriving::new(previews.grid.len()).map_err(Fault::Unsuitable)?;
    for first in (0..nk).step_by(run) {
        monitor.step("reading slices", first, nk)?;
        let read = |at: usize, hu: &mut [i16]| -> Result<(), Fault> {
            monitor.check()?; // a file on another machine takes its time
            Ok(read_exact_at(file, bytemuck::cast_slice_mut(hu), start + (at * NUMBER_BYTES) as u64)?)
        };
        arriving.extend_read(run.min(nk - first) * ni * nj, read)?;
        previews.look(&arriving, first);
    }
    Ok(arriving)
}
