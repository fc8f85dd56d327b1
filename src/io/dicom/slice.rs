//! One slice of a DICOM file: its place in the patient, and what tells it from others.

use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use glam::DVec3;

use super::dataset::{Dataset, name_of};
use super::functional::Frames;
use super::rescale::{Padding, Rescale};
use super::stored::Stored;
use super::{Refused, header};
use crate::io::instance::Instance;
use crate::io::source::Source;
use crate::io::{Note, SPACING_MM};

/// A slice's description, without its pixels.
#[derive(Debug, Clone)]
pub(in crate::io) struct Slice {
    pub(in crate::io) stored: Arc<Stored>,
    pub(in crate::io) frame: usize,
    /// Whose scan it is. Empty where the file does not say; never shown.
    pub(in crate::io) patient: String,
    pub(in crate::io) study: String,
    pub(in crate::io) series: String,
    pub(in crate::io) frame_of_reference: String,
    /// What other files call this one by; `None` where it does not say.
    pub(in crate::io) instance: Option<Instance>,
    pub(in crate::io) place: Option<Place>,
    /// Between columns, between rows.
    pub(in crate::io) spacing_mm: [f64; 2],
    pub(in crate::io) thickness_mm: Option<f64>,
    pub(in crate::io) between_slices_mm: Option<f64>,
    pub(in crate::io) window_hu: Option<[f32; 2]>,
    /// The values of [`ATTRIBUTES`].
    pub(in crate::io) attributes: [Option<String>; ATTRIBUTES.len()],
    /// Letters and digits alone, for people; `None` where the file does not say.
    pub(in crate::io) modality: Option<String>,
    pub(in crate::io) series_number: Option<i64>,
    pub(in crate::io) description: String,
    pub(in crate::io) notes: Vec<Note>,
    pub(super) rescale: Rescale,
    pub(in crate::io) padding: Padding,
}

/// By what slices of one series may be told apart, an index into [`ATTRIBUTES`].
pub(in crate::io) type Attribute = usize;

/// What tells reconstructions, passes, phases and points in time apart, the surest first.
pub(in crate::io) const ATTRIBUTES: [Tag; 27] = [
    tags::CONVOLUTION_KERNEL,
    tags::SLICE_THICKNESS,
    tags::ACQUISITION_NUMBER,
    tags::FRAME_ACQUISITION_NUMBER,
    tags::TEMPORAL_POSITION_IDENTIFIER,
    tags::TEMPORAL_POSITION_INDEX,
    tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE,
    tags::TRIGGER_TIME,
    tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
    tags::IMAGE_TYPE,
    tags::FRAME_TYPE,
    tags::KVP,
    tags::FILTER_TYPE,
    tags::RECONSTRUCTION_DIAMETER,
    tags::CONTRAST_BOLUS_AGENT,
    tags::SCAN_OPTIONS,
    tags::STACK_ID,
    tags::SERIES_NUMBER,
    tags::SERIES_DESCRIPTION,
    tags::PATIENT_POSITION,
    tags::ACQUISITION_DATE,
    tags::ACQUISITION_DATE_TIME,
    tags::FRAME_ACQUISITION_DATE_TIME,
    tags::ACQUISITION_TIME,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::SERIES_TIME,
];

/// Rows and columns that are off a right angle by no more are upright: direction cosines are written with two decimals at
/// least.
const UPRIGHT_DEGREES: f64 = 1.0;

pub(in crate::io) const KERNEL: Attribute = 0;
const IMAGE_TYPE: Attribute = 9;
const FRAME_TYPE: Attribute = 10;

/// Rows and columns of a slice meet at a right angle, but for what two written decimals leave: 3 degrees.
const PERPENDICULAR_SINE: f64 = 0.9986;

/// Where a slice lies, RAS+ millimetres.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct Place {
    /// The centre of the first pixel.
    pub(in crate::io) position: DVec3,
    /// Unit vectors along a row and down a column.
    pub(in crate::io) along_row: DVec3,
    pub(in crate::io) down_column: DVec3,
}

/// DICOM counts x to the patient's left and y to the back; RAS+ the other way.
fn ras([x, y, z]: [f64; 3]) -> DVec3 {
    DVec3::new(-x, -y, z)
}

/// Describes every slice of a file.
pub(in crate::io) fn describe(source: &Source) -> Result<Vec<Slice>, Refused> {
    let header = header::read(source)?;
    if lists_files(&header.data) {
        return Err(Refused::Directory);
    }
    let stored = Arc::new(Stored::of(&header, source)?);
    let frames = Frames::of(header.data, stored.frames)?;
    stored.check_length()?;
    (0..stored.frames).map(|frame| Slice::of(&frames.get(frame), &stored, frame)).collect()
}

/// Whether a file is a DICOMDIR, which lists the files of a disk.
pub(in crate::io) fn is_directory(source: &Source) -> bool {
    header::read(source).is_ok_and(|header| lists_files(&header.data))
}

fn lists_files(data: &Dataset) -> bool {
    data.text(tags::SOP_CLASS_UID).as_deref() == Some(uids::MEDIA_STORAGE_DIRECTORY_STORAGE)
        || !data.items(tags::DIRECTORY_RECORD_SEQUENCE).is_empty()
}

impl Slice {
    fn of(data: &Dataset, stored: &Arc<Stored>, frame: usize) -> Result<Self, Refused> {
        let spacing = data.exactly::<2>(tags::PIXEL_SPACING)?;
        let [between_rows, between_columns] =
            spacing.ok_or_else(|| Refused::Unsuitable("no PixelSpacing".to_owned()))?;
        if !(SPACING_MM.contains(&between_rows) && SPACING_MM.contains(&between_columns)) {
            let (least, most) = (SPACING_MM.start(), SPACING_MM.end());
            let what = format!("PixelSpacing {between_rows}\\{between_columns}, where a scan has {least} to {most} mm");
            return Err(Refused::Unsuitable(what));
        }
        let mut notes = Vec::from_iter(stored.surplus());
        if data.number(tags::PIXEL_REPRESENTATION)?.is_none() && !stored.is_float() {
            notes.push(Note::serious(
                "the files have no PixelRepresentation: stored numbers are taken to be unsigned".to_owned(),
            ));
        }
        if data.text(tags::IMAGE_TYPE).is_some_and(|said| is_localizer(&said)) {
            notes.push(Note::serious(
                "ImageType says LOCALIZER: a projection through the patient, no slice, and its numbers are not Hounsfield units of tissue".to_owned(),
            ));
        }
        let rescale = Rescale::of(data, stored, &mut notes)?;
        let padding = Padding::of(data, stored, &rescale)?;
        let text = |tag| data.text(tag).unwrap_or_default();
        let length_mm = |tag| Ok(data.number(tag)?.map(f64::abs).filter(|mm| SPACING_MM.contains(mm)));
        Ok(Self {
            stored: Arc::clone(stored),
            frame,
            patient: spelt_alike(&data.text(tags::PATIENT_ID).unwrap_or_else(|| text(tags::PATIENT_NAME))),
            study: text(tags::STUDY_INSTANCE_UID),
            series: text(tags::SERIES_INSTANCE_UID),
            frame_of_reference: text(tags::FRAME_OF_REFERENCE_UID),
            instance: Instance::of(data, (stored.frames > 1).then_some(frame + 1)),
            place: place(data, &mut notes)?,
            spacing_mm: [between_columns, between_rows],
            thickness_mm: length_mm(tags::SLICE_THICKNESS)?,
            between_slices_mm: length_mm(tags::SPACING_BETWEEN_SLICES)?,
            window_hu: window(data, &mut notes),
            attributes: ATTRIBUTES.map(|tag| data.compared(tag)),
            modality: data
                .text(tags::MODALITY)
                .map(|said| said.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>())
                .filter(|said| !said.is_empty()),
            series_number: data.text(tags::SERIES_NUMBER).and_then(|said| said.parse().ok()),
            description: text(tags::SERIES_DESCRIPTION),
            notes,
            rescale,
            padding,
        })
    }

    pub(in crate::io) fn rows(&self) -> usize {
        self.stored.rows
    }

    pub(in crate::io) fn columns(&self) -> usize {
        self.stored.columns
    }

    pub(in crate::io) fn is_localizer(&self) -> bool {
        self.attributes[IMAGE_TYPE].as_deref().is_some_and(is_localizer)
    }

    /// Whether a program made it of other images, as it says itself.
    pub(in crate::io) fn is_derived(&self) -> bool {
        [IMAGE_TYPE, FRAME_TYPE]
            .iter()
            .any(|at| self.attributes[*at].as_deref().is_some_and(|said| said.starts_with("DERIVED")))
    }
}

/// A patient's identifier as it is compared: exporters differ in its case and in its spaces.
fn spelt_alike(identifier: &str) -> String {
    identifier.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether ImageType says that the image shows the patient from outside, to plan slices on.
fn is_localizer(image_type: &str) -> bool {
    image_type.split('\\').any(|part| part.trim() == "LOCALIZER")
}

/// The window stored with a slice. It changes no voxel: what cannot be read is said and left.
fn window(data: &Dataset, notes: &mut Vec<Note>) -> Option<[f32; 2]> {
    let mut first = |tag| {
        if let Ok(numbers) = data.numbers(tag) {
            return numbers.map(|numbers| numbers[0]);
        }
        notes.push(Note::caution(format!("{} cannot be read: no window is taken from the files", name_of(tag))));
        None
    };
    let (center, width) = (first(tags::WINDOW_CENTER)?, first(tags::WINDOW_WIDTH)?);
    (width > 0.0).then_some([center as f32, width as f32])
}

/// Where the slice lies; `None` where the file does not say.
fn place(data: &Dataset, notes: &mut Vec<Note>) -> Result<Option<Place>, Refused> {
    let position = data.exactly::<3>(tags::IMAGE_POSITION_PATIENT)?;
    let orientation = data.exactly::<6>(tags::IMAGE_ORIENTATION_PATIENT)?;
    let Some((position, [a, b, c, d, e, f])) = position.zip(orientation) else { return Ok(None) };
    let (along_row, down_column) = (ras([a, b, c]).normalize_or_zero(), ras([d, e, f]).normalize_or_zero());
    if along_row.cross(down_column).length() < PERPENDICULAR_SINE {
        return Err(Refused::Unsuitable(format!(
            "ImageOrientationPatient {a}\\{b}\\{c}\\{d}\\{e}\\{f}, whose axes are not perpendicular"
        )));
    }
    let off = 90.0 - along_row.angle_between(down_column).to_degrees();
    if off.abs() > UPRIGHT_DEGREES {
        notes.push(Note::serious(format!(
            "rows and columns meet at {:.1} degrees by ImageOrientationPatient, where slices have 90: one of its numbers may be wrong",
            90.0 - off
        )));
    }
    Ok(Some(Place { position: ras(position), along_row, down_column }))
}
