//! Gzip files read to their very end: every member, every checksum, and past the zeros that may pad the last one.

use std::io::{BufRead, Read};

use flate2::bufread::GzDecoder;

/// Members without a byte, one after the other, that are no attack: bgzip ends a file with one.
const MOST_EMPTY: usize = 1000;

/// The members of a gzip file, unpacked one after the other. Zeros behind a member are passed over, as `gzip` does: disks and
/// tapes that write whole blocks leave them. Anything else there is an error.
pub(super) struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Members<R> {
    pub(super) fn new(packed: R) -> Self {
        Self(Some(GzDecoder::new(packed)))
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut empty = 0;
        while let Some(mut member) = self.0.take() {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.0 = Some(member);
                return Ok(count);
            }
            empty += 1;
            if empty > MOST_EMPTY {
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a gzip of thousands of empty parts"));
            }
            let mut rest = member.into_inner();
            if !at_end_after_zeros(&mut rest)? {
                self.0 = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

fn at_end_after_zeros(rest: &mut impl BufRead) -> std::io::Result<bool> {
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            return Ok(true);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let only_zeros = zeros == bytes.len();
        rest.consume(zeros);
        if !only_zeros {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> std::io::Result<String> {
        let mut text = String::new();
        Members::new(bytes).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_follow_each_other_and_zeros_pad_the_last() {
        let two = [packed("one "), packed("two")].concat();
        assert_eq!(unpacked(&two).unwrap(), "one two");
        assert_eq!(unpacked(&[two.clone(), vec![0; 700]].concat()).unwrap(), "one two");
        assert!(unpacked(&[two.clone(), b"more".to_vec()].concat()).is_err(), "what is neither zeros nor gzip");
        assert!(unpacked(&two[..two.len() - 1]).is_err(), "a checksum that is cut");
        assert!(unpacked(&packed("").repeat(MOST_EMPTY + 1)).is_err(), "empty members without end");
    }
}
