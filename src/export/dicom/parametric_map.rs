//! Difference and heatmap as parametric maps of 32-bit floats in HU (PS3.3, A.75).

use std::ops::Range;

use anyhow::Result;
use dicom_dictionary_std::{tags, uids};

use super::element::{Code, Element, Stored, code, decimals, double, empty, file, float_pixels, item, sequence, text};
use super::header::{Header, LATENT_SHIFT, Series};
use super::multiframe::{Frame, Multiframe};
use super::planes::Planes;
use crate::volume::{Volume, Voxels};

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
        derivation: "Counterfactual minus reconstruction, HU. Slices that are not held did not change.".to_owned(),
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
        derivation: "Size of the change along lambda, HU. Slices that are not held did not change.".to_owned(),
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
        let slices = changed_slices(volume);
        let voxels = slices.start * planes.pixels()..slices.end * planes.pixels();
        let floats: Vec<f32> = match &volume.voxels {
            Voxels::F32(all) => all[voxels].to_vec(),
            Voxels::I16(all) => all[voxels].iter().map(|&hu| f32::from(hu)).collect(),
            Voxels::F16(all) => all[voxels].iter().map(|hu| hu.to_f32()).collect(),
        };
        let frames: Vec<Frame> = slices.map(|slice| Frame { slice, segment: None }).collect();
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

/// From the first slice that holds a change to the last; all of them where none does.
fn changed_slices(volume: &Volume) -> Range<usize> {
    let [ni, nj, nk] = volume.grid.shape;
    let is_changed = |k: &usize| (k * ni * nj..(k + 1) * ni * nj).any(|at| volume.voxels.at(at) != 0.0);
    let ends = (0..nk).find(is_changed).zip((0..nk).rev().find(is_changed));
    ends.map_or(0..nk, |(first, last)| first..last + 1)
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::volume::Grid;

    #[test]
    fn slices_are_held_from_the_first_change_to_the_last() {
        let slices = |changed: &[usize]| {
            let grid = Grid { shape: [2, 2, 5], world_from_voxel: DAffine3::IDENTITY };
            let voxel = |at: usize| if changed.contains(&(at / 4)) && at % 4 == 3 { -1.0 } else { 0.0 };
            changed_slices(&Volume::from_f32(grid, (0..20).map(voxel).collect::<Vec<f32>>()))
        };
        assert_eq!(slices(&[1, 3]), 1..4);
        assert_eq!(slices(&[4]), 4..5);
        assert_eq!(slices(&[]), 0..5);
    }
}
