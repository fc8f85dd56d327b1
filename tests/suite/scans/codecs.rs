//! The decoders of DICOM pixels: to the bit against encoders and other decoders, and an error for whatever is cut, damaged or contradicts its header.

use std::time::{Duration, Instant};

use parallax::io::codec::{Codec, Frame, Layout, decode};

use crate::encoders::{Lossless, Numbers, jpeg_ls, lossless, rle};

fn layout(rows: usize, columns: usize, bits_stored: u16, signed: bool) -> Layout {
    Layout { rows, columns, bits_allocated: if bits_stored > 8 { 16 } else { 8 }, bits_stored, signed }
}

/// The order of categories that a table of `lossless` begins with.
fn order(numbers: &mut Numbers) -> Vec<u8> {
    let mut order: Vec<u8> = (0..=16).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, numbers.below(at + 1));
    }
    order
}

/// The error's words.
fn refused(codec: Codec, bytes: &[u8], layout: &Layout) -> String {
    match decode(codec, bytes, layout) {
        Err(why) => why,
        Ok(frame) => panic!("{codec:?}: {} pixels were unpacked where an error was due", frame.samples.len()),
    }
}

/// Precisions, predictors, point transforms and restarts: 1260 ways to pack an image as JPEG lossless.
fn kinds_of_lossless(numbers: &mut Numbers, rows: usize, columns: usize) -> Vec<Lossless> {
    let mut kinds = Vec::new();
    for (precision, predictor) in (2..=16).flat_map(|precision| (1..=7).map(move |predictor| (precision, predictor))) {
        for point_transform in [0, 1, 2.min(precision - 1), precision - 1] {
            for restart in [0, columns, 3 * columns] {
                let order = order(numbers);
                let point_transform = point_transform as u8;
                kinds.push(Lossless { rows, columns, precision, predictor, point_transform, restart, order });
            }
        }
    }
    kinds
}

#[test]
fn every_kind_of_jpeg_lossless_comes_back_to_the_bit() {
    let mut numbers = Numbers::new(18);
    let (rows, columns) = (11, 13);
    for how in kinds_of_lossless(&mut numbers, rows, columns) {
        let (precision, shift) = (how.precision, how.point_transform);
        let samples = numbers.image(rows, columns, precision);
        let wanted: Vec<u16> = samples.iter().map(|sample| sample >> shift << shift).collect();
        let layout = Layout { bits_allocated: 16, ..layout(rows, columns, precision, false) };
        let frame = decode(Codec::Jpeg, &lossless(&samples, &how), &layout);
        assert_eq!(frame, Ok(Frame { samples: wanted, lossy: false, precision }), "{how:?}");
    }
}

/// Encoders take signed samples of 16 bits, whatever the precision; differences are modulo 65536, so that the sign comes back in all bits.
#[test]
fn signed_samples_in_jpeg_lossless_keep_their_sign() {
    let mut numbers = Numbers::new(19);
    let (rows, columns) = (11, 13);
    for how in kinds_of_lossless(&mut numbers, rows, columns).into_iter().filter(|how| how.point_transform == 0) {
        let above = 16 - how.precision;
        let extend = |sample: u16| ((sample << above) as i16 >> above) as u16;
        let samples: Vec<u16> = numbers.image(rows, columns, how.precision).into_iter().map(extend).collect();
        let layout = Layout { bits_allocated: 16, ..layout(rows, columns, how.precision, true) };
        let frame = decode(Codec::Jpeg, &lossless(&samples, &how), &layout);
        assert_eq!(frame, Ok(Frame { samples, lossy: false, precision: how.precision }), "{how:?}");
    }
}

#[test]
fn rle_of_any_size_comes_back_to_the_bit() {
    let mut numbers = Numbers::new(5);
    for round in 0..600 {
        let (rows, columns) = (1 + numbers.below(40), 1 + numbers.below(300));
        let bits = [8, 16][round % 2];
        let samples = numbers.image(rows, columns, bits);
        let packed = rle(&samples, columns, bits);
        let frame = decode(Codec::Rle, &packed, &layout(rows, columns, bits, false))
            .unwrap_or_else(|why| panic!("{rows} x {columns}: {why}"));
        assert_eq!(frame, Frame { samples, lossy: false, precision: bits }, "{rows} x {columns}, {bits} bits");
    }
}

#[test]
fn jpeg_ls_of_2_to_16_bits_comes_back_to_the_bit() {
    let mut numbers = Numbers::new(87);
    for precision in 2..=16 {
        for _ in 0..12 {
            let (rows, columns) = (1 + numbers.below(40), 1 + numbers.below(60));
            let samples = numbers.image(rows, columns, precision);
            let packed = jpeg_ls(&samples, rows, columns, precision, 0);
            let frame = decode(Codec::JpegLs, &packed, &layout(rows, columns, precision, false))
                .unwrap_or_else(|why| panic!("{rows} x {columns}: {why}"));
            assert_eq!(frame, Frame { samples, lossy: false, precision }, "{rows} x {columns}, {precision} bits");
        }
    }
}

#[test]
fn near_lossless_jpeg_ls_says_so_and_stays_near() {
    let mut numbers = Numbers::new(88);
    for near in [1, 2, 7] {
        let samples = numbers.image(30, 40, 12);
        let packed = jpeg_ls(&samples, 30, 40, 12, near);
        let frame = decode(Codec::JpegLs, &packed, &layout(30, 40, 12, false)).unwrap();
        assert!(frame.lossy);
        let worst = samples.iter().zip(&frame.samples).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(near as u16), "NEAR {near}: off by {worst:?}");
    }
}

/// An image by each encoder of the suite, with its codec and layout.
fn packed_images() -> Vec<(Codec, Vec<u8>, Layout, Vec<u16>)> {
    let mut numbers = Numbers::new(3);
    let (rows, columns) = (21, 17);
    let samples = numbers.image(rows, columns, 12);
    let layout = layout(rows, columns, 12, false);
    let mut found = vec![
        (Codec::Rle, rle(&samples, columns, 16), layout, samples.clone()),
        (Codec::JpegLs, jpeg_ls(&samples, rows, columns, 12, 0), layout, samples.clone()),
    ];
    for restart in [0, 2 * columns] {
        let how = Lossless {
            rows,
            columns,
            precision: 12,
            predictor: 4,
            point_transform: 0,
            restart,
            order: order(&mut numbers),
        };
        found.push((Codec::Jpeg, lossless(&samples, &how), layout, samples.clone()));
    }
    found
}

#[test]
fn a_cut_stream_is_an_error_or_whole() {
    let mut streams = packed_images();
    streams.extend(fixtures().into_iter().map(|one| (one.codec, one.bytes, one.layout, one.golden)));
    for (codec, bytes, layout, samples) in streams {
        let whole = decode(codec, &bytes, &layout).unwrap_or_else(|why| panic!("{codec:?}: {why}"));
        let mut refused = 0;
        for length in 0..bytes.len() {
            match decode(codec, &bytes[..length], &layout) {
                Ok(frame) => assert_eq!(frame, whole, "{codec:?} cut to {length} of {} bytes", bytes.len()),
                Err(_) => refused += 1,
            }
        }
        // What may be missing: the end marker, and padding.
        assert!(
            refused + 4 >= bytes.len(),
            "{codec:?}: {refused} of {} cuts refused, {} samples",
            bytes.len(),
            samples.len()
        );
    }
}

#[test]
fn a_header_that_contradicts_the_dicom_header_is_refused_with_both_numbers() {
    let mut streams = packed_images();
    streams.extend(fixtures().into_iter().map(|one| (one.codec, one.bytes, one.layout, one.golden)));
    for (codec, bytes, layout, _) in streams {
        let (rows, columns) = (layout.rows, layout.columns);
        for wrong in [
            Layout { rows: rows + 1, ..layout },
            Layout { columns: columns - 1, ..layout },
            Layout { rows: columns, columns: rows, ..layout },
        ] {
            // RLE knows the number of pixels alone.
            if codec == Codec::Rle && wrong.rows == columns {
                continue;
            }
            let why = refused(codec, &bytes, &wrong);
            let says = why.contains(&format!("{rows} rows x {columns} columns"))
                && why.contains(&format!("Rows {} x Columns {}", wrong.rows, wrong.columns));
            assert!(codec == Codec::Rle || says, "{codec:?}: {why}");
        }
        if layout.bits_allocated == 16 {
            let why = refused(codec, &bytes, &Layout { bits_allocated: 8, bits_stored: 8, ..layout });
            assert!(why.contains("BitsAllocated"), "{codec:?}: {why}");
        }
    }
}

#[test]
fn restarts_within_a_row_are_refused() {
    let samples = Numbers::new(1).image(8, 10, 12);
    let how = Lossless {
        rows: 8,
        columns: 10,
        precision: 12,
        predictor: 1,
        point_transform: 0,
        restart: 15,
        order: (0..=16).collect(),
    };
    let why = refused(Codec::Jpeg, &lossless(&samples, &how), &layout(8, 10, 12, false));
    assert!(why.contains("restarts come every 15 samples"), "{why}");
}

#[test]
fn a_misplaced_restart_marker_is_refused() {
    let samples = Numbers::new(1).image(8, 10, 12);
    let how = Lossless {
        rows: 8,
        columns: 10,
        precision: 12,
        predictor: 1,
        point_transform: 0,
        restart: 10,
        order: (0..=16).collect(),
    };
    let mut packed = lossless(&samples, &how);
    let at = packed.windows(2).position(|pair| pair == [0xFF, 0xD1]).expect("a second restart marker");
    packed[at + 1] = 0xD2;
    let why = refused(Codec::Jpeg, &packed, &layout(8, 10, 12, false));
    assert!(why.contains("restart marker FF D1 is missing"), "{why}");
}

#[test]
fn a_sample_beyond_its_precision_is_refused() {
    let how = Lossless {
        rows: 1,
        columns: 2,
        precision: 8,
        predictor: 1,
        point_transform: 0,
        restart: 0,
        order: (0..=16).collect(),
    };
    let why = refused(Codec::Jpeg, &lossless(&[255, 256], &how), &layout(1, 2, 8, false));
    assert!(why.contains("256, more than 8 bits hold"), "{why}");
}

#[test]
fn a_frame_of_more_pixels_than_its_bytes_explain_is_refused() {
    let bytes = [0_u8; 1000];
    for codec in [Codec::Rle, Codec::Jpeg, Codec::JpegLs, Codec::Jpeg2000] {
        let why = refused(codec, &bytes, &layout(65535, 65535, 16, false));
        assert!(why.contains("cannot come from a compressed frame of 1000 bytes"), "{why}");
    }
}

/// A stream that another program packed, and what a third one unpacks from it; `tests/data/codecs/make.py` writes both.
struct Fixture {
    name: String,
    codec: Codec,
    bytes: Vec<u8>,
    layout: Layout,
    lossy: bool,
    precision: u16,
    tolerance: u16,
    golden: Vec<u16>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = crate::support::data("codecs");
    let index = std::fs::read_to_string(folder.join("index.csv")).expect("the index is there");
    let fixture = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse::<u16>().unwrap_or_else(|e| panic!("{line}: {e}"));
        let codec = match fields[1] {
            "jpeg" => Codec::Jpeg,
            "jpegls" => Codec::JpegLs,
            "jpeg2000" => Codec::Jpeg2000,
            _ => Codec::Rle,
        };
        let [rows, columns] = [2, 3].map(|at| usize::from(number(at)));
        let golden = std::fs::read(folder.join(fields[10])).expect("the golden is there");
        Fixture {
            name: fields[0].into(),
            codec,
            bytes: std::fs::read(folder.join(fields[0])).expect("the stream is there"),
            layout: Layout { rows, columns, bits_allocated: number(4), bits_stored: number(5), signed: number(6) == 1 },
            lossy: number(7) == 1,
            precision: number(8),
            tolerance: number(9),
            golden: golden.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
        }
    };
    index.lines().skip(1).map(fixture).collect()
}

#[test]
fn streams_of_other_programs_unpack_as_other_programs_unpack_them() {
    for one in fixtures() {
        let frame = decode(one.codec, &one.bytes, &one.layout).unwrap_or_else(|why| panic!("{}: {why}", one.name));
        assert_eq!(
            (frame.lossy, frame.precision, frame.samples.len()),
            (one.lossy, one.precision, one.golden.len()),
            "{}",
            one.name
        );
        let mask = u16::MAX >> (16 - one.layout.bits_stored);
        let worst =
            frame.samples.iter().zip(&one.golden).map(|(a, b)| (a & mask).abs_diff(b & mask)).max().unwrap_or(0);
        assert!(worst <= one.tolerance, "{}: off by {worst}", one.name);
    }
}

/// The frame in a DICOM file of one frame: the joined fragments after the offset table, up to what is left of a cut one.
fn frame_of(file: &[u8]) -> Vec<u8> {
    let start = file.windows(4).rposition(|tag| tag == [0xE0, 0x7F, 0x10, 0x00]).expect("pixel data") + 12;
    let mut items = &file[start..];
    let mut fragments = Vec::new();
    while let Some((&[0xFE, 0xFF, 0x00, 0xE0, a, b, c, d], rest)) = items.split_first_chunk::<8>() {
        let length = rest.len().min(u32::from_le_bytes([a, b, c, d]) as usize);
        fragments.push(&rest[..length]);
        items = &rest[length..];
    }
    fragments[1..].concat()
}

/// One second is what a person waits without asking; the decoders take microseconds to milliseconds here.
const PATIENCE: Duration = Duration::from_secs(1);

#[test]
fn headers_that_promise_gigabytes_are_refused_at_once() {
    let Some(folder) = crate::support::shared("hostile") else { return };
    let cases = [
        ("dicom_j2k_14kB_8.7GB.dcm", Codec::Jpeg2000),
        ("dicom_j2k_own_size.dcm", Codec::Jpeg2000),
        ("dicom_jpeg_own_size.dcm", Codec::Jpeg),
        ("dicom_rle_segments.dcm", Codec::Rle),
        ("dicom_jpegls_own_size.dcm", Codec::JpegLs),
        ("dicom_jpegls_8s.dcm", Codec::JpegLs),
    ];
    for (name, codec) in cases {
        let bytes = frame_of(&std::fs::read(folder.join(name)).expect("readable"));
        let start = Instant::now();
        let why = refused(codec, &bytes, &layout(512, 512, 16, true));
        assert!(start.elapsed() < PATIENCE, "{name} took {:?}: {why}", start.elapsed());
    }
}

/// Bytes changed, put in, taken out and cut off: each is a frame of the right size or an error, within a second.
#[test]
fn damaged_streams_never_panic_or_hang() {
    let mut numbers = Numbers::new(0xC0DEC);
    let mut streams = packed_images();
    streams.extend(fixtures().into_iter().map(|one| (one.codec, one.bytes, one.layout, one.golden)));
    for (codec, bytes, layout, _) in streams {
        for _ in 0..150 {
            let damaged = damage(&bytes, &mut numbers);
            let start = Instant::now();
            if let Ok(frame) = decode(codec, &damaged, &layout) {
                assert_eq!(frame.samples.len(), layout.rows * layout.columns);
            }
            assert!(start.elapsed() < PATIENCE, "{codec:?} took {:?}: {damaged:02X?}", start.elapsed());
        }
    }
}

/// One to four changes, half of them among the first 200 bytes, where the headers are.
fn damage(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let end = if numbers.below(2) == 0 { damaged.len().min(200) } else { damaged.len() };
        let at = numbers.below(end.max(1));
        match numbers.below(6) {
            0 => damaged[at] ^= 1 << numbers.below(8),
            1 => damaged[at] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF][numbers.below(6)],
            2 => damaged[at] = numbers.next() as u8,
            3 => damaged.insert(at, numbers.next() as u8),
            4 => drop(damaged.remove(at)),
            _ => damaged.truncate(at.max(damaged.len() / 2)),
        }
    }
    damaged
}
