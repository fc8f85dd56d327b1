//! Reads the headers of a JPEG 2000 codestream (ITU T.800, annex A) and counts what a decoder would build from them, before any decoder does.
//!
//! OpenJPEG reserves memory for each tile, precinct and code-block that the headers announce, and leaves tiles that are missing as zeros.
//! Here each tile must be there, each packet must have its byte at least, and features without use in a gray slice are refused by name.

use super::Size;
use super::markers::be16;

/// Marker codes (T.800 table A.2), the byte after 0xFF.
const SIZ: u8 = 0x51;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const QCD: u8 = 0x5C;
const QCC: u8 = 0x5D;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const EOC: u8 = 0xD9;

/// Bytes that a tile-part takes at least: its SOT segment and the SOD marker.
const TILE_PART_BYTES: usize = 14;

/// Bytes that a code-block with coded samples takes at least: its bits in the packet header, for as many passes as cost time (T.800 B.10).
const CODED_BLOCK_BYTES: u64 = 3;

/// Samples in a code-block at most (T.800 A.6.1).
const BLOCK_SAMPLES: u64 = 1 << 12;

/// Samples that a stream of any length may code: 1448 x 1448. Each can cost up to about 90 passes, half a microsecond in all.
const SMALL_STREAM_SAMPLES: u64 = 1 << 21;

/// Samples that each byte of a stream may code beyond that: half a bit for each.
const SAMPLES_PER_BYTE: u64 = 16;

/// Code-blocks that a stream of any length may announce: a 1024 x 1024 image in the smallest blocks, 4 x 4.
const SMALL_STREAM_BLOCKS: u64 = 1 << 16;

/// A codestream whose headers were walked to the end.
pub(super) struct Codestream {
    pub(super) size: Size,
    /// Samples are signed (Ssiz).
    pub(super) signed: bool,
    /// Some tile uses the 9/7 wavelet, which rounds.
    pub(super) lossy: bool,
    /// Bytes up to the end marker, that one included.
    pub(super) end: usize,
    /// For each tile in raster order, its coding style.
    tiles: Vec<Style>,
    grid: Grid,
}

/// The reference grid (T.800 B.2): corners of the image, and the first tile's corner and size; x then y.
#[derive(Clone, Copy)]
struct Grid {
    end: [u64; 2],
    start: [u64; 2],
    tile: [u64; 2],
    tile_start: [u64; 2],
    tiles: [u64; 2],
}

/// Coding style (T.800 A.6.1).
#[derive(Clone)]
struct Style {
    layers: u64,
    levels: u32,
    /// Exponents of a code-block's width and height.
    block: [u32; 2],
    /// Exponents of the precincts' width and height, by resolution; empty for 15.
    precincts: Vec<[u32; 2]>,
    lossy: bool,
}

impl Codestream {
    /// Walks the headers of `bytes`, once `check` finds the image's size right.
    pub(super) fn read(bytes: &[u8], check: impl Fn(Size) -> Result<(), String>) -> Result<Self, String> {
        if bytes.get(..4) != Some(&[0xFF, 0x4F, 0xFF, SIZ]) {
            return Err(format!(
                "the stream does not begin with FF 4F FF 51 but with {:02X?}",
                bytes.get(..4).unwrap_or(bytes)
            ));
        }
        let (_, body, mut at) = segment(bytes, 2)?;
        let (size, signed, grid) = image_size(body)?;
        check(size)?;
        let tiles = tile_count(&grid, bytes.len())?;
        let mut main = None;
        while bytes.get(at..at + 2) != Some(&[0xFF, SOT]) {
            let (marker, body, next) = segment(bytes, at)?;
            read_style(marker, body, &mut main)?;
            at = next;
        }
        let main = main.ok_or("no coding style (COD) stands in the main header")?;
        let mut styles: Vec<Option<Style>> = vec![None; tiles];
        let mut ended = false;
        while at < bytes.len() {
            match bytes.get(at..at + 2) {
                Some([0xFF, SOT]) => at = tile_part(bytes, at, &main, &mut styles)?,
                Some([0xFF, EOC]) => {
                    at += 2;
                    ended = true;
                    break;
                }
                // A padding byte where the end marker was left out.
                _ if bytes[at..].iter().all(|&byte| byte == 0) => break,
                _ => return Err(format!("no tile-part (SOT) and no end (EOC) stands at byte {at}")),
            }
        }
        let end = if ended { at } else { bytes.len() };
        if let Some(missing) = styles.iter().position(Option::is_none) {
            return Err(format!("tile {missing} of {tiles} is missing; the stream is cut"));
        }
        let tiles: Vec<Style> = styles.into_iter().flatten().collect();
        let lossy = tiles.iter().any(|style| style.lossy);
        Ok(Self { size, signed, lossy, end, tiles, grid })
    }

    /// Refuses a stream that announces more packets than it has bytes, since each takes one at least, or far more code-blocks.
    pub(super) fn check_cost(&self) -> Result<(), String> {
        let [mut packets, mut blocks] = [0_u64; 2];
        for (index, style) in (0_u64..).zip(&self.tiles) {
            let (precincts, tile_blocks) = style.count(self.grid.tile_bounds(index));
            packets = packets.saturating_add(precincts.saturating_mul(style.layers));
            blocks = blocks.saturating_add(tile_blocks);
        }
        let bytes = self.end as u64;
        // What no byte codes is blank, and costs little.
        let coded = (bytes / CODED_BLOCK_BYTES * BLOCK_SAMPLES).min((self.size.rows * self.size.columns) as u64);
        if coded > SMALL_STREAM_SAMPLES.max(bytes * SAMPLES_PER_BYTE) {
            let Size { rows, columns, .. } = self.size;
            return Err(format!(
                "{bytes} bytes are too few for an image of {rows} rows x {columns} columns that is not blank"
            ));
        }
        if packets > bytes {
            return Err(format!("the header announces {packets} packets but the stream has {bytes} bytes"));
        }
        let most = SMALL_STREAM_BLOCKS.max(bytes);
        if blocks > most {
            return Err(format!(
                "the header announces {blocks} code-blocks for a stream of {bytes} bytes; at most {most} are read"
            ));
        }
        Ok(())
    }
}

/// The marker at `at`, the bytes after its length, and where the next marker is due.
fn segment(bytes: &[u8], at: usize) -> Result<(u8, &[u8], usize), String> {
    let cut = || format!("the marker segment at byte {at} does not fit {} bytes", bytes.len());
    let Some(&[0xFF, marker]) = bytes.get(at..at + 2) else {
        return Err(format!("no marker stands at byte {at} of {}", bytes.len()));
    };
    let length = usize::from(be16(bytes, at + 2).ok_or_else(cut)?);
    let next = at + 2 + length;
    let body = bytes.get(at + 4..next).ok_or_else(cut)?;
    Ok((marker, body, next))
}

/// Reads SIZ (T.800 A.5.1).
fn image_size(body: &[u8]) -> Result<(Size, bool, Grid), String> {
    let cut = || format!("the image size (SIZ) has {} bytes, too few", body.len());
    let word = |index: usize| -> Result<u64, String> {
        let at = 2 + 4 * index;
        let four = body.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(cut)?;
        Ok(u64::from(u32::from_be_bytes(*four)))
    };
    let pair = |index: usize| -> Result<[u64; 2], String> { Ok([word(index)?, word(index + 1)?]) };
    let [end, start, tile, tile_start] = [pair(0)?, pair(2)?, pair(4)?, pair(6)?];
    let components = usize::from(be16(body, 34).ok_or_else(cut)?);
    let (&depth, &steps) =
        body.get(36).zip(body.get(37..39).and_then(|rest| rest.first_chunk::<2>())).ok_or_else(cut)?;
    if steps != [1, 1] {
        return Err(format!("component 1 is subsampled by {} x {}, which is not read", steps[0], steps[1]));
    }
    for axis in 0..2 {
        let inside = tile_start[axis] <= start[axis] && start[axis] < end[axis] && tile[axis] > 0;
        // OpenJPEG counts in 32 bits with sign; no image of 65535 pixels a side lies farther out.
        if !inside || tile_start[axis].saturating_add(tile[axis]) <= start[axis] || end[axis] > 1 << 24 {
            return Err(format!(
                "the grid of image {}..{} and tiles of {} from {} is not valid",
                start[axis], end[axis], tile[axis], tile_start[axis]
            ));
        }
    }
    let side = |axis: usize| (end[axis] - start[axis]) as usize;
    let size = Size { rows: side(1), columns: side(0), components, precision: u16::from(depth & 0x7F) + 1 };
    let tiles = [0, 1].map(|axis| (end[axis] - tile_start[axis]).div_ceil(tile[axis]));
    Ok((size, depth & 0x80 != 0, Grid { end, start, tile, tile_start, tiles }))
}

/// The number of tiles, where the stream is long enough for all of them.
fn tile_count(grid: &Grid, bytes: usize) -> Result<usize, String> {
    let tiles = grid.tiles[0] * grid.tiles[1];
    let most = bytes / TILE_PART_BYTES;
    usize::try_from(tiles)
        .ok()
        .filter(|&tiles| tiles <= most)
        .ok_or_else(|| format!("the header announces {tiles} tiles; a stream of {bytes} bytes has at most {most}"))
}

/// Walks one tile-part (T.800 A.4.2) from its SOT marker at `at`; returns where the next one is due.
fn tile_part(bytes: &[u8], at: usize, main: &Style, styles: &mut [Option<Style>]) -> Result<usize, String> {
    let (_, body, mut next) = segment(bytes, at)?;
    let &[i1, i0, p3, p2, p1, p0, part, _] = body else {
        return Err(format!(
            "the tile-part header (SOT) at byte {at} has {} bytes after its length, not 8",
            body.len()
        ));
    };
    let index = usize::from(u16::from_be_bytes([i1, i0]));
    let count = styles.len();
    let place = styles
        .get_mut(index)
        .ok_or_else(|| format!("tile {index} is not one of the {count} that the header announces"))?;
    let mut style = Some(place.clone().unwrap_or_else(|| main.clone()));
    while bytes.get(next..next + 2) != Some(&[0xFF, SOD]) {
        let (marker, body, after) = segment(bytes, next)?;
        if matches!(marker, COD | COC) && part != 0 {
            return Err(format!("tile {index} changes its coding style after its first tile-part"));
        }
        read_style(marker, body, &mut style)?;
        next = after;
    }
    *place = style;
    let length = u32::from_be_bytes([p3, p2, p1, p0]) as usize;
    // 0: the tile-part reaches to the end marker (T.800 A.4.2).
    let end = if length == 0 { end_of_data(bytes)? } else { at + length };
    if end < next + 2 || end > bytes.len() {
        return Err(format!(
            "the tile-part at byte {at} has a length of {length} where {} bytes are left; the stream is cut",
            bytes.len() - at
        ));
    }
    Ok(end)
}

/// Where the end marker stands, before at most zeros.
fn end_of_data(bytes: &[u8]) -> Result<usize, String> {
    let data = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    match bytes.get(data.saturating_sub(2)..data) {
        Some([0xFF, EOC]) => Ok(data - 2),
        _ => Err("the end marker (EOC) is missing; the stream is cut".into()),
    }
}

/// Takes the coding style from COD and COC, and refuses the features that are not read.
fn read_style(marker: u8, body: &[u8], style: &mut Option<Style>) -> Result<(), String> {
    match marker {
        COD => *style = Some(Style::read(body)?),
        COC => {
            let layers = style.as_ref().ok_or("a component's coding style (COC) stands before COD")?.layers;
            let &[0, flags, ref rest @ ..] = body else {
                return Err("a coding style (COC) is of a component that is not there".into());
            };
            *style = Some(Style::of_component(flags, layers, rest)?);
        }
        QCD => check_steps(body)?,
        QCC => check_steps(body.get(1..).unwrap_or_default())?,
        // CAP, TLM, PRF, PLM, PLT, CPF, CRG, COM: pointers and comments.
        0x50 | 0x55..=0x59 | 0x63 | 0x64 => {}
        0x5E => return Err("a region of interest (RGN) is not read".into()),
        0x5F => return Err("changes of progression order (POC) are not read".into()),
        0x60 | 0x61 => return Err("packed packet headers (PPM, PPT) are not read".into()),
        _ => return Err(format!("the marker FF {marker:02X} is not read")),
    }
    Ok(())
}

/// Refuses quantization (T.800 A.6.4) without guard bits: a band of exponent 0 would have -1 bits, where OpenJPEG overflows.
/// Encoders write 1 or 2.
fn check_steps(body: &[u8]) -> Result<(), String> {
    match body.first() {
        Some(style) if style >> 5 > 0 => Ok(()),
        Some(_) => Err("quantization without guard bits (QCD, QCC) is not read".into()),
        None => Err("the quantization (QCD, QCC) is cut".into()),
    }
}

impl Style {
    /// Reads COD (T.800 A.6.1).
    fn read(body: &[u8]) -> Result<Self, String> {
        let &[flags, progression, l1, l0, _, ref rest @ ..] = body else {
            return Err(format!("the coding style (COD) has {} bytes, too few", body.len()));
        };
        let layers = u64::from(u16::from_be_bytes([l1, l0]));
        if layers == 0 || progression > 4 {
            return Err(format!("the coding style has {layers} layers in progression order {progression}"));
        }
        Self::of_component(flags, layers, rest)
    }

    /// Reads SPcod or SPcoc (T.800 table A.20).
    fn of_component(flags: u8, layers: u64, body: &[u8]) -> Result<Self, String> {
        let &[levels, width, height, _, transform, ref sizes @ ..] = body else {
            return Err(format!("the coding style has {} bytes per component, too few", body.len()));
        };
        let block = [width, height].map(|exponent| u32::from(exponent) + 2);
        if levels > 32 || block.iter().any(|&exponent| exponent > 10) || block[0] + block[1] > 12 || transform > 1 {
            return Err(format!(
                "the coding style is not valid: {levels} levels, code-block exponents {block:?}, wavelet {transform}"
            ));
        }
        let mut precincts = Vec::new();
        if flags & 1 != 0 {
            let sizes = sizes.get(..=usize::from(levels)).ok_or("the precinct sizes are cut")?;
            precincts.extend(sizes.iter().map(|&size| [u32::from(size & 15), u32::from(size >> 4)]));
            if precincts.iter().skip(1).any(|exponents| exponents.contains(&0)) {
                return Err("a precinct is 1 pixel wide or high above the lowest resolution, which is not valid".into());
            }
        }
        Ok(Self { layers, levels: u32::from(levels), block, precincts, lossy: transform == 0 })
    }

    /// Precincts, and code-blocks, of a tile with the corners `start` and `end` (T.800 B.5 to B.7).
    fn count(&self, [start, end]: [[u64; 2]; 2]) -> (u64, u64) {
        let [mut precincts, mut blocks] = [0_u64; 2];
        for resolution in 0..=self.levels {
            let exponents = self.precincts.get(resolution as usize).copied().unwrap_or([15, 15]);
            let halvings = self.levels - resolution;
            let cells = |axis: usize| {
                let [from, to] = [start[axis], end[axis]].map(|at| ceil_shift(at, halvings));
                if from < to { ceil_shift(to, exponents[axis]) - (from >> exponents[axis]) } else { 0 }
            };
            precincts = precincts.saturating_add(cells(0) * cells(1));
            let lowest = resolution == 0;
            // The three bands of a higher resolution have the size of the low band one halving further, within one sample.
            let halvings = if lowest { halvings } else { halvings + 1 };
            let runs = |axis: usize| {
                let exponent = self.block[axis].min(if lowest { exponents[axis] } else { exponents[axis] - 1 });
                let [from, to] = [start[axis], end[axis]].map(|at| ceil_shift(at, halvings));
                ceil_shift(to, exponent) - (from >> exponent)
            };
            let bands = if lowest { 1 } else { 3 };
            blocks = blocks.saturating_add(bands * runs(0) * runs(1));
        }
        (precincts, blocks)
    }
}

/// `value / 2^shift`, rounded up.
fn ceil_shift(value: u64, shift: u32) -> u64 {
    value.div_ceil(1 << shift)
}

impl Grid {
    /// The corners of a tile by its index in raster order (T.800 B.3).
    fn tile_bounds(&self, index: u64) -> [[u64; 2]; 2] {
        let place = [index % self.tiles[0], index / self.tiles[0]];
        let from = [0, 1].map(|axis| self.tile_start[axis] + place[axis] * self.tile[axis]);
        let start = [0, 1].map(|axis| from[axis].max(self.start[axis]));
        let end = [0, 1].map(|axis| (from[axis] + self.tile[axis]).min(self.end[axis]));
        [start, end]
    }
}
