//! Elements of DICOM, short to write: each of the kind that the standard's dictionary gives its tag.

use anyhow::{Context, Result, bail};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

pub(super) type Element = InMemElement;
pub(super) type Object = InMemDicomObject;

/// A decimal string has at most 16 bytes (PS3.5, 6.2).
const DECIMAL_BYTES: usize = 16;
/// The length of a value is a number of 32 bits, whose highest means that the length is not known (PS3.5, 7.1).
const MOST_BYTES: usize = u32::MAX as usize - 1;

/// A concept of a coding scheme: value, scheme, meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code(pub(super) &'static str, pub(super) &'static str, pub(super) &'static str);

fn vr(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

fn element(tag: Tag, value: PrimitiveValue) -> Element {
    DataElement::new(tag, vr(tag), value)
}

pub(super) fn text(tag: Tag, value: impl AsRef<str>) -> Element {
    element(tag, PrimitiveValue::from(value.as_ref()))
}

/// An attribute that must be there and has no value.
pub(super) fn empty(tag: Tag) -> Element {
    element(tag, PrimitiveValue::Empty)
}

pub(super) fn short(tag: Tag, value: u16) -> Element {
    element(tag, PrimitiveValue::from(value))
}

pub(super) fn double(tag: Tag, value: f64) -> Element {
    element(tag, PrimitiveValue::from(value))
}

pub(super) fn longs(tag: Tag, values: Vec<u32>) -> Element {
    element(tag, PrimitiveValue::U32(values.into()))
}

pub(super) fn pointer(tag: Tag, to: Tag) -> Element {
    element(tag, PrimitiveValue::Tags([to].into_iter().collect()))
}

/// Numbers as text, as near as the bytes allow.
pub(super) fn decimals(tag: Tag, values: &[f64]) -> Element {
    text(tag, values.iter().map(|value| decimal(*value)).collect::<Vec<_>>().join("\\"))
}

fn decimal(value: f64) -> String {
    let plain = (value + 0.0).to_string(); // no -0
    if plain.len() <= DECIMAL_BYTES {
        return plain;
    }
    let fits = |text: &String| text.len() <= DECIMAL_BYTES;
    (0..DECIMAL_BYTES)
        .rev()
        .map(|places| format!("{value:.places$}"))
        .find(fits)
        .unwrap_or_else(|| format!("{value:.8e}"))
}

pub(super) fn sequence(tag: Tag, items: Vec<Object>) -> Element {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

pub(super) fn item(tag: Tag, elements: impl IntoIterator<Item = Element>) -> Element {
    sequence(tag, vec![object(elements)])
}

pub(super) fn object(elements: impl IntoIterator<Item = Element>) -> Object {
    Object::from_element_iter(elements)
}

pub(super) fn code(tag: Tag, Code(value, scheme, meaning): Code) -> Element {
    let parts = [
        text(tags::CODE_VALUE, value),
        text(tags::CODING_SCHEME_DESIGNATOR, scheme),
        text(tags::CODE_MEANING, meaning),
    ];
    item(tag, parts)
}

/// How the numbers of an image are stored.
pub(super) struct Stored {
    pub(super) samples: u16,
    pub(super) photometric: &'static str,
    /// Allocated and stored.
    pub(super) bits: u16,
    pub(super) signed: bool,
}

impl Stored {
    pub(super) fn elements(&self, [columns, rows]: [u16; 2]) -> Vec<Element> {
        vec![
            short(tags::SAMPLES_PER_PIXEL, self.samples),
            text(tags::PHOTOMETRIC_INTERPRETATION, self.photometric),
            short(tags::ROWS, rows),
            short(tags::COLUMNS, columns),
            short(tags::BITS_ALLOCATED, self.bits),
            short(tags::BITS_STORED, self.bits),
            short(tags::HIGH_BIT, self.bits - 1),
            short(tags::PIXEL_REPRESENTATION, u16::from(self.signed)),
        ]
    }
}

/// Of bytes an even number (PS3.5, 7.1.1).
pub(super) fn byte_pixels(mut bytes: Vec<u8>) -> Element {
    if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
    DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into()))
}

pub(super) fn word_pixels(words: Vec<i16>) -> Element {
    DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::I16(words.into()))
}

pub(super) fn float_pixels(floats: Vec<f32>) -> Element {
    element(tags::FLOAT_PIXEL_DATA, PrimitiveValue::F32(floats.into()))
}

/// Refuses pixels that no element can hold.
pub(super) fn check_bytes(bytes: usize) -> Result<()> {
    if bytes > MOST_BYTES {
        bail!("{bytes} bytes of pixels, where a DICOM file holds {MOST_BYTES} at most");
    }
    Ok(())
}

/// The object as a file.
pub(super) fn file(object: Object) -> Result<Vec<u8>> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    let file = object.with_meta(meta).context("the header of a DICOM file cannot be made")?;
    file.write_all(&mut bytes).context("a DICOM file cannot be made")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimal_strings_keep_what_sixteen_bytes_can() {
        assert_eq!(decimal(1.5), "1.5");
        assert_eq!(decimal(-0.0), "0");
        for value in [1.0 / 3.0, -123.456_789_012_345_67, 1e-17, -2.0 / 3e9, 98_765.432_109_876_54, 1e300 / 7.0] {
            let text = decimal(value);
            let gap = (text.parse::<f64>().unwrap() - value).abs();
            assert!(text.len() <= 16 && gap <= 1e-8 * value.abs().max(1e-2), "{value} became {text}");
        }
    }
}
