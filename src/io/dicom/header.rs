//! Reads a DICOM file up to its pixels: with or without preamble and file meta information, explicit or implicit, of either
//! byte order, deflated or not, as its bytes show and not only as its transfer syntax claims.

use std::io::{self, Read};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use flate2::read::DeflateDecoder;

use super::Refused;
use super::dataset::{Dataset, Element};
use super::parse::{self, Parsed, Pixels, Stop};
use super::syntax::Syntax;
use crate::io::source::Source;

/// So much of a file is read at first, and then more, until its pixels begin.
const READ_BYTES: [u64; 4] = [1 << 14, 1 << 18, 1 << 23, 1 << 28];
/// So much of what stands behind the pixels is looked at.
const TAIL_BYTES: u64 = 1 << 16;
const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";
/// The transfer syntax whose data set is deflated (PS3.5, A.5).
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// A DICOM file without its pixels.
#[derive(Debug)]
pub(in crate::io) struct Header {
    pub(in crate::io) data: Dataset,
    pub(super) syntax: Syntax,
    pub(super) pixels: Option<Pixels>,
    /// Where the deflated part of the file begins. Places of pixels count from there, inflated.
    pub(super) deflated_from: Option<u64>,
}

/// Whether a file begins as one that says it is DICOM.
pub(in crate::io) fn has_magic(head: &[u8]) -> bool {
    head.get(PREAMBLE..).is_some_and(|rest| rest.starts_with(MAGIC)) || head.starts_with(MAGIC)
}

/// Reads a file up to its pixels, or to its end where it has none.
pub(in crate::io) fn read(source: &Source) -> Result<Header, Refused> {
    let unread = |error: io::Error| Refused::Unsuitable(format!("it cannot be read ({error})"));
    let length = source.len().map_err(unread)?;
    for count in READ_BYTES {
        let bytes = source.head(count).map_err(unread)?;
        match read_from(&bytes, length, source) {
            Ok(header) => return Ok(header),
            Err(Stop::More) if has_magic(&bytes) || looks_bare(&bytes) => {}
            Err(Stop::Damaged(what)) if has_magic(&bytes) => return Err(Refused::Damaged(what)),
            Err(Stop::Unsuitable(what)) => return Err(Refused::Unsuitable(what)),
            Err(_) => return Err(Refused::Foreign),
        }
    }
    Err(Refused::Damaged("more than 256 MB stand before its pixels".to_owned()))
}

/// The file meta information, the data set up to its pixels as far as it can be read, and where that begins. The syntax of its pixels
/// does not matter.
pub(in crate::io) fn beginning(source: &Source) -> Result<(Dataset, Dataset, u64), Refused> {
    let unread = |error: io::Error| Refused::Unsuitable(format!("it cannot be read ({error})"));
    let length = source.len().map_err(unread)?;
    for count in READ_BYTES {
        let bytes = source.head(count).map_err(unread)?;
        if !bytes.get(PREAMBLE..).is_some_and(|rest| rest.starts_with(MAGIC)) {
            return Err(Refused::Foreign);
        }
        let read = || -> Result<(Dataset, Dataset, u64), Stop> {
            let (meta, behind) = parse::meta(&bytes, PREAMBLE + MAGIC.len(), length)?;
            let is_deflated = meta.text(tags::TRANSFER_SYNTAX_UID).is_some_and(|uid| uid == DEFLATED);
            let parsed = if is_deflated {
                deflated(source, behind as u64)?
            } else {
                parse::dataset(&bytes, behind, length, is_big_endian(&bytes, behind))?
            };
            Ok((meta, parsed.data, behind as u64))
        };
        match read() {
            Err(Stop::More) => {}
            Err(Stop::Damaged(what)) => return Err(Refused::Damaged(what)),
            Err(Stop::Unsuitable(what)) => return Err(Refused::Unsuitable(what)),
            Ok(read) => return Ok(read),
        }
    }
    Err(Refused::Damaged("more than 256 MB stand before its pixels".to_owned()))
}

/// A data set without pixels or a command, whole in memory.
pub(in crate::io) fn message(bytes: &[u8]) -> Option<Dataset> {
    // The length of a command's group stands first, in an element that is taken for padding elsewhere (PS3.7, 9.3).
    let at = if bytes.starts_with(&[0, 0, 0, 0, 4, 0, 0, 0]) { 12 } else { 0 };
    parse::dataset(bytes, at, bytes.len() as u64, false).ok().map(|parsed| parsed.data) // no answer is what it is
}

/// Whether bytes begin as a data set does that has neither preamble nor magic: with an element of group 2 or 8.
fn looks_bare(bytes: &[u8]) -> bool {
    let group = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
    bytes.len() >= 8 && (matches!(group(bytes), 2 | 8) || bytes[..2] == [0, 8])
}

fn read_from(bytes: &[u8], length: u64, source: &Source) -> Result<Header, Stop> {
    let start = if bytes.get(PREAMBLE..).is_some_and(|rest| rest.starts_with(MAGIC)) {
        PREAMBLE + MAGIC.len()
    } else if bytes.starts_with(MAGIC) {
        MAGIC.len()
    } else if looks_bare(bytes) {
        0
    } else {
        return Err(Stop::Damaged("no DICOM file".to_owned()));
    };
    let (meta, behind) = parse::meta(bytes, start, length)?;
    let uid = meta.text(tags::TRANSFER_SYNTAX_UID).unwrap_or_default();
    let Some(syntax) = Syntax::of(&uid) else {
        let shown: String = uid.chars().take(64).flat_map(char::escape_default).collect();
        return Err(Stop::Unsuitable(format!(
            "transfer syntax {shown}, which is not decoded here; convert it to an uncompressed one"
        )));
    };
    let deflated_from = syntax.is_deflated.then_some(behind as u64);
    let parsed = match deflated_from {
        Some(from) => deflated(source, from)?,
        None => parse::dataset(bytes, behind, length, is_big_endian(bytes, behind))?,
    };
    let mut parsed = parsed;
    if let (None, Some(Pixels { offset, length: Some(pixels), .. })) = (deflated_from, parsed.pixels) {
        let end = offset.saturating_add(pixels);
        for (tag, element) in tail(source, end, length, is_big_endian(bytes, behind)) {
            if !parsed.data.has(tag) {
                parsed.data.insert(tag, element);
            }
        }
    }
    let is_image = [tags::SOP_CLASS_UID, tags::ROWS, tags::MODALITY].into_iter().any(|tag| parsed.data.has(tag));
    if start == 0 && !is_image {
        return Err(Stop::Damaged("no DICOM file".to_owned()));
    }
    Ok(Header { data: parsed.data, syntax, pixels: parsed.pixels, deflated_from })
}

/// What stands behind the pixels and belongs before them, of a file of so many bytes; as pydicom reads it.
fn tail(source: &Source, from: u64, length: u64, big_endian: bool) -> Vec<(Tag, Element)> {
    let count = length.saturating_sub(from).min(TAIL_BYTES);
    if count < 8 {
        return Vec::new();
    }
    let mut bytes = vec![0; count as usize];
    match source.load().and_then(|loaded| loaded.read_exact_at(&mut bytes, from)) {
        Ok(()) => parse::behind_pixels(&bytes, big_endian),
        Err(_) => Vec::new(), // the pixels say what is wrong with the file
    }
}

/// Whether the first group makes sense only from its other end: groups of a data set begin with 8.
fn is_big_endian(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 2).is_some_and(|pair| pair[0] == 0 && pair[1] != 0)
}

/// Parses what was deflated, inflating no more than is needed.
fn deflated(source: &Source, from: u64) -> Result<Parsed, Stop> {
    let damaged = |error: io::Error| Stop::Damaged(format!("its deflated part cannot be inflated ({error})"));
    for count in READ_BYTES {
        let mut bytes = Vec::new();
        inflate(source, from).map_err(damaged)?.take(count).read_to_end(&mut bytes).map_err(damaged)?;
        let total = if (bytes.len() as u64) < count { bytes.len() as u64 } else { u64::MAX };
        match parse::dataset(&bytes, 0, total, false) {
            Err(Stop::More) => {}
            done => return done,
        }
    }
    Err(Stop::Damaged("more than 256 MB stand before its pixels".to_owned()))
}

/// The inflated bytes behind the file meta information.
pub(super) fn inflate(source: &Source, from: u64) -> io::Result<impl Read> {
    let mut packed = source.reader()?;
    io::copy(&mut packed.by_ref().take(from), &mut io::sink())?;
    Ok(DeflateDecoder::new(packed))
}

/// The tag of the extended offset table, which is `BasicOffsetTable` with 64 bits.
pub(super) const EXTENDED_OFFSET_TABLE: Tag = Tag(0x7fe0, 0x0001);
