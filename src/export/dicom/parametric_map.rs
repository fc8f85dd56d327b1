//! Difference and heatmap as parametric maps of 32-bit floats in HU (PS3.3, A.75).

use anyhow::Result;
use dicom_dictionary_std::{tags, uids};

use super::element::{Code, Element, Stored, code, decimals, double, empty, file, float_pixels, item, sequence, text};
use super::header::{Header, LATENT_SHIFT, Series};
use super::multiframe::{Frame, Multiframe};
use super::planes::Planes;
use crate::volume::Volume;

const HOUNSFIELD: Code = Code("[hnsf'U]", "UCUM", "Hounsfield unit");
const QUANTITY: Code = Code("246205007", "SCT", "Quantity");
/// PS3.16, CID 7180.
const SIGNAL_CHANGE: Code = Code("113059", "DCM", "Signal change");
const SALIENCY: Code = Code("130404", "DCM", "Saliency");
/// PS3.3, A.75 wants a region, and a scan may be of any.
const ANYWHERE: Code = Code("123037004", "SCT", "Body structure");

/// What is mapped.
struct Map {
    series: Series,
    label: &'static str,
    quantity: Code,
    explanation: &'static str,
    /// Centre and width, HU.
    window_hu: [f64; 2],
}

pub(super) fn difference(volume: &Volume, scale_hu: f32, header: &Header, planes: &Planes) -> Result<Vec<u8>> {
    let series = Series {
        name: "difference",
        class_uid: uids::PARAMETRIC_MAP_STORAGE,
        modality: "OT",
        number: "9001",
        description: "SYNTHETIC difference - research",
        image_type: "DERIVED\\PRIMARY\\VOLUME\\SUBTRACTION",
        derived_by: LATENT_SHIFT,
        derivation: "Counterfactual minus reconstruction, HU.".to_owned(),
    };
    let map = Map {
        series,
        label: "DIFFERENCE",
        quantity: SIGNAL_CHANGE,
        explanation: "HU of the counterfactual minus HU of the reconstruction",
        window_hu: [0.0, 2.0 * f64::from(scale_hu)],
    };
    map.file(volume, header, planes)
}

pub(super) fn heatmap(volume: &Volume, header: &Header, planes: &Planes) -> Result<Vec<u8>> {
    let series = Series {
        name: "heatmap",
        class_uid: uids::PARAMETRIC_MAP_STORAGE,
        modality: "OT",
        number: "9002",
        description: "SYNTHETIC heatmap - research",
        image_type: "DERIVED\\PRIMARY\\VOLUME\\QUANTITY",
        derived_by: LATENT_SHIFT,
        derivation: "Size of the change along lambda, HU.".to_owned(),
    };
    let largest = volume.voxels.iter().fold(0.0, f32::max);
    let width = f64::from(largest).max(1.0);
    let map = Map {
        series,
        label: "HEATMAP",
        quantity: SALIENCY,
        explanation: "Size of the change along lambda, HU",
        window_hu: [width / 2.0, width],
    };
    map.file(volume, header, planes)
}

impl Map {
    fn file(&self, volume: &Volume, header: &Header, planes: &Planes) -> Result<Vec<u8>> {
        let floats: Vec<f32> = volume.voxels.iter().collect();
        // All slices, those without a change too: OHIF 3.13 lays the numbers over the scan one after another, whatever the frames say of
        // their places, and shows no map of fewer slices.
        let frames: Vec<Frame> = (0..volume.grid.shape[2]).map(|slice| Frame { slice, segment: None }).collect();
        let mut object = Multiframe { header, series: &self.series, planes }.object(&frames, self.shared(&floats));
        let stored = Stored { samples: 1, photometric: "MONOCHROME2", bits: 32, signed: false };
        // Floats have no bits to tell of but how many (PS3.3, C.7.6.24).
        let of_integers = [tags::BITS_STORED, tags::HIGH_BIT, tags::PIXEL_REPRESENTATION];
        object.extend(stored.elements(planes.size).into_iter().filter(|e| !of_integers.contains(&e.header().tag)));
        object.extend([
            text(tags::CONTENT_LABEL, self.label),
            text(tags::CONTENT_DESCRIPTION, self.explanation),
            empty(tags::CONTENT_CREATOR_NAME),
            text(tags::RECOGNIZABLE_VISUAL_FEATURES, "NO"), // a change has no face
            text(tags::PRESENTATION_LUT_SHAPE, "IDENTITY"),
            sequence(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new()),
            float_pixels(floats),
        ]);
        file(object)
    }

    /// What all frames share: that stored numbers are HU, and how to show them.
    fn shared(&self, floats: &[f32]) -> Vec<Element> {
        let (least, most) = floats.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), x| (l.min(*x), m.max(*x)));
        let quantity = [
            text(tags::VALUE_TYPE, "CODE"),
            code(tags::CONCEPT_NAME_CODE_SEQUENCE, QUANTITY),
            code(tags::CONCEPT_CODE_SEQUENCE, self.quantity),
        ];
        let mapping = [
            text(tags::LUT_LABEL, self.label),
            text(tags::LUT_EXPLANATION, self.explanation),
            code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, HOUNSFIELD),
            double(tags::REAL_WORLD_VALUE_INTERCEPT, 0.0),
            double(tags::REAL_WORLD_VALUE_SLOPE, 1.0),
            double(tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_FIRST_VALUE_MAPPED, f64::from(least)),
            double(tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_LAST_VALUE_MAPPED, f64::from(most)),
            item(tags::QUANTITY_DEFINITION_SEQUENCE, quantity),
        ];
        let [center, width] = self.window_hu;
        let window = [
            decimals(tags::WINDOW_CENTER, &[center]),
            decimals(tags::WINDOW_WIDTH, &[width]),
            text(tags::VOILUT_FUNCTION, "LINEAR_EXACT"),
        ];
        let identity = [
            decimals(tags::RESCALE_INTERCEPT, &[0.0]),
            decimals(tags::RESCALE_SLOPE, &[1.0]),
            text(tags::RESCALE_TYPE, "US"),
        ];
        let anatomy = [text(tags::FRAME_LATERALITY, "U"), code(tags::ANATOMIC_REGION_SEQUENCE, ANYWHERE)];
        vec![
            item(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, mapping),
            item(tags::FRAME_VOILUT_SEQUENCE, window),
            item(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, identity),
            item(tags::FRAME_ANATOMY_SEQUENCE, anatomy),
            item(tags::PARAMETRIC_MAP_FRAME_TYPE_SEQUENCE, [text(tags::FRAME_TYPE, self.series.image_type)]),
        ]
    }
}
