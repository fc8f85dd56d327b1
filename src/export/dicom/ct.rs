//! The counterfactual as a CT series, one file a slice (PS3.3, A.3): only where it is asked for by name, since a PACS shows it as if
//! a scanner had made it.

use anyhow::Result;
use dicom_dictionary_std::{tags, uids};

use super::element::{Stored, decimals, empty, file, text, word_pixels};
use super::header::{Header, LATENT_SHIFT, Series};
use super::planes::Planes;
use crate::export::volumes::Content;
use crate::export::{File, Put, Subject};
use crate::frame::PRESETS;
use crate::job::Monitor;

pub(super) fn series(
    subject: &Subject,
    header: &Header,
    planes: &Planes,
    folder: &str,
    monitor: &Monitor,
    put: Put,
) -> Result<()> {
    let series = Series {
        name: "counterfactual",
        class_uid: uids::CT_IMAGE_STORAGE,
        modality: "CT",
        number: "9005",
        description: "SYNTHETIC counterfactual - research",
        image_type: "DERIVED\\SECONDARY\\AXIAL",
        derived_by: LATENT_SHIFT,
        derivation: "Drawn by the autoencoder, in whole HU; air beyond the field of view of the networks.".to_owned(),
    };
    let volume = Content::Counterfactual.of(subject, monitor)?;
    let stored = Stored { samples: 1, photometric: "MONOCHROME2", bits: 16, signed: true };
    let [center, width] = subject.run.input.scan.as_ref().and_then(|scan| scan.window_hu).unwrap_or_else(|| {
        let (_, window) = PRESETS[0];
        [window.center_hu, window.width_hu]
    });
    let slices = subject.layers.scan.grid.shape[2];
    for slice in 0..slices {
        monitor.step("making the CT series", slice, slices)?;
        let voxels = slice * planes.pixels()..(slice + 1) * planes.pixels();
        // What 16 bits cannot hold becomes their end.
        let hu = voxels.map(|at| volume.voxels.at(at).round() as i16).collect();
        let mut object = header.object(&series, slice + 1);
        object.extend(stored.elements(planes.size));
        object.extend(header.frame_of_reference());
        object.extend(planes.measures());
        object.extend([
            planes.position(slice),
            planes.orientation(),
            decimals(tags::RESCALE_INTERCEPT, &[0.0]),
            decimals(tags::RESCALE_SLOPE, &[1.0]),
            text(tags::RESCALE_TYPE, "HU"),
            decimals(tags::WINDOW_CENTER, &[f64::from(center)]),
            decimals(tags::WINDOW_WIDTH, &[f64::from(width)]),
            empty(tags::KVP),
            empty(tags::ACQUISITION_NUMBER),
            empty(tags::PATIENT_POSITION),
            empty(tags::LATERALITY),
            word_pixels(hu),
        ]);
        object.extend(header.source_beneath(slice));
        object.extend(header.referenced_series([slice]));
        put(File::new(format!("{folder}{:05}.dcm", slice + 1), file(object)?))?;
    }
    Ok(())
}
