//! GIF: pictures in time, with one palette for all of them, made for what Parallax draws.
//!
//! A palette that is found anew for each frame flickers; one that is found from photographs bands the greys. Ours holds every
//! second grey, and the two colours of the difference and those of tags and bars, each from black to full.

use std::borrow::Cow;
use std::collections::HashMap;

use super::animation::{Film, Picture, Shot};
use crate::frame::colormap::{ABOVE, BELOW};
use crate::job::Monitor;
use anyhow::Result;
use gif::{Encoder, Frame, Repeat};

const GREYS: usize = 128;
/// Steps of each of the four ramps of colour.
const RAMP: usize = 32;
/// SYNTHETIC, and the bar of a score.
const TAGS: [[f32; 3]; 2] = [[1.0, 0.757, 0.302], [0.251, 0.784, 0.878]];

/// The bytes of a file that plays `loops` times, or without end where that is 0.
pub fn gif_bytes<P: Picture>(film: &Film<P>, loops: u16, monitor: &Monitor) -> Result<Vec<u8>> {
    let size = film.size()?;
    let (width, height) = (u16::try_from(size.0)?, u16::try_from(size.1)?);
    let mut palette = Palette::new();
    let colors: Vec<u8> = palette.colors.iter().flatten().copied().collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height, &colors)?;
    // The file says how often it is repeated after the first time; nothing where it is played once.
    encoder.set_repeat(loops.checked_sub(1).map_or(Repeat::Infinite, Repeat::Finite))?;
    for shot in film.shots(monitor)? {
        let Shot { picture, hundredths: delay } = shot?;
        let buffer: Vec<u8> =
            picture.pixels().map(|pixel| palette.index([pixel.0[0], pixel.0[1], pixel.0[2]])).collect();
        let buffer = Cow::Owned(buffer);
        encoder.write_frame(&Frame { width, height, delay, buffer, ..Frame::default() })?;
    }
    drop(encoder); // writes the end of the file
    Ok(bytes)
}

struct Palette {
    colors: Vec<[u8; 3]>,
    /// The nearest ones found so far.
    nearest: HashMap<[u8; 3], u8>,
}

impl Palette {
    fn new() -> Self {
        let byte = |x: f32| (x * 255.0).round() as u8;
        let greys = (0..GREYS).map(|i| [byte(i as f32 / (GREYS - 1) as f32); 3]);
        let ramps = [BELOW, ABOVE, TAGS[0], TAGS[1]]
            .into_iter()
            .flat_map(|end| (1..=RAMP).map(move |i| end.map(|c| byte(c * i as f32 / RAMP as f32))));
        Self { colors: greys.chain(ramps).collect(), nearest: HashMap::new() }
    }

    fn index(&mut self, color: [u8; 3]) -> u8 {
        let distance =
            |other: &[u8; 3]| other.iter().zip(color).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>();
        let colors = &self.colors;
        let nearest = || (0..colors.len()).min_by_key(|i| distance(&colors[*i])).unwrap_or(0) as u8;
        *self.nearest.entry(color).or_insert_with(nearest)
    }
}

#[cfg(test)]
mod tests {
    use gif::{ColorOutput, DecodeOptions};
    use image::{Rgba, RgbaImage};

    use super::*;
    use crate::frame::{Shade, colormap};

    /// Of 255: half of the way between two colours of the coarsest ramp.
    const NEAR: u8 = 5;

    #[test]
    fn an_animation_plays_there_and_back_and_keeps_greys_and_the_colours_of_the_difference() {
        let shade = Shade::difference(1.0, 0.0);
        let color = |x: u32, frame: u32| {
            if x.is_multiple_of(2) {
                [(x / 2 + frame * 40) as u8; 3]
            } else {
                colormap::color(x as f32 / 127.5 - 1.0, shade).map(|c| (c * 255.0) as u8)
            }
        };
        let picture = |frame| {
            RgbaImage::from_fn(256, 4, |x, _| {
                let [r, g, b] = color(x, frame);
                Rgba([r, g, b, 255])
            })
        };
        let along: Vec<_> = (0..3).map(picture).collect();
        let bytes = gif_bytes(&Film::bounce(along.clone(), 12), 0, &Monitor::default()).expect("an animation");
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes.as_slice()).expect("a GIF");
        let mut seen = Vec::new();
        while let Some(frame) = decoder.read_next_frame().expect("a frame") {
            seen.push((frame.delay, frame.buffer.to_vec()));
        }
        assert_eq!(seen.iter().map(|(delay, _)| *delay).collect::<Vec<_>>(), [90, 12, 90, 12]);
        for ((_, pixels), want) in seen.iter().zip([&along[0], &along[1], &along[2], &along[1]]) {
            let worst = pixels.iter().zip(want.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(NEAR), "off by {worst:?}");
        }
    }

    #[test]
    fn an_animation_says_how_often_it_plays() {
        let film = Film::forth(vec![RgbaImage::new(2, 2); 2], 12);
        // The block and its bytes: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, 26; NETSCAPE2.0, 1, count, 0.
        let repeats = |loops| {
            let bytes = gif_bytes(&film, loops, &Monitor::default()).expect("an animation");
            let at = bytes.windows(11).position(|w| w == b"NETSCAPE2.0")? + 11;
            Some(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]))
        };
        assert_eq!([0, 1, 2, 5].map(repeats), [Some(0), None, Some(1), Some(4)]);
    }
}
