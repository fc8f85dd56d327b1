//! Opens a scan: a file of a known format, a folder, or a zip archive. Formats are told by bytes, never by names. [`open()`] gives a [`Scan`]
//! in Hounsfield units, or an error in words; it never guesses in silence, since [`Scan`] carries its notes.

mod archive;
mod arriving;
mod choice;
pub mod codec;
mod dicom;
mod disk;
mod fault;
mod files;
mod glance;
mod gzip;
mod instance;
mod mask;
mod memory;
mod metaimage;
mod named;
mod nifti;
mod note;
mod nrrd;
mod numbers;
mod plan;
mod preview;
mod series;
mod source;
mod stream;
pub mod study;
mod units;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use self::choice::{Arrival, Choice, Series, Which};
pub use self::mask::{MOST_KEPT_VOXELS, Mask};
pub use self::named::{Message, Named, series_name};
pub use self::note::{Note, Weight, counted};
pub use self::preview::Preview;
use self::series::files::Files;
use self::source::Source;
use self::study::Study;
use crate::job::{Cancelled, Monitor};
use crate::volume::{Grid, Volume, Voxels};

/// What can be wrong with a scan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("cannot read: {source}: {}", path.display())]
    Io { source: std::io::Error, path: PathBuf },
    #[error("not a scan: neither DICOM nor NIfTI, NRRD or MetaImage; choose a file of these, a folder or a .zip of them: {}", path.display())]
    NotAScan { path: PathBuf },
    #[error("the file is cut or damaged: {what}; get it again: {}", path.display())]
    Damaged { what: String, path: PathBuf },
    #[error("{what}: {}", path.display())]
    Unsuitable { what: String, path: PathBuf },
}

/// Where the grid of a scan was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Geometry {
    Sform,
    Qform,
    /// The spacing alone, as nibabel takes it where a header has neither form; left and right are then a guess.
    Spacing,
    /// The directions in the header of a NRRD or MetaImage file.
    Header,
    Dicom,
}

/// What was opened, in its own grid, in Hounsfield units.
#[derive(Debug, Clone)]
pub struct Scan {
    pub volume: Volume,
    pub source: PathBuf,
    /// "NIfTI-1, Int16" or "DICOM, JPEG-LS lossless": for people.
    pub format: String,
    pub geometry: Geometry,
    /// What the reader found, the weightiest first: a guess, a skipped file.
    pub notes: Vec<Note>,
    /// The window stored with the scan: centre and width, HU.
    pub window_hu: Option<[f32; 2]>,
    /// What results that lie beside the scan must say; none where it is no DICOM.
    pub study: Option<Study>,
    /// What else could have been opened.
    pub among: Among,
}

/// What a scan was chosen from.
#[derive(Debug, Clone, Default)]
pub struct Among {
    /// All that the path holds; empty where it holds this scan alone.
    pub series: Vec<Series>,
    /// Which of the series this scan is.
    pub number: usize,
    /// How many volumes the file holds one after the other in time; 0 and 1 mean this one alone.
    pub volumes: usize,
    /// Which of the volumes this scan is, counted from 1.
    pub volume: usize,
    /// The series that the one opened file is of, where other files of it lie beside the file.
    pub whole: Option<Whole>,
}

/// A series of which one file was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The folder of the file.
    pub folder: PathBuf,
    pub choice: Choice,
    /// How many slices the whole series has.
    pub slices: usize,
}

impl Scan {
    /// SHA-256 of the voxels, hex: it names the data, not the packing. Computed at each call, about a second for a gigabyte.
    pub fn sha256(&self) -> String {
        voxels_sha256(&self.volume.voxels)
    }
}

/// The HU of air, which stands where a file has no number, and in padding.
const AIR_HU: f32 = -1000.0;
/// The spacings that a CT can have, millimetres: micro-CT has hundredths, and no slice is thicker than a hand is wide. Where a file says
/// another spacing, its unit is not millimetres, or its header is broken.
const SPACING_MM: std::ops::RangeInclusive<f64> = 0.01..=100.0;
/// A grid whose axes span less than this share of a box with their lengths is flat. A gantry tilted by 30 degrees leaves 0.87.
const FLAT_SHARE: f64 = 0.01;

/// Opens what a person most likely means by `path`: see [`Choice`].
pub fn open(path: &Path, monitor: &Monitor) -> Result<Scan, Error> {
    open_and_show(path, &Choice::default(), monitor, &|_| {})
}

/// Lists what `path` holds: the series of a folder, an archive or a DICOMDIR. What is a volume by itself is no list.
pub fn list(path: &Path, monitor: &Monitor) -> Result<Vec<Series>, Error> {
    monitor.step("opening", 0, 0)?;
    match held(path, monitor)? {
        Held::Volume(..) => Ok(Vec::new()),
        Held::Files(files) => {
            let found = series::Found::of(files, monitor)?;
            let volumes = found.volumes();
            Ok(if volumes.is_empty() { found.list() } else { volumes.list(monitor) })
        }
    }
}

/// Opens a scan; `show` is given what the path holds and a few slices while the others are still being read.
pub fn open_and_show(path: &Path, choice: &Choice, monitor: &Monitor, show: &dyn Fn(Arrival)) -> Result<Scan, Error> {
    monitor.step("opening", 0, 0)?;
    let show_slice = &|preview| show(Arrival::Slice(preview));
    let mut scan = match held(path, monitor)? {
        Held::Volume(format, header) => format.open(&header, choice.volume, monitor, show_slice)?,
        Held::Files(files) => {
            let is_alone = files.sources.len() == 1;
            let found = series::Found::of(files, monitor)?;
            let volumes = found.volumes();
            if volumes.is_empty() {
                let mut scan = found.open(path, choice, monitor, show)?;
                if is_alone && path.is_file() {
                    series::say_whole(&mut scan, path, monitor)?;
                }
                scan
            } else {
                volumes.open(path, choice, monitor, show)?
            }
        }
    };
    scan.notes.sort_by_key(|note| note.weight);
    Ok(scan)
}

/// What a path holds.
enum Held {
    /// A file that is a volume by itself.
    Volume(files::Format, Source),
    /// Files to find series in.
    Files(Files),
}

fn held(path: &Path, monitor: &Monitor) -> Result<Held, Error> {
    let io = |source| Error::Io { source, path: path.to_owned() };
    if path.is_dir() {
        return Files::of_folder(path, monitor).map(Held::Files);
    }
    let source = Source::File(path.to_owned());
    disk::regular(path).map_err(io)?;
    if let Some((format, header)) = files::recognise(&source).map_err(|fault| fault.at(path))? {
        return Ok(Held::Volume(format, header));
    }
    if series::files::is_archive(&source) {
        return Files::of_archive(path).map(Held::Files);
    }
    if dicom::is_directory(&source) {
        return Files::of_directory(&source, monitor).map(Held::Files);
    }
    Ok(Held::Files(Files { sources: vec![source], notes: Vec::new() }))
}

/// SHA-256 of voxels as little-endian f32, `i` fastest.
pub fn voxels_sha256(voxels: &Voxels) -> String {
    fn hash<T: Copy + Into<f32>>(voxels: &[T]) -> String {
        let (mut hasher, mut bytes) = (Sha256::new(), Vec::new());
        for part in voxels.chunks(1 << 14) {
            bytes.clear();
            bytes.extend(part.iter().flat_map(|&value| value.into().to_le_bytes()));
            hasher.update(&bytes);
        }
        hex::encode(hasher.finalize())
    }
    match voxels {
        Voxels::I16(hu) => hash(hu),
        Voxels::F32(hu) => hash(hu),
        Voxels::F16(hu) => hash(hu),
    }
}

/// A grid that a scan can have; the error says what is wrong with its numbers, which come from the file.
fn check_grid(grid: &Grid) -> Result<(), String> {
    let spacing = grid.spacing_mm();
    // As f32: headers hold 0.01 as 0.0099999998.
    let fits = |mm: &f64| (*SPACING_MM.start() as f32..=*SPACING_MM.end() as f32).contains(&(*mm as f32));
    if !grid.world_from_voxel.is_finite() || !spacing.iter().all(fits) {
        let [a, b, c] = spacing;
        let (least, most) = (SPACING_MM.start(), SPACING_MM.end());
        return Err(format!("a spacing of {a} x {b} x {c} mm, where a scan has {least} to {most} mm"));
    }
    let share = grid.world_from_voxel.matrix3.determinant().abs() / spacing.iter().product::<f64>();
    if share < FLAT_SHARE {
        return Err(format!("a grid without volume (its axes span {share:.4} of a box)"));
    }
    Ok(())
}

/// An empty vector with room for `count` numbers: a size from a header must not end the program.
fn reserve<T>(count: usize) -> Result<Vec<T>, String> {
    let mut values = Vec::new();
    let gigabytes = count as f64 * size_of::<T>() as f64 / 1e9;
    values.try_reserve_exact(count).map_err(|_full| {
        format!("{count} voxels, for which {gigabytes:.1} GB of memory are not there; crop the scan first")
    })?;
    Ok(values)
}
