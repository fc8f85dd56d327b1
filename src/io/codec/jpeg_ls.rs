//! Reads JPEG-LS (ITU T.87), lossless and near-lossless, by CharLS.

use charls::CharLS;

use super::markers::{EOI, SOS, frame_header, header_segments};
use super::{Frame, Layout, check_size};

/// The frame header of JPEG-LS (T.87 C.2.2).
const SOF55: u8 = 0xF7;

/// JPEG-LS preset parameters (T.87 C.2.4.1).
const LSE: u8 = 0xF8;

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Frame, String> {
    let (precision, near) = check(bytes, layout)?;
    // CharLS 2.4.5 counts 2^31 bits down, for seconds, where a scan ends without any marker: `fill_read_cache` compares `valid_bits_` with 0
    // for equality there, but for `<=` before a marker. A stream that is whole is not changed by a second end marker.
    let mut closed = Vec::with_capacity(bytes.len() + 2);
    closed.extend_from_slice(bytes);
    closed.extend_from_slice(&[0xFF, EOI]);
    let unpacked = CharLS::default().decode(&closed).map_err(|error| format!("JPEG-LS: {error}"))?;
    let samples = if precision <= 8 {
        unpacked.into_iter().map(u16::from).collect()
    } else {
        unpacked.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect()
    };
    Ok(Frame { samples, lossy: near > 0, precision })
}

/// Precision and NEAR, where the stream's header fits the DICOM header.
fn check(bytes: &[u8], layout: &Layout) -> Result<(u16, u8), String> {
    let segments = header_segments(bytes).map_err(|why| format!("JPEG-LS: {why}"))?;
    let mut frames = segments.iter().filter(|segment| matches!(segment.marker, SOF55 | 0xC0..=0xC3 | 0xC5..=0xCF));
    let frame = frames.next().ok_or("JPEG-LS: no frame header (SOF55) stands before the image")?;
    if frame.marker != SOF55 || frames.next().is_some() {
        return Err("JPEG-LS: the stream has another frame header than one SOF55".into());
    }
    if let Some(preset) = segments.iter().find(|segment| segment.marker == LSE && segment.body.first() != Some(&1)) {
        let kind = preset.body.first().copied().unwrap_or(0);
        return Err(format!(
            "JPEG-LS: parameters of type {kind} (a palette, or an image beyond 65535) are not read; only type 1 is"
        ));
    }
    let (size, _) = frame_header(frame.body).map_err(|why| format!("JPEG-LS: {why}"))?;
    check_size("the JPEG-LS frame header", size, layout)?;
    if size.precision < 2 {
        return Err(format!("the JPEG-LS frame header says {} bits per sample; 2 to 16 are read", size.precision));
    }
    // T.87 C.2.3: 1 component, its number and table, NEAR, interleaving, point transform.
    match segments.last().map(|scan| (scan.marker, scan.body)) {
        Some((SOS, &[1, _, 0, near, 0, 0])) => Ok((size.precision, near)),
        _ => Err("JPEG-LS: the scan is not one gray component without palette and point transform".into()),
    }
}
