//! The pixels of a slice in HU.

use super::Refused;
use super::rescale::{Padding, Rescale, sign_extended};
use super::slice::Slice;
use super::stored::{Numbers, Stored};
use super::syntax::Packing;
use crate::io::AIR_HU;
use crate::io::codec::{self, Codec, Layout};
use crate::job::quietly;

/// Below this, f32 holds the sum of a whole number and one of 16 bits as it is.
const MOST_WHOLE: f64 = 1e6;

/// A slice's pixels, with what was found on the way.
#[derive(Debug, Default, PartialEq)]
pub(in crate::io) struct Decoded {
    /// Columns fastest.
    pub(in crate::io) hu: Vec<f32>,
    /// How many were padding, and became air.
    pub(in crate::io) padded: usize,
    /// How many have the value of padding that lies among the patient's own, and stayed.
    pub(in crate::io) kept: usize,
    /// How many hold more bits than BitsStored says.
    pub(in crate::io) overfull: usize,
    /// Whether the stream was compressed with loss, whatever the transfer syntax says.
    pub(in crate::io) lossy: bool,
}

/// Decodes a slice.
pub(in crate::io) fn decode(slice: &Slice) -> Result<Decoded, Refused> {
    guarded(|| {
        let stored = &*slice.stored;
        let bytes = stored.frame(slice.frame)?;
        let count = stored.rows * stored.columns;
        let mut decoded = match (stored.numbers, stored.bits_allocated) {
            (Numbers::Whole, 8 | 16) => words(slice, bytes)?,
            _ if stored.syntax.packing == Packing::Plain => numbers(slice, &bytes),
            _ => return Err(Refused::Unsuitable(format!("compressed pixels of {} bits", stored.bits_allocated))),
        };
        if decoded.hu.len() < count {
            return Err(Refused::Damaged(format!("{} pixels, {count} expected", decoded.hu.len())));
        }
        decoded.hu.truncate(count);
        Ok(decoded)
    })?
}

/// Numbers of 8 or 16 bits.
fn words(slice: &Slice, bytes: Vec<u8>) -> Result<Decoded, Refused> {
    let stored = &*slice.stored;
    let (raw, lossy) = unpacked(stored, bytes)?;
    let (bits, signed) = (stored.bits_used, stored.signed);
    let (overfull, value) = meaning(stored, &raw, &slice.padding);
    let mut decoded = Decoded { overfull, lossy: lossy || slice.stored.syntax.is_lossy(), ..Decoded::default() };
    match value {
        None => rescaled(slice, &mut decoded, &raw, |raw| sign_extended(raw, bits, signed)),
        Some(value) => rescaled(slice, &mut decoded, &raw, value),
    }
    Ok(decoded)
}

/// Makes HU of words, each of which means a `value`. Inlined for each meaning, so that the CPU's vectors do the usual one.
#[inline]
fn rescaled(slice: &Slice, decoded: &mut Decoded, raw: &[u16], value: impl Fn(u16) -> i32) {
    decoded.hu = match &slice.rescale {
        Rescale::Linear { slope, intercept }
            if *slope == 1.0 && intercept.fract() == 0.0 && intercept.abs() < MOST_WHOLE =>
        {
            let intercept = *intercept as i32;
            raw.iter().map(|raw| (value(*raw) + intercept) as f32).collect()
        }
        rescale => raw.iter().map(|raw| rescale.hu(i64::from(value(*raw)))).collect(),
    };
    pad(slice, decoded, |index| f64::from(value(raw[index])));
}

/// How many of the stored words hold more bits than BitsStored says, and what words mean; `None` where all mean their stored
/// bits alone. A scanner that stores metal beyond its
/// 12 bits means what it stores, and padding may lie beyond them; where the bits above those stored are an overlay's, they mean
/// nothing.
fn meaning<'a>(stored: &Stored, raw: &[u16], padding: &'a Padding) -> (usize, Option<impl Fn(u16) -> i32 + use<'a>>) {
    let (bits, allocated, signed) = (stored.bits_used, stored.bits_allocated, stored.signed);
    let sign = 1_u16 << (bits - 1);
    let ones = if bits >= allocated { 0 } else { (u16::MAX >> (16 - allocated)) >> bits };
    let above = move |raw: u16| if bits >= 16 { 0 } else { raw >> bits };
    let is_negative = move |raw: u16| signed && raw & sign != 0;
    // Negative numbers come with their sign in all bits, or in none above those stored: one file does one or the other.
    let filled = raw.iter().any(|raw| is_negative(*raw) && above(*raw) == ones);
    let fits = move |raw: u16| match above(raw) {
        0 => !is_negative(raw) || !filled || ones == 0,
        bits_above => is_negative(raw) && bits_above == ones,
    };
    let is_padding = move |raw: u16| padding.holds(sign_extended(raw, allocated, signed).into());
    let (mut overfull, mut padded) = (0, false);
    if ones != 0 && !stored.has_overlay_bits {
        for raw in raw.iter().filter(|raw| !fits(**raw)) {
            let pads = is_padding(*raw);
            padded |= pads;
            overfull += usize::from(!pads);
        }
    }
    let value = move |raw: u16| match overfull {
        _ if padded && !fits(raw) && is_padding(raw) => sign_extended(raw, allocated, signed),
        0 => sign_extended(raw, bits, signed),
        _ if !filled && above(raw) == 0 => sign_extended(raw, bits, signed),
        _ => sign_extended(raw, allocated, signed),
    };
    (overfull, (overfull > 0 || padded).then_some(value))
}

/// The words of a frame, unpacked; and whether they lost something on the way.
fn unpacked(stored: &Stored, bytes: Vec<u8>) -> Result<(Vec<u16>, bool), Refused> {
    let codec = match stored.syntax.packing {
        Packing::Plain if stored.bits_allocated == 8 => return Ok((bytes.into_iter().map(u16::from).collect(), false)),
        Packing::Plain => {
            let pairs = bytes.as_chunks().0.iter();
            let words = if stored.big_endian {
                pairs.map(|pair| u16::from_be_bytes(*pair)).collect()
            } else {
                pairs.map(|pair| u16::from_le_bytes(*pair)).collect()
            };
            return Ok((words, false));
        }
        Packing::Rle => Codec::Rle,
        Packing::Jpeg => Codec::Jpeg,
        Packing::JpegLs => Codec::JpegLs,
        Packing::Jpeg2000 => Codec::Jpeg2000,
    };
    let layout = Layout {
        rows: stored.rows,
        columns: stored.columns,
        bits_allocated: stored.bits_allocated,
        bits_stored: stored.bits_used,
        signed: stored.signed,
    };
    let frame = codec::decode(codec, &bytes, &layout)
        .map_err(|what| Refused::Damaged(format!("its pixels cannot be decoded: {what}")))?;
    Ok((frame.samples, frame.lossy))
}

/// Numbers of 32 bits, and floating-point ones, which no compressed syntax holds.
fn numbers(slice: &Slice, bytes: &[u8]) -> Decoded {
    let stored = &*slice.stored;
    macro_rules! read {
        ($kind:ty) => {
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|chunk| match stored.big_endian {
                    true => <$kind>::from_be_bytes(*chunk) as f64,
                    false => <$kind>::from_le_bytes(*chunk) as f64,
                })
                .collect()
        };
    }
    let values: Vec<f64> = match (stored.numbers, stored.signed) {
        (Numbers::Float64, _) => read!(f64),
        (Numbers::Float32, _) => read!(f32),
        (Numbers::Whole, true) => read!(i32),
        (Numbers::Whole, false) => read!(u32),
    };
    let hu = |value: &f64| match &slice.rescale {
        Rescale::Linear { slope, intercept } => (value * slope + intercept) as f32,
        table @ Rescale::Table(_) => table.hu(*value as i64),
    };
    let mut decoded = Decoded { hu: values.iter().map(hu).collect(), ..Decoded::default() };
    pad(slice, &mut decoded, |index| values[index]);
    decoded
}

/// Makes padding air, and counts what has its value and stays.
fn pad(slice: &Slice, decoded: &mut Decoded, value: impl Fn(usize) -> f64) {
    let lossy = decoded.lossy;
    match &slice.padding {
        Padding::None => {}
        Padding::Kept(padding_hu) => {
            decoded.kept = decoded.hu.iter().filter(|hu| **hu == *padding_hu as f32).count();
        }
        padding @ Padding::Air(range) => {
            let padding_hu = match &slice.rescale {
                Rescale::Linear { slope, intercept } => (range.start() * slope + intercept) as f32,
                table @ Rescale::Table(_) => table.hu(*range.start() as i64),
            };
            for (index, hu) in decoded.hu.iter_mut().enumerate() {
                if padding.is_air(value(index), *hu, padding_hu, lossy) {
                    *hu = AIR_HU;
                    decoded.padded += 1;
                }
            }
        }
    }
}

/// Runs a decoder that may panic on hostile bytes.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Refused> {
    quietly(work).map_err(|_panicked| Refused::Damaged("it is beyond reading".to_owned()))
}
