//! Packs pixels as DICOM files have them, for the tests of the decoders and for fuzzing: RLE, JPEG lossless in all its kinds, JPEG-LS.

use charls::{CharLS, FrameInfo};
use parallax::random::Stream;

/// Numbers that are the same in every run.
pub(crate) struct Numbers(pub(crate) Stream);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Stream::seeded(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.bits()
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// An image of `bits` bits: noise over everything, flat parts, a slope, and the extremes side by side.
    pub(crate) fn image(&mut self, rows: usize, columns: usize, bits: u16) -> Vec<u16> {
        let top = ((1_u32 << bits) - 1) as u16;
        let kind = self.below(4);
        (0..rows * columns)
            .map(|at| match kind {
                0 => self.next() as u16 & top,
                1 => ((at / columns * 37 + at % columns * 11 + self.below(5)) as u32 % (u32::from(top) + 1)) as u16,
                2 => [0, top, top / 2][self.below(3)],
                _ => {
                    if at % columns < columns / 2 {
                        top / 3
                    } else {
                        (self.next() as u16 & 7).min(top)
                    }
                }
            })
            .collect()
    }
}

/// Packs `samples` as RLE Lossless (PS3.5 annex G): each row's runs end with it, and each segment is padded to an even length.
pub(crate) fn rle(samples: &[u16], columns: usize, bits_allocated: u16) -> Vec<u8> {
    let shifts: &[u16] = if bits_allocated == 8 { &[0] } else { &[8, 0] };
    let mut header = vec![shifts.len() as u32];
    let mut body = Vec::new();
    for shift in shifts {
        header.push(64 + body.len() as u32);
        for row in samples.chunks(columns) {
            let bytes: Vec<u8> = row.iter().map(|sample| (sample >> shift) as u8).collect();
            pack_bits(&bytes, &mut body);
        }
        if body.len() % 2 == 1 {
            body.push(0);
        }
    }
    header.resize(16, 0);
    header.iter().flat_map(|word| word.to_le_bytes()).chain(body).collect()
}

/// Packs bytes by PackBits: runs of 2 to 128 equal bytes, or 1 to 128 others.
fn pack_bits(mut bytes: &[u8], packed: &mut Vec<u8>) {
    while let Some(&first) = bytes.first() {
        let run = bytes.iter().take(128).take_while(|&&byte| byte == first).count();
        let length = if run > 1 {
            packed.extend([(257 - run) as u8, first]);
            run
        } else {
            let other = bytes.windows(2).take(127).take_while(|pair| pair[0] != pair[1]).count().max(1);
            packed.push((other - 1) as u8);
            packed.extend(&bytes[..other]);
            other
        };
        bytes = &bytes[length..];
    }
}

/// How `lossless` packs.
#[derive(Debug, Clone)]
pub(crate) struct Lossless {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Bits per sample, `2..=16`.
    pub(crate) precision: u16,
    /// `1..=7` (ITU T.81 table H.1).
    pub(crate) predictor: u8,
    /// Low bits that are dropped, below `precision`.
    pub(crate) point_transform: u8,
    /// Samples between restart markers; 0 for none.
    pub(crate) restart: usize,
    /// The categories of differences from the shortest code word to the longest; each of 0 to 16 once.
    pub(crate) order: Vec<u8>,
}

/// Code words by length (T.81 B.2.4.2): three of 2 bits and one of each length from 3 to 16, so that none is all ones.
const LENGTHS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];

/// Packs `samples` as JPEG lossless (SOF3, T.81 annex H). Samples may carry their sign above the precision; differences are modulo 65536.
pub(crate) fn lossless(samples: &[u16], how: &Lossless) -> Vec<u8> {
    let [height, width] = [how.rows, how.columns].map(|side| (side as u16).to_be_bytes());
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xC4, 0, 36, 0];
    bytes.extend(LENGTHS);
    bytes.extend(&how.order);
    bytes.extend([0xFF, 0xC3, 0, 11, how.precision as u8, height[0], height[1], width[0], width[1], 1, 1, 0x11, 0]);
    if how.restart > 0 {
        let [high, low] = (how.restart as u16).to_be_bytes();
        bytes.extend([0xFF, 0xDD, 0, 4, high, low]);
    }
    bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, how.predictor, 0, how.point_transform]);
    let values: Vec<u16> = samples.iter().map(|sample| sample >> how.point_transform).collect();
    let mut bits = Bits { bytes, word: 0, count: 0 };
    let mut since = 0;
    for at in 0..values.len() {
        if how.restart > 0 && at > 0 && at % how.restart == 0 {
            bits.flush();
            bits.bytes.extend([0xFF, 0xD0 + ((at / how.restart - 1) % 8) as u8]);
            since = at;
        }
        let prediction = predict(&values, at, since, how);
        put_difference(values[at].wrapping_sub(prediction), how, &mut bits);
    }
    bits.flush();
    bits.bytes.extend([0xFF, 0xD9]);
    bits.bytes
}

/// The prediction of sample `at`, where the last restart was at `since` (T.81 H.1.2.1).
fn predict(values: &[u16], at: usize, since: usize, how: &Lossless) -> u16 {
    let columns = how.columns;
    if at == since {
        return 1 << (how.precision - u16::from(how.point_transform) - 1);
    }
    if at < since + columns {
        return values[at - 1];
    }
    if at.is_multiple_of(columns) {
        return values[at - columns];
    }
    let [a, b, c] = [1, columns, columns + 1].map(|back| i64::from(values[at - back]));
    let prediction = match how.predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + (b - c).div_euclid(2),
        6 => b + (a - c).div_euclid(2),
        _ => (a + b).div_euclid(2),
    };
    prediction.rem_euclid(65536) as u16
}

/// Puts the code word of the difference's category and its bits (T.81 H.1.2.2).
fn put_difference(difference: u16, how: &Lossless, bits: &mut Bits) {
    let signed = difference as i16;
    let category = if difference == 0x8000 { 16 } else { 16 - signed.unsigned_abs().leading_zeros() };
    let place = how.order.iter().position(|&entry| u32::from(entry) == category).expect("the order has all categories");
    // The first three places are 00, 01 and 10; place 3 is 110, and each further one has another 1 in front.
    let (code, length) = if place < 3 { (place as u32, 2) } else { ((1 << place) - 2, place as u32) };
    bits.put(code, length);
    if (1..16).contains(&category) {
        let number = if signed < 0 { i32::from(signed) + (1 << category) - 1 } else { i32::from(signed) };
        bits.put(number as u32, category);
    }
}

/// Bits on their way into bytes, with a zero after each 0xFF.
struct Bits {
    bytes: Vec<u8>,
    word: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.word = self.word << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.word >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xFF {
                self.bytes.push(0);
            }
        }
    }

    /// Fills the last byte with ones (T.81 F.1.2.3).
    fn flush(&mut self) {
        let left = (8 - self.count % 8) % 8;
        self.put((1 << left) - 1, left);
    }
}

/// Packs `samples` as JPEG-LS by CharLS; `near` is the largest error of a sample.
pub(crate) fn jpeg_ls(samples: &[u16], rows: usize, columns: usize, precision: u16, near: i32) -> Vec<u8> {
    let frame = FrameInfo {
        width: columns as u32,
        height: rows as u32,
        bits_per_sample: i32::from(precision),
        component_count: 1,
    };
    let bytes: Vec<u8> = if precision <= 8 {
        samples.iter().map(|&sample| sample as u8).collect()
    } else {
        samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
    };
    CharLS::default().encode(frame, near, &bytes).expect("CharLS packs any gray image of 2 to 16 bits")
}
