//! A CT series of any size, written here.

use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::support::ct_slice;

pub(crate) const STUDY: &str = "1.2.826.0.1.3680043.9.7";
pub(crate) const SERIES: &str = "1.2.826.0.1.3680043.9.7.1";
pub(crate) const PATIENT: &str = "Muster^Petra";

pub(crate) fn instance(k: usize) -> String {
    format!("{SERIES}.{}", k + 1)
}

/// One slice of a series, square, as a file's bytes.
pub(crate) fn slice(k: usize, side: u16) -> Vec<u8> {
    of_series(k, side, SERIES)
}

/// The same of another series of the study.
pub(crate) fn of_series(k: usize, side: u16, series: &str) -> Vec<u8> {
    let uid = format!("{series}.{}", k + 1);
    let (place, number) = (format!("-31\\12\\{}", k * 2), (k + 1).to_string());
    let says = [
        (tags::SOP_INSTANCE_UID, VR::UI, uid.as_str()),
        (tags::STUDY_INSTANCE_UID, VR::UI, STUDY),
        (tags::SERIES_INSTANCE_UID, VR::UI, series),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.826.0.1.3680043.9.8"),
        (tags::PATIENT_NAME, VR::PN, PATIENT),
        (tags::PATIENT_ID, VR::LO, "PX-77"),
        (tags::ACCESSION_NUMBER, VR::SH, "ACC-5"),
        (tags::STUDY_DATE, VR::DA, "20260131"),
        (tags::STUDY_TIME, VR::TM, "101112"),
        (tags::STUDY_ID, VR::SH, "1"),
        (tags::STUDY_DESCRIPTION, VR::LO, "Thorax"),
        (tags::SERIES_DESCRIPTION, VR::LO, "Lung 2 mm"),
        (tags::SERIES_NUMBER, VR::IS, "4"),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, place.as_str()),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        (tags::PIXEL_SPACING, VR::DS, "0.7\\0.7"),
        (tags::SLICE_THICKNESS, VR::DS, "2"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        (tags::INSTANCE_NUMBER, VR::IS, number.as_str()),
    ]
    .map(|(tag, vr, value)| (tag, vr, value.to_owned()));
    let count = u32::from(side) * u32::from(side);
    // Not alike in two places, and with the bytes of boundaries in them.
    let pixels: Vec<u16> = (0..count).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as u16 ^ k as u16).collect();
    ct_slice([side, side], false, pixels, &says)
}

/// Writes a series into a folder.
pub(crate) fn write(folder: &Path, count: usize, side: u16) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).expect("a folder");
    let write = |k| {
        let path = folder.join(format!("{k}.dcm"));
        std::fs::write(&path, slice(k, side)).expect("written");
        path
    };
    (0..count).map(write).collect()
}
