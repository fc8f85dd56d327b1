//! Pixels in fragments (PS3.5, A.4): where they lie in the file, and which belong to which frame.

use std::ops::Range;

use super::Refused;
use crate::io::source::Loaded;

/// Fragments begin with this tag, little-endian, and end with that one.
const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const SEQUENCE_END: [u8; 4] = [0xfe, 0xff, 0xdd, 0xe0];
/// A fragment's tag and length.
const HEAD_BYTES: u64 = 8;
/// More fragments than any file has.
const MOST: usize = 1 << 20;
/// What images begin with: JPEG's and JPEG-LS's SOI, JPEG 2000's SOC and SIZ.
const STREAM_BEGINS: [&[u8]; 2] = [&[0xff, 0xd8, 0xff], &[0xff, 0x4f, 0xff, 0x51]];

/// A fragment's bytes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) offset: u64,
    pub(super) length: u64,
}

#[derive(Debug)]
pub(super) struct Fragments {
    /// The basic table of offsets.
    offsets: Vec<u64>,
    places: Vec<Fragment>,
    /// Which of them belong to each frame.
    frames: Vec<Range<usize>>,
}

impl Fragments {
    /// Finds the fragments from `start` on, where the table of offsets lies, in a file of `total` bytes.
    pub(super) fn read(loaded: &Loaded, start: u64, total: u64) -> Result<Self, Refused> {
        let damaged = |what: String| Refused::Damaged(what);
        let unread = |error: std::io::Error| Refused::Damaged(format!("its pixels cannot be read ({error})"));
        let (mut at, mut found) = (start, Vec::new());
        // A file that ends behind a whole fragment lacks its delimiter alone.
        while at + HEAD_BYTES <= total {
            let mut head = [0; HEAD_BYTES as usize];
            loaded.read_exact_at(&mut head, at).map_err(unread)?;
            let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            at += HEAD_BYTES;
            if head[..4] == SEQUENCE_END {
                break;
            }
            if head[..4] != ITEM {
                return Err(damaged("its pixels hold what is no fragment".to_owned()));
            }
            if length > total - at {
                let left = total - at;
                return Err(damaged(format!("a fragment of its pixels claims {length} bytes, and {left} are left")));
            }
            if found.len() == MOST {
                return Err(damaged("its pixels come in more than a million fragments".to_owned()));
            }
            found.push(Fragment { offset: at, length });
            at += length;
        }
        if found.len() < 2 {
            return Err(damaged("its pixels are missing".to_owned()));
        }
        let table = found.remove(0);
        let mut bytes = vec![0; table.length as usize];
        loaded.read_exact_at(&mut bytes, table.offset).map_err(unread)?;
        let offsets = bytes.as_chunks().0.iter().map(|four| u64::from(u32::from_le_bytes(*four))).collect();
        Ok(Self { offsets, places: found, frames: Vec::new() })
    }

    /// Tells the fragments of each of `frames` frames: by a table of offsets, else one for each frame, else by how images begin.
    pub(super) fn divided(
        mut self,
        frames: usize,
        extended_offsets: Option<&[u64]>,
        loaded: &Loaded,
    ) -> Result<Self, Refused> {
        let starts = if frames == 1 {
            Some(vec![0])
        } else {
            self.starts(frames, extended_offsets.unwrap_or(&self.offsets), loaded)
        };
        let unclear = || Refused::Damaged("nothing tells which of its fragments belong to which frame".to_owned());
        let starts = starts.ok_or_else(unclear)?;
        let ends = starts.iter().skip(1).copied().chain([self.places.len()]);
        self.frames = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
        Ok(self)
    }

    /// Which fragment each frame begins with.
    fn starts(&self, frames: usize, offsets: &[u64], loaded: &Loaded) -> Option<Vec<usize>> {
        if offsets.len() == frames {
            let first = self.places.first()?.offset; // as all do, its offset counts from the tag of the first
            let at = |offset: &u64| self.places.binary_search_by_key(&first.saturating_add(*offset), |p| p.offset).ok();
            let starts: Option<Vec<usize>> = offsets.iter().map(at).collect();
            return starts.filter(|starts| starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b));
        }
        if self.places.len() == frames {
            return Some((0..frames).collect());
        }
        let begins = |place: &Fragment| {
            let mut head = [0; 4];
            let count = head.len().min(place.length as usize);
            loaded.read_exact_at(&mut head[..count], place.offset).is_ok()
                && STREAM_BEGINS.iter().any(|begin| head.starts_with(begin))
        };
        let starts: Vec<usize> = (0..self.places.len()).filter(|k| begins(&self.places[*k])).collect();
        (starts.len() == frames && starts.first() == Some(&0)).then_some(starts)
    }

    /// The fragments of a frame, in their order.
    pub(super) fn of(&self, frame: usize) -> &[Fragment] {
        self.frames.get(frame).and_then(|range| self.places.get(range.clone())).unwrap_or_default()
    }
}
