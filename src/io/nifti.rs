//! NIfTI-1 files, plain or gzipped, of either byte order. The `nifti` crate reads header and numbers; what it would panic
//! on or let pass is checked here first. The affine follows nibabel: sform, else qform, else spacing.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use glam::{DAffine3, DMat3, DQuat, DVec3};
use nifti::volume::inmem::InMemNiftiVolume;
use nifti::{DataElement, Endianness, NiftiHeader, NiftiType};

use super::arriving::Arriving;
use super::gzip::Members;
use super::preview::{Preview, Previews};
use super::{Among, Error, Geometry, Note, Scan, check_grid, reserve};
use crate::job::{Cancelled, Monitor};
use crate::volume::{Grid, Volume};

const HEADER_BYTES: usize = 348;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Larger than any CT: 4096 x 4096 x 2048 numbers of 8 bytes.
const MAX_BYTES: u64 = 1 << 38;
/// Slices are read in blocks of about this size.
const BLOCK_BYTES: usize = 1 << 20;
/// The same where all threads read numbers as they lie, each of so many bytes: a scan is mostly one such block.
const PLAIN_BYTES: usize = 128 << 20;
const NUMBER_BYTES: usize = i16::BITS as usize / 8;
/// Deflate cannot shrink more than this.
const MAX_INFLATION: u64 = 1032;
/// The spatial part of `xyzt_units`, and what it may say (`nifti1.h`).
const SPATIAL_UNITS: u8 = 0b111;
const METRES: u8 = 1;
const MICROMETRES: u8 = 3;

/// Whether a file is NIfTI of any kind, gzipped or not.
pub(super) fn sniff(file: File) -> std::io::Result<bool> {
    let mut head = Vec::new();
    let mut reader = BufReader::new(file);
    (&mut reader).take(HEADER_BYTES as u64).read_to_end(&mut head)?;
    if head.starts_with(&GZIP) {
        let mut inner = Vec::new();
        let packed = MultiGzDecoder::new(std::io::Cursor::new(head).chain(reader));
        packed.take(HEADER_BYTES as u64).read_to_end(&mut inner).ok(); // a cut gzip: what came says enough
        head = inner;
    }
    Ok(is_nifti1(&head) || is_nifti2(&head))
}

fn is_nifti1(head: &[u8]) -> bool {
    head.len() >= HEADER_BYTES && (head[344..347] == *b"n+1" || head[344..347] == *b"ni1")
        || head.len() >= 4 && (head[..4] == 348_i32.to_le_bytes() || head[..4] == 348_i32.to_be_bytes())
}

fn is_nifti2(head: &[u8]) -> bool {
    head.len() >= 8
        && (head[..4] == 540_i32.to_le_bytes() || head[..4] == 540_i32.to_be_bytes())
        && head[4..7] == *b"n+2"
}

pub(super) fn open(path: &Path, monitor: &Monitor, show: &dyn Fn(Preview)) -> Result<Scan, Error> {
    let io = |source| Error::Io { source, path: path.to_owned() };
    let damaged = |what: String| Error::Damaged { what, path: path.to_owned() };
    let unsuitable = |what: String| Error::Unsuitable { what, path: path.to_owned() };
    let mut magic = [0; 2];
    File::open(path).and_then(|mut f| f.read_exact(&mut magic)).map_err(io)?;
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let buffered = BufReader::with_capacity(1 << 20, &file);
    let mut reader: Box<dyn Read + '_> =
        if magic == GZIP { Box::new(Members::new(buffered)) } else { Box::new(buffered) };

    let mut head = vec![0; HEADER_BYTES];
    reader.read_exact(&mut head).map_err(|e| damaged(format!("its header is incomplete ({e})")))?;
    if is_nifti2(&head) {
        return Err(unsuitable("a NIfTI-2 file; convert it to NIfTI-1".to_owned()));
    }
    if head[344..347] == *b"ni1" {
        return Err(unsuitable("a header without its image; choose a single .nii or .nii.gz file".to_owned()));
    }
    let header = NiftiHeader::from_reader(head.as_slice()).map_err(|e| damaged(e.to_string()))?;
    let shape = shape(&header).map_err(unsuitable)?;
    let kind = header.data_type().map_err(|e| unsuitable(format!("numbers of an unknown kind ({e})")))?;
    let mut notes = Vec::new();
    let (world_from_voxel, geometry) = affine(&header, shape, &mut notes).map_err(unsuitable)?;
    let grid = Grid { shape, world_from_voxel };
    check_units(&header, &grid, &mut notes).map_err(unsuitable)?;

    let size = size_of(kind)
        .ok_or_else(|| unsuitable(format!("voxels of kind {kind:?}, not one number each; export Hounsfield units")))?;
    let bytes = shape.iter().try_fold(size as u64, |n, d| n.checked_mul(*d as u64)).filter(|n| *n <= MAX_BYTES);
    let bytes = bytes.ok_or_else(|| unsuitable(format!("a size of {shape:?} voxels, which no scan has")))?;
    let short = |there: u64| damaged(format!("{shape:?} voxels of {kind:?} need {bytes} bytes, {there} are there"));
    let most = if magic == GZIP { length.saturating_mul(MAX_INFLATION) } else { length };
    if bytes > most {
        return Err(short(most));
    }
    let offset = header.vox_offset;
    if !(0.0..1e9).contains(&offset) {
        return Err(damaged(format!("vox_offset = {offset}")));
    }
    let skip = (offset as u64).saturating_sub(HEADER_BYTES as u64);
    std::io::copy(&mut (&mut reader).take(skip), &mut std::io::sink()).map_err(|e| damaged(e.to_string()))?;
    let NiftiHeader { scl_slope, scl_inter, .. } = header;
    if scl_slope != 0.0 && scl_slope.is_finite() && !scl_inter.is_finite() {
        return Err(damaged(format!("scl_inter = {scl_inter}")));
    }
    let previews = Previews { grid, window_hu: None, show };
    let start = HEADER_BYTES as u64 + skip;
    let plain = magic != GZIP && whole(&header, kind) && header.endianness == Endianness::native();
    let arriving = if plain && length.saturating_sub(start) >= bytes {
        read_plain(&file, start, &previews, monitor)
    } else {
        read(&header, kind, &previews, &mut reader, monitor)
    };
    let arriving = arriving.map_err(|why| match why {
        Why::Cancelled(cancelled) => cancelled.into(),
        Why::Damaged(what) => damaged(what),
        Why::Short(there) => short(there),
        Why::Full(what) => unsuitable(what),
    })?;
    if magic == GZIP {
        // To the very end, where its checksum stands.
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(|e| damaged(e.to_string()))?;
    }
    monitor.check()?;

    if geometry == Geometry::Spacing {
        notes.push(Note::serious(
            "the file says nothing of orientation (no sform, no qform): left and right are a guess",
        ));
    }
    let voxels = arriving.finish(&mut notes);
    Ok(Scan {
        volume: Volume::new(grid, voxels),
        source: path.to_owned(),
        format: format!("NIfTI-1, {kind:?}"),
        geometry,
        notes,
        window_hu: None,
        study: None,
        among: Among::default(),
    })
}

/// Three sizes; more dimensions only where they are 1.
fn shape(header: &NiftiHeader) -> Result<[usize; 3], String> {
    let n = usize::from(header.dim[0]);
    if !(1..=7).contains(&n) {
        return Err(format!("dim[0] = {n}, which must be 1 to 7"));
    }
    let dims: Vec<usize> = (1..=7).map(|i| if i <= n { usize::from(header.dim[i]) } else { 1 }).collect();
    if dims[..n].contains(&0) || dims.iter().any(|d| *d > i16::MAX as usize) {
        return Err(format!("sizes {:?}, which must be 1 to 32767", &dims[..n]));
    }
    if dims[3..].iter().any(|d| *d > 1) {
        return Err(format!("{n} dimensions ({:?}); choose one volume of three and save it alone", &dims[..n]));
    }
    Ok([dims[0], dims[1], dims[2]])
}

fn size_of(kind: NiftiType) -> Option<usize> {
    Some(match kind {
        NiftiType::Uint8 | NiftiType::Int8 => 1,
        NiftiType::Uint16 | NiftiType::Int16 => 2,
        NiftiType::Uint32 | NiftiType::Int32 | NiftiType::Float32 => 4,
        NiftiType::Uint64 | NiftiType::Int64 | NiftiType::Float64 => 8,
        _ => return None,
    })
}

/// nibabel's rule, `Nifti1Header.get_best_affine`; a negative pixdim counts without its sign, as in `_chk_pixdims` there.
fn affine(header: &NiftiHeader, shape: [usize; 3], notes: &mut Vec<Note>) -> Result<(DAffine3, Geometry), String> {
    let signed = DVec3::from_array([1, 2, 3].map(|i| f64::from(header.pixdim[i])));
    let zooms = signed.abs();
    let (affine, geometry) = if header.sform_code > 0 {
        let rows = [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from));
        let column = |c: usize| DVec3::new(rows[0][c], rows[1][c], rows[2][c]);
        (DAffine3::from_mat3_translation(DMat3::from_cols(column(0), column(1), column(2)), column(3)), Geometry::Sform)
    } else if header.qform_code > 0 {
        let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
        let square = 1.0 - (b * b + c * c + d * d);
        // nibabel, `fillpositive`: f32 rounding may take it a little below 0.
        if square < -3.0 * f64::from(f32::EPSILON) || !square.is_finite() {
            return Err(format!("the quaternion ({b}, {c}, {d}) of its qform is longer than 1"));
        }
        let rotation = DMat3::from_quat(DQuat::from_xyzw(b, c, d, square.max(0.0).sqrt()).normalize());
        let flip = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        let matrix = rotation * DMat3::from_diagonal(zooms * DVec3::new(1.0, 1.0, flip));
        let origin = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
        (DAffine3::from_mat3_translation(matrix, DVec3::from_array(origin)), Geometry::Qform)
    } else {
        // `get_base_affine`: x is flipped by convention, the middle voxel is the origin.
        let zooms = zooms * DVec3::new(-1.0, 1.0, 1.0);
        let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
        (DAffine3::from_mat3_translation(DMat3::from_diagonal(zooms), -(zooms * middle)), Geometry::Spacing)
    };
    if geometry != Geometry::Sform && signed.min_element() < 0.0 {
        notes.push(Note::serious(format!("a negative spacing in the header ({signed}): its sign is ignored")));
    }
    Ok((affine, geometry))
}

/// Refuses a grid that no scan has, with the units that the header claims. Where the grid can be, the units change nothing:
/// nibabel takes every affine to be in millimetres, and so did the published pipeline.
fn check_units(header: &NiftiHeader, grid: &Grid, notes: &mut Vec<Note>) -> Result<(), String> {
    let units = match header.xyzt_units & SPATIAL_UNITS {
        METRES => "metres",
        MICROMETRES => "micrometres",
        _ => return check_grid(grid).map_err(|what| format!("{what}; its header is broken")),
    };
    check_grid(grid).map_err(|what| {
        format!("{what}; the header says {units} (xyzt_units {}): save it in millimetres", header.xyzt_units)
    })?;
    notes.push(Note::serious(format!(
        "the header gives its spacing in {units}; it is taken to be in millimetres, as nibabel does"
    )));
    Ok(())
}

/// Why voxels were not read.
enum Why {
    Cancelled(Cancelled),
    Damaged(String),
    /// So many bytes are there.
    Short(u64),
    Full(String),
}

impl From<std::io::Error> for Why {
    fn from(error: std::io::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// All voxels, a block of slices after the other.
fn read(
    header: &NiftiHeader,
    kind: NiftiType,
    previews: &Previews,
    reader: &mut impl Read,
    monitor: &Monitor,
) -> Result<Arriving, Why> {
    let damaged = |e: &dyn std::fmt::Display| Why::Damaged(e.to_string());
    let grid = previews.grid;
    let [ni, nj, nk] = grid.shape;
    let slice_bytes = ni * nj * size_of(kind).ok_or_else(|| damaged(&"voxels of no known size"))?;
    let run = (BLOCK_BYTES / slice_bytes).max(1);
    let mut arriving = Arriving::new(grid.len()).map_err(Why::Full)?;
    for first in (0..nk).step_by(run) {
        monitor.step("reading slices", first, nk).map_err(Why::Cancelled)?;
        let slices = run.min(nk - first);
        let mut raw = reserve(slices * slice_bytes).map_err(Why::Full)?;
        reader.take((slices * slice_bytes) as u64).read_to_end(&mut raw).map_err(|e| damaged(&e))?;
        if raw.len() != slices * slice_bytes {
            return Err(Why::Short((first * slice_bytes + raw.len()) as u64));
        }
        if whole(header, kind) {
            let stored = raw.as_chunks().0.iter().copied();
            match header.endianness {
                Endianness::Little => arriving.extend_whole(stored.map(i16::from_le_bytes)),
                Endianness::Big => arriving.extend_whole(stored.map(i16::from_be_bytes)),
            }
        } else {
            let block = NiftiHeader { dim: [3, ni as u16, nj as u16, slices as u16, 1, 1, 1, 1], ..header.clone() };
            arriving.extend(&scaled(&block, kind, raw).map_err(|e| damaged(&e))?).map_err(Why::Full)?;
        }
        previews.look(&arriving, first);
    }
    Ok(arriving)
}

/// All voxels of a file that holds them as memory does, from byte `start` on: by all threads, for the copying is what takes time.
fn read_plain(file: &File, start: u64, previews: &Previews, monitor: &Monitor) -> Result<Arriving, Why> {
    let [ni, nj, nk] = previews.grid.shape;
    let run = (PLAIN_BYTES / (ni * nj * NUMBER_BYTES)).max(1);
    let mut arriving = Arriving::new(previews.grid.len()).map_err(Why::Full)?;
    for first in (0..nk).step_by(run) {
        monitor.step("reading slices", first, nk).map_err(Why::Cancelled)?;
        let read = |at: usize, hu: &mut [i16]| -> Result<(), Why> {
            monitor.check().map_err(Why::Cancelled)?; // a file on another machine takes its time
            Ok(read_exact_at(file, bytemuck::cast_slice_mut(hu), start + (at * NUMBER_BYTES) as u64)?)
        };
        arriving.extend_read(run.min(nk - first) * ni * nj, read)?;
        previews.look(&arriving, first);
    }
    Ok(arriving)
}

/// Leaves the file's own position to others.
#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// The same where no such call is.
#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}

/// Whether the stored numbers are 16 bits that need no scaling, as those of most CTs: there is nothing to convert.
fn whole(header: &NiftiHeader, kind: NiftiType) -> bool {
    kind == NiftiType::Int16 && scaling(header).is_none_or(|scaling| scaling == (1.0, 0.0))
}

/// Slope and intercept. A slope of 0 or NaN means none.
fn scaling(header: &NiftiHeader) -> Option<(f64, f64)> {
    let slope = f64::from(header.scl_slope);
    (slope != 0.0 && slope.is_finite()).then(|| (slope, f64::from(header.scl_inter)))
}

/// Stored numbers times slope plus intercept, in f64, then f32: as nibabel.
fn scaled(header: &NiftiHeader, kind: NiftiType, raw: Vec<u8>) -> nifti::error::Result<Vec<f32>> {
    let scaling = scaling(header);
    macro_rules! read {
        ($kind:ty) => {{
            let stored: Vec<$kind> = typed(header, raw)?;
            match scaling {
                Some((slope, inter)) => stored.into_iter().map(|x| (x as f64 * slope + inter) as f32).collect(),
                None => stored.into_iter().map(|x| x as f32).collect(),
            }
        }};
    }
    Ok(match kind {
        NiftiType::Uint8 => read!(u8),
        NiftiType::Int8 => read!(i8),
        NiftiType::Uint16 => read!(u16),
        NiftiType::Int16 => read!(i16),
        NiftiType::Uint32 => read!(u32),
        NiftiType::Int32 => read!(i32),
        NiftiType::Uint64 => read!(u64),
        NiftiType::Int64 => read!(i64),
        NiftiType::Float64 => read!(f64),
        _ => read!(f32),
    })
}

fn typed<T: DataElement>(header: &NiftiHeader, raw: Vec<u8>) -> nifti::error::Result<Vec<T>> {
    InMemNiftiVolume::from_raw_data(header, raw)?.into_nifti_typed_data()
}
