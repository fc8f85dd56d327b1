//! Images that an encoder packs must come back to the bit: the fuzzer chooses the image, its size and its bits, and how it is packed.

use parallax::io::codec::{self, Codec, Layout};

use crate::encoders::{Lossless, jpeg_ls, lossless, rle};

/// Bytes that say how an image is packed; those behind them are its samples.
const HEAD_BYTES: usize = 7;

/// Packs the image that `bytes` describe by every encoder, and compares what comes back.
///
/// # Panics
/// When an image comes back changed, or not at all.
pub fn target(bytes: &[u8]) {
    let Some((&[rows, columns, bits, predictor, drop, restart, signed], samples)) =
        bytes.split_first_chunk::<HEAD_BYTES>()
    else {
        return;
    };
    let (rows, columns) = (1 + usize::from(rows % 48), 1 + usize::from(columns % 48));
    let precision = 2 + u16::from(bits % 15);
    let mask = u16::MAX >> (16 - precision);
    let mut words = samples.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let image: Vec<u16> = (0..rows * columns).map(|_| words.next().unwrap_or(0) & mask).collect();
    let bits_allocated = if precision <= 8 { 8 } else { 16 };
    let layout = Layout { rows, columns, bits_allocated, bits_stored: precision, signed: signed % 2 == 1 };

    same(Codec::Rle, &rle(&image, columns, bits_allocated), &layout, &image);
    same(Codec::JpegLs, &jpeg_ls(&image, rows, columns, precision, 0), &layout, &image);
    let point_transform = drop % precision.min(8) as u8;
    let how = Lossless {
        rows,
        columns,
        precision,
        predictor: 1 + predictor % 7,
        point_transform,
        restart: usize::from(restart % 4) * columns,
        order: (0..=16).collect(),
    };
    let kept: Vec<u16> = image.iter().map(|sample| sample >> point_transform << point_transform).collect();
    same(Codec::Jpeg, &lossless(&image, &how), &layout, &kept);
}

fn same(codec: Codec, packed: &[u8], layout: &Layout, image: &[u16]) {
    let frame = codec::decode(codec, packed, layout).unwrap_or_else(|why| panic!("{codec:?}, {layout:?}: {why}"));
    assert!(frame.samples == image && !frame.lossy, "{codec:?}, {layout:?}: other samples");
}
