//! One slice along lambda as a multi-frame picture in colour, which any viewer plays (PS3.3, A.8.5).

use anyhow::Result;
use dicom_dictionary_std::{tags, uids};

use super::element::{Stored, byte_pixels, check_bytes, decimals, empty, file, pointer, sequence, short, text};
use super::header::{Header, LATENT_SHIFT, Series};
use crate::export::Subject;
use crate::export::montage::Story;
use crate::job::Monitor;

/// PS3.3, C.7.6.5.
const THERE_AND_BACK: u16 = 1;

pub(super) fn animation(subject: &Subject, header: &Header, story: &Story, monitor: &Monitor) -> Result<Vec<u8>> {
    let series = Series {
        name: "animation",
        class_uid: uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
        modality: "OT",
        number: "9004",
        description: "SYNTHETIC counterfactual - research",
        image_type: "DERIVED\\SECONDARY",
        derived_by: LATENT_SHIFT,
        derivation: format!("One slice along lambda: {}.", subject.style.layout.describe()),
    };
    let film = story.along_lambda();
    let (width, height) = film.size()?;
    let bytes = 3 * film.picture_count() * width as usize * height as usize;
    check_bytes(bytes)?;
    let mut colors = Vec::with_capacity(bytes);
    for picture in film.pictures(monitor)? {
        colors.extend(picture?.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
    }
    let frame_millis = 10.0 * f64::from(film.shortest());
    let slices = 0..subject.layers.scan.grid.shape[2];
    let sources: Vec<_> = slices.clone().filter_map(|slice| header.source_image(slice)).collect();
    let mut object = header.object(&series, 1);
    let stored = Stored { samples: 3, photometric: "RGB", bits: 8, signed: false };
    object.extend(stored.elements([u16::try_from(width)?, u16::try_from(height)?]));
    object.extend([
        short(tags::PLANAR_CONFIGURATION, 0),
        text(tags::CONVERSION_TYPE, "SYN"),
        text(tags::NUMBER_OF_FRAMES, film.picture_count().to_string()),
        pointer(tags::FRAME_INCREMENT_POINTER, tags::FRAME_TIME),
        decimals(tags::FRAME_TIME, &[frame_millis]),
        short(tags::PREFERRED_PLAYBACK_SEQUENCING, THERE_AND_BACK),
        // Three panes have none.
        empty(tags::PATIENT_ORIENTATION),
        empty(tags::LATERALITY),
        byte_pixels(colors),
    ]);
    if !sources.is_empty() {
        object.put(sequence(tags::SOURCE_IMAGE_SEQUENCE, sources));
    }
    object.extend(header.referenced_series(slices));
    file(object)
}
