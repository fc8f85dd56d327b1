//! One DICOM file: its place in the patient, and its pixels in HU.

use std::error::Error as _;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, OpenFileOptions, ReadError};
use dicom_pixeldata::PixelDecoder;
use glam::DVec3;

use super::study::Instance;
use super::{AIR_HU, Error, SPACING_MM};

/// A slice's description, without its pixels.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) path: PathBuf,
    /// Tells series apart; empty where the file names none. Never shown.
    pub(super) series: String,
    /// What other files call this one by; `None` where it does not say.
    pub(super) instance: Option<Instance>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Of each number, from the lowest on; the rest of it means nothing.
    bits_stored: u16,
    /// Centre of the first pixel, and unit vectors along a row and down a column; RAS+ millimetres.
    pub(super) place: Option<Place>,
    /// Between columns, between rows.
    pub(super) spacing_mm: [f64; 2],
    pub(super) thickness_mm: Option<f64>,
    pub(super) window_hu: Option<[f32; 2]>,
    /// What tells the phases of a series apart: the values of `PHASE_TAGS`.
    pub(super) phase: [Option<String>; 4],
    /// Letters and digits alone, for people; `None` where the file does not say.
    pub(super) modality: Option<String>,
    pub(super) syntax: Syntax,
}

/// By which phases may be told apart, the surest first, with their names.
pub(super) const PHASE_TAGS: [(Tag, &str); 4] = [
    (tags::ACQUISITION_NUMBER, "AcquisitionNumber"),
    (tags::TEMPORAL_POSITION_IDENTIFIER, "TemporalPositionIdentifier"),
    (tags::ACQUISITION_TIME, "AcquisitionTime"),
    (tags::CONTENT_TIME, "ContentTime"),
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: DVec3,
    pub(super) along_row: DVec3,
    pub(super) down_column: DVec3,
}

pub(super) type Object = DefaultDicomObject;

pub(super) fn text(object: &Object, tag: Tag) -> Option<String> {
    Some(object.get(tag)?.to_str().ok()?.trim_matches([' ', '\0']).to_owned())
}

fn number(object: &Object, tag: Tag) -> Option<f64> {
    object.get(tag)?.to_multi_float64().ok()?.first().copied().filter(|x| x.is_finite())
}

fn numbers<const N: usize>(object: &Object, tag: Tag) -> Option<[f64; N]> {
    let values = object.get(tag)?.to_multi_float64().ok()?;
    <[f64; N]>::try_from(values).ok().filter(|v| v.iter().all(|x| x.is_finite()))
}

/// DICOM counts x to the patient's left and y to the back; RAS+ the other way.
fn ras([x, y, z]: [f64; 3]) -> DVec3 {
    DVec3::new(-x, -y, z)
}

/// Why a file gives no slice; in words, without the path.
#[derive(Debug)]
pub(super) enum Refused {
    /// No DICOM file at all.
    Foreign,
    Damaged(String),
    Unsuitable(String),
}

impl Refused {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Foreign => "not a DICOM file",
            Self::Damaged(what) | Self::Unsuitable(what) => what,
        }
    }

    /// The error of opening this one file.
    pub(super) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Foreign => Error::NotAScan { path },
            Self::Damaged(what) => Error::Damaged { what, path },
            Self::Unsuitable(what) => Error::Unsuitable { what, path },
        }
    }
}

pub(super) fn describe(path: &Path) -> Result<Slice, Refused> {
    describe_object(&header(path)?, path)
}

/// Reads a file up to its pixels.
pub(super) fn header(path: &Path) -> Result<Object, Refused> {
    let open = || OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(path);
    guarded(open)?.map_err(|error| unreadable(&error, path))
}

fn describe_object(object: &Object, path: &Path) -> Result<Slice, Refused> {
    let unsuitable = |what: &str| Err(Refused::Unsuitable(what.to_owned()));
    let size = |tag, name| match number(object, tag) {
        Some(n) if (1.0..=65535.0).contains(&n) => Ok(n as usize),
        _ => Err(Refused::Unsuitable(format!("no image in it ({name} is missing)"))),
    };
    let (rows, columns) = (size(tags::ROWS, "Rows")?, size(tags::COLUMNS, "Columns")?);
    if number(object, tags::SAMPLES_PER_PIXEL).is_some_and(|n| n != 1.0) {
        return unsuitable("a colour picture, not Hounsfield units");
    }
    if number(object, tags::NUMBER_OF_FRAMES).is_some_and(|n| n > 1.0) {
        return unsuitable("a multi-frame file; export the series as single slices");
    }
    let Some([between_rows, between_columns]) = numbers::<2>(object, tags::PIXEL_SPACING) else {
        return unsuitable("no PixelSpacing");
    };
    if !(SPACING_MM.contains(&between_rows) && SPACING_MM.contains(&between_columns)) {
        let (least, most) = (SPACING_MM.start(), SPACING_MM.end());
        let what = format!("PixelSpacing {between_rows}\\{between_columns}, where a scan has {least} to {most} mm");
        return Err(Refused::Unsuitable(what));
    }
    let uid = object.meta().transfer_syntax().trim_end_matches('\0');
    let syntax = Syntax::of(uid).ok_or_else(|| unknown_syntax(uid))?;
    let bits_stored = check_numbers(object, path, syntax, rows * columns)?;
    Ok(Slice {
        path: path.to_owned(),
        series: text(object, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        instance: Instance::of(object),
        rows,
        columns,
        bits_stored,
        place: place(object)?,
        spacing_mm: [between_columns, between_rows],
        thickness_mm: [tags::SPACING_BETWEEN_SLICES, tags::SLICE_THICKNESS]
            .into_iter()
            .find_map(|tag| number(object, tag).filter(|mm| SPACING_MM.contains(mm))),
        window_hu: number(object, tags::WINDOW_CENTER)
            .zip(number(object, tags::WINDOW_WIDTH))
            .filter(|(_, width)| *width > 0.0)
            .map(|(center, width)| [center as f32, width as f32]),
        phase: PHASE_TAGS.map(|(tag, _)| text(object, tag).filter(|said| !said.is_empty())),
        modality: text(object, tags::MODALITY)
            .map(|said| said.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>())
            .filter(|said| !said.is_empty()),
        syntax,
    })
}

/// Where the slice lies; `None` where the file does not say.
fn place(object: &Object) -> Result<Option<Place>, Refused> {
    let position = numbers::<3>(object, tags::IMAGE_POSITION_PATIENT);
    let orientation = numbers::<6>(object, tags::IMAGE_ORIENTATION_PATIENT);
    let Some((position, [a, b, c, d, e, f])) = position.zip(orientation) else { return Ok(None) };
    let (along_row, down_column) = (ras([a, b, c]).normalize_or_zero(), ras([d, e, f]).normalize_or_zero());
    if along_row.cross(down_column).length() < 0.9 {
        return Err(Refused::Unsuitable(format!(
            "ImageOrientationPatient {a}\\{b}\\{c}\\{d}\\{e}\\{f}, whose axes are not perpendicular"
        )));
    }
    Ok(Some(Place { position: ras(position), along_row, down_column }))
}

/// How the numbers are stored must be a way that CT has, and an uncompressed file must be long enough to hold them; gives
/// BitsStored.
fn check_numbers(object: &Object, path: &Path, syntax: Syntax, pixels: usize) -> Result<u16, Refused> {
    let unsuitable = |what: String| Err(Refused::Unsuitable(what));
    let allocated = number(object, tags::BITS_ALLOCATED).unwrap_or(0.0);
    if allocated != 8.0 && allocated != 16.0 {
        return unsuitable(format!("BitsAllocated {allocated}, where CT has 8 or 16"));
    }
    let stored = number(object, tags::BITS_STORED).unwrap_or(0.0);
    if !(1.0..=allocated).contains(&stored) {
        return unsuitable(format!("BitsStored {stored}, where CT has 1 to {allocated}"));
    }
    // PS3.5, 8.1.1 leaves one choice; the bits of older files may lie higher.
    if let Some(high) = number(object, tags::HIGH_BIT).filter(|high| *high != stored - 1.0) {
        let only = stored - 1.0;
        return unsuitable(format!("HighBit {high} with BitsStored {stored}, which must be {only}; export it again"));
    }
    let length = std::fs::metadata(path).map_err(|e| Refused::Unsuitable(format!("it cannot be read ({e})")))?.len();
    let needed = pixels as u64 * (allocated as u64 / 8);
    if syntax.packing == Packing::Plain && length < needed {
        return Err(Refused::Damaged(format!("its pixels need {needed} bytes, the file has {length}")));
    }
    Ok(stored as u16)
}

/// How pixels are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// Not at all: as many bytes in the file as in memory.
    Plain,
    Lossless,
    Lossy,
}

/// A transfer syntax that is decoded here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syntax {
    /// For people.
    pub(super) name: &'static str,
    packing: Packing,
}

impl Syntax {
    pub(super) fn is_lossy(self) -> bool {
        self.packing == Packing::Lossy
    }

    fn of(uid: &str) -> Option<Self> {
        let (name, packing) = match uid.strip_prefix("1.2.840.10008.1.2")? {
            "" | ".1" | ".1.98" => ("uncompressed", Packing::Plain),
            ".1.99" => ("deflated", Packing::Lossless),
            ".2" => ("uncompressed, big-endian", Packing::Plain),
            ".4.50" | ".4.51" => ("JPEG", Packing::Lossy),
            ".4.57" | ".4.70" => ("JPEG lossless", Packing::Lossless),
            ".4.80" => ("JPEG-LS lossless", Packing::Lossless),
            ".4.81" => ("JPEG-LS near-lossless", Packing::Lossy),
            ".4.90" | ".4.92" => ("JPEG 2000 lossless", Packing::Lossless),
            ".4.91" | ".4.93" => ("JPEG 2000", Packing::Lossy),
            ".4.201" | ".4.202" => ("high-throughput JPEG 2000 lossless", Packing::Lossless),
            ".4.203" => ("high-throughput JPEG 2000", Packing::Lossy),
            ".5" => ("RLE", Packing::Lossless),
            _ => return None,
        };
        Some(Self { name, packing })
    }
}

fn unknown_syntax(uid: &str) -> Refused {
    Refused::Unsuitable(format!("transfer syntax {uid}, which is not decoded here; convert it to an uncompressed one"))
}

/// What the parser could not read: another kind of file, or a DICOM file with something wrong in it.
fn unreadable(error: &ReadError, path: &Path) -> Refused {
    match error {
        ReadError::ReadUnrecognizedTransferSyntax { uid, .. } => unknown_syntax(uid.trim_end_matches('\0')),
        ReadError::ReadUnsupportedTransferSyntax { uid, .. }
        | ReadError::ReadUnsupportedTransferSyntaxWithSuggestion { uid, .. } => unknown_syntax(uid),
        ReadError::OpenFile { source, .. } => Refused::Unsuitable(format!("it cannot be read ({source})")),
        // These name the file, which no warning may.
        ReadError::ReadFile { .. } if has_magic(path) => Refused::Damaged(chain(error.source())),
        _ if has_magic(path) => Refused::Damaged(chain(Some(error))),
        _ => Refused::Foreign,
    }
}

/// Whether "DICM" stands where PS3.10 has it.
fn has_magic(path: &Path) -> bool {
    let mut head = [0; 132];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head[128..] == *b"DICM"
}

/// An error with all that led to it.
fn chain(error: Option<&dyn std::error::Error>) -> String {
    let mut words = Vec::new();
    let mut next = error;
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.join(": ")
}

/// Below this, f32 holds the sum of a whole number and one of 16 bits as it is.
const MOST_WHOLE: f64 = 1e6;

/// The pixels in HU, columns fastest. Padding becomes air.
pub(super) fn pixels(slice: &Slice) -> Result<Vec<f32>, Refused> {
    guarded(|| {
        let mut object = dicom_object::open_file(&slice.path).map_err(|error| unreadable(&error, &slice.path))?;
        let stored = slice.bits_stored;
        if object.get(tags::HIGH_BIT).is_none() {
            // Real files lack it; the decoder insists.
            object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(stored - 1)));
        }
        let slope = number(&object, tags::RESCALE_SLOPE).filter(|s| *s != 0.0).unwrap_or(1.0);
        let intercept = number(&object, tags::RESCALE_INTERCEPT).unwrap_or(0.0);
        let signed = number(&object, tags::PIXEL_REPRESENTATION) == Some(1.0);
        let extend = |raw: u16| sign_extended(raw, stored, signed);
        let padding =
            object.get(tags::PIXEL_PADDING_VALUE).and_then(|e| e.to_int::<i32>().ok()).map(|p| extend(p as u16));

        let decoded = object.decode_pixel_data();
        let decoded = decoded
            .map_err(|error| Refused::Damaged(format!("its pixels cannot be decoded: {}", chain(Some(&error)))))?;
        let count = slice.rows * slice.columns;
        let raw: Vec<u16> = match decoded.bits_allocated() {
            8 => decoded.data().iter().map(|b| u16::from(*b)).collect(),
            _ => decoded.data().as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect(),
        };
        if raw.len() < count {
            return Err(Refused::Damaged(format!("{} pixels, {count} expected", raw.len())));
        }
        let hu = |value: i32| (f64::from(value) * slope + intercept) as f32;
        let stored = raw[..count].iter().map(|raw| extend(*raw));
        let mut pixels: Vec<f32> = if slope == 1.0 && intercept.fract() == 0.0 && intercept.abs() < MOST_WHOLE {
            let intercept = intercept as i32;
            stored.map(|value| (value + intercept) as f32).collect() // the same, by the CPU's vectors
        } else {
            stored.map(hu).collect()
        };
        if let Some(blank) = padding.map(|value| (value, hu(value))) {
            let lossy = slice.syntax.is_lossy();
            for (pixel, raw) in pixels.iter_mut().zip(&raw) {
                if is_padding((extend(*raw), *pixel), blank, lossy) {
                    *pixel = AIR_HU;
                }
            }
        }
        Ok(pixels)
    })?
}

/// Whether a number, stored and in HU, is padding. A lossy syntax changes padding a little: where it lies below air, as on
/// every scanner's round field of view, what is nearer to it than to air is padding too. Above air lies tissue, which
/// nearness cannot tell from padding.
fn is_padding((value, hu): (i32, f32), (blank, blank_hu): (i32, f32), lossy: bool) -> bool {
    value == blank || lossy && blank_hu < AIR_HU && hu < f32::midpoint(blank_hu, AIR_HU)
}

/// A stored number of `bits`, whose highest is its sign where it is signed.
fn sign_extended(raw: u16, bits: u16, signed: bool) -> i32 {
    let unused = 16 - u32::from(bits);
    if signed { i32::from((raw << unused).cast_signed() >> unused) } else { i32::from(raw << unused >> unused) }
}

/// Runs a parser that may panic on hostile bytes.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| Refused::Damaged("it is beyond reading".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{AIR_HU, is_padding, sign_extended};

    #[test]
    fn padding_above_air_takes_no_tissue_with_it() {
        let blank_below_air = (-2000, -3024.0);
        assert!(is_padding((-2000, -3024.0), blank_below_air, false));
        assert!(is_padding((-1980, -3004.0), blank_below_air, true), "blurred by a lossy syntax");
        assert!(!is_padding((-1980, -3004.0), blank_below_air, false));
        assert!(!is_padding((0, -1024.0), blank_below_air, true), "air");
        for blank_above_air in [(0, 0.0), (63536, 2000.0), (24, AIR_HU)] {
            for tissue in [-990.0, -100.0, 40.0, 900.0] {
                assert!(!is_padding((7, tissue), blank_above_air, true), "{tissue} HU, padding {blank_above_air:?}");
            }
            assert!(is_padding(blank_above_air, blank_above_air, true));
        }
    }

    #[test]
    fn twelve_bit_numbers_take_their_sign_from_their_own_highest_bit() {
        assert_eq!(sign_extended(0x0fff, 12, true), -1);
        assert_eq!(sign_extended(0x0fff, 12, false), 4095);
        assert_eq!(sign_extended(0xf800, 16, true), -2048);
        assert_eq!(sign_extended(0xf7ff, 12, true), 2047);
    }
}
