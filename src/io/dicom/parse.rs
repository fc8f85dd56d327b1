//! Bytes to a DICOM data set, up to its pixels: as tolerant as GDCM and pydicom are of how elements are written, and strict
//! about lengths: one that reaches beyond the file is an error at once, before anything is read by it.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::dataset::{Dataset, Element, Value, name_of, vr_of};
use crate::io::counted;

/// Sequences within sequences (PS3.5 sets no limit; files have up to six).
const DEEPEST: usize = 32;
/// More elements than any file has before its pixels: an enhanced CT of 4000 frames has half a million.
const MOST_ELEMENTS: usize = 4_000_000;
const UNDEFINED: u32 = u32::MAX;

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
/// Zeros behind the data set, and DataSetTrailingPadding (PS3.10, 7.2).
const PADDING: [Tag; 2] = [Tag(0, 0), Tag(0xfffc, 0xfffc)];

/// Why parsing stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes at hand are too few; more of the file are needed.
    More,
    Damaged(String),
    Unsuitable(String),
}

/// A data set with the place of its pixels.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) data: Dataset,
    /// None where the data set ends without pixels.
    pub(super) pixels: Option<Pixels>,
}

/// Where pixels lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels {
    pub(super) tag: Tag,
    pub(super) vr: VR,
    /// Of their first byte, from the beginning of the bytes that were parsed.
    pub(super) offset: u64,
    /// In bytes; none where they come in fragments.
    pub(super) length: Option<u64>,
}

/// Parses the file meta information: elements of group 2, which are explicit and little-endian, whatever length the group
/// claims. Gives them and the place behind them.
pub(super) fn meta(bytes: &[u8], at: usize, total: u64) -> Result<(Dataset, usize), Stop> {
    let mut walk = Walk { bytes, total, end: total, at, explicit: true, big_endian: false, elements: 0 };
    let mut meta = Dataset::default();
    while walk.left() >= 8 && walk.peek_tag()?.group() == 2 {
        let (tag, element) = walk.element(0)?;
        meta.insert(tag, element);
    }
    Ok((meta, walk.at))
}

/// Parses a data set from `at` on, up to its pixels or its end. `bytes` are the first of `total`.
pub(super) fn dataset(bytes: &[u8], at: usize, total: u64, big_endian: bool) -> Result<Parsed, Stop> {
    let mut walk = Walk { bytes, total, end: total, at, explicit: false, big_endian, elements: 0 };
    walk.explicit = walk.looks_explicit()?;
    let mut data = Dataset::new(big_endian);
    while walk.left() >= 8 {
        let tag = walk.peek_tag()?;
        if PADDING.contains(&tag) {
            break;
        }
        if [ITEM_END, SEQUENCE_END].contains(&tag) {
            walk.at += 8; // the end of nothing: some programs leave it
            continue;
        }
        if [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA].contains(&tag) {
            let (vr, length) = walk.head(tag)?;
            let offset = walk.at as u64;
            let length = (length != UNDEFINED).then_some(u64::from(length));
            return Ok(Parsed { data, pixels: Some(Pixels { tag, vr, offset, length }) });
        }
        let (tag, element) = walk.element(0)?;
        data.insert(tag, element);
    }
    Ok(Parsed { data, pixels: None })
}

/// The elements behind the pixels that belong before them, as PS3.5, 7.1, orders them: known ones of lower tags. Whatever else is
/// there, padding or signatures or remains of something else, ends them.
pub(super) fn behind_pixels(bytes: &[u8], big_endian: bool) -> Vec<(Tag, Element)> {
    let total = bytes.len() as u64;
    let mut walk = Walk { bytes, total, end: total, at: 0, explicit: false, big_endian, elements: 0 };
    walk.explicit = walk.looks_explicit().unwrap_or(false);
    let mut found = Vec::new();
    while walk.left() >= 8
        && let Ok(tag) = walk.peek_tag()
        && tag.group() >= 8
        && tag < tags::PIXEL_DATA
        && vr_of(tag).is_some()
        && let Ok(element) = walk.element(0)
    {
        found.push(element);
    }
    found
}

struct Walk<'a> {
    bytes: &'a [u8],
    /// How many bytes the whole file has.
    total: u64,
    /// Where the innermost item or sequence ends that says so, or the file.
    end: u64,
    at: usize,
    explicit: bool,
    big_endian: bool,
    elements: usize,
}

impl<'a> Walk<'a> {
    /// Bytes of the file, or of the item, that are still to come.
    fn left(&self) -> u64 {
        self.end.saturating_sub(self.at as u64)
    }

    /// Does `work` on the next `length` bytes of `of` alone, or up to a delimiter where no length is said, and goes behind them.
    fn within<T>(&mut self, length: u32, of: Tag, work: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if length == UNDEFINED {
            return work(self);
        }
        let outside = self.end;
        let end = self.at + length as usize; // `head` has checked that it is there
        if end > self.bytes.len() {
            return Err(Stop::More);
        }
        self.end = end as u64;
        let done = work(self)?;
        // Fewer bytes than an element has: zeros fill up, others are the beginning of what lies behind.
        let rest = self.bytes.get(self.at..end).filter(|rest| rest.len() < 8).unwrap_or_default();
        if rest.iter().any(|byte| *byte != 0) {
            let (rest, of) = (counted(rest.len(), "byte"), name_of(of));
            return Err(Stop::Damaged(format!("{of} claims {length} bytes, and {rest} at their end are no element")));
        }
        (self.end, self.at) = (outside, end);
        Ok(done)
    }

    fn peek(&self, offset: usize, count: usize) -> Result<&'a [u8], Stop> {
        let start = self.at.saturating_add(offset);
        let end = start.saturating_add(count);
        match self.bytes.get(start..end) {
            Some(bytes) => Ok(bytes),
            None if end as u64 <= self.total => Err(Stop::More),
            None => Err(Stop::Damaged("it ends within an element".to_owned())),
        }
    }

    fn u16(&self, offset: usize) -> Result<u16, Stop> {
        let bytes = self.peek(offset, 2)?;
        let pair = [bytes[0], bytes[1]];
        Ok(if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    }

    fn u32(&self, offset: usize) -> Result<u32, Stop> {
        let bytes = self.peek(offset, 4)?;
        let four = [bytes[0], bytes[1], bytes[2], bytes[3]];
        Ok(if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    fn peek_tag(&self) -> Result<Tag, Stop> {
        Ok(Tag(self.u16(0)?, self.u16(2)?))
    }

    /// Whether the first element here names its VR. A data set is asked, not the file meta information: files lie.
    fn looks_explicit(&self) -> Result<bool, Stop> {
        if self.left() < 8 {
            return Ok(self.explicit);
        }
        let vr = self.peek(4, 2)?;
        Ok(VR::from_binary([vr[0], vr[1]]).is_some())
    }

    /// Reads tag, VR and length of an element; gives the last two.
    fn head(&mut self, tag: Tag) -> Result<(VR, u32), Stop> {
        let implicit = |walk: &Self| Ok((vr_of(tag).unwrap_or(VR::UN), walk.u32(4)?, 8));
        let (vr, length, size) = if !self.explicit || tag.group() == 0xfffe {
            implicit(self)?
        } else {
            let letters = self.peek(4, 2)?;
            let letters = [letters[0], letters[1]];
            let known = VR::from_binary(letters);
            let reserved = self.u16(6)?;
            match known {
                // A reserved field that is not 0 is a length: some programs forget the long form.
                Some(vr) if is_long(vr) && reserved == 0 => (vr, self.u32(8)?, 12),
                Some(vr) => (vr, u32::from(reserved), 8),
                None if letters.iter().all(u8::is_ascii_uppercase) && reserved == 0 => (VR::UN, self.u32(8)?, 12),
                None if letters.iter().all(u8::is_ascii_uppercase) => (VR::UN, u32::from(reserved), 8),
                None => self.without_vr(tag)?,
            }
        };
        let room = self.left().saturating_sub(size);
        if length != UNDEFINED && u64::from(length) > room {
            let what = format!("{} claims {length} bytes, and {room} are left", name_of(tag));
            return Err(Stop::Damaged(what));
        }
        self.at += size as usize;
        Ok((vr, length))
    }

    /// An element of an explicit data set whose VR is missing, or blank.
    fn without_vr(&self, tag: Tag) -> Result<(VR, u32, u64), Stop> {
        let vr = vr_of(tag).unwrap_or(VR::UN);
        let (whole, half) = (self.u32(4)?, self.u16(6)?);
        let fits = whole == UNDEFINED || u64::from(whole) <= self.left().saturating_sub(8);
        Ok((vr, if fits { whole } else { u32::from(half) }, 8))
    }

    fn element(&mut self, depth: usize) -> Result<(Tag, Element), Stop> {
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(Stop::Damaged(format!("it has more than {MOST_ELEMENTS} elements before its pixels")));
        }
        let tag = self.peek_tag()?;
        let (vr, length) = self.head(tag)?;
        let is_sequence = vr == VR::SQ || vr == VR::UN && vr_of(tag) == Some(VR::SQ);
        let value = match vr {
            // PS3.5, 6.2.2: `UN` of undefined length is a sequence.
            _ if is_sequence || length == UNDEFINED && !matches!(vr, VR::OB | VR::OW) => {
                let open = length == UNDEFINED;
                Value::Items(self.within(length, tag, |walk| walk.items(open, depth + 1, tag))?)
            }
            _ if length == UNDEFINED => self.fragments(tag)?,
            _ => {
                let bytes = self.peek(0, length as usize)?.to_vec();
                self.at += length as usize;
                Value::Bytes(bytes)
            }
        };
        Ok((tag, Element { vr, value }))
    }

    /// Items up to the end, or where they are `open`, up to their delimiter.
    fn items(&mut self, open: bool, depth: usize, of: Tag) -> Result<Vec<Dataset>, Stop> {
        if depth > DEEPEST {
            return Err(Stop::Damaged(format!("sequences are nested deeper than {DEEPEST}, at {}", name_of(of))));
        }
        let mut items = Vec::new();
        while self.goes_on(open, of)? {
            let tag = self.peek_tag()?;
            let (_, length) = self.head(tag)?;
            match tag {
                SEQUENCE_END => return Ok(items),
                ITEM => items.push(self.within(length, of, |walk| walk.item(length == UNDEFINED, depth, of))?),
                // A closed item may be closed once more.
                ITEM_END => {}
                _ => return Err(Stop::Damaged(format!("{} holds what is no item", name_of(of)))),
            }
        }
        Ok(items)
    }

    /// Whether another element follows; an error where a delimiter must.
    fn goes_on(&self, open: bool, of: Tag) -> Result<bool, Stop> {
        match self.left() >= 8 {
            false if open => Err(Stop::Damaged(format!("it ends within {}", name_of(of)))),
            more => Ok(more),
        }
    }

    fn item(&mut self, open: bool, depth: usize, of: Tag) -> Result<Dataset, Stop> {
        let mut item = Dataset::new(self.big_endian);
        let outside = self.explicit;
        if self.left() >= 8 && self.peek_tag()? != ITEM_END {
            self.explicit = self.looks_explicit()?;
        }
        while self.goes_on(open, of)? {
            if self.peek_tag()? == ITEM_END {
                self.at += 8;
                break;
            }
            let (tag, element) = self.element(depth)?;
            item.insert(tag, element);
        }
        self.explicit = outside;
        Ok(item)
    }

    /// Passes over bytes in fragments, which no header needs.
    fn fragments(&mut self, of: Tag) -> Result<Value, Stop> {
        loop {
            if self.left() < 8 {
                return Err(Stop::Damaged(format!("it ends within {}", name_of(of))));
            }
            let tag = self.peek_tag()?;
            let (_, length) = self.head(tag)?;
            match tag {
                SEQUENCE_END => return Ok(Value::Bytes(Vec::new())),
                ITEM if length != UNDEFINED => {
                    self.peek(0, length as usize)?;
                    self.at += length as usize;
                }
                _ => return Err(Stop::Damaged(format!("{} holds what is no fragment", name_of(of)))),
            }
        }
    }
}

/// Whether the length of an explicit element has 32 bits behind two reserved bytes (PS3.5, table 7.1-1).
fn is_long(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    [OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV].contains(&vr)
}
