//! Images as few bytes, to the bit: each as its difference from images that are nearly alike, in zlib.
//!
//! Floats in order have ranks in order, so the difference of two near floats is a small whole number, and its high bytes are zero. The
//! bytes of equal weight stand together: four planes an image, the highest first.

use std::io::{BufRead, Read, Result, Write};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// Bytes that pass at a time.
const PIECE: usize = 1 << 16;
/// The level of zlib. For the steps of the demo, level 9 takes seven times as long and saves a fiftieth: what is left is noise of the last bits.
const LEVEL: u32 = 4;
const SHIFTS: [u32; 4] = [24, 16, 8, 0];

/// What an image is told as the difference from.
#[derive(Clone, Copy)]
pub(super) enum Near<'a> {
    /// The pixel before, in memory.
    Itself,
    /// Another image of the same size.
    One(&'a [f32]),
    /// Each number is predicted by a straight line through two others: as far beyond the first as the first is beyond the second.
    Beyond(&'a [f32], &'a [f32]),
}

impl Near<'_> {
    /// What pixel `at` is thought to be, as a rank; `before` is the rank of the pixel before.
    fn rank(self, at: usize, before: i32) -> i32 {
        match self {
            Self::Itself => before,
            Self::One(a) => rank(a[at]),
            Self::Beyond(a, b) => rank(a[at]).wrapping_mul(2).wrapping_sub(rank(b[at])),
        }
    }

    /// Whether every image has this many pixels.
    fn fits(self, pixels: usize) -> bool {
        match self {
            Self::Itself => true,
            Self::One(a) => a.len() == pixels,
            Self::Beyond(a, b) => a.len() == pixels && b.len() == pixels,
        }
    }
}

/// The place of a float in the order of all: that of `f32::total_cmp`. Its own inverse, but for the kind of number.
fn rank(x: f32) -> i32 {
    turned(x.to_bits().cast_signed())
}

fn float(rank: i32) -> f32 {
    f32::from_bits(turned(rank).cast_unsigned())
}

fn turned(bits: i32) -> i32 {
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

/// Small differences of either sign as small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
fn folded(difference: i32) -> u32 {
    ((difference << 1) ^ (difference >> 31)).cast_unsigned()
}

fn unfolded(folded: u32) -> i32 {
    (folded >> 1).cast_signed() ^ (folded & 1).cast_signed().wrapping_neg()
}

/// Writes an image. `near` has as many pixels.
pub(super) fn pack(image: impl Fn(usize) -> f32, pixels: usize, near: Near, out: &mut dyn Write) -> Result<()> {
    debug_assert!(near.fits(pixels), "images of one size");
    let mut packed = ZlibEncoder::new(out, Compression::new(LEVEL));
    let mut piece = Vec::with_capacity(PIECE);
    for shift in SHIFTS {
        let mut before = 0;
        for at in 0..pixels {
            let rank = rank(image(at));
            piece.push((folded(rank.wrapping_sub(near.rank(at, before))) >> shift) as u8);
            before = rank;
            if piece.len() == PIECE {
                packed.write_all(&piece)?;
                piece.clear();
            }
        }
    }
    packed.write_all(&piece)?;
    packed.finish().map(drop)
}

/// Reads an image of so many pixels, and leaves `packed` behind its last byte. Takes four bytes a pixel, however much is packed.
pub(super) fn unpack(packed: &mut impl BufRead, pixels: usize, near: Near) -> Result<Vec<f32>> {
    let damaged = |text| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
    if !near.fits(pixels) {
        return Err(damaged("an image is told by images of another size"));
    }
    let mut planes = ZlibDecoder::new(packed);
    let (mut folded, mut piece) = (vec![0_u32; pixels], vec![0; PIECE.min(pixels)]);
    for shift in SHIFTS {
        for part in folded.chunks_mut(PIECE) {
            let bytes = &mut piece[..part.len()];
            planes.read_exact(bytes)?;
            for (folded, byte) in part.iter_mut().zip(bytes) {
                *folded |= u32::from(*byte) << shift;
            }
        }
    }
    // Its checksum is read, and held against what came, at the end alone.
    if planes.read(&mut [0])? != 0 {
        return Err(damaged("an image has more pixels than belong to it"));
    }
    let mut before = 0;
    let unfold = |(at, folded): (usize, u32)| {
        before = near.rank(at, before).wrapping_add(unfolded(folded));
        float(before)
    };
    Ok(folded.into_iter().enumerate().map(unfold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: [f32; 9] =
        [0.0, -0.0, 1.0, -1.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::INFINITY, -f32::from_bits(1)];

    fn packed(image: &[f32], near: Near) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(|i| image[i], image.len(), near, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_float_has_a_rank_of_its_own_in_the_order_of_all() {
        let mut ordered = ODD;
        ordered.sort_by(f32::total_cmp);
        assert!(ordered.map(rank).is_sorted_by(|a, b| a < b));
        for x in ODD.into_iter().chain([f32::NAN]) {
            assert_eq!(float(rank(x)).to_bits(), x.to_bits());
        }
        for difference in [0, 1, -1, 77, i32::MAX, i32::MIN] {
            assert_eq!(unfolded(folded(difference)), difference);
        }
        assert_eq!([0, -1, 1, -2].map(folded), [0, 1, 2, 3]);
    }

    #[test]
    fn images_come_back_to_the_bit_one_after_another() {
        let turned: Vec<f32> = ODD.iter().rev().copied().collect();
        let nears = [Near::Itself, Near::One(&turned), Near::Beyond(&turned, &ODD)];
        let bytes = nears.map(|near| packed(&ODD, near)).concat();
        let mut rest = bytes.as_slice();
        for near in nears {
            let back = unpack(&mut rest, ODD.len(), near).unwrap();
            assert_eq!(back.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), ODD.map(f32::to_bits));
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn an_image_that_is_cut_flipped_or_of_another_size_is_an_error() {
        let bytes = packed(&ODD, Near::Itself);
        for end in 0..bytes.len() {
            assert!(unpack(&mut &bytes[..end], ODD.len(), Near::Itself).is_err(), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A few bits of zlib's header say nothing of what is packed.
            if let Ok(back) = unpack(&mut flipped.as_slice(), ODD.len(), Near::Itself) {
                assert_eq!(back.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), ODD.map(f32::to_bits), "bit {bit}");
            }
        }
        for pixels in [0, ODD.len() - 1, ODD.len() + 1, 1 << 20] {
            assert!(unpack(&mut bytes.as_slice(), pixels, Near::Itself).is_err(), "{pixels} pixels");
        }
        assert!(unpack(&mut bytes.as_slice(), ODD.len(), Near::One(&ODD[1..])).is_err());
    }
}
