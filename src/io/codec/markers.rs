//! Walks the marker segments that JPEG (ITU T.81, annex B) and JPEG-LS (ITU T.87, annex C) begin with.

/// Marker codes, the byte after 0xFF.
pub(super) const SOI: u8 = 0xD8;
pub(super) const EOI: u8 = 0xD9;
pub(super) const SOS: u8 = 0xDA;
pub(super) const DHT: u8 = 0xC4;
pub(super) const DRI: u8 = 0xDD;

/// One marker segment with the bytes after its length.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) body: &'a [u8],
    /// Where the bytes after the segment begin in the stream.
    pub(super) end: usize,
}

/// Reads the marker segments between SOI and the first SOS, that one included and last.
pub(super) fn header_segments(bytes: &[u8]) -> Result<Vec<Segment<'_>>, String> {
    if bytes.get(..2) != Some(&[0xFF, SOI]) {
        return Err(format!(
            "the stream does not begin with the marker FF D8 but with {:02X?}",
            bytes.get(..2).unwrap_or(bytes)
        ));
    }
    let mut segments = Vec::new();
    let mut at = 2;
    loop {
        let (marker, after) = marker_at(bytes, at)?;
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            return Err(format!("the marker FF {marker:02X} stands at byte {at}, before the image"));
        }
        let cut = || {
            format!(
                "the segment of marker FF {marker:02X} at byte {at} is longer than the stream of {} bytes",
                bytes.len()
            )
        };
        let length = usize::from(be16(bytes, after).ok_or_else(cut)?);
        let end = after + length;
        let body = bytes.get(after + 2..end).ok_or_else(cut)?;
        segments.push(Segment { marker, body, end });
        if marker == SOS {
            return Ok(segments);
        }
        at = end;
    }
}

/// The marker at `at`, past any fill bytes 0xFF, and where its bytes end.
pub(super) fn marker_at(bytes: &[u8], at: usize) -> Result<(u8, usize), String> {
    let none = || format!("no marker stands at byte {at} of {}", bytes.len());
    let rest = bytes.get(at..).ok_or_else(none)?;
    let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
    match rest.get(fill) {
        Some(&marker) if fill > 0 && marker != 0 => Ok((marker, at + fill + 1)),
        _ => Err(none()),
    }
}

/// The frame header (T.81 B.2.2) of `body`: the image's size, and the first component's identifier.
pub(super) fn frame_header(body: &[u8]) -> Result<(super::Size, u8), String> {
    let short = || format!("the frame header has {} bytes, too few", body.len());
    let &[precision, y1, y0, x1, x0, components, ref rest @ ..] = body else {
        return Err(short());
    };
    let &[id, _, _, ..] = rest else { return Err(short()) };
    if rest.len() != 3 * usize::from(components) {
        return Err(format!("the frame header says {components} components but has {} bytes for them", rest.len()));
    }
    let rows = usize::from(u16::from_be_bytes([y1, y0]));
    if rows == 0 {
        return Err("the frame header leaves the number of rows to a later marker (DNL), which is not read".into());
    }
    let columns = usize::from(u16::from_be_bytes([x1, x0]));
    Ok((super::Size { rows, columns, components: usize::from(components), precision: u16::from(precision) }, id))
}

/// The unsigned 16-bit number at `at`, high byte first.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    bytes.get(at..end).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}
