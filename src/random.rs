//! Random numbers that are the same on every machine, by a seed and, where parts must not disturb each other, by a name.

/// SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
pub struct Stream(u64);

impl Stream {
    /// The stream of a seed and a name: who draws more from one stream leaves those of all other names as they are.
    pub fn new(seed: u64, name: &str) -> Self {
        // One step of the generator mixes the name with the seed.
        Self(Self::seeded(seed ^ fnv1a(name)).bits())
    }

    /// The stream of a seed alone, as other programs have it.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits, each 0 or 1 as likely.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `bound`, which is at least 1; each as likely as any other, but for `bound` in 2^64.
    /// Source: Lemire 2019, "Fast random integer generation in an interval".
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `0..1`, to all bits of an f64.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `low..high`, in steps of 2^-24 of their distance.
    pub fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.bits() >> 40) as f32 / (1 << 24) as f32)
    }

    /// Standard normal, by Box and Muller (1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.within(f32::MIN_POSITIVE, 1.0).max(1e-12).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.within(0.0, 1.0)).cos()
    }
}

/// The hash FNV-1a of a text (Fowler, Noll, Vo), 64 bits.
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The first two of seed 1234567, as https://prng.di.unimi.it/splitmix64.c gives them.
        let mut stream = Stream::seeded(1_234_567);
        assert_eq!([stream.bits(), stream.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn the_hash_of_a_is_that_of_its_authors() {
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn streams_are_their_own_and_the_same_every_time() {
        let draw = |seed, name| Stream::new(seed, name).within(0.0, 1.0);
        assert_eq!(draw(1, "anatomy"), draw(1, "anatomy"));
        assert!(draw(1, "anatomy") != draw(1, "noise") && draw(1, "anatomy") != draw(2, "anatomy"));
    }
}
