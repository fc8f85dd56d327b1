//! Pictures in time: what GIF, APNG and MP4 share.

use anyhow::{Result, ensure};
use image::RgbaImage;

/// How long either end of a bounce stands, hundredths of a second.
const END: u16 = 90;

/// A picture, and how long it stands, hundredths of a second.
pub struct Shot<'a> {
    pub picture: &'a RgbaImage,
    pub hundredths: u16,
}

/// How long one of `fps` pictures a second stands, hundredths of a second.
pub fn hundredths(fps: u16) -> u16 {
    (100 / fps.max(1)).max(1)
}

/// Pictures there and back; the ends stand longer.
pub fn bounce(along: &[RgbaImage], hundredths: u16) -> Vec<Shot<'_>> {
    let there = 0..along.len();
    let back = (1..along.len().saturating_sub(1)).rev();
    let is_end = |i: usize| i == 0 || i + 1 == along.len();
    let shot = |i: usize| Shot { picture: &along[i], hundredths: if is_end(i) { END } else { hundredths } };
    there.chain(back).map(shot).collect()
}

/// Pictures one after the other.
pub fn forth(along: &[RgbaImage], hundredths: u16) -> Vec<Shot<'_>> {
    along.iter().map(|picture| Shot { picture, hundredths }).collect()
}

/// The size that all shots are of.
pub(super) fn size_of(shots: &[Shot]) -> Result<(u32, u32)> {
    let size = shots.first().map(|shot| shot.picture.dimensions());
    let size = size.ok_or_else(|| anyhow::anyhow!("an animation needs at least one picture"))?;
    ensure!(shots.iter().all(|shot| shot.picture.dimensions() == size), "the pictures of an animation are of one size");
    Ok(size)
}
