//! PNG with its provenance as text, of one picture or of several in time (APNG, which is part of PNG's third edition).

use anyhow::Result;
use image::RgbaImage;
use png::{BitDepth, ColorType, Encoder};

use super::animation::{Film, Picture};
use crate::job::Monitor;

/// Names and values of where a picture came from.
type Provenance = [(&'static str, String)];

/// One picture.
pub fn png_bytes(picture: RgbaImage, provenance: &Provenance) -> Result<Vec<u8>> {
    apng_bytes(&Film::forth(vec![picture], 0), 0, provenance, &Monitor::default())
}

/// Pictures that play `loops` times, or without end where that is 0. Programs that know no APNG show the first.
pub fn apng_bytes<P: Picture>(
    film: &Film<P>,
    loops: u16,
    provenance: &Provenance,
    monitor: &Monitor,
) -> Result<Vec<u8>> {
    let (width, height) = film.size()?;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    let shots = film.shots(monitor)?;
    let animated = film.shot_count() > 1;
    if animated {
        encoder.set_animated(u32::try_from(film.shot_count())?, u32::from(loops))?;
    }
    for (name, value) in provenance {
        // iTXt, since a target's name may hold any letter.
        encoder.add_itxt_chunk((*name).to_owned(), value.clone())?;
    }
    let mut writer = encoder.write_header()?;
    for shot in shots {
        let shot = shot?;
        if animated {
            writer.set_frame_delay(shot.hundredths, 100)?;
        }
        writer.write_image_data(shot.picture.as_raw())?;
    }
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::Rgba;

    use super::*;

    #[test]
    fn an_animated_png_keeps_every_pixel_and_every_delay() {
        let along: Vec<_> = (0..3).map(|i| RgbaImage::from_pixel(5, 3, Rgba([i * 40, 7, 200, 255]))).collect();
        let bytes = apng_bytes(&Film::bounce(along.clone(), 12), 3, &[], &Monitor::default()).expect("an animation");
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().expect("a PNG");
        let control = *reader.info().animation_control().expect("animated");
        assert_eq!((control.num_frames, control.num_plays), (4, 3));
        for (shot, (place, delay)) in [(0, 90), (1, 12), (2, 90), (1, 12)].into_iter().enumerate() {
            let mut pixels = vec![0; 5 * 3 * 4];
            reader.next_frame(&mut pixels).expect("a picture");
            assert_eq!(&pixels, along[place].as_raw(), "picture {shot}");
            let frame = reader.info().frame_control().expect("timed");
            assert_eq!((frame.delay_num, frame.delay_den), (delay, 100), "picture {shot}");
        }
    }
}
