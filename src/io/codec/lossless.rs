//! Reads JPEG lossless, sequential and Huffman-coded (SOF3, ITU T.81 annex H), of one component: every predictor, point transform and precision.
//!
//! libjpeg-turbo reads SOF3 too. The code here is short, takes no unsafe call, and refuses what a decoder may otherwise make up: samples beyond a cut or
//! a misplaced restart marker, and samples that their precision cannot hold.

use super::Size;
use super::markers::{DHT, DRI, EOI, SOS, Segment, be16, marker_at};

/// The parameters of the scan and its frame.
struct Scan {
    size: Size,
    /// Ss: which neighbours predict a sample, `1..=7` (T.81 table H.1).
    predictor: u8,
    /// Al: low bits that the encoder dropped (T.81 A.4).
    point_transform: u8,
    /// Rows between restart markers; all rows where there are none.
    restart_rows: usize,
    table: Table,
    /// Samples may carry their sign beyond the precision.
    signed: bool,
}

/// Decodes the scan that begins after the last of `segments`, which are the stream's segments up to SOS.
pub(super) fn decode(
    bytes: &[u8],
    segments: &[Segment<'_>],
    size: Size,
    component: u8,
    signed: bool,
) -> Result<Vec<u16>, String> {
    if size.precision < 2 {
        return Err(format!("the frame header says {} bits per sample; 2 to 16 are read", size.precision));
    }
    let pixels = size.rows * size.columns;
    let (scan, start) = scan_header(segments, size, component, signed)?;
    // Each sample takes a bit at least: a code word has one or more.
    if pixels.div_ceil(8) > bytes.len().saturating_sub(start) {
        return Err(format!("{} bytes are too few for {} rows x {} columns", bytes.len(), size.rows, size.columns));
    }
    let mut bits = Bits { bytes, at: start, word: 0, count: 0 };
    let mut values = vec![0_u16; pixels];
    let mut row = 0;
    while row < size.rows {
        if row > 0 {
            bits.restart(row / scan.restart_rows - 1).map_err(|why| format!("before row {}, {why}", row + 1))?;
        }
        let end = size.rows.min(row + scan.restart_rows);
        interval(&scan, &mut bits, &mut values[row * size.columns..end * size.columns])
            .map_err(|(r, why)| format!("in row {}, {why}", row + r + 1))?;
        row = end;
    }
    bits.end()?;
    if scan.point_transform > 0 {
        for value in &mut values {
            *value <<= scan.point_transform;
        }
    }
    Ok(values)
}

/// Reads the tables and the scan header (T.81 B.2.3); returns where the coded bytes begin.
fn scan_header(segments: &[Segment<'_>], size: Size, component: u8, signed: bool) -> Result<(Scan, usize), String> {
    let mut tables: [Option<Table>; 4] = [const { None }; 4];
    let mut interval = 0;
    for segment in segments {
        match segment.marker {
            DHT => Table::read_all(segment.body, &mut tables)?,
            DRI => interval = usize::from(be16(segment.body, 0).ok_or("the restart interval (DRI) is cut")?),
            _ => {}
        }
    }
    let Some(&Segment { marker: SOS, body: &[1, id, table, predictor, _, approximation], end }) = segments.last()
    else {
        return Err("the scan header (SOS) is not that of one component".into());
    };
    let point_transform = approximation & 15;
    if id != component {
        return Err(format!("the scan is of component {id} but the frame of component {component}"));
    }
    if !(1..=7).contains(&predictor) {
        return Err(format!("predictor {predictor} is not one of 1 to 7"));
    }
    if approximation >> 4 != 0 || u16::from(point_transform) >= size.precision {
        return Err(format!(
            "the point transform is {approximation}; at {} bits per sample it must be 0 to {}",
            size.precision,
            size.precision - 1
        ));
    }
    if !interval.is_multiple_of(size.columns) {
        return Err(format!(
            "restarts come every {interval} samples, which is not a multiple of the {} columns (T.81 H.1.1)",
            size.columns
        ));
    }
    let number = usize::from(table >> 4);
    let table =
        tables.get_mut(number).and_then(Option::take).ok_or_else(|| format!("Huffman table {number} is missing"))?;
    let restart_rows = if interval == 0 { size.rows } else { interval / size.columns };
    Ok((Scan { size, predictor, point_transform, restart_rows, table, signed }, end))
}

/// Decodes the rows between two restarts; an error comes with its row's index within them.
fn interval(scan: &Scan, bits: &mut Bits<'_>, values: &mut [u16]) -> Result<(), (usize, String)> {
    let columns = scan.size.columns;
    let bits_kept = scan.size.precision - u16::from(scan.point_transform);
    let middle = 1_u16 << (bits_kept - 1);
    let mut before: &mut [u16] = &mut [];
    for (r, row) in values.chunks_exact_mut(columns).enumerate() {
        // T.81 H.1.2.1: the first row is predicted from the left; the first column of the others from above.
        let first = before.first().copied().unwrap_or(middle);
        let mut left = first.wrapping_add(scan.table.difference(bits).map_err(|why| (r, why))?);
        row[0] = left;
        if r == 0 || scan.predictor == 1 {
            for value in &mut row[1..] {
                left = left.wrapping_add(scan.table.difference(bits).map_err(|why| (r, why))?);
                *value = left;
            }
        } else {
            for (value, pair) in row[1..].iter_mut().zip(before.windows(2)) {
                let prediction = predict(scan.predictor, left, pair[1], pair[0]);
                left = prediction.wrapping_add(scan.table.difference(bits).map_err(|why| (r, why))?);
                *value = left;
            }
        }
        if let Some(value) = row.iter().find(|&&value| !fits(value, bits_kept, scan.signed)) {
            return Err((
                r,
                format!("a sample unpacks to {value}, more than {bits_kept} bits hold: the stream is damaged"),
            ));
        }
        before = row;
    }
    Ok(())
}

/// Whether `bits` bits hold `value`, or the sign in all bits above them.
fn fits(value: u16, bits: u16, signed: bool) -> bool {
    let above = u32::from(value) >> bits;
    let high = u32::from(value) >> (bits - 1);
    above == 0 || (signed && high == u32::from(u16::MAX) >> (bits - 1))
}

/// T.81 table H.1, with the halves rounded down.
fn predict(predictor: u8, left: u16, above: u16, above_left: u16) -> u16 {
    let (a, b, c) = (i32::from(left), i32::from(above), i32::from(above_left));
    let prediction = match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    };
    prediction as u16
}

/// Bits of a code word that the table looks up at once; longer ones are searched.
const QUICK_BITS: u32 = 10;

/// A Huffman table (T.81 annex C) of the categories of differences, `0..=16`.
struct Table {
    /// By the next `QUICK_BITS` bits: length of the code word, and category; length 0 where the code word is longer.
    quick: Vec<(u8, u8)>,
    /// By length - 1: the first code past those of this length, aligned to 16 bits; and what to add to a code to get its category's index.
    ends: [(u32, i32); 16],
    categories: Vec<u8>,
}

impl Table {
    /// Reads the tables of one DHT segment (T.81 B.2.4.2) into their places.
    fn read_all(mut body: &[u8], tables: &mut [Option<Self>; 4]) -> Result<(), String> {
        while let Some((&place, rest)) = body.split_first() {
            let (lengths, rest) = rest.split_first_chunk::<16>().ok_or("a Huffman table (DHT) is cut")?;
            let count = lengths.iter().map(|&n| usize::from(n)).sum();
            let (categories, rest) = rest.split_at_checked(count).ok_or("a Huffman table (DHT) is cut")?;
            body = rest;
            // Class 0 codes differences; class 1 would be of the cosine transform.
            if place >> 4 == 0 {
                let table = tables
                    .get_mut(usize::from(place))
                    .ok_or_else(|| format!("Huffman table {place} is not one of 0 to 3"))?;
                *table = Some(Self::new(lengths, categories)?);
            }
        }
        Ok(())
    }

    fn new(lengths: &[u8; 16], categories: &[u8]) -> Result<Self, String> {
        if let Some(category) = categories.iter().find(|&&category| category > 16) {
            return Err(format!("a Huffman table has the category {category}; lossless differences have 0 to 16"));
        }
        let mut quick = vec![(0, 0); 1 << QUICK_BITS];
        let mut ends = [(0, 0); 16];
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, (&count, end)) in (1_u32..).zip(lengths.iter().zip(&mut ends)) {
            let shift = index as i32 - code as i32;
            for &category in categories.iter().skip(index).take(usize::from(count)) {
                if code >> length != 0 {
                    return Err("a Huffman table has more code words than their lengths allow".into());
                }
                if length <= QUICK_BITS {
                    let from = (code << (QUICK_BITS - length)) as usize;
                    quick[from..from + (1 << (QUICK_BITS - length))].fill((length as u8, category));
                }
                code += 1;
                index += 1;
            }
            *end = (code << (16 - length), shift);
            code <<= 1;
        }
        Ok(Self { quick, ends, categories: categories.to_vec() })
    }

    /// Reads one difference, modulo 65536 (T.81 H.1.2.2 and F.2.2.1).
    fn difference(&self, bits: &mut Bits<'_>) -> Result<u16, String> {
        bits.fill();
        let (length, category) = match self.quick[(bits.word >> (64 - QUICK_BITS)) as usize] {
            (0, _) => self.long_code(bits.word)?,
            (length, category) => (u32::from(length), category),
        };
        // Category 16 is the difference 32768 alone: no bits follow.
        let extra = u32::from(category) % 16;
        if length + extra > bits.count {
            return Err("the coded bits end too early".into());
        }
        bits.skip(length);
        if extra == 0 {
            return Ok(u16::from(category == 16) << 15);
        }
        let number = (bits.word >> (64 - extra)) as u16;
        bits.skip(extra);
        let negative = number >> (extra - 1) == 0;
        let lowest = ((1_u32 << extra) - 1) as u16;
        Ok(if negative { number.wrapping_sub(lowest) } else { number })
    }

    /// The length and category of a code word longer than `QUICK_BITS`.
    fn long_code(&self, word: u64) -> Result<(u32, u8), String> {
        let next = (word >> 48) as u32;
        let found = (1_u32..).zip(&self.ends).skip(QUICK_BITS as usize).find(|(_, end)| next < end.0);
        let category = found.and_then(|(length, end)| {
            let index = (next >> (16 - length)) as i32 + end.1;
            Some((length, *self.categories.get(usize::try_from(index).ok()?)?))
        });
        category.ok_or_else(|| "the coded bits are no word of the Huffman table".into())
    }
}

/// The coded bits, high bit first, without the zero that follows each 0xFF (T.81 B.1.1.5).
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to take.
    at: usize,
    /// Bits that were taken, aligned to the top; zeros below.
    word: u64,
    /// How many of them.
    count: u32,
}

impl Bits<'_> {
    /// Takes bytes until 32 bits or more are there, or a marker or the end comes.
    fn fill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(four) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<4>())
            && !four.contains(&0xFF)
        {
            self.word |= u64::from(u32::from_be_bytes(*four)) << (32 - self.count);
            self.count += 32;
            self.at += 4;
            return;
        }
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.word |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn skip(&mut self, count: u32) {
        self.word <<= count;
        self.count -= count;
    }

    /// Passes the bits that fill the last byte, and restart marker `index` modulo 8.
    fn restart(&mut self, index: usize) -> Result<(), String> {
        self.fill();
        let wanted = 0xD0 + (index % 8) as u8;
        let marker = marker_at(self.bytes, self.at);
        match marker {
            Ok((marker, after)) if self.count < 8 && marker == wanted => {
                *self = Self { bytes: self.bytes, at: after, word: 0, count: 0 };
                Ok(())
            }
            _ => Err(format!("restart marker FF {wanted:02X} is missing")),
        }
    }

    /// Holds that nothing but the end marker, or padding, follows the last sample.
    fn end(&mut self) -> Result<(), String> {
        self.fill();
        let padding = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0 || byte == 0xFF);
        let whole_bytes = self.word << (self.count % 8);
        if self.count >= 8 && !padding(&whole_bytes.to_be_bytes()[..(self.count / 8) as usize]) {
            return Err("coded bytes are left after the last sample".into());
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match marker_at(self.bytes, self.at) {
            Ok((EOI, _)) => Ok(()),
            Ok((marker, _)) => Err(format!("marker FF {marker:02X} follows the last sample where the end is due")),
            Err(_) if padding(rest) => Ok(()),
            Err(_) => Err("coded bytes are left after the last sample".into()),
        }
    }
}
