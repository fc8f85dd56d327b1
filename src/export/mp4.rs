//! MP4: H.264 baseline, yuv420p, the index before the pictures, which browsers and slide programs play.
//!
//! The pictures come at a constant rate, as those programs expect; one that stands longer is repeated, which costs next to nothing.

use anyhow::{Context, Result, ensure};
use image::{Rgba, RgbaImage};
use muxide::api::{MuxerConfig, VideoCodec};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::formats::{RgbaSliceU8, YUVBuffer};

use super::animation::{Film, Picture};
use crate::job::Monitor;

/// Pictures a second.
const RATE: u32 = 25;
/// The encoder's own limits, by its README: 3840 x 2160, either way up.
const LONGEST_PX: u32 = 3840;
const SHORTEST_PX: u32 = 2160;
/// Bounds of the quantiser, of 51: letters stay sharp and greys within a few levels. (The encoder takes 0 for "not given".)
const QUANTISER: [u8; 2] = [12, 20];
/// High enough that the bounds above decide.
const BITS_PER_SECOND: u32 = 40_000_000;

/// The bytes of a file.
pub fn mp4_bytes<P: Picture>(film: &Film<P>, monitor: &Monitor) -> Result<Vec<u8>> {
    let (width, height) = film.size()?;
    // Chroma is kept for squares of four pixels.
    let (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
    ensure!(
        width.max(height) <= LONGEST_PX && width.min(height) <= SHORTEST_PX,
        "a video holds at most {LONGEST_PX} x {SHORTEST_PX} pixels, not {width} x {height}; choose smaller pictures"
    );
    let mut encoder = encoder().context("the video encoder cannot be started")?;
    let mut muxer =
        MuxerConfig::new(width, height, f64::from(RATE)).into_builder(Vec::new(), VideoCodec::H264).build()?;
    let (mut frame, mut end_hundredths) = (0_u32, 0_u32);
    for shot in film.shots(monitor)? {
        let shot = shot?;
        let picture = even(&shot.picture);
        let rgba = RgbaSliceU8::new(&picture, (width as usize, height as usize));
        let yuv = YUVBuffer::from_rgba8_source(rgba);
        end_hundredths += u32::from(shot.hundredths);
        // Rounded from the beginning, so that no error adds up; every picture is seen.
        let end = ((end_hundredths * RATE + 50) / 100).max(frame + 1);
        while frame < end {
            let coded = encoder.encode(&yuv).context("a picture of the video cannot be encoded")?;
            let key = matches!(coded.frame_type(), FrameType::IDR);
            muxer.write_video(f64::from(frame) / f64::from(RATE), &coded.to_vec(), key)?;
            frame += 1;
        }
    }
    muxer.finish_in_place()?;
    Ok(muxer.into_writer())
}

/// Greys are BT.601's, limited range, as the conversion gives them; the stream says so.
fn encoder() -> Result<Encoder, openh264::Error> {
    let config = EncoderConfig::new()
        .profile(Profile::Baseline)
        .usage_type(UsageType::ScreenContentRealTime)
        .vui(VuiConfig::bt601())
        .max_frame_rate(FrameRate::from_hz(RATE as f32))
        .rate_control_mode(RateControlMode::Bufferbased)
        .bitrate(BitRate::from_bps(BITS_PER_SECOND))
        .qp(QpRange::new(QUANTISER[0], QUANTISER[1]))
        .intra_frame_period(IntraFramePeriod::from_num_frames(2 * RATE))
        .skip_frames(false)
        // It would leave small changes out.
        .background_detection(false)
        .adaptive_quantization(false);
    Encoder::with_api_config(OpenH264API::from_source(), config)
}

/// An odd row or column gets its neighbour beside it.
fn even(picture: &RgbaImage) -> RgbaImage {
    let (width, height) = picture.dimensions();
    let pixel = |x: u32, y: u32| -> Rgba<u8> { *picture.get_pixel(x.min(width - 1), y.min(height - 1)) };
    RgbaImage::from_fn(width.next_multiple_of(2), height.next_multiple_of(2), pixel)
}

#[cfg(test)]
mod tests {
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource;

    use super::*;

    /// Of 255: limited range has 219 levels, and the quantiser takes a few.
    const NEAR: f32 = 5.0;

    /// Position of a box within the file's top level.
    fn top_level(bytes: &[u8]) -> Vec<(String, usize)> {
        let (mut at, mut boxes) = (0, Vec::new());
        while at + 8 <= bytes.len() {
            let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            boxes.push((String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned(), size));
            at += size.max(8);
        }
        boxes
    }

    /// The stream as a decoder wants it: units after start codes, from the avcC box and the samples.
    fn annex_b(bytes: &[u8]) -> Vec<Vec<u8>> {
        let find = |name: &[u8]| bytes.windows(4).position(|w| w == name).expect("a box") + 4;
        let length = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]) as usize;
        let (start, avcc) = ([0, 0, 0, 1], find(b"avcC"));
        assert_eq!(bytes[avcc + 1], 66, "the profile is baseline");
        let sps = avcc + 6;
        let pps = sps + 2 + length(sps) + 1;
        let mut units: Vec<Vec<u8>> = Vec::new();
        for at in [sps, pps] {
            units.push([&start[..], &bytes[at + 2..at + 2 + length(at)]].concat());
        }
        let (mut at, end) = (find(b"mdat"), bytes.len());
        while at + 4 <= end {
            let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            units.push([&start[..], &bytes[at + 4..at + 4 + size]].concat());
            at += 4 + size;
        }
        units
    }

    #[test]
    fn a_video_of_odd_size_decodes_to_the_greys_that_went_in_for_as_long_as_they_stand() {
        let picture = |shift: u32| {
            RgbaImage::from_fn(127, 63, |x, _| {
                let grey = ((x / 8 * 16 + shift) % 256) as u8;
                Rgba([grey, grey, grey, 255])
            })
        };
        let pictures = [picture(0), picture(48)];
        let film = Film::forth(vec![pictures[0].clone()], 90).then(Film::forth(vec![pictures[1].clone()], 12));
        let bytes = mp4_bytes(&film, &Monitor::default()).expect("a video");
        let boxes = top_level(&bytes);
        let place = |name: &str| boxes.iter().position(|(found, _)| found == name).expect(name);
        assert!(place("moov") < place("mdat"), "the index comes first: {boxes:?}");
        let mut decoder = Decoder::new().expect("a decoder");
        let mut frames = Vec::new();
        for unit in annex_b(&bytes) {
            if let Some(frame) = decoder.decode(&unit).expect("decodable") {
                assert_eq!(frame.dimensions(), (128, 64));
                let mut rgb = vec![0; 128 * 64 * 3];
                frame.write_rgb8(&mut rgb);
                frames.push(rgb);
            }
        }
        // 1.02 s at 25 pictures a second; the decoder keeps none back.
        assert!(frames.len().abs_diff(26) <= 1, "{} frames", frames.len());
        for (frame, want) in [(&frames[0], &pictures[0]), (frames.last().expect("frames"), &pictures[1])] {
            // In the middle of each stripe: an edge is blurred by the quantiser.
            let off = |x: u32| f32::from(frame[(32 * 128 + x as usize) * 3]) - f32::from(want.get_pixel(x, 32).0[0]);
            let worst = (0..15).map(|stripe| off(stripe * 8 + 4).abs()).fold(0.0, f32::max);
            assert!(worst <= NEAR, "off by {worst}");
        }
    }

    #[test]
    fn a_video_that_no_encoder_takes_is_refused_in_words() {
        let wide = RgbaImage::new(4000, 10);
        let error = mp4_bytes(&Film::forth(vec![wide], 10), &Monitor::default()).unwrap_err();
        assert!(error.to_string().contains("choose smaller pictures"), "{error}");
        assert!(mp4_bytes(&Film::<RgbaImage>::forth(Vec::new(), 10), &Monitor::default()).is_err());
        let cancelled = Monitor::default();
        cancelled.cancel();
        let small = RgbaImage::new(64, 64);
        let error = mp4_bytes(&Film::forth(vec![small], 10), &cancelled).unwrap_err();
        assert!(error.is::<crate::job::Cancelled>(), "{error}");
    }
}
