//! The pixels of one DICOM file as they are stored: how they are laid out, and the bytes of each frame.

use std::io::Read;
use std::sync::OnceLock;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::Refused;
use super::dataset::{Dataset, name_of};
use super::fragments::{Fragment, Fragments};
use super::header::{EXTENDED_OFFSET_TABLE, Header, inflate};
use super::parse::Pixels;
use super::syntax::{Packing, Syntax};
use crate::io::Note;
use crate::io::source::{Loaded, Source};

/// What kind of numbers the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    Whole,
    Float32,
    Float64,
}

/// How the pixels of a file are stored.
#[derive(Debug)]
pub(in crate::io) struct Stored {
    pub(in crate::io) source: Source,
    pub(in crate::io) syntax: Syntax,
    pub(in crate::io) rows: usize,
    pub(in crate::io) columns: usize,
    pub(in crate::io) frames: usize,
    pub(super) numbers: Numbers,
    /// Of each number; 8, 16 or 32 of whole ones.
    pub(super) bits_allocated: u16,
    /// Of each whole number, from the lowest on.
    pub(super) bits_used: u16,
    pub(super) signed: bool,
    pub(super) big_endian: bool,
    /// Whether the bits above those stored hold something else: an overlay, as files before 2004 kept it.
    pub(super) has_overlay_bits: bool,
    pixels: Pixels,
    deflated_from: Option<u64>,
    extended_offsets: Option<Vec<u64>>,
    /// The file's bytes, where it holds many frames.
    loaded: OnceLock<Loaded>,
    /// Where the fragments lie, once a frame was read.
    fragments: OnceLock<Fragments>,
}

impl Stored {
    /// Reads how pixels are stored.
    pub(super) fn of(header: &Header, source: &Source) -> Result<Self, Refused> {
        let unsuitable = |what: &str| Err(Refused::Unsuitable(what.to_owned()));
        let data = &header.data;
        let Some(pixels) = header.pixels else { return unsuitable("no image in it (PixelData is missing)") };
        let size = |tag| match data.number(tag)? {
            Some(n) if (1.0..=65535.0).contains(&n) && n.fract() == 0.0 => Ok(n as usize),
            Some(n) => Err(Refused::Unsuitable(format!("{} is {n}", name_of(tag)))),
            None => Err(Refused::Unsuitable(format!("no image in it ({} is missing)", name_of(tag)))),
        };
        let (rows, columns) = (size(tags::ROWS)?, size(tags::COLUMNS)?);
        let photometric = data.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default().to_ascii_uppercase();
        if data.number(tags::SAMPLES_PER_PIXEL)?.is_some_and(|n| n != 1.0)
            || !(photometric.is_empty() || photometric.starts_with("MONOCHROME"))
        {
            let kind: String =
                photometric.chars().filter(|c| c.is_ascii_alphanumeric() || " _".contains(*c)).take(16).collect();
            return Err(Refused::Unsuitable(format!("a colour picture ({kind}), not Hounsfield units")));
        }
        let frames = match data.number(tags::NUMBER_OF_FRAMES)? {
            None => 1,
            Some(n) if (1.0..=65535.0).contains(&n) && n.fract() == 0.0 => n as usize,
            Some(n) => return Err(Refused::Unsuitable(format!("NumberOfFrames is {n}"))),
        };
        let numbers = match pixels.tag {
            tags::FLOAT_PIXEL_DATA => Numbers::Float32,
            tags::DOUBLE_FLOAT_PIXEL_DATA => Numbers::Float64,
            _ => Numbers::Whole,
        };
        let (bits_allocated, bits_stored) = bits(data, numbers)?;
        let signed = match data.number(tags::PIXEL_REPRESENTATION)? {
            Some(1.0) => true,
            Some(0.0) | None => false,
            Some(n) => return Err(Refused::Unsuitable(format!("PixelRepresentation is {n}, which must be 0 or 1"))),
        };
        Ok(Self {
            source: source.clone(),
            syntax: header.syntax,
            rows,
            columns,
            frames,
            numbers,
            bits_allocated,
            bits_used: bits_stored,
            signed,
            big_endian: data.big_endian || header.syntax.big_endian_pixels,
            has_overlay_bits: has_overlay_bits(data),
            pixels,
            deflated_from: header.deflated_from,
            extended_offsets: extended_offsets(data),
            loaded: OnceLock::new(),
            fragments: OnceLock::new(),
        })
    }

    pub(super) fn is_float(&self) -> bool {
        self.numbers != Numbers::Whole
    }

    pub(in crate::io) fn bits_stored(&self) -> u16 {
        self.bits_used
    }

    pub(in crate::io) fn bits_allocated(&self) -> u16 {
        self.bits_allocated
    }

    /// How many bytes a frame has, unpacked.
    pub(super) fn frame_bytes(&self) -> u64 {
        self.rows as u64 * self.columns as u64 * u64::from(self.bits_allocated / 8)
    }

    /// Checks that the file is long enough for its pixels, where they are not packed.
    pub(super) fn check_length(&self) -> Result<(), Refused> {
        let needed = self.frame_bytes() * self.frames as u64;
        match (self.syntax.packing, self.pixels.length) {
            (Packing::Plain, Some(length)) if length < needed => Err(Refused::Damaged(format!(
                "its pixels need {needed} bytes, and {} holds {length}",
                name_of(self.pixels.tag)
            ))),
            (Packing::Plain, None) if self.frames > 1 => {
                Err(Refused::Unsuitable("uncompressed frames in fragments; export them again".to_owned()))
            }
            (Packing::Plain, _) | (_, None) => Ok(()),
            // The syntax says fragments, the pixels say otherwise: nothing tells which of both is wrong.
            (_, Some(_)) => Err(Refused::Damaged(format!(
                "its transfer syntax is {}, but its pixels are not in fragments",
                self.syntax.name
            ))),
        }
    }

    /// Whether bytes lie in big-endian words (PS3.5, 8.1.1): the second comes first.
    fn is_swapped(&self) -> bool {
        self.big_endian && !self.syntax.big_endian_pixels && self.bits_allocated == 8 && self.pixels.vr == VR::OW
    }

    /// What to say where a whole frame more lies behind those that the header declares.
    pub(super) fn surplus(&self) -> Option<Note> {
        let needed = self.frame_bytes() * self.frames as u64;
        let held = self.pixels.length.filter(|held| *held >= needed + self.frame_bytes())?;
        Some(Note::serious(format!(
            "{} holds {held} bytes, and Rows, Columns, BitsAllocated and NumberOfFrames ask for {needed}: one of them may be wrong, and what lies behind is left out",
            name_of(self.pixels.tag)
        )))
    }

    /// The bytes of one frame, as packed as the syntax says.
    pub(super) fn frame(&self, frame: usize) -> Result<Vec<u8>, Refused> {
        let damaged = |error: std::io::Error| Refused::Damaged(format!("its pixels cannot be read ({error})"));
        let size = self.frame_bytes();
        if let Some(from) = self.deflated_from {
            let skip = self.pixels.offset + size * frame as u64;
            let mut bytes = Vec::new();
            let mut inflated = inflate(&self.source, from).map_err(damaged)?;
            std::io::copy(&mut inflated.by_ref().take(skip), &mut std::io::sink()).map_err(damaged)?;
            inflated.take(size).read_to_end(&mut bytes).map_err(damaged)?;
            return Ok(bytes);
        }
        let loaded = self.loaded()?;
        if self.syntax.packing == Packing::Plain && self.pixels.length.is_some() {
            let start = size * frame as u64;
            // `check_length` has seen that the file has as many; a byte more on either side where words are read.
            let (from, to) = if self.is_swapped() {
                (start & !1, (start + size).next_multiple_of(2))
            } else {
                (start, start + size)
            };
            let mut bytes = vec![0; (to - from) as usize];
            loaded.read_exact_at(&mut bytes, self.pixels.offset + from).map_err(damaged)?;
            if self.is_swapped() {
                bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|word| word.reverse());
                bytes.drain(..(start - from) as usize);
                bytes.truncate(size as usize);
            }
            return Ok(bytes);
        }
        let fragments = self.fragments_of(frame, &loaded)?;
        let mut bytes = vec![0; fragments.iter().map(|place| place.length as usize).sum()];
        let mut rest = bytes.as_mut_slice();
        for Fragment { offset, length } in fragments {
            let (now, later) = rest.split_at_mut(length as usize);
            loaded.read_exact_at(now, offset).map_err(damaged)?;
            rest = later;
        }
        // An odd number of bytes is padded to an even one.
        if self.syntax.packing == Packing::Plain && !(size..=size + 1).contains(&(bytes.len() as u64)) {
            return Err(Refused::Damaged(format!(
                "its transfer syntax is {}, but its pixels are {} bytes in fragments, where {size} belong: they are compressed in a way that the file does not name",
                self.syntax.name,
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    /// The file's bytes: kept for the next frame where there is one.
    fn loaded(&self) -> Result<Loaded, Refused> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded.clone());
        }
        let unread = |error| Refused::Unsuitable(format!("it cannot be read ({error})"));
        let loaded = self.source.load().map_err(unread)?;
        Ok(if self.frames > 1 { self.loaded.get_or_init(|| loaded).clone() } else { loaded })
    }

    /// Where the fragments of a frame lie.
    fn fragments_of(&self, frame: usize, loaded: &Loaded) -> Result<Vec<Fragment>, Refused> {
        if let Some(known) = self.fragments.get() {
            return Ok(known.of(frame).to_vec());
        }
        let found = Fragments::read(loaded, self.pixels.offset, self.file_bytes()?)?;
        let found = found.divided(self.frames, self.extended_offsets.as_deref(), loaded)?;
        let found = self.fragments.get_or_init(|| found);
        Ok(found.of(frame).to_vec())
    }

    fn file_bytes(&self) -> Result<u64, Refused> {
        self.source.len().map_err(|error| Refused::Unsuitable(format!("it cannot be read ({error})")))
    }
}

fn extended_offsets(data: &Dataset) -> Option<Vec<u64>> {
    let table = data.bytes(EXTENDED_OFFSET_TABLE)?;
    Some(table.as_chunks().0.iter().map(|eight| u64::from_le_bytes(*eight)).collect())
}

/// BitsAllocated and BitsStored, in a way that CT has.
fn bits(data: &Dataset, numbers: Numbers) -> Result<(u16, u16), Refused> {
    let unsuitable = |what: String| Err(Refused::Unsuitable(what));
    let allocated = data.number(tags::BITS_ALLOCATED)?;
    match numbers {
        Numbers::Float32 => return Ok((32, 32)),
        Numbers::Float64 => return Ok((64, 64)),
        Numbers::Whole => {}
    }
    let allocated = match allocated {
        Some(bits @ (8.0 | 16.0 | 32.0)) => bits,
        Some(bits) => return unsuitable(format!("BitsAllocated {bits}, where CT has 8, 16 or 32")),
        None => return unsuitable("no image in it (BitsAllocated is missing)".to_owned()),
    };
    let stored = data.number(tags::BITS_STORED)?.unwrap_or(allocated);
    if !(1.0..=allocated).contains(&stored) || stored.fract() != 0.0 {
        return unsuitable(format!("BitsStored {stored}, where CT has 1 to {allocated}"));
    }
    // PS3.5, 8.1.1 leaves one choice; the bits of older files may lie higher.
    if let Some(high) = data.number(tags::HIGH_BIT)?.filter(|high| *high != stored - 1.0) {
        let only = stored - 1.0;
        return unsuitable(format!("HighBit {high} with BitsStored {stored}, which must be {only}; export it again"));
    }
    Ok((allocated as u16, stored as u16))
}

/// Whether an overlay lies in the unused bits of pixels: (60xx,0102) says in which.
fn has_overlay_bits(data: &Dataset) -> bool {
    let positions = (0x6000..=0x601e).step_by(2).map(|group| Tag(group, 0x0102));
    positions.into_iter().any(|tag| data.number(tag).is_ok_and(|bit| bit.is_some_and(|bit| bit > 0.0)))
}
