//! How stored numbers become HU: slope and intercept, or a table (PS3.3, C.11.1); and which of them are padding (C.7.5.1.1.2).

use std::ops::RangeInclusive;
use std::sync::Arc;

use dicom_dictionary_std::tags;

use super::Refused;
use super::dataset::Dataset;
use super::stored::{Numbers, Stored};
use crate::io::{AIR_HU, Note};

/// What tissue, bone, contrast medium and the lungs have, HU. Padding with such a value cannot be told from the patient.
const BODY_HU: RangeInclusive<f64> = -990.0..=3071.0;

/// A table that gives no number below this gives no air, which every CT shows: its numbers are not HU, whatever it says.
const NO_AIR_HU: f32 = -500.0;

/// How stored numbers become HU.
#[derive(Debug, Clone)]
pub(super) enum Rescale {
    Linear { slope: f64, intercept: f64 },
    Table(Arc<Table>),
}

/// A modality lookup table.
#[derive(Debug)]
pub(super) struct Table {
    /// The stored number that the first value belongs to.
    first: i64,
    values: Vec<f32>,
}

impl Rescale {
    /// Of one frame; what a reader should know of it goes into `notes`.
    pub(super) fn of(data: &Dataset, stored: &Stored, notes: &mut Vec<Note>) -> Result<Self, Refused> {
        let (slope, intercept) = (data.number(tags::RESCALE_SLOPE)?, data.number(tags::RESCALE_INTERCEPT)?);
        if let Some(item) = data.items(tags::MODALITY_LUT_SEQUENCE).first() {
            if slope.is_some() || intercept.is_some() {
                return Err(Refused::Unsuitable(
                    "both a ModalityLUTSequence and a RescaleSlope: only one can be right".to_owned(),
                ));
            }
            let kind = item.text(tags::MODALITY_LUT_TYPE).unwrap_or_default();
            said_unit("ModalityLUTType", &kind, notes);
            notes.push(Note::fact("stored numbers became Hounsfield units by the files' ModalityLUTSequence"));
            return Table::of(item, stored).map(|table| Self::Table(Arc::new(table)));
        }
        if slope == Some(0.0) {
            return Err(Refused::Unsuitable("RescaleSlope is 0, which makes all voxels one number".to_owned()));
        }
        if let Some(slope) = slope.filter(|slope| *slope < 0.0) {
            let what =
                format!("RescaleSlope is {slope}, a negative number: what is dense looks thin where it is wrong");
            notes.push(Note::serious(what));
        }
        let missing = match (slope, intercept) {
            (None, None) => Some(
                "neither RescaleSlope nor RescaleIntercept: stored numbers are taken to be Hounsfield units, which they may not be",
            ),
            (None, Some(_)) => Some("no RescaleSlope: 1 is assumed"),
            (Some(_), None) => Some("no RescaleIntercept: 0 is assumed; air may not be -1000 HU"),
            (Some(_), Some(_)) => None,
        };
        notes.extend(missing.map(|what| Note::serious(format!("the files have {what}"))));
        said_unit("RescaleType", &data.text(tags::RESCALE_TYPE).unwrap_or_default(), notes);
        Ok(Self::Linear { slope: slope.unwrap_or(1.0), intercept: intercept.unwrap_or(0.0) })
    }

    #[inline]
    pub(super) fn hu(&self, value: i64) -> f32 {
        match self {
            Self::Linear { slope, intercept } => (value as f64 * slope + intercept) as f32,
            Self::Table(table) => table.hu(value),
        }
    }
}

/// Says where the files do not call their numbers Hounsfield units. Many call them nothing.
fn said_unit(tag: &str, unit: &str, notes: &mut Vec<Note>) {
    let shown: String = unit.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(16).collect();
    if !shown.is_empty() && shown != "HU" {
        notes.push(Note::serious(format!(
            "{tag} is {shown}, not HU: the numbers may not be Hounsfield units as networks know them"
        )));
    }
}

impl Table {
    fn of(item: &Dataset, stored: &Stored) -> Result<Self, Refused> {
        let unsuitable = |what: &str| Refused::Unsuitable(format!("ModalityLUTSequence: {what}"));
        if stored.numbers != Numbers::Whole {
            return Err(unsuitable("a table for pixels that are no whole numbers"));
        }
        let [count, first, bits] =
            item.exactly::<3>(tags::LUT_DESCRIPTOR)?.ok_or_else(|| unsuitable("LUTDescriptor is missing"))?;
        let count = if count == 0.0 { 1 << 16 } else { count as u16 as usize };
        // The first number mapped has the sign of the pixels, whatever VR says it.
        let first = if stored.signed { i64::from(first as i64 as u16 as i16) } else { i64::from(first as i64 as u16) };
        let data = item.bytes(tags::LUT_DATA).ok_or_else(|| unsuitable("LUTData is missing"))?;
        let word = |pair: &[u8; 2]| if item.big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let words: Vec<u16> = if bits == 8.0 && data.len() < count * 2 {
            data.iter().map(|byte| u16::from(*byte)).take(count).collect()
        } else {
            data.as_chunks().0.iter().map(word).take(count).collect()
        };
        if words.len() < count {
            return Err(unsuitable(&format!("LUTData has {} values, LUTDescriptor says {count}", words.len())));
        }
        // Hounsfield units are signed, which the table's own type has no word for.
        let values: Vec<f32> = words.into_iter().map(|word| f32::from(word.cast_signed())).collect();
        let least = values.iter().copied().fold(f32::INFINITY, f32::min);
        if least > NO_AIR_HU {
            let what = format!("its least value is {least}, and air is -1000 HU: its numbers are not Hounsfield units");
            return Err(unsuitable(&what));
        }
        Ok(Self { first, values })
    }

    /// Numbers outside the table take its nearest value (PS3.3, C.11.1.1).
    fn hu(&self, value: i64) -> f32 {
        let index = (value - self.first).clamp(0, self.values.len() as i64 - 1);
        self.values[index as usize]
    }
}

/// Which stored numbers are padding.
#[derive(Debug, Clone)]
pub(in crate::io) enum Padding {
    None,
    /// These become air.
    Air(RangeInclusive<f64>),
    /// These lie among the patient's own numbers, and stay.
    Kept(f64),
}

impl Padding {
    pub(super) fn of(data: &Dataset, stored: &Stored, rescale: &Rescale) -> Result<Self, Refused> {
        let (value, limit) = match stored.numbers {
            Numbers::Whole => (tags::PIXEL_PADDING_VALUE, tags::PIXEL_PADDING_RANGE_LIMIT),
            Numbers::Float32 => (tags::FLOAT_PIXEL_PADDING_VALUE, tags::FLOAT_PIXEL_PADDING_RANGE_LIMIT),
            Numbers::Float64 => (tags::DOUBLE_FLOAT_PIXEL_PADDING_VALUE, tags::DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT),
        };
        let as_pixel = |number: f64| match stored.numbers {
            Numbers::Whole if stored.bits_allocated <= 16 => {
                let word = number as i64 as u16;
                let bits = if fits(word, stored) { stored.bits_used } else { stored.bits_allocated };
                sign_extended(word, bits, stored.signed) as f64
            }
            _ => number,
        };
        let Some(value) = data.number(value)?.map(as_pixel) else { return Ok(Self::None) };
        let limit = data.number(limit)?.map_or(value, as_pixel);
        let (least, most) = (value.min(limit), value.max(limit));
        let hu = |number: f64| match rescale {
            Rescale::Linear { slope, intercept } => number * slope + intercept,
            Rescale::Table(table) => f64::from(table.hu(number as i64)),
        };
        let (a, b) = (hu(least), hu(most));
        let touches_the_body = a.min(b) <= *BODY_HU.end() && a.max(b) >= *BODY_HU.start();
        Ok(if touches_the_body { Self::Kept(hu(value)) } else { Self::Air(least..=most) })
    }

    /// Whether the numbers that become air hold this one, stored.
    pub(super) fn holds(&self, value: f64) -> bool {
        matches!(self, Self::Air(range) if range.contains(&value))
    }

    /// Whether a number, stored and in HU, becomes air. A lossy syntax changes padding a little: where it lies below air, as on
    /// every scanner's round field of view, what is nearer to it than to air is padding too.
    #[inline]
    pub(super) fn is_air(&self, value: f64, hu: f32, padding_hu: f32, lossy: bool) -> bool {
        match self {
            Self::Air(range) => {
                range.contains(&value) || lossy && padding_hu < AIR_HU && hu < f32::midpoint(padding_hu, AIR_HU)
            }
            _ => false,
        }
    }
}

/// Whether a word holds no more bits than BitsStored says: above them lie zeros, or the sign of a negative number. Scanners pad
/// with words that do.
fn fits(word: u16, stored: &Stored) -> bool {
    let (bits, allocated) = (stored.bits_used, stored.bits_allocated);
    let word = word & u16::MAX >> (16 - allocated);
    let whole = sign_extended(word, allocated, stored.signed);
    bits >= allocated || word >> bits == 0 || sign_extended(word, bits, stored.signed) == whole
}

/// A stored number of `bits`, whose highest is its sign where it is signed.
pub(super) fn sign_extended(raw: u16, bits: u16, signed: bool) -> i32 {
    let unused = 16 - u32::from(bits.clamp(1, 16));
    if signed { i32::from((raw << unused).cast_signed() >> unused) } else { i32::from(raw << unused >> unused) }
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
