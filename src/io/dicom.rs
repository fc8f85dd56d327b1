//! One DICOM file: its place in the patient, and its pixels in HU.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, OpenFileOptions};
use dicom_pixeldata::PixelDecoder;
use glam::DVec3;

use super::AIR_HU;

/// A slice's description, without its pixels.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) path: PathBuf,
    /// Tells series apart; empty where the file names none. Never shown.
    pub(super) series: String,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Centre of the first pixel, and unit vectors along a row and down a column; RAS+ millimetres.
    pub(super) place: Option<Place>,
    /// Between columns, between rows.
    pub(super) spacing_mm: [f64; 2],
    pub(super) thickness_mm: Option<f64>,
    pub(super) window_hu: Option<[f32; 2]>,
    pub(super) syntax: String,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: DVec3,
    pub(super) along_row: DVec3,
    pub(super) down_column: DVec3,
}

type Object = DefaultDicomObject;

fn text(object: &Object, tag: Tag) -> Option<String> {
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

/// Reads a file up to its pixels. The error is in words, without the path.
pub(super) fn describe(path: &Path) -> Result<Slice, String> {
    let open = || OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(path);
    let object = guarded(open)?.map_err(|_foreign| "not a DICOM file".to_owned())?;
    let size = |tag, name| match number(&object, tag) {
        Some(n) if (1.0..=65535.0).contains(&n) => Ok(n as usize),
        _ => Err(format!("no image in it ({name} is missing)")),
    };
    let (rows, columns) = (size(tags::ROWS, "Rows")?, size(tags::COLUMNS, "Columns")?);
    if number(&object, tags::SAMPLES_PER_PIXEL).is_some_and(|n| n != 1.0) {
        return Err("a colour picture, not Hounsfield units".to_owned());
    }
    if number(&object, tags::NUMBER_OF_FRAMES).is_some_and(|n| n > 1.0) {
        return Err("a multi-frame file; export the series as single slices".to_owned());
    }
    let [between_rows, between_columns] = numbers::<2>(&object, tags::PIXEL_SPACING).unwrap_or([0.0, 0.0]);
    if between_rows <= 0.0 || between_columns <= 0.0 {
        return Err("no PixelSpacing".to_owned());
    }
    let place = match (
        numbers::<3>(&object, tags::IMAGE_POSITION_PATIENT),
        numbers::<6>(&object, tags::IMAGE_ORIENTATION_PATIENT),
    ) {
        (Some(position), Some([a, b, c, d, e, f])) => {
            let (along_row, down_column) = (ras([a, b, c]).normalize_or_zero(), ras([d, e, f]).normalize_or_zero());
            if along_row.cross(down_column).length() < 0.9 {
                return Err(format!(
                    "ImageOrientationPatient {a}\\{b}\\{c}\\{d}\\{e}\\{f}, whose axes are not perpendicular"
                ));
            }
            Some(Place { position: ras(position), along_row, down_column })
        }
        _ => None,
    };
    let window_hu = number(&object, tags::WINDOW_CENTER)
        .zip(number(&object, tags::WINDOW_WIDTH))
        .filter(|(_, width)| *width > 0.0)
        .map(|(center, width)| [center as f32, width as f32]);
    let syntax = object.meta().transfer_syntax().trim_end_matches('\0').to_owned();
    Ok(Slice {
        path: path.to_owned(),
        series: text(&object, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        rows,
        columns,
        place,
        spacing_mm: [between_columns, between_rows],
        thickness_mm: number(&object, tags::SPACING_BETWEEN_SLICES)
            .or(number(&object, tags::SLICE_THICKNESS))
            .filter(|t| *t > 0.0),
        window_hu,
        syntax: syntax_name(&syntax),
    })
}

/// The name of a transfer syntax, for people.
fn syntax_name(uid: &str) -> String {
    let name = match uid {
        "1.2.840.10008.1.2" | "1.2.840.10008.1.2.1" => "uncompressed",
        "1.2.840.10008.1.2.1.99" => "deflated",
        "1.2.840.10008.1.2.2" => "uncompressed, big-endian",
        "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" => "JPEG",
        "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => "JPEG lossless",
        "1.2.840.10008.1.2.4.80" => "JPEG-LS lossless",
        "1.2.840.10008.1.2.4.81" => "JPEG-LS near-lossless",
        "1.2.840.10008.1.2.4.90" => "JPEG 2000 lossless",
        "1.2.840.10008.1.2.4.91" => "JPEG 2000",
        "1.2.840.10008.1.2.5" => "RLE",
        other => return format!("transfer syntax {other}"),
    };
    name.to_owned()
}

/// The pixels in HU, columns fastest. Padding becomes air.
pub(super) fn pixels(slice: &Slice) -> Result<Vec<f32>, String> {
    guarded(|| {
        let mut object = dicom_object::open_file(&slice.path).map_err(|_foreign| "not a DICOM file".to_owned())?;
        let stored = number(&object, tags::BITS_STORED).unwrap_or(0.0) as u16;
        if !(1..=16).contains(&stored) {
            return Err(format!("BitsStored {stored}, where CT has 1 to 16"));
        }
        if object.get(tags::HIGH_BIT).is_none() {
            // Real files lack it; the decoder insists. The standard leaves one choice for CT: PS3.5, 8.1.1.
            object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(stored - 1)));
        }
        let slope = number(&object, tags::RESCALE_SLOPE).filter(|s| *s != 0.0).unwrap_or(1.0);
        let intercept = number(&object, tags::RESCALE_INTERCEPT).unwrap_or(0.0);
        let signed = number(&object, tags::PIXEL_REPRESENTATION) == Some(1.0);
        let extend = |raw: u16| sign_extended(raw, stored, signed);
        let padding =
            object.get(tags::PIXEL_PADDING_VALUE).and_then(|e| e.to_int::<i32>().ok()).map(|p| extend(p as u16));

        let decoded = object.decode_pixel_data().map_err(|e| format!("its pixels cannot be decoded ({e})"))?;
        let count = slice.rows * slice.columns;
        let raw: Vec<u16> = match decoded.bits_allocated() {
            8 => decoded.data().iter().map(|b| u16::from(*b)).collect(),
            16 => decoded.data().as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect(),
            other => return Err(format!("BitsAllocated {other}, where CT has 8 or 16")),
        };
        if raw.len() < count {
            return Err(format!("{} pixels, {count} expected: the file is cut", raw.len()));
        }
        let hu = |value: i32| (f64::from(value) * slope + intercept) as f32;
        // A lossy syntax changes padding a little: what is nearer to it than to air is padding there.
        let lossy = ["near-lossless", "JPEG 2000", "JPEG"].iter().any(|end| slice.syntax.ends_with(end));
        let blank = padding.map(|value| (value, hu(value)));
        let is_padding = |value: i32| {
            blank
                .is_some_and(|(exact, blank_hu)| value == exact || lossy && hu(value) < f32::midpoint(blank_hu, AIR_HU))
        };
        let hu = |raw: u16| {
            let value = extend(raw);
            if is_padding(value) { AIR_HU } else { hu(value) }
        };
        Ok(raw[..count].iter().map(|raw| hu(*raw)).collect())
    })?
}

/// A stored number of `bits`, whose highest is its sign where it is signed.
fn sign_extended(raw: u16, bits: u16, signed: bool) -> i32 {
    let unused = 16 - u32::from(bits);
    if signed { i32::from((raw << unused).cast_signed() >> unused) } else { i32::from(raw << unused >> unused) }
}

/// Runs a parser that may panic on hostile bytes.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| "the file is damaged beyond reading".to_owned())
}

#[cfg(test)]
mod tests {
    use super::sign_extended;

    #[test]
    fn twelve_bit_numbers_take_their_sign_from_their_own_highest_bit() {
        assert_eq!(sign_extended(0x0fff, 12, true), -1);
        assert_eq!(sign_extended(0x0fff, 12, false), 4095);
        assert_eq!(sign_extended(0xf800, 16, true), -2048);
        assert_eq!(sign_extended(0xf7ff, 12, true), 2047);
    }
}
