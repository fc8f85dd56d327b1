//! An atlas as a picture: three projections of the mean size of change over the mean scan, side by side.

use anyhow::Result;
use image::{Rgba, RgbaImage};

use super::atlas::{Atlas, FLAT, View};
use crate::cohort::aligned::{Aligned, SIDE};
use crate::export::apng::png_bytes;
use crate::export::report::NOTICE;
use crate::frame::colormap::{ABOVE, BELOW};

/// Pixels of a place, and between projections.
const PLACE_PX: u32 = 6;
const GAP_PX: u32 = 12;
pub(super) const WIDTH_PX: u32 = 3 * SIDE as u32 * PLACE_PX + 2 * GAP_PX;
pub(super) const HEIGHT_PX: u32 = SIDE as u32 * PLACE_PX;
/// Greys of the mean scan, HU: means along a ray through air and body.
const GREY_HU: [f32; 2] = [-1000.0, 100.0];
/// How dark the scan stays behind colours.
const DIM: f32 = 0.6;
/// What is not clear is shown so weakly.
const UNCLEAR: f32 = 0.15;
const OPACITY: f32 = 0.9;

/// A picture as PNG, and what its full colour stands for, HU.
pub(super) struct Picture {
    pub(super) png: Vec<u8>,
    pub(super) scale_hu: f32,
}

/// The mean size of change; `scale_hu` is its own largest where none is given.
pub(super) fn mean(mean: &Aligned, scale_hu: Option<f32>) -> Result<Picture> {
    let flats = View::ALL.map(|view| view.project(&mean.size));
    let scale_hu = scale_hu.unwrap_or_else(|| largest(flats.iter().flatten().copied()));
    let shares = flats.map(|flat| flat.iter().map(|size| (size / scale_hu).clamp(0.0, 1.0)).collect());
    Ok(Picture { png: drawn(mean, &shares)?, scale_hu })
}

/// Draws by how much a group is above or below the rest, weakly where that is not clear; `None` where either has too few cases.
pub(super) fn difference(group: &Atlas, all: &Atlas) -> Result<Option<Picture>> {
    let flats: Option<Vec<_>> = View::ALL.iter().map(|view| group.beyond_the_rest(all, *view)).collect();
    let Some(flats) = flats else { return Ok(None) };
    let scale_hu = largest(flats.iter().flatten().map(|(difference, _)| difference.abs()));
    let share = |(difference, is_clear): &(f32, bool)| {
        (difference / scale_hu).clamp(-1.0, 1.0) * if *is_clear { 1.0 } else { UNCLEAR }
    };
    let shares: Vec<Vec<f32>> = flats.iter().map(|flat| flat.iter().map(share).collect()).collect();
    let [a, b, c] = shares.as_slice() else { return Ok(None) };
    Ok(Some(Picture { png: drawn(&all.mean(), &[a.clone(), b.clone(), c.clone()])?, scale_hu }))
}

fn largest(sizes: impl Iterator<Item = f32>) -> f32 {
    sizes.filter(|size| size.is_finite()).fold(f32::MIN_POSITIVE, f32::max)
}

/// Shares `-1..=1` in colours over the scan.
fn drawn(scan: &Aligned, shares: &[Vec<f32>; 3]) -> Result<Vec<u8>> {
    let mut picture = RgbaImage::from_pixel(WIDTH_PX, HEIGHT_PX, Rgba([0, 0, 0, 255]));
    for (number, (view, shares)) in View::ALL.into_iter().zip(shares).enumerate() {
        let left = number as u32 * (SIDE as u32 * PLACE_PX + GAP_PX);
        let greys = view.project(&scan.scan);
        for at in 0..FLAT {
            let color = colored(greys[at], shares[at]);
            let [column, row] = pixel(at);
            for (x, y) in (0..PLACE_PX).flat_map(|y| (0..PLACE_PX).map(move |x| (x, y))) {
                picture.put_pixel(left + column * PLACE_PX + x, row * PLACE_PX + y, color);
            }
        }
    }
    png_bytes(picture, &[("Note", NOTICE.to_owned())])
}

/// Column and row as radiologists see them: the patient's right on the left, or the front on the left from the side; the head, or the front,
/// above.
fn pixel(at: usize) -> [u32; 2] {
    [at % SIDE, at / SIDE].map(|n| (SIDE - 1 - n) as u32)
}

fn colored(hu: f32, share: f32) -> Rgba<u8> {
    let [low, high] = GREY_HU;
    let grey = if hu.is_nan() { 0.0 } else { ((hu - low) / (high - low)).clamp(0.0, 1.0) * DIM };
    let share = if share.is_nan() { 0.0 } else { share };
    let end = if share < 0.0 { BELOW } else { ABOVE };
    let weight = share.abs() * OPACITY;
    let [r, g, b] = end.map(|end| ((grey + (end - grey) * weight) * 255.0).round() as u8);
    Rgba([r, g, b, 255])
}
