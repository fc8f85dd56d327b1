//! Unpacks one frame of compressed DICOM pixels, exactly or not at all.
//!
//! Each decoder first reads the stream's own header and compares it with what the DICOM header says ([`Layout`]), so that memory is taken only for an
//! image that both agree on. A stream that ends early, that a library warns of, or that uses a feature which no decoder here reads exactly is an error in words.
//! The module knows nothing of the rest of the program and takes bytes from anywhere: a stream of 100 kB costs less than a second and about 100 MB.

mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod lossless;
mod markers;
mod packets;
mod rle;
mod turbojpeg;

/// What the DICOM header says of a frame's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows (0028,0010), in pixels.
    pub rows: usize,
    /// Columns (0028,0011), in pixels.
    pub columns: usize,
    /// BitsAllocated (0028,0100): 8 or 16.
    pub bits_allocated: u16,
    /// BitsStored (0028,0101), `1..=bits_allocated`.
    pub bits_stored: u16,
    /// PixelRepresentation (0028,0103) is 1: two's complement.
    pub signed: bool,
}

/// A frame of one sample per pixel, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The bits of each pixel, row by row: the low BitsAllocated bits are as stored, two's complement where the header says so.
    /// Bits above BitsStored are what the stream has there, so the caller extends the sign from BitsStored.
    pub samples: Vec<u16>,
    /// The stream itself says that it lost something: JPEG by cosine transform, JPEG-LS with NEAR above 0, JPEG 2000 by the 9/7 wavelet.
    /// A JPEG 2000 stream by the 5/3 wavelet whose last layers were left out does not say so.
    pub lossy: bool,
    /// Bits per sample that the stream says, `1..=bits_allocated`. BitsStored may differ.
    pub precision: u16,
}

/// The families of transfer syntaxes that pack pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// 1.2.840.10008.1.2.5: runs of bytes, PS3.5 annex G.
    Rle,
    /// 1.2.840.10008.1.2.4.50, .51, .57 and .70: ITU T.81. The stream's frame header tells which process it is.
    Jpeg,
    /// 1.2.840.10008.1.2.4.80 and .81: ITU T.87.
    JpegLs,
    /// 1.2.840.10008.1.2.4.90 to .93 and .201 to .203: ITU T.800 and, for high throughput, T.814.
    Jpeg2000,
}

/// Pixels that a stream of any length may unpack to: 2048 x 2048, four times the largest matrix of common CT.
const SMALL_FRAME_PIXELS: usize = 1 << 22;

/// Pixels of 2 bytes that each byte of a stream may unpack to beyond that: dicom-rs, `COMPRESSION_RATIO_THRESHOLD` of its JPEG 2000 adapter, 64.
const PIXELS_PER_BYTE: usize = 32;

/// Decodes one frame of one sample per pixel from the joined bytes of its fragments.
///
/// The error says what is wrong and with which numbers, without a path.
pub fn decode(codec: Codec, bytes: &[u8], layout: &Layout) -> Result<Frame, String> {
    let pixels = check_layout(layout)?;
    let most = SMALL_FRAME_PIXELS.max(bytes.len().saturating_mul(PIXELS_PER_BYTE));
    if pixels > most {
        return Err(format!(
            "{} rows x {} columns cannot come from a compressed frame of {} bytes; at most {most} pixels are unpacked from it",
            layout.rows,
            layout.columns,
            bytes.len()
        ));
    }
    let frame = match codec {
        Codec::Rle => rle::decode(bytes, layout),
        Codec::Jpeg => jpeg::decode(bytes, layout),
        Codec::JpegLs => jpeg_ls::decode(bytes, layout),
        Codec::Jpeg2000 => jpeg2000::decode(bytes, layout),
    }?;
    if frame.samples.len() == pixels {
        Ok(frame)
    } else {
        Err(format!("the stream has {} pixels where the DICOM header has {pixels}", frame.samples.len()))
    }
}

/// The number of pixels, where the DICOM header describes a frame that can be held.
fn check_layout(layout: &Layout) -> Result<usize, String> {
    let Layout { rows, columns, bits_allocated, bits_stored, .. } = *layout;
    let sides = 1..=usize::from(u16::MAX);
    if !sides.contains(&rows) || !sides.contains(&columns) {
        return Err(format!("Rows is {rows} and Columns is {columns}; both must be 1 to 65535"));
    }
    if bits_allocated != 8 && bits_allocated != 16 {
        return Err(format!("BitsAllocated is {bits_allocated}; a compressed frame has 8 or 16"));
    }
    if bits_stored == 0 || bits_stored > bits_allocated {
        return Err(format!("BitsStored is {bits_stored}; it must be 1 to BitsAllocated, {bits_allocated}"));
    }
    rows.checked_mul(columns).ok_or_else(|| format!("Rows {rows} x Columns {columns} is too large"))
}

/// What a stream's own header says of its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    rows: usize,
    columns: usize,
    components: usize,
    precision: u16,
}

/// Refuses a stream whose own header, called `header`, contradicts the DICOM header.
fn check_size(header: &str, size: Size, layout: &Layout) -> Result<(), String> {
    if size.components != 1 {
        return Err(format!(
            "{header} says {} components per pixel; only gray images of 1 component are read",
            size.components
        ));
    }
    if (size.rows, size.columns) != (layout.rows, layout.columns) {
        return Err(format!(
            "{header} says {} rows x {} columns but the DICOM header says Rows {} x Columns {}",
            size.rows, size.columns, layout.rows, layout.columns
        ));
    }
    if size.precision == 0 || size.precision > layout.bits_allocated {
        return Err(format!(
            "{header} says {} bits per sample but BitsAllocated is {}",
            size.precision, layout.bits_allocated
        ));
    }
    Ok(())
}
