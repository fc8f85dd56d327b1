//! Numbers that are the same in every run and on every machine.

use parallax::random::Stream;

pub(crate) struct Random(Stream);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Stream::seeded(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.bits()
    }

    /// Less than `count`, or 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// Uniform in `0..1`, to all bits of an f64.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.share()
    }

    /// Flips one bit.
    pub(crate) fn flip(&mut self, bytes: &mut [u8]) {
        let mixed = self.next();
        let at = (mixed >> 16) as usize % bytes.len();
        bytes[at] ^= 1 << (mixed & 7);
    }
}
