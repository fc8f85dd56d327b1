//! A file's bytes one after the other, unpacked where they are packed, and never more of them than so few packed ones can hold.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::ZlibDecoder;

use super::fault::Fault;
use super::gzip::Members;
use super::source::Source;
use crate::job::Monitor;

pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Deflate cannot shrink more than this.
pub(super) const MOST_INFLATION: u64 = 1032;
/// A browser or a server packs once more what is packed already.
const MOST_LAYERS: usize = 2;
const DISK_BYTES: usize = 1 << 20;
const UNPACKED_BYTES: usize = 1 << 16;
/// Bytes passed over between two cancellation points.
const STEP_BYTES: u64 = 4 << 20;

/// Bytes with their place among all.
pub(super) struct Stream {
    reader: Box<dyn BufRead + Send>,
    /// How many bytes have gone by since the file's beginning, or since the last unpacking.
    at: u64,
    /// No more bytes than these can come.
    most: u64,
    /// How often the bytes are packed.
    layers: usize,
}

/// How a stream ended, or that it did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// So many bytes were left; all checksums hold.
    Ended(u64),
    /// More bytes were left than was worth reading.
    Unread,
}

impl Stream {
    /// The bytes as they lie in the file.
    pub(super) fn stored(source: &Source) -> Result<Self, Fault> {
        let most = source.len().map_err(Fault::Io)?;
        let reader = BufReader::with_capacity(DISK_BYTES, source.reader().map_err(Fault::Io)?);
        Ok(Self { reader: Box::new(reader), at: 0, most, layers: 0 })
    }

    /// The bytes behind gzip, or behind gzip within gzip, where the file is packed so.
    pub(super) fn unpacked(source: &Source) -> Result<Self, Fault> {
        Self::stored(source)?.peeled()
    }

    /// Bytes that are at hand: the beginning of a file.
    fn of(head: &[u8]) -> Self {
        let most = head.len() as u64;
        Self { reader: Box::new(Cursor::new(head.to_vec())), at: 0, most, layers: 0 }
    }

    fn peeled(mut self) -> Result<Self, Fault> {
        while self.layers < MOST_LAYERS && self.peek(GZIP.len())? == GZIP {
            self = self.gunzipped();
        }
        Ok(self)
    }

    /// The next `count` bytes, or all where there are fewer. They are still to come.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        (&mut self.reader).take(count as u64).read_to_end(&mut head)?;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// What the bytes from here on hold as a gzip file.
    pub(super) fn gunzipped(self) -> Self {
        // No honest file shrinks twice: two layers may hold no more than one.
        let most = if self.layers == 0 { self.most.saturating_mul(MOST_INFLATION) } else { self.most };
        let reader = BufReader::with_capacity(UNPACKED_BYTES, Members::new(self.reader));
        Self { reader: Box::new(reader), at: 0, most, layers: self.layers + 1 }
    }

    /// What the bytes from here on hold as a zlib stream.
    pub(super) fn inflated(self) -> Self {
        let most = self.most.saturating_mul(MOST_INFLATION);
        let reader = BufReader::with_capacity(UNPACKED_BYTES, ZlibDecoder::new(self.reader));
        Self { reader: Box::new(reader), at: 0, most, layers: self.layers + 1 }
    }

    /// What the bytes from here on say as hexadecimal digits, two for a byte; white space between them counts for nothing.
    pub(super) fn decoded_hex(self) -> Self {
        let reader = BufReader::with_capacity(UNPACKED_BYTES, Hex(self.reader));
        Self { reader: Box::new(reader), at: 0, most: self.most / 2, layers: self.layers + 1 }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    pub(super) fn layers(&self) -> usize {
        self.layers
    }

    /// Passes over `count` bytes; an error where there are fewer.
    pub(super) fn skip(&mut self, count: u64, monitor: &Monitor) -> Result<(), Fault> {
        let mut left = count;
        while left > 0 {
            monitor.check()?;
            let step = left.min(STEP_BYTES);
            let passed = io::copy(&mut self.take(step), &mut io::sink())?;
            if passed < step {
                return Err(Fault::Damaged(format!("{} bytes are missing before its voxels", left - passed)));
            }
            left -= step;
        }
        Ok(())
    }

    /// Passes over lines.
    pub(super) fn skip_lines(&mut self, count: u64, monitor: &Monitor) -> Result<(), Fault> {
        for _ in 0..count {
            monitor.check()?;
            if self.skip_until(b'\n')? == 0 {
                return Err(Fault::Damaged(format!("it has not the {count} lines that lie before its voxels")));
            }
        }
        Ok(())
    }

    /// Reads on to the end, where checksums stand, but no more than `bound` bytes.
    pub(super) fn rest(&mut self, bound: u64, monitor: &Monitor) -> Result<Rest, Fault> {
        let mut passed = 0;
        loop {
            monitor.check()?;
            let step = io::copy(&mut self.take(STEP_BYTES), &mut io::sink())?;
            passed += step;
            if step < STEP_BYTES {
                return Ok(Rest::Ended(passed));
            }
            if passed >= bound {
                return Ok(Rest::Unread);
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.layers > 0 && self.at >= self.most && !bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than so few packed ones can hold"));
        }
        let count = self.reader.read(bytes)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
        self.reader.consume(count);
    }
}

/// The first `count` bytes that the beginning of a file holds, unpacked, or as many as it tells.
pub(super) fn beginning(head: &[u8], count: usize) -> Vec<u8> {
    let mut first = Vec::new();
    if let Ok(stream) = Stream::of(head).peeled() {
        stream.take(count as u64).read_to_end(&mut first).ok(); // a packed beginning ends in the middle: what came says enough
    }
    first
}

struct Hex<R>(R);

impl<R: BufRead> Read for Hex<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        for (count, byte) in bytes.iter_mut().enumerate() {
            let Some(high) = self.digit()? else { return Ok(count) };
            let low = self.digit()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            *byte = high << 4 | low;
        }
        Ok(bytes.len())
    }
}

impl<R: BufRead> Hex<R> {
    /// The next digit's value; none at the end.
    fn digit(&mut self) -> io::Result<Option<u8>> {
        loop {
            let Some(&letter) = self.0.fill_buf()?.first() else { return Ok(None) };
            self.0.consume(1);
            if letter.is_ascii_whitespace() {
                continue;
            }
            let value = char::from(letter).to_digit(16).map(|value| value as u8);
            let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a byte that is no hexadecimal digit");
            return value.map(Some).ok_or_else(wrong);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn two_layers_of_gzip_are_peeled_and_no_third() {
        let three = packed(&packed(&packed(b"voxels")));
        assert!(beginning(&three, 2) == GZIP && beginning(&three, 60) == packed(b"voxels"));
        assert_eq!(beginning(&packed(&packed(b"voxels")), 6), b"voxels");
    }

    #[test]
    fn two_layers_hold_no_more_than_one_can() {
        let bomb = packed(&packed(&vec![0; 64 << 20]));
        let mut stream = Stream::of(&bomb).peeled().unwrap();
        let error = stream.rest(u64::MAX, &Monitor::default()).unwrap_err().to_string();
        assert!(error.contains("more bytes than so few"), "{} bytes: {error}", bomb.len());
    }

    #[test]
    fn what_lies_behind_is_read_up_to_a_bound() {
        let bytes = packed(&vec![0; 64 << 20]);
        let rest = |bound| Stream::of(&bytes).peeled().unwrap().rest(bound, &Monitor::default()).unwrap();
        assert_eq!(rest(u64::MAX), Rest::Ended(64 << 20));
        assert_eq!(rest(8 << 20), Rest::Unread);
    }

    #[test]
    fn hexadecimal_digits_are_bytes() {
        let decoded = |text: &[u8]| {
            let mut bytes = Vec::new();
            Stream::of(text).decoded_hex().read_to_end(&mut bytes).map(|_count| bytes)
        };
        assert_eq!(decoded(b"00 fF\n1 0").unwrap(), [0, 255, 16]);
        assert!(decoded(b"00 f").is_err() && decoded(b"0x00").is_err());
    }
}
