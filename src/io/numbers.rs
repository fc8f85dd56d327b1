//! Stored numbers of any kind and byte order as Hounsfield units.

use std::io::BufRead;

use super::arriving::Arriving;
use super::fault::Fault;

/// Numbers converted together.
const PART: usize = 1 << 14;
/// Longer than any number that a program writes as text.
const DIGITS: usize = 64;

/// What is stored for each voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VoxelType {
    Uint8,
    Int8,
    Uint16,
    Int16,
    Uint32,
    Int32,
    Uint64,
    Int64,
    Float32,
    Float64,
}

impl VoxelType {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 => 8,
        }
    }
}

/// How stored numbers become Hounsfield units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) kind: VoxelType,
    pub(super) big_endian: bool,
    /// Slope and intercept; none means as stored.
    pub(super) scaling: Option<(f64, f64)>,
}

impl Numbers {
    /// Whether the stored numbers are 16 bits that need no scaling, as those of most CTs.
    fn whole(&self) -> bool {
        self.kind == VoxelType::Int16 && self.scaling.is_none_or(|scaling| scaling == (1.0, 0.0))
    }

    /// Whether the numbers lie in the file as in memory: there is nothing to convert.
    pub(super) fn plain(&self) -> bool {
        self.whole() && self.big_endian == cfg!(target_endian = "big")
    }

    /// Takes stored numbers: times the slope plus the intercept in f64, then f32, as nibabel does. Bytes that are no whole number are left out.
    pub(super) fn take(&self, raw: &[u8], arriving: &mut Arriving) -> Result<(), String> {
        macro_rules! each {
            ($kind:ty) => {{
                let (stored, _rest) = raw.as_chunks();
                let big_endian = self.big_endian;
                let read =
                    |bytes| if big_endian { <$kind>::from_be_bytes(bytes) } else { <$kind>::from_le_bytes(bytes) };
                let mut hu = Vec::with_capacity(PART.min(stored.len()));
                for part in stored.chunks(PART) {
                    hu.clear();
                    match self.scaling {
                        Some((slope, inter)) => {
                            hu.extend(part.iter().map(|&bytes| (read(bytes) as f64 * slope + inter) as f32));
                        }
                        None => hu.extend(part.iter().map(|&bytes| read(bytes) as f32)),
                    }
                    arriving.extend(&hu)?;
                }
            }};
        }
        match self.kind {
            VoxelType::Int16 if self.whole() => {
                let stored = raw.as_chunks().0.iter().copied();
                if self.big_endian {
                    arriving.extend_whole(stored.map(i16::from_be_bytes))?;
                } else {
                    arriving.extend_whole(stored.map(i16::from_le_bytes))?;
                }
            }
            VoxelType::Uint8 => each!(u8),
            VoxelType::Int8 => each!(i8),
            VoxelType::Uint16 => each!(u16),
            VoxelType::Int16 => each!(i16),
            VoxelType::Uint32 => each!(u32),
            VoxelType::Int32 => each!(i32),
            VoxelType::Uint64 => each!(u64),
            VoxelType::Int64 => each!(i64),
            VoxelType::Float32 => each!(f32),
            VoxelType::Float64 => each!(f64),
        }
        Ok(())
    }

    /// Up to `count` numbers that are written as text, with white space or commas between them; fewer where the text ends.
    pub(super) fn spelled(&self, text: &mut impl BufRead, count: usize) -> Result<Vec<f32>, Fault> {
        let mut values = Vec::with_capacity(count.min(PART));
        let mut word = Vec::with_capacity(DIGITS);
        let parts = |letter: &u8| letter.is_ascii_whitespace() || *letter == b',';
        while values.len() < count {
            let bytes = text.fill_buf()?;
            let ended = bytes.is_empty();
            let end = bytes.iter().position(parts).unwrap_or(bytes.len());
            let closed = ended || end < bytes.len();
            if word.len() + end > DIGITS {
                return Err(Fault::Damaged(format!("a word of more than {DIGITS} letters where numbers should be")));
            }
            word.extend_from_slice(&bytes[..end]);
            let passed = end + usize::from(end < bytes.len());
            text.consume(passed);
            if closed && !word.is_empty() {
                values.push(self.value(&word)?);
                word.clear();
            }
            if ended {
                break;
            }
        }
        Ok(values)
    }

    fn value(&self, word: &[u8]) -> Result<f32, Fault> {
        let said = String::from_utf8_lossy(word);
        let stored: f64 =
            said.parse().map_err(|_no_number| Fault::Damaged(format!("{said:?} where a number should be")))?;
        Ok(self.scaling.map_or(stored, |(slope, inter)| stored * slope + inter) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Voxels;

    fn taken(kind: VoxelType, big_endian: bool, raw: &[u8]) -> Vec<f32> {
        let mut arriving = Arriving::new(raw.len() / kind.bytes()).unwrap();
        Numbers { kind, big_endian, scaling: None }.take(raw, &mut arriving).unwrap();
        arriving.finish(&mut Vec::new()).iter().collect()
    }

    #[test]
    fn numbers_of_every_kind_and_order_are_read() {
        for big_endian in [false, true] {
            macro_rules! check {
                ($kind:ident, $type:ty, $values:expr) => {
                    let bytes = |value: $type| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
                    let values: [$type; 3] = $values;
                    let wanted = values.map(|value| value as f32);
                    assert_eq!(
                        taken(VoxelType::$kind, big_endian, &values.map(bytes).concat()),
                        wanted,
                        "{:?}",
                        VoxelType::$kind
                    );
                };
            }
            check!(Uint8, u8, [0, 7, u8::MAX]);
            check!(Int8, i8, [i8::MIN, 7, i8::MAX]);
            check!(Uint16, u16, [0, 7, u16::MAX]);
            check!(Int16, i16, [i16::MIN, 7, i16::MAX]);
            check!(Uint32, u32, [0, 7, u32::MAX]);
            check!(Int32, i32, [i32::MIN, 7, i32::MAX]);
            check!(Uint64, u64, [0, 7, u64::MAX]);
            check!(Int64, i64, [i64::MIN, 7, i64::MAX]);
            check!(Float32, f32, [-0.5, 7.0, 1e30]);
            check!(Float64, f64, [-0.5, 7.0, 1e30]);
        }
    }

    #[test]
    fn text_is_read_across_the_pieces_that_it_comes_in() {
        let numbers = Numbers { kind: VoxelType::Int16, big_endian: false, scaling: Some((2.0, -1.0)) };
        for capacity in 1..9 {
            let mut text = std::io::BufReader::with_capacity(capacity, b" -1000, 2.5\n\t7 ".as_slice());
            assert_eq!(numbers.spelled(&mut text, 5).unwrap(), [-2001.0, 4.0, 13.0]);
        }
        assert!(numbers.spelled(&mut b"1 two".as_slice(), 2).is_err());
        assert!(numbers.spelled(&mut vec![b'1'; 1 << 20].as_slice(), 2).is_err());
        let mut arriving = Arriving::new(1).unwrap();
        arriving.extend(&[0.0]).unwrap();
        assert!(matches!(arriving.finish(&mut Vec::new()), Voxels::I16(_)));
    }
}
