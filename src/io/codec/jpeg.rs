//! Reads JPEG (ITU T.81): lossless by our own decoder, the cosine transforms of 8 and 12 bits by libjpeg-turbo.

use super::markers::{frame_header, header_segments};
use super::{Frame, Layout, check_size, lossless, turbojpeg};

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Frame, String> {
    let segments = header_segments(bytes).map_err(|why| format!("JPEG: {why}"))?;
    let mut frames = segments.iter().filter(|segment| is_frame_header(segment.marker));
    let frame = frames.next().ok_or("JPEG: no frame header (SOF) stands before the image")?;
    if frames.next().is_some() {
        return Err("JPEG: two frame headers (SOF) stand before the image".into());
    }
    let (size, component) = frame_header(frame.body).map_err(|why| format!("JPEG: {why}"))?;
    check_size("the JPEG frame header", size, layout)?;
    match frame.marker {
        0xC0..=0xC2 => {
            let samples = turbojpeg::decode(bytes, size.rows, size.columns, size.precision)
                .map_err(|why| format!("JPEG: {why}"))?;
            Ok(Frame { samples, lossy: true, precision: size.precision })
        }
        0xC3 => {
            let samples = lossless::decode(bytes, &segments, size, component, layout.signed)
                .map_err(|why| format!("JPEG lossless: {why}"))?;
            Ok(Frame { samples, lossy: false, precision: size.precision })
        }
        process => Err(format!(
            "JPEG: process SOF{} (marker FF {process:02X}) is not read; only SOF0 to SOF3 are",
            process - 0xC0
        )),
    }
}

/// Frame headers are 0xC0 to 0xCF but for DHT, JPG and DAC (T.81 table B.1); 0xF7 is that of JPEG-LS.
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}
