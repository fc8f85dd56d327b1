//! Reads JPEG 2000 (ITU T.800) and high-throughput JPEG 2000 (T.814) by openjp2, OpenJPEG in Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jpeg2k::{DecodeParameters, Image};

use super::packets::Codestream;
use super::{Frame, Layout, check_size};

/// The boxes that a JP2 file begins with (T.800 annex I); DICOM wants the bare codestream, but files have them.
const JP2: [u8; 12] = [0, 0, 0, 12, b'j', b'P', b' ', b' ', 0x0D, 0x0A, 0x87, 0x0A];

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Frame, String> {
    let bytes = if bytes.starts_with(&JP2) { boxed_codestream(bytes)? } else { bytes };
    let check = |size| check_size("the image size (SIZ)", size, layout);
    let stream = Codestream::read(bytes, check).map_err(|why| format!("JPEG 2000: {why}"))?;
    stream.check_cost().map_err(|why| format!("JPEG 2000: {why}"))?;
    let whole = bytes.get(..stream.end).unwrap_or(bytes);
    // openjp2 may panic on a damaged stream. Its buffers are its own, so nothing half-written is seen afterwards.
    let image = catch_unwind(AssertUnwindSafe(|| Image::from_bytes_with(whole, DecodeParameters::new().strict(true))))
        .map_err(|_panic| "JPEG 2000: the stream is damaged".to_string())?
        .map_err(|error| format!("JPEG 2000: {error}"))?;
    let [component] = image.components() else {
        return Err(format!("JPEG 2000: {} components were unpacked where the header says 1", image.num_components()));
    };
    if (component.width() as usize, component.height() as usize) != (layout.columns, layout.rows) {
        return Err(format!("JPEG 2000: {} rows x {} columns were unpacked", component.height(), component.width()));
    }
    let samples = samples(component.data(), &stream, layout)?;
    Ok(Frame { samples, lossy: stream.lossy, precision: stream.size.precision })
}

/// The stored bits of the numbers that were unpacked.
///
/// Where the two headers differ about the sign, the DICOM header is right about it and the stream about the number of bits: pydicom,
/// `_apply_sign_correction`, and GDCM give the numbers that follow. They differ from what BitsStored makes of the same bits where the stream
/// has more bits than BitsStored and uses them; that is refused.
fn samples(values: &[i32], stream: &Codestream, layout: &Layout) -> Result<Vec<u16>, String> {
    let bits_above = 32 - u32::from(stream.size.precision);
    let convert = |value: i32| match (stream.signed, layout.signed) {
        (true, true) | (false, false) => value,
        (false, true) => value << bits_above >> bits_above,
        (true, false) => ((value as u32) << bits_above >> bits_above) as i32,
    };
    if stream.signed != layout.signed && stream.size.precision > layout.bits_stored {
        let bits = u32::from(layout.bits_stored);
        let held = if layout.signed { -(1 << (bits - 1))..1 << (bits - 1) } else { 0..1 << bits };
        if let Some(value) = values.iter().map(|&value| convert(value)).find(|value| !held.contains(value)) {
            let sign = |signed| if signed { "signed" } else { "unsigned" };
            return Err(format!(
                "JPEG 2000: the stream's {} numbers of {} bits and the DICOM header's {} ones of BitsStored {bits} disagree about the pixel value {value}",
                sign(stream.signed),
                stream.size.precision,
                sign(layout.signed)
            ));
        }
    }
    let allocated = u16::MAX >> (16 - layout.bits_allocated);
    Ok(values.iter().map(|&value| convert(value) as u16 & allocated).collect())
}

/// The codestream in a JP2 file: the contents of its box `jp2c` (T.800 I.5.4).
fn boxed_codestream(mut bytes: &[u8]) -> Result<&[u8], String> {
    while let Some((head, body)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let is_codestream = &head[4..] == b"jp2c";
        // A length of 0 reaches to the end; 1 announces one of 64 bits, which no frame needs.
        if length == 0 || length == 1 {
            return if is_codestream && length == 0 {
                Ok(body)
            } else {
                Err("JP2: a box has no length that is read".into())
            };
        }
        let (inside, rest) = length
            .checked_sub(8)
            .and_then(|length| body.split_at_checked(length))
            .ok_or_else(|| format!("JP2: a box of {length} bytes is longer than what is left, {}", bytes.len()))?;
        if is_codestream {
            return Ok(inside);
        }
        bytes = rest;
    }
    Err("JP2: no codestream (box jp2c) is there".into())
}
