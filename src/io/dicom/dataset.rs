//! A DICOM data set in memory, without its pixels. Values are read as the dictionary knows their tags, whatever the file says
//! of them; what is there and cannot be read is an error that names the tag and the value.

use std::collections::BTreeMap;

use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use super::Refused;

/// An unreadable value is quoted up to this many characters.
const QUOTED: usize = 40;

/// Elements by tag.
#[derive(Debug, Clone, Default)]
pub(in crate::io) struct Dataset {
    elements: BTreeMap<Tag, Element>,
    pub(super) big_endian: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Element {
    /// As the file says; `UN` where it says none that is known.
    pub(super) vr: VR,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Bytes(Vec<u8>),
    Items(Vec<Dataset>),
}

/// What the dictionary calls a tag; "(0029,1010)" where it knows none.
pub(in crate::io) fn name_of(tag: Tag) -> String {
    StandardDataDictionary
        .by_tag(tag)
        .filter(|_| tag.group().is_multiple_of(2))
        .map_or_else(|| tag.to_string(), |entry| entry.alias.to_owned())
}

/// The dictionary's VR of a tag; none of a private one. Where it hangs on the pixels' sign, that of unsigned ones.
pub(super) fn vr_of(tag: Tag) -> Option<VR> {
    match StandardDataDictionary.by_tag(tag).filter(|_| tag.group().is_multiple_of(2))?.vr {
        VirtualVr::Exact(vr) => Some(vr),
        VirtualVr::Xs => Some(VR::US),
        _ => Some(VR::OW),
    }
}

impl Dataset {
    pub(super) fn new(big_endian: bool) -> Self {
        Self { elements: BTreeMap::new(), big_endian }
    }

    pub(super) fn insert(&mut self, tag: Tag, element: Element) {
        self.elements.insert(tag, element);
    }

    /// Whether the tag is there with a value.
    pub(in crate::io) fn has(&self, tag: Tag) -> bool {
        self.bytes(tag).is_some_and(|bytes| bytes.iter().any(|byte| !matches!(byte, 0 | b' ')))
            || !self.items(tag).is_empty()
    }

    /// The bytes of a value as they are; none where it is absent or a sequence.
    pub(in crate::io) fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match &self.elements.get(&tag)?.value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(_) => None,
        }
    }

    /// The items of a sequence; none where it is absent.
    pub(in crate::io) fn items(&self, tag: Tag) -> &[Self] {
        match self.elements.get(&tag).map(|element| &element.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// Takes the elements of another data set in, in place of those that are there.
    pub(super) fn overlay(&mut self, other: &Self) {
        self.elements.extend(other.elements.iter().map(|(tag, element)| (*tag, element.clone())));
    }

    /// The first items of all sequences that are not private: what those hold means what their maker alone knows.
    pub(super) fn first_items(&self) -> impl Iterator<Item = &Self> {
        let standard = self.elements.iter().filter(|(tag, _)| tag.group().is_multiple_of(2));
        standard.filter_map(|(_, element)| match &element.value {
            Value::Items(items) => items.first(),
            Value::Bytes(_) => None,
        })
    }

    pub(super) fn without(mut self, tag: Tag) -> Self {
        self.elements.remove(&tag);
        self
    }

    /// The value as text, without the spaces and zeros around it; none where it is absent or empty.
    pub(in crate::io) fn text(&self, tag: Tag) -> Option<String> {
        let bytes = self.bytes(tag)?;
        let named = self.bytes(tags::SPECIFIC_CHARACTER_SET).map(String::from_utf8_lossy);
        let named = named.as_deref().map(|set| set.trim_matches(is_blank)).filter(|set| !set.is_empty());
        let decoded = match named.map(SpecificCharacterSet::from_code) {
            Some(Some(set)) => set.decode(bytes).ok(), // bytes that are none of its characters: as UTF-8
            _ => None,
        };
        let text = decoded.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
        let text = text.trim_matches(is_blank);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The value as slices are told apart by it: text as it is, but numbers in one way, however they are written; none where it
    /// is absent or empty. Two exporters round differently: numbers count to the fourth decimal.
    pub(super) fn compared(&self, tag: Tag) -> Option<String> {
        let element = self.elements.get(&tag)?;
        let written = |number: f64| if number.fract() == 0.0 { number.to_string() } else { format!("{number:.4}") };
        match (self.binary(tag, element.vr), &element.value) {
            (Some(vr), Value::Bytes(bytes)) => {
                let numbers = self.unpacked(bytes, vr)?.into_iter().map(written).collect::<Vec<_>>();
                (!numbers.is_empty()).then(|| numbers.join("\\"))
            }
            _ => self.text(tag).map(|said| match said.parse::<f64>() {
                Ok(number) if said.contains(['.', 'e', 'E']) => format!("{number:.4}"),
                _ => said,
            }),
        }
    }

    /// All numbers of a value; none where it is absent or empty. Empty ones at its end count as a slip of the pen.
    pub(in crate::io) fn numbers(&self, tag: Tag) -> Result<Option<Vec<f64>>, Refused> {
        let Some(element) = self.elements.get(&tag) else { return Ok(None) };
        let Value::Bytes(bytes) = &element.value else {
            return Err(Refused::Unsuitable(format!("{} is a sequence, where numbers belong", name_of(tag))));
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let unreadable = || {
            let quoted: String =
                String::from_utf8_lossy(bytes).chars().take(QUOTED).flat_map(char::escape_default).collect();
            Refused::Unsuitable(format!("{} is \"{quoted}\", which cannot be read as numbers", name_of(tag)))
        };
        let numbers = match self.binary(tag, element.vr) {
            Some(vr) => self.unpacked(bytes, vr).ok_or_else(unreadable)?,
            None => written(bytes).ok_or_else(unreadable)?,
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(unreadable());
        }
        Ok((!numbers.is_empty()).then_some(numbers))
    }

    /// The one number of a value, or the first where all are equal; none where it is absent or empty.
    pub(in crate::io) fn number(&self, tag: Tag) -> Result<Option<f64>, Refused> {
        let Some(numbers) = self.numbers(tag)? else { return Ok(None) };
        // A number of 16 bits, written with 32 where no VR says so.
        let is_widened = !self.big_endian && vr_of(tag) == Some(VR::US) && self.bytes(tag).map(<[u8]>::len) == Some(4);
        if let ([number, 0.0], true) = (numbers.as_slice(), is_widened) {
            return Ok(Some(*number));
        }
        if numbers.iter().any(|number| *number != numbers[0]) {
            return Err(Refused::Unsuitable(format!(
                "{} is {}, where one number belongs",
                name_of(tag),
                joined(&numbers)
            )));
        }
        Ok(Some(numbers[0]))
    }

    /// As many numbers as the tag must have; none where it is absent or empty.
    pub(in crate::io) fn exactly<const N: usize>(&self, tag: Tag) -> Result<Option<[f64; N]>, Refused> {
        let Some(numbers) = self.numbers(tag)? else { return Ok(None) };
        <[f64; N]>::try_from(numbers).map(Some).map_err(|numbers| {
            Refused::Unsuitable(format!("{} is {}, where {N} numbers belong", name_of(tag), joined(&numbers)))
        })
    }

    /// How the numbers of a value are stored, where not as text. The file is believed where it names a kind of number, the
    /// dictionary where the file names none.
    fn binary(&self, tag: Tag, said: VR) -> Option<VR> {
        let is_binary = |vr: VR| {
            matches!(vr, VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD | VR::OF | VR::OD)
        };
        if is_binary(said) {
            return Some(said);
        }
        let virtual_vr = StandardDataDictionary.by_tag(tag)?.vr;
        let known = match virtual_vr {
            VirtualVr::Xs if self.is_signed() => VR::SS,
            VirtualVr::Exact(vr) => vr,
            _ => VR::US,
        };
        // Text in place of a binary number shows in its VR.
        (is_binary(known) && matches!(said, VR::UN | VR::OB | VR::OW)).then_some(known)
    }

    fn is_signed(&self) -> bool {
        matches!(self.bytes(tags::PIXEL_REPRESENTATION), Some([low, high, ..]) if u16::from(*low) | u16::from(*high) == 1)
    }

    /// Numbers of a fixed size; `None` where bytes are left.
    fn unpacked(&self, bytes: &[u8], vr: VR) -> Option<Vec<f64>> {
        macro_rules! read {
            ($kind:ty) => {{
                let (chunks, rest) = bytes.as_chunks();
                let one = |chunk: &[u8; size_of::<$kind>()]| match self.big_endian {
                    true => <$kind>::from_be_bytes(*chunk) as f64,
                    false => <$kind>::from_le_bytes(*chunk) as f64,
                };
                rest.is_empty().then(|| chunks.iter().map(one).collect())
            }};
        }
        match vr {
            VR::US => read!(u16),
            VR::SS => read!(i16),
            VR::UL => read!(u32),
            VR::SL => read!(i32),
            VR::UV => read!(u64),
            VR::SV => read!(i64),
            VR::FL | VR::OF => read!(f32),
            _ => read!(f64),
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\0'
}

fn joined(numbers: &[f64]) -> String {
    numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\\")
}

/// Decimal strings with backslashes between them; `None` where one is no number. What stands behind a zero byte is a
/// program's leftover.
fn written(bytes: &[u8]) -> Option<Vec<f64>> {
    let text = String::from_utf8_lossy(bytes);
    let mut parts: Vec<&str> = text.split('\\').map(before_zero).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts.into_iter().map(decimal).collect()
}

fn before_zero(part: &str) -> &str {
    let part = part.trim_matches(is_blank);
    part.split('\0').next().unwrap_or_default().trim_matches(is_blank)
}

/// A decimal string (PS3.5, 6.2), or one with a comma for its point, as some countries write it. "1,024" may mean either.
fn decimal(text: &str) -> Option<f64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b',' | b'e' | b'E')) {
        return None;
    }
    let Some((whole, fraction)) = text.split_once(',') else { return text.parse().ok() };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let may_be_thousands = digits == 3 && !matches!(whole.trim_start_matches(['+', '-']), "0" | "");
    if whole.contains('.') || fraction.contains([',', '.']) || may_be_thousands {
        return None;
    }
    format!("{whole}.{fraction}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Dataset, Element, Value, tags, written};
    use dicom_core::VR;

    fn with(vr: VR, bytes: &[u8]) -> Dataset {
        let mut dataset = Dataset::default();
        dataset.insert(tags::RESCALE_INTERCEPT, Element { vr, value: Value::Bytes(bytes.to_vec()) });
        dataset
    }

    #[test]
    fn decimal_strings_are_read_as_sloppy_programs_write_them_and_what_is_ambiguous_is_not() {
        for (text, numbers) in [
            ("-1024", vec![-1024.0]),
            (" -1.024e3 \0", vec![-1024.0]),
            ("-1024,0", vec![-1024.0]),
            ("0,977\\0,977", vec![0.977, 0.977]),
            ("-30\\-25\\-100\\", vec![-30.0, -25.0, -100.0]),
            ("1.5\0\0\\2.5\0junk", vec![1.5, 2.5]),
        ] {
            assert_eq!(written(text.as_bytes()), Some(numbers), "{text:?}");
        }
        for text in ["1,024", "abc", "1.2.3", "1\\\\3", "nan", "inf", "0x10", "1 2", "--5"] {
            assert_eq!(written(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_value_is_read_as_the_dictionary_knows_its_tag_whatever_vr_the_file_says() {
        for vr in [VR::DS, VR::UN, VR::LO, VR::OB] {
            let number = with(vr, b"-1024 ").number(tags::RESCALE_INTERCEPT).expect("readable");
            assert_eq!(number, Some(-1024.0), "{vr:?}");
        }
        let binary = with(VR::FD, &(-1024.0_f64).to_le_bytes());
        assert_eq!(binary.number(tags::RESCALE_INTERCEPT).expect("readable"), Some(-1024.0));
    }

    #[test]
    fn a_value_that_cannot_be_read_is_refused_by_its_tag_and_never_absent() {
        for bytes in [&b"minus 1024"[..], b"-1\\024", b"1e999", b"\xff\xfe"] {
            let refused = with(VR::DS, bytes).number(tags::RESCALE_INTERCEPT).expect_err("no number");
            assert!(refused.reason().starts_with("RescaleIntercept is "), "{refused:?}");
        }
        assert_eq!(with(VR::DS, b"").number(tags::RESCALE_INTERCEPT).expect("absent"), None);
    }
}
