//! DICOM series written here: every orientation keeps its place in the patient, whatever the files are called.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use glam::DVec3;
use parallax::io;
use parallax::job::Monitor;

const ROWS: usize = 5;
const COLUMNS: usize = 4;
const SLICES: usize = 6;
/// Between rows, between columns: as DICOM orders them.
const SPACING_MM: [f64; 2] = [0.7, 0.9];
const GAP_MM: f64 = 2.5;
/// Where one bright voxel lies: column, row, slice.
const MARK: [usize; 3] = [1, 3, 4];
const MARK_HU: f32 = 700.0;
/// Positions are written with three decimals.
const PLACE_MM: f64 = 2e-3;

/// What one file says. Vectors are DICOM's: towards the patient's left, back, head.
struct Slice {
    position: DVec3,
    along_row: DVec3,
    down_column: DVec3,
    series: &'static str,
    /// HU = slope * stored + intercept; every slice of a series may have its own.
    rescale: [f64; 2],
    marked: bool,
}

fn written(numbers: &[f64]) -> String {
    numbers.iter().map(|x| format!("{x:.3}")).collect::<Vec<_>>().join("\\")
}

fn write(slice: &Slice, path: &Path) {
    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
    let [slope, intercept] = slice.rescale;
    let stored = |hu: f32| ((f64::from(hu) - intercept) / slope).round() as u16;
    let mut pixels = vec![stored(0.0); ROWS * COLUMNS];
    if slice.marked {
        pixels[MARK[0] + COLUMNS * MARK[1]] = stored(MARK_HU);
    }
    let orientation = [slice.along_row.to_array(), slice.down_column.to_array()].concat();
    let mut object = InMemDicomObject::new_empty();
    let mut text = |tag, vr, value: &str| object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    text(tags::SOP_CLASS_UID, VR::UI, CT);
    text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
    text(tags::SERIES_INSTANCE_UID, VR::UI, slice.series);
    text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    text(tags::IMAGE_POSITION_PATIENT, VR::DS, &written(&slice.position.to_array()));
    text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &written(&orientation));
    text(tags::PIXEL_SPACING, VR::DS, &written(&SPACING_MM));
    text(tags::RESCALE_SLOPE, VR::DS, &slope.to_string());
    text(tags::RESCALE_INTERCEPT, VR::DS, &intercept.to_string());
    for (tag, value) in [
        (tags::ROWS, ROWS as u16),
        (tags::COLUMNS, COLUMNS as u16),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(EXPLICIT_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(CT)
        .media_storage_sop_instance_uid("1.2.3.4");
    object.with_meta(meta).expect("a header").write_to_file(path).expect("written");
}

/// A series in a folder, its names in no order; where the marked voxel lies, in RAS+ millimetres.
fn series(folder: &Path, along_row: DVec3, down_column: DVec3) -> DVec3 {
    let (origin, normal) = (DVec3::new(-31.0, 12.0, 250.0), along_row.cross(down_column));
    for k in 0..SLICES {
        let slice = Slice {
            position: origin + normal * (GAP_MM * k as f64),
            along_row,
            down_column,
            series: "1.2.3",
            rescale: [[1.0, -1024.0], [0.5, -1000.0]][k % 2],
            marked: k == MARK[2],
        };
        write(&slice, &folder.join(format!("{}.dcm", (k * 5 + 3) % 7)));
    }
    let [column, row, k] = MARK.map(|n| n as f64);
    let place =
        origin + along_row * (SPACING_MM[1] * column) + down_column * (SPACING_MM[0] * row) + normal * (GAP_MM * k);
    DVec3::new(-place.x, -place.y, place.z)
}

fn open(folder: &Path) -> io::Scan {
    io::open(folder, &Monitor::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Where the brightest voxel of a scan lies, and its HU.
fn brightest(scan: &io::Scan) -> (DVec3, f32) {
    let [ni, nj, _] = scan.volume.grid.shape;
    let (at, hu) = scan.volume.voxels.iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("voxels");
    let voxel = DVec3::new((at % ni) as f64, (at / ni % nj) as f64, (at / ni / nj) as f64);
    (scan.volume.grid.world_from_voxel.transform_point3(voxel), hu)
}

#[test]
fn a_voxel_keeps_its_place_in_the_patient_in_every_orientation_of_a_series() {
    let mut seen = 0;
    let axes = [DVec3::X, DVec3::Y, DVec3::Z];
    for (a, row) in axes.into_iter().enumerate() {
        for (b, column) in axes.into_iter().enumerate().filter(|(b, _)| *b != a) {
            for (row_sign, column_sign) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                let folder = tempfile::tempdir().expect("a folder");
                let place = series(folder.path(), row * row_sign, column * column_sign);
                let scan = open(folder.path());
                let (at, hu) = brightest(&scan);
                assert!((at - place).length() <= PLACE_MM && hu == MARK_HU, "{a} {b}: {at} is not {place}, {hu} HU");
                assert_eq!(scan.volume.grid.shape, [COLUMNS, ROWS, SLICES]);
                assert!(scan.warnings.is_empty(), "{:?}", scan.warnings);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 24, "each axis and sign of rows, with each of the two axes left and its sign for columns");
}

#[test]
fn an_oblique_series_keeps_its_place_too() {
    let turn = glam::DMat3::from_euler(glam::EulerRot::XYZ, 0.3, -0.2, 0.4);
    let folder = tempfile::tempdir().expect("a folder");
    let place = series(folder.path(), turn * DVec3::X, turn * DVec3::Y);
    let (at, hu) = brightest(&open(folder.path()));
    // Direction cosines of three decimals are off by 5e-4, over 15 mm.
    assert!((at - place).length() <= 0.02 && hu == MARK_HU, "{at} is not {place}");
}

#[test]
fn the_larger_of_two_series_is_opened_and_the_other_named() {
    let folder = tempfile::tempdir().expect("a folder");
    series(folder.path(), DVec3::X, DVec3::Y);
    let other = Slice {
        position: DVec3::ZERO,
        along_row: DVec3::X,
        down_column: DVec3::Z,
        series: "1.2.9",
        rescale: [1.0, 0.0],
        marked: false,
    };
    write(&other, &folder.path().join("scout.dcm"));
    let scan = open(folder.path());
    assert_eq!(scan.volume.grid.shape[2], SLICES);
    assert!(scan.warnings.iter().any(|w| w.contains("other series")), "{:?}", scan.warnings);
}

#[test]
fn a_gap_in_a_series_is_refused_and_the_slice_before_it_named() {
    let folder = tempfile::tempdir().expect("a folder");
    series(folder.path(), DVec3::X, DVec3::Y);
    std::fs::remove_file(folder.path().join(format!("{}.dcm", (2 * 5 + 3) % 7))).expect("the third slice");
    let error = io::open(folder.path(), &Monitor::default()).expect_err("a gap").to_string();
    let before = format!("{}.dcm", (5 + 3) % 7);
    assert!(error.contains("2.50 to 5.00 mm") && error.contains(&before), "{error}");
}
