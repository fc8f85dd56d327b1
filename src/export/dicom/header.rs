//! What every object of a run says: of the patient, the study, its series, its maker and its source.

use std::collections::HashSet;

use anyhow::Result;
use dicom_core::chrono::{DateTime, Local};
use dicom_dictionary_std::tags;

use super::Patient;
use super::element::{Code, Element, Object, code, empty, item, object, sequence, text};
use super::uids::Uids;
use crate::export::Subject;
use crate::export::report::{NOTICE, Report};
use crate::io::study::{FILED_BY, Instance, Study};

const MAKER: &str = "Parallax";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// PS3.16, CID 7005.
const SYNTHESIZING: Code = Code("109100", "DCM", "Synthesizing Equipment");
/// PS3.16, CID 7202.
const SOURCE: Code = Code("121322", "DCM", "Source image for image processing operation");
/// PS3.16, CID 7203 has no generative model.
pub(super) const LATENT_SHIFT: Code = Code("LATENT_SHIFT", "99PARALLAX", "Counterfactual by latent shift");
/// Letters of a text of the kind ST (PS3.5, 6.2).
const SHORT_TEXT: usize = 1024;
/// Empty where nothing is known, and where nothing may be told (PS3.3, C.7.1.1 and C.7.2.1, type 2).
const MUST_BE_THERE: [dicom_core::Tag; 9] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
];

/// What tells the series of a run apart.
pub(super) struct Series {
    /// Within the run.
    pub(super) name: &'static str,
    pub(super) class_uid: &'static str,
    pub(super) modality: &'static str,
    /// High, so that a study lists it after what was scanned.
    pub(super) number: &'static str,
    pub(super) description: &'static str,
    pub(super) image_type: &'static str,
    pub(super) derived_by: Code,
    /// How its pixels came about.
    pub(super) derivation: String,
}

pub(super) struct Header<'a> {
    report: &'a Report,
    study: Option<&'a Study>,
    patient: Patient,
    pub(super) uids: Uids,
    made: DateTime<Local>,
}

impl<'a> Header<'a> {
    pub(super) fn new(subject: &Subject<'a>) -> Result<Self> {
        let study = subject.run.input.scan.as_ref().and_then(|scan| scan.study.as_ref());
        let uids = Uids::new(subject, study, subject.patient)?;
        Ok(Self { report: subject.report, study, patient: subject.patient, uids, made: Local::now() })
    }

    /// All but the pixels and where they lie.
    pub(super) fn object(&self, series: &Series, number: usize) -> Object {
        let parts = [self.about_patient_and_study(), self.about_series(series, number), self.about_making(series)];
        object(parts.into_iter().flatten())
    }

    fn about_patient_and_study(&self) -> Vec<Element> {
        let mut elements: Vec<Element> = MUST_BE_THERE.map(empty).into();
        match (self.patient, self.study) {
            (Patient::Kept, Some(study)) => {
                let allowed = study.filed_by.iter().filter(|(tag, _)| FILED_BY.contains(tag));
                elements.extend(allowed.map(|(tag, value)| text(*tag, value)));
            }
            _ => elements.extend([
                text(tags::PATIENT_IDENTITY_REMOVED, "YES"),
                text(tags::DEIDENTIFICATION_METHOD, "Nothing of patient and study is copied but UIDs"),
            ]),
        }
        let study_uid = self.study.map_or_else(|| self.uids.of_scan("study"), |study| study.uid.clone());
        elements.push(text(tags::STUDY_INSTANCE_UID, study_uid));
        elements
    }

    /// Of what lies in the patient: in which space.
    pub(super) fn frame_of_reference(&self) -> [Element; 2] {
        let uid = self.study.and_then(|study| study.frame_of_reference_uid.clone());
        let uid = uid.unwrap_or_else(|| self.uids.of_scan("frame of reference"));
        [text(tags::FRAME_OF_REFERENCE_UID, uid), empty(tags::POSITION_REFERENCE_INDICATOR)]
    }

    fn about_series(&self, series: &Series, number: usize) -> Vec<Element> {
        let Series { name, class_uid, modality, description, image_type, .. } = series;
        let mut elements = vec![
            text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"), // UTF-8
            text(tags::SOP_CLASS_UID, class_uid),
            text(tags::SOP_INSTANCE_UID, self.uids.of_run(&format!("{name} {number}"))),
            text(tags::SERIES_INSTANCE_UID, self.uids.of_run(name)),
            text(tags::MODALITY, modality),
            text(tags::SERIES_NUMBER, series.number),
            text(tags::SERIES_DESCRIPTION, description),
            text(tags::INSTANCE_NUMBER, number.to_string()),
            text(tags::IMAGE_TYPE, image_type),
            text(tags::SYNTHETIC_DATA, "YES"),
            text(tags::CONTENT_QUALIFICATION, "RESEARCH"),
            // It speaks of text that names the patient or the day of the scan (PS3.3, C.7.6.1): none of ours does.
            text(tags::BURNED_IN_ANNOTATION, "NO"),
            text(tags::IMAGE_COMMENTS, NOTICE),
            text(tags::LOSSY_IMAGE_COMPRESSION, "00"),
            // When the file was made: no day of the patient's.
            text(tags::CONTENT_DATE, self.made.format("%Y%m%d").to_string()),
            text(tags::CONTENT_TIME, self.made.format("%H%M%S").to_string()),
        ];
        elements.extend(self.study.iter().flat_map(|study| &study.loss).map(|(tag, said)| text(*tag, said)));
        elements
    }

    fn about_making(&self, series: &Series) -> Vec<Element> {
        let drawn = self.report.input.inserted.as_ref();
        let drawn =
            drawn.map_or(String::new(), |drawn| format!(" Drawn into the scan first: {}.", drawn.asked.words()));
        let words = format!("SYNTHETIC.{drawn} {} Explained: {}. {NOTICE}", series.derivation, self.report.target);
        let provenance = self.report.provenance().into_iter().filter(|(name, _)| *name != "Seconds");
        let provenance = provenance.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ");
        let equipment = [
            code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SYNTHESIZING),
            text(tags::MANUFACTURER, MAKER),
            text(tags::MANUFACTURER_MODEL_NAME, MAKER),
            text(tags::SOFTWARE_VERSIONS, VERSION),
            text(tags::CONTRIBUTION_DESCRIPTION, cut(&provenance)),
        ];
        vec![
            text(tags::MANUFACTURER, MAKER),
            text(tags::MANUFACTURER_MODEL_NAME, MAKER),
            text(tags::DEVICE_SERIAL_NUMBER, "none"), // must be there, and programs have none
            text(tags::SOFTWARE_VERSIONS, VERSION),
            text(tags::DERIVATION_DESCRIPTION, cut(&words)),
            code(tags::DERIVATION_CODE_SEQUENCE, series.derived_by),
            item(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, equipment),
        ]
    }

    /// A slice of the scan as what something was made from.
    pub(super) fn source_image(&self, slice: usize) -> Option<Object> {
        let source = code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SOURCE);
        let instance = self.study?.instances.get(slice)?;
        let frame = instance.frame.map(|frame| text(tags::REFERENCED_FRAME_NUMBER, frame.to_string()));
        Some(object(reference(instance).into_iter().chain(frame).chain([source])))
    }

    /// Names the instance below a slice of ours whose pixels lie on its pixels, one on one.
    pub(super) fn source_beneath(&self, slice: usize) -> Option<Element> {
        let mut source = self.source_image(slice)?;
        source.put(text(tags::SPATIAL_LOCATIONS_PRESERVED, "YES"));
        Some(sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![source]))
    }

    /// The series of the scan with the files of these slices that an object refers to.
    pub(super) fn referenced_series(&self, slices: impl IntoIterator<Item = usize>) -> Option<Element> {
        let study = self.study?;
        // A file of many frames once: PS3.3, C.12.2 has no place for its frames.
        let mut named = HashSet::new();
        let instances = slices.into_iter().filter_map(|slice| study.instances.get(slice));
        let files = instances.filter(|instance| named.insert(&instance.uid));
        let items: Vec<Object> = files.map(|instance| object(reference(instance))).collect();
        if items.is_empty() {
            return None;
        }
        let series =
            [text(tags::SERIES_INSTANCE_UID, &study.series_uid), sequence(tags::REFERENCED_INSTANCE_SEQUENCE, items)];
        Some(item(tags::REFERENCED_SERIES_SEQUENCE, series))
    }
}

fn reference(instance: &Instance) -> [Element; 2] {
    [text(tags::REFERENCED_SOP_CLASS_UID, &instance.class_uid), text(tags::REFERENCED_SOP_INSTANCE_UID, &instance.uid)]
}

/// As many letters as the text may have; a name from a model's card may hold any.
fn cut(words: &str) -> String {
    words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(SHORT_TEXT).collect()
}
