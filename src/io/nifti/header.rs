//! The fields of a NIfTI header of either version and byte order, and what they say of the numbers.

use super::super::Note;
use super::super::fault::Fault;
use super::super::numbers::{Numbers, VoxelType};
use super::super::units::{Unit, digits};

pub(super) const NIFTI1_BYTES: usize = 348;
pub(super) const NIFTI2_BYTES: usize = 540;
/// A single file's voxels begin here at the earliest: behind the header and the four bytes that say whether extensions follow.
const NIFTI1_OFFSET: u64 = 352;
const NIFTI2_OFFSET: u64 = 544;
/// No extensions are as long.
const MOST_OFFSET: f64 = 1e9;
/// No scan has as many voxels along an axis; NIFTI-1 cannot hold more.
const MOST_SIZE: i64 = i16::MAX as i64;
/// The spatial part of `xyzt_units`, and what it may say (`nifti1.h`).
const SPATIAL_UNITS: i32 = 0b111;
const METRES: i32 = 1;
const MICROMETRES: i32 = 3;

/// What is used of a header's fields, by their names in `nifti1.h`. Floats of 32 bits are widened.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) second: bool,
    /// Whether the voxels follow in the same file.
    pub(super) single: bool,
    big_endian: bool,
    dim: [i64; 8],
    datatype: i16,
    bitpix: i16,
    vox_offset: f64,
    scl_slope: f64,
    scl_inter: f64,
    xyzt_units: i32,
    intent_code: i32,
    pub(super) pixdim: [f64; 8],
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    /// `quatern_b`, `_c` and `_d`.
    pub(super) quatern: [f64; 3],
    pub(super) qoffset: [f64; 3],
    pub(super) srow: [[f64; 4]; 3],
}

/// Whether bytes begin a NIfTI header, or one of Analyze.
pub(super) fn sniff(head: &[u8]) -> bool {
    let size = |bytes: i32| head.starts_with(&bytes.to_le_bytes()) || head.starts_with(&bytes.to_be_bytes());
    first_magic(head).is_some() || size(NIFTI1_BYTES as i32) || is_second(head)
}

/// Whether a NIfTI-1 file is single; none where it is none.
fn first_magic(head: &[u8]) -> Option<bool> {
    match head.get(344..347)? {
        b"n+1" => Some(true),
        b"ni1" => Some(false),
        _ => None,
    }
}

/// Whether bytes begin a NIfTI-2 header.
pub(super) fn is_second(head: &[u8]) -> bool {
    let size = NIFTI2_BYTES as i32;
    (head.starts_with(&size.to_le_bytes()) || head.starts_with(&size.to_be_bytes()))
        && head.get(4..7).is_some_and(|magic| magic == b"n+2" || magic == b"ni2")
}

/// Numbers at their places in a header that is long enough.
struct Fields<'a, const N: usize> {
    head: &'a [u8; N],
    big_endian: bool,
}

impl<const N: usize> Fields<'_, N> {
    fn at<const M: usize>(&self, at: usize) -> [u8; M] {
        let mut bytes = [0; M];
        bytes.copy_from_slice(&self.head[at..at + M]);
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.at(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.at(at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.at(at))
    }

    fn f32(&self, at: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.at(at)))
    }

    fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.at(at))
    }

    fn f32s<const M: usize>(&self, at: usize) -> [f64; M] {
        std::array::from_fn(|index| self.f32(at + 4 * index))
    }

    fn f64s<const M: usize>(&self, at: usize) -> [f64; M] {
        std::array::from_fn(|index| self.f64(at + 8 * index))
    }
}

impl Header {
    pub(super) fn parse(head: &[u8]) -> Result<Self, Fault> {
        let cut = || Fault::Damaged(format!("its header is incomplete ({} bytes)", head.len()));
        if is_second(head) {
            return Ok(Self::second(head.first_chunk().ok_or_else(cut)?));
        }
        let head = head.first_chunk().ok_or_else(cut)?;
        match first_magic(head) {
            Some(single) => Ok(Self::first(head, single)),
            None => Err(Fault::Unsuitable(
                "an Analyze 7.5 header, which does not say which side is left; convert it to NIfTI with a program that \
                 knows where it came from"
                    .to_owned(),
            )),
        }
    }

    /// The fields of `nifti1.h`. As in nibabel, `dim[0]`, which is 1 to 7, tells the byte order.
    fn first(head: &[u8; NIFTI1_BYTES], single: bool) -> Self {
        let little = Fields { head, big_endian: false };
        let big_endian = !(1..=7).contains(&little.i16(40)) && (1..=7).contains(&little.i16(40).swap_bytes());
        let fields = Fields { head, big_endian };
        Self {
            second: false,
            single,
            big_endian,
            dim: std::array::from_fn(|index| i64::from(fields.i16(40 + 2 * index))),
            intent_code: fields.i16(68).into(),
            datatype: fields.i16(70),
            bitpix: fields.i16(72),
            pixdim: fields.f32s(76),
            vox_offset: fields.f32(108),
            scl_slope: fields.f32(112),
            scl_inter: fields.f32(116),
            xyzt_units: head[123].into(),
            qform_code: fields.i16(252).into(),
            sform_code: fields.i16(254).into(),
            quatern: fields.f32s(256),
            qoffset: fields.f32s(268),
            srow: [280, 296, 312].map(|at| fields.f32s(at)),
        }
    }

    /// The fields of `nifti2.h`.
    fn second(head: &[u8; NIFTI2_BYTES]) -> Self {
        let big_endian = head[..4] == (NIFTI2_BYTES as i32).to_be_bytes();
        let fields = Fields { head, big_endian };
        Self {
            second: true,
            single: head[5] == b'+',
            big_endian,
            datatype: fields.i16(12),
            bitpix: fields.i16(14),
            dim: std::array::from_fn(|index| fields.i64(16 + 8 * index)),
            pixdim: fields.f64s(104),
            vox_offset: fields.i64(168) as f64,
            scl_slope: fields.f64(176),
            scl_inter: fields.f64(184),
            qform_code: fields.i32(344),
            sform_code: fields.i32(348),
            quatern: fields.f64s(352),
            qoffset: fields.f64s(376),
            srow: [400, 432, 464].map(|at| fields.f64s(at)),
            xyzt_units: fields.i32(500),
            intent_code: fields.i32(504),
        }
    }

    pub(super) fn format(&self) -> &'static str {
        if self.second { "NIfTI-2" } else { "NIfTI-1" }
    }

    /// Three sizes and the number of volumes; more dimensions only where they are 1.
    pub(super) fn shape(&self) -> Result<([usize; 3], usize), Fault> {
        let n = usize::try_from(self.dim[0]).ok().filter(|n| (1..=7).contains(n));
        let n = n.ok_or_else(|| Fault::Unsuitable(format!("dim[0] = {}, which must be 1 to 7", self.dim[0])))?;
        let said = &self.dim[1..=n];
        if !said.iter().all(|size| (1..=MOST_SIZE).contains(size)) {
            return Err(Fault::Unsuitable(format!("sizes {said:?}, which must be 1 to {MOST_SIZE}")));
        }
        let size = |axis: usize| said.get(axis).map_or(1, |size| *size as usize);
        if (4..7).any(|axis| size(axis) > 1) {
            return Err(Fault::Unsuitable(format!(
                "{n} dimensions ({said:?}): several numbers for each voxel, as vectors and colours have; save one volume of \
                 Hounsfield units alone"
            )));
        }
        Ok(([size(0), size(1), size(2)], size(3)))
    }

    /// The numbers' kind and scaling. A slope of 0, or one that is no finite number, means none, as in nibabel's `get_slope_inter`.
    pub(super) fn numbers(&self, notes: &mut Vec<Note>) -> Result<Numbers, Fault> {
        let kind = kind(self.datatype).map_err(Fault::Unsuitable)?;
        let Self { scl_slope: slope, scl_inter: inter, big_endian, .. } = *self;
        let scaled = slope != 0.0 && slope.is_finite();
        if scaled && !inter.is_finite() {
            return Err(Fault::Damaged(format!("scl_inter = {inter}")));
        }
        if !scaled && inter.is_finite() && inter != 0.0 {
            notes.push(Note::serious(format!(
                "scl_slope = {} says that the numbers are not scaled, and scl_inter = {} that they are moved: they are taken \
                 as stored, as nibabel does",
                digits(slope),
                digits(inter)
            )));
        } else if slope.is_infinite() {
            notes.push(Note::caution(format!("scl_slope = {slope}: the numbers are taken as stored, as nibabel does")));
        }
        Ok(Numbers { kind, big_endian, scaling: scaled.then_some((slope, inter)) })
    }

    /// Where the voxels begin in their file. nibabel takes 0 in a single file to mean behind the header.
    pub(super) fn offset(&self, notes: &mut Vec<Note>) -> Result<u64, Fault> {
        let said = self.vox_offset;
        if !(0.0..MOST_OFFSET).contains(&said) || said.fract() != 0.0 {
            return Err(Fault::Damaged(format!("vox_offset = {said}")));
        }
        let (said, least) = (said as u64, if self.second { NIFTI2_OFFSET } else { NIFTI1_OFFSET });
        if !self.single || said >= least {
            return Ok(said);
        }
        if said > 0 {
            return Err(Fault::Damaged(format!(
                "vox_offset = {said}: voxels cannot begin within the header of {least} bytes"
            )));
        }
        notes.push(Note::caution(format!(
            "vox_offset = 0 would begin the voxels with the header; they are read from byte {least} on, as nibabel does"
        )));
        Ok(least)
    }

    /// How many bytes each number has by `bitpix`, where that contradicts `datatype`.
    pub(super) fn otherwise_bytes(&self, kind: VoxelType, notes: &mut Vec<Note>) -> Option<usize> {
        let bits = kind.bytes() * 8;
        if self.bitpix == 0 || usize::try_from(self.bitpix) == Ok(bits) {
            return None;
        }
        notes.push(Note::serious(format!(
            "datatype = {} says {kind:?}, numbers of {bits} bits, and bitpix = {} others; they are read as {kind:?}, as \
             nibabel does",
            self.datatype, self.bitpix
        )));
        usize::try_from(self.bitpix).ok().map(|bits| bits / 8)
    }

    /// The unit of the places; none where the header says millimetres, or nothing.
    pub(super) fn unit(&self) -> Option<Unit> {
        let (name, mm) = match self.xyzt_units & SPATIAL_UNITS {
            METRES => ("metres", 1e3),
            MICROMETRES => ("micrometres", 1e-3),
            _ => return None,
        };
        Some(Unit { name: format!("{name} (xyzt_units {})", self.xyzt_units), mm })
    }

    /// What the header says that its numbers are, where that is no image.
    pub(super) fn intent(&self) -> Option<Note> {
        let what = match self.intent_code {
            2..=24 => "a statistic",
            1002 | 1003 => "labels",
            1006 | 1007 => "vectors",
            _ => return None,
        };
        Some(Note::serious(format!(
            "the header says that its numbers are {what} (intent_code {}), not Hounsfield units",
            self.intent_code
        )))
    }
}

/// The kind of numbers by `datatype`.
fn kind(datatype: i16) -> Result<VoxelType, String> {
    let name = match datatype {
        2 => return Ok(VoxelType::Uint8),
        4 => return Ok(VoxelType::Int16),
        8 => return Ok(VoxelType::Int32),
        16 => return Ok(VoxelType::Float32),
        64 => return Ok(VoxelType::Float64),
        256 => return Ok(VoxelType::Int8),
        512 => return Ok(VoxelType::Uint16),
        768 => return Ok(VoxelType::Uint32),
        1024 => return Ok(VoxelType::Int64),
        1280 => return Ok(VoxelType::Uint64),
        1 => "Binary, one bit each",
        32 | 1792 | 2048 => "Complex, two numbers each",
        128 => "Rgb24, a colour each",
        2304 => "Rgba32, a colour each",
        1536 => "Float128, which few programs read",
        _ => return Err(format!("voxels of an unknown kind (datatype = {datatype})")),
    };
    Err(format!("voxels of kind {name} (datatype = {datatype}); export Hounsfield units"))
}
