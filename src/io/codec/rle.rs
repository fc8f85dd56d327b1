//! Reads RLE Lossless (PS3.5 annex G): each byte of a sample in a segment of its own, the highest byte first, packed by PackBits.

use super::{Frame, Layout};

/// Bytes of the RLE header: the number of segments and 15 offsets, 32 bits each (PS3.5 G.5).
const HEADER_BYTES: usize = 64;

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Frame, String> {
    let wanted = usize::from(layout.bits_allocated / 8);
    let mut samples: Vec<u16> = Vec::new();
    for (index, segment) in segments(bytes, wanted)?.into_iter().enumerate() {
        let plane =
            unpack(segment, layout.rows * layout.columns).map_err(|why| format!("RLE segment {} {why}", index + 1))?;
        if index == 0 {
            samples = plane.into_iter().map(u16::from).collect();
        } else {
            samples.iter_mut().zip(plane).for_each(|(sample, low)| *sample = *sample << 8 | u16::from(low));
        }
    }
    Ok(Frame { samples, lossy: false, precision: layout.bits_allocated })
}

/// The packed bytes of each segment, where the header has `wanted` segments at rising offsets within the frame.
fn segments(bytes: &[u8], wanted: usize) -> Result<Vec<&[u8]>, String> {
    let header = bytes
        .get(..HEADER_BYTES)
        .ok_or_else(|| format!("the RLE frame has {} bytes, less than its header of {HEADER_BYTES}", bytes.len()))?;
    let mut words =
        header.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize);
    let count = words.next().unwrap_or(0);
    if count != wanted {
        return Err(format!(
            "the RLE header says {count} segments; a gray frame with BitsAllocated {} has {wanted}",
            8 * wanted
        ));
    }
    let mut bounds: Vec<usize> = words.take(wanted).collect();
    bounds.push(bytes.len());
    if bounds[0] < HEADER_BYTES || bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(format!(
            "the RLE header's offsets {:?} do not rise from {HEADER_BYTES} within {} bytes",
            &bounds[..wanted],
            bytes.len()
        ));
    }
    Ok(bounds.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect())
}

/// Unpacks exactly `pixels` bytes (PS3.5 G.3.2).
///
/// A last run may overshoot by one byte where it repeats a byte or ends in zero, which pads an odd row to an even length.
fn unpack(mut packed: &[u8], pixels: usize) -> Result<Vec<u8>, String> {
    if pixels.div_ceil(64) > packed.len() {
        return Err(format!("has {} bytes, too few for {pixels} pixels", packed.len()));
    }
    let cut = |got: usize| format!("ends after {got} of {pixels} pixels");
    let mut plane = Vec::with_capacity(pixels + 128);
    while plane.len() < pixels {
        let (&control, rest) = packed.split_first().ok_or_else(|| cut(plane.len()))?;
        packed = match control {
            0..=127 => {
                let (run, rest) = rest.split_at_checked(usize::from(control) + 1).ok_or_else(|| cut(plane.len()))?;
                plane.extend_from_slice(run);
                rest
            }
            128 => rest,
            129..=255 => {
                let (&value, rest) = rest.split_first().ok_or_else(|| cut(plane.len()))?;
                plane.resize(plane.len() + 257 - usize::from(control), value);
                rest
            }
        };
    }
    if plane.len() > pixels + 1 || (plane.len() > pixels && pixels.is_multiple_of(2)) {
        return Err(format!("unpacks to {} pixels, more than {pixels}", plane.len()));
    }
    plane.truncate(pixels);
    // What follows may be one byte of padding to an even length, or control bytes that do nothing.
    if packed.len() > 1 && packed.iter().any(|&byte| byte != 128 && byte != 0) {
        return Err(format!("has {} bytes left after its {pixels} pixels", packed.len()));
    }
    Ok(plane)
}
