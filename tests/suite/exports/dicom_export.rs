//! `--export dicom` and `dicom-ct` by the real binary, read back: places, numbers, segments, and who is told of what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject, open_file};
use glam::{DMat3, DVec3};
use parallax::io;
use parallax::io::study::FILED_BY;
use parallax::job::Monitor;
use parallax::volume::{Grid, Volume};

use crate::scans::dicom::{SLICES, Slice, write};
use crate::support;
use crate::tiny_models::TinyModels;

/// Decimal strings of 16 bytes leave far less over half a metre.
const PLACE_MM: f64 = 1e-4;
const STUDY: &str = "1.2.826.0.1.3680043.9.1";
const FRAME_OF_REFERENCE: &str = "1.2.826.0.1.3680043.9.2";
/// What `--export dicom` makes.
const OBJECTS: [&str; 4] = ["difference", "heatmap", "change", "animation"];

/// What the source says of patient and study, allowed to leave with the flag.
const FILED: [(Tag, &str); 10] = [
    (tags::PATIENT_NAME, "Müller^Jürgen"),
    (tags::PATIENT_ID, "MRN-481516"),
    (tags::ISSUER_OF_PATIENT_ID, "Charite-23"),
    (tags::PATIENT_BIRTH_DATE, "19420108"),
    (tags::PATIENT_SEX, "M"),
    (tags::STUDY_DATE, "20170314"),
    (tags::STUDY_TIME, "151617.25"),
    (tags::STUDY_ID, "STUDY-4711"),
    (tags::STUDY_DESCRIPTION, "Thorax nativ"),
    (tags::ACCESSION_NUMBER, "ACC-99887"),
];
/// What never leaves.
const SECRETS: [(Tag, VR, &str); 9] = [
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Referrer^Rita"),
    (tags::OPERATORS_NAME, VR::PN, "Operator^Olaf"),
    (tags::INSTITUTION_NAME, VR::LO, "Klinikum Nord"),
    (tags::STATION_NAME, VR::SH, "CT-RAUM-7"),
    (tags::PATIENT_ADDRESS, VR::LO, "Musterweg 5"),
    (tags::PATIENT_COMMENTS, VR::LT, "COMMENT-1234"),
    (tags::PATIENT_AGE, VR::AS, "075Y"),
    (tags::ACQUISITION_DATE, VR::DA, "20170315"),
    (Tag(0x0009, 0x1001), VR::LO, "PRIVATE-SECRET"),
];

/// An oblique series, its voxels of three sizes, of a patient who must not be told.
pub(crate) fn oblique(folder: &Path) -> PathBuf {
    let turn = DMat3::from_euler(glam::EulerRot::XYZ, 0.3, -0.2, 0.4);
    let numbers = |vectors: &[DVec3]| {
        let numbers = vectors.iter().flat_map(DVec3::to_array).map(|x| format!("{x:.12}"));
        numbers.collect::<Vec<_>>().join("\\")
    };
    let series = folder.join("series");
    std::fs::create_dir(&series).expect("a folder");
    for k in 0..SLICES {
        let place = DVec3::new(-31.25, 12.5, 250.0) + turn * DVec3::Z * (7.3 * k as f64);
        let mut slice = Slice::axial(k)
            .saying(tags::SPECIFIC_CHARACTER_SET, VR::CS, &"ISO_IR 100")
            .saying(tags::MODALITY, VR::CS, &"CT")
            .saying(tags::IMAGE_POSITION_PATIENT, VR::DS, &numbers(&[place]))
            .saying(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &numbers(&[turn * DVec3::X, turn * DVec3::Y]))
            .saying(tags::PIXEL_SPACING, VR::DS, &"14.5\\11.25")
            .saying(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, &"01")
            .saying(tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, &"12.5")
            .saying(tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, &"ISO_10918_1")
            .saying(tags::STUDY_INSTANCE_UID, VR::UI, &STUDY)
            .saying(tags::FRAME_OF_REFERENCE_UID, VR::UI, &FRAME_OF_REFERENCE)
            .saying(tags::SOP_INSTANCE_UID, VR::UI, &instance(k));
        for (tag, value) in FILED {
            let vr = if tag == tags::PATIENT_NAME { VR::PN } else { VR::LO };
            slice = slice.saying(tag, vr, &value);
        }
        for (tag, vr, value) in SECRETS {
            slice = slice.saying(tag, vr, &value);
        }
        write(&slice, &series.join(format!("{}.dcm", (k * 5 + 3) % 7)));
    }
    series
}

/// The name of the source's file at a slice.
fn instance(slice: usize) -> String {
    format!("1.2.826.0.1.3680043.9.3.{}", slice + 1)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn explain(models: &TinyModels, scan: &Path, out: &Path, more: &[&str]) -> Output {
    let few = ["--target", "Fracture", "--slab", "4:9", "--range", "-50:0", "--steps", "3", "--out", path(out)];
    models.explain(scan).args(few).args(more).output().expect("the binary runs")
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("encoding"), "nothing is computed: {said}");
}

/// Networks, a series, and a folder with what was made of it.
struct Made {
    models: TinyModels,
    series: PathBuf,
    out: PathBuf,
}

impl Made {
    fn new(more: &[&str]) -> Self {
        let models = TinyModels::new();
        let (series, out) = (oblique(models.folder.path()), models.folder.path().join("out"));
        succeeds(&explain(&models, &series, &out, more));
        Self { models, series, out }
    }

    fn scan(&self) -> Volume {
        volume(&self.series)
    }

    fn object(&self, name: &str) -> DefaultDicomObject {
        object(&self.out.join(format!("dicom/{name}.dcm")))
    }
}

fn volume(path: &Path) -> Volume {
    io::open(path, &Monitor::default()).unwrap_or_else(|e| panic!("{e}")).volume
}

pub(crate) fn object(path: &Path) -> DefaultDicomObject {
    open_file(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn said(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).expect("there").to_str().expect("text").trim_end_matches(['\0', ' ']).to_owned()
}

fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    object.element(tag).expect("there").to_multi_float64().expect("numbers")
}

pub(crate) fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).expect("there").items().expect("a sequence")
}

/// The frames' own groups, and those that all share.
pub(crate) fn groups(object: &InMemDicomObject) -> (&[InMemDicomObject], &InMemDicomObject) {
    let shared = &items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)[0];
    (items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE), shared)
}

/// Where the pixel at a column and a row lies, RAS+: the formula of PS3.3, C.7.6.2.1.1.
fn pixel(position: &[f64], orientation: &[f64], spacing: &[f64], [column, row]: [usize; 2]) -> DVec3 {
    let (corner, along_row, down_column) =
        (DVec3::from_slice(position), DVec3::from_slice(orientation), DVec3::from_slice(&orientation[3..]));
    let lps = corner + along_row * (spacing[1] * column as f64) + down_column * (spacing[0] * row as f64);
    DVec3::new(-lps.x, -lps.y, lps.z)
}

/// The scan's slice on which a place lies in every corner.
fn slice_of(grid: &Grid, place: impl Fn([usize; 2]) -> DVec3) -> usize {
    let [columns, rows, slices] = grid.shape;
    let corners = [[0, 0], [columns - 1, 0], [0, rows - 1], [columns - 1, rows - 1]];
    let off = |slice: usize| {
        let ours =
            |[i, j]: [usize; 2]| grid.world_from_voxel.transform_point3(DVec3::new(i as f64, j as f64, slice as f64));
        corners.iter().map(|corner| ours(*corner).distance(place(*corner))).fold(0.0, f64::max)
    };
    let nearest = (0..slices).min_by(|a, b| off(*a).total_cmp(&off(*b))).expect("slices");
    assert!(off(nearest) <= PLACE_MM, "{} mm off the nearest slice, {nearest}", off(nearest));
    nearest
}

/// On which slice of the scan each frame lies.
pub(crate) fn slices(object: &InMemDicomObject, grid: &Grid) -> Vec<usize> {
    let (frames, shared) = groups(object);
    let orientation = numbers(&items(shared, tags::PLANE_ORIENTATION_SEQUENCE)[0], tags::IMAGE_ORIENTATION_PATIENT);
    let spacing = numbers(&items(shared, tags::PIXEL_MEASURES_SEQUENCE)[0], tags::PIXEL_SPACING);
    let slice = |frame: &InMemDicomObject| {
        let position = numbers(&items(frame, tags::PLANE_POSITION_SEQUENCE)[0], tags::IMAGE_POSITION_PATIENT);
        slice_of(grid, |at| pixel(&position, &orientation, &spacing, at))
    };
    assert_eq!(frames.len().to_string(), said(object, tags::NUMBER_OF_FRAMES));
    let size = [tags::COLUMNS, tags::ROWS].map(|tag| said(object, tag));
    assert_eq!(size, [grid.shape[0], grid.shape[1]].map(|n| n.to_string()));
    frames.iter().map(slice).collect()
}

#[test]
fn maps_lie_on_the_scans_slices_and_hold_the_numbers_of_the_nifti() {
    let made = Made::new(&["--export", "dicom,nifti"]);
    let grid = made.scan().grid;
    let pixels = grid.shape[0] * grid.shape[1];
    for name in ["difference", "heatmap"] {
        let (map, nifti) = (made.object(name), volume(&made.out.join(format!("{name}.nii.gz"))));
        assert_eq!(said(&map, tags::SOP_CLASS_UID), uids::PARAMETRIC_MAP_STORAGE);
        let floats = map.element(tags::FLOAT_PIXEL_DATA).expect("floats").to_multi_float32().expect("floats");
        let slices = slices(&map, &grid);
        assert_eq!(floats.len(), slices.len() * pixels, "{name}");
        // Not all changed, and all are held in their order: OHIF lays them over the scan one after another.
        assert!(slices.into_iter().eq(0..SLICES), "{name}");
        for (slice, theirs) in floats.chunks(pixels).enumerate() {
            let ours = (0..pixels).map(|at| nifti.voxels.at(slice * pixels + at)).collect::<Vec<f32>>();
            assert_eq!(theirs, ours, "{name}, slice {slice}");
        }
        assert!(floats.chunks(pixels).any(|slice| slice.iter().all(|hu| *hu == 0.0)), "{name}");
        assert!(floats.iter().any(|hu| *hu != 0.0), "{name}");
        let mapping = &items(groups(&map).1, tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE)[0];
        let unit = &items(mapping, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)[0];
        assert_eq!([tags::CODE_VALUE, tags::CODING_SCHEME_DESIGNATOR].map(|tag| said(unit, tag)), ["[hnsf'U]", "UCUM"]);
        let line = [tags::REAL_WORLD_VALUE_SLOPE, tags::REAL_WORLD_VALUE_INTERCEPT].map(|tag| numbers(mapping, tag)[0]);
        assert_eq!(line, [1.0, 0.0], "stored numbers are HU");
    }
}

#[test]
fn each_frame_refers_to_the_slice_of_the_scan_that_it_lies_on() {
    let made = Made::new(&["--export", "dicom"]);
    let grid = made.scan().grid;
    for name in ["difference", "heatmap", "change"] {
        let object = made.object(name);
        let mut referred = BTreeSet::new();
        for (frame, slice) in groups(&object).0.iter().zip(slices(&object, &grid)) {
            let derivation = &items(frame, tags::DERIVATION_IMAGE_SEQUENCE)[0];
            let source = &items(derivation, tags::SOURCE_IMAGE_SEQUENCE)[0];
            assert_eq!(said(source, tags::REFERENCED_SOP_INSTANCE_UID), instance(slice), "{name}");
            assert_eq!(said(source, tags::REFERENCED_SOP_CLASS_UID), uids::CT_IMAGE_STORAGE);
            assert_eq!(said(source, tags::SPATIAL_LOCATIONS_PRESERVED), "YES");
            referred.insert(instance(slice));
        }
        let series = &items(&object, tags::REFERENCED_SERIES_SEQUENCE)[0];
        assert_eq!(said(series, tags::SERIES_INSTANCE_UID), "1.2.3");
        let listed = items(series, tags::REFERENCED_INSTANCE_SEQUENCE).iter();
        assert_eq!(listed.map(|one| said(one, tags::REFERENCED_SOP_INSTANCE_UID)).collect::<BTreeSet<_>>(), referred);
    }
}

#[test]
fn the_animation_holds_every_step_in_the_colours_of_the_others() {
    let made = Made::new(&["--export", "dicom,apng"]);
    let animation = made.object("animation");
    let [columns, rows, frames] = [tags::COLUMNS, tags::ROWS, tags::NUMBER_OF_FRAMES]
        .map(|tag| said(&animation, tag).parse::<usize>().expect("a count"));
    assert_eq!(frames, 3);
    let colors = animation.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes").into_owned();
    assert_eq!(colors.len(), columns * rows * 3 * frames);
    let first = image::open(made.out.join("lambda.png")).expect("a picture").to_rgb8();
    assert_eq!([first.width(), first.height()].map(|n| n as usize), [columns, rows]);
    assert_eq!(&colors[..columns * rows * 3], first.as_raw());
    assert_ne!(colors[..columns * rows * 3], colors[columns * rows * 3 * 2..], "something changes");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files
}

#[test]
fn every_object_says_that_it_is_synthetic_and_for_research_and_lies_in_the_scans_study() {
    let made = Made::new(&["--export", "dicom,dicom-ct"]);
    let all = files(&made.out.join("dicom"));
    assert_eq!(all.len(), OBJECTS.len() + SLICES);
    let (mut series, mut instances) = (BTreeSet::new(), BTreeSet::new());
    for path in &all {
        let object = object(path);
        assert_eq!(said(&object, tags::SYNTHETIC_DATA), "YES");
        assert_eq!(said(&object, tags::CONTENT_QUALIFICATION), "RESEARCH");
        assert_eq!(said(&object, tags::BURNED_IN_ANNOTATION), "NO");
        let loss =
            [tags::LOSSY_IMAGE_COMPRESSION, tags::LOSSY_IMAGE_COMPRESSION_RATIO, tags::LOSSY_IMAGE_COMPRESSION_METHOD];
        assert_eq!(loss.map(|tag| said(&object, tag)), ["01", "12.5", "ISO_10918_1"], "what was lost stays lost");
        assert!(said(&object, tags::SERIES_DESCRIPTION).starts_with("SYNTHETIC "));
        assert!(said(&object, tags::IMAGE_TYPE).starts_with("DERIVED"));
        assert!(said(&object, tags::DERIVATION_DESCRIPTION).contains("SYNTHETIC. "));
        assert!(said(&object, tags::IMAGE_COMMENTS).contains("Not for diagnosis"));
        let maker = &items(&object, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)[0];
        assert!(said(maker, tags::CONTRIBUTION_DESCRIPTION).contains("Autoencoder, SHA-256: "));
        assert_eq!(said(&object, tags::STUDY_INSTANCE_UID), STUDY);
        let space = object.get(tags::FRAME_OF_REFERENCE_UID).map(|_| said(&object, tags::FRAME_OF_REFERENCE_UID));
        let is_picture = path.ends_with("animation.dcm");
        assert_eq!(space, (!is_picture).then(|| FRAME_OF_REFERENCE.to_owned()), "{}", path.display());
        series.insert(said(&object, tags::SERIES_INSTANCE_UID));
        instances.insert(said(&object, tags::SOP_INSTANCE_UID));
    }
    assert_eq!((series.len(), instances.len()), (OBJECTS.len() + 1, all.len()), "a series each, an instance each");
    assert!(!series.contains("1.2.3"));
}

/// Whether a file holds these bytes anywhere.
pub(crate) fn holds(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn nothing_of_the_patient_leaves_unless_asked_and_then_what_is_allowed_alone() {
    assert_eq!(FILED.map(|(tag, _)| tag), FILED_BY, "every attribute that may leave is planted");
    let made = Made::new(&["--export", "dicom,dicom-ct"]);
    let kept = made.models.folder.path().join("kept");
    succeeds(&explain(&made.models, &made.series, &kept, &["--export", "dicom,dicom-ct", "--keep-patient"]));
    for file in files(&made.out) {
        let bytes = std::fs::read(&file).expect("a file");
        for words in
            FILED.iter().map(|(_, said)| *said).chain(SECRETS.map(|(.., said)| said)).filter(|words| words.len() > 1)
        {
            assert!(!holds(&bytes, words), "{}: {words}", file.display());
        }
        assert!(!holds(&bytes, path(made.models.folder.path())), "a folder of this machine");
        if file.extension().is_some_and(|extension| extension == "dcm") {
            let object = object(&file);
            for tag in
                [tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_SEX, tags::STUDY_DATE, tags::ACCESSION_NUMBER]
            {
                assert_eq!(said(&object, tag), "", "there, and empty");
            }
            assert_eq!(said(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
        }
    }
    for file in files(&kept.join("dicom")) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(SECRETS.iter().all(|(.., words)| !holds(&bytes, words)), "{}", file.display());
        let object = object(&file);
        for (tag, value) in FILED {
            assert_eq!(said(&object, tag), value, "{tag}");
        }
        assert!(object.get(tags::PATIENT_IDENTITY_REMOVED).is_none());
    }
    // Files that say other things have other names.
    let name = |folder: &Path| said(&object(&folder.join("dicom/heatmap.dcm")), tags::SOP_INSTANCE_UID);
    assert_ne!(name(&made.out), name(&kept));
}

/// The names of an object and of its series, its study and the space that it lies in.
fn names(file: &Path) -> Vec<String> {
    let object = object(file);
    [tags::SOP_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::STUDY_INSTANCE_UID, tags::FRAME_OF_REFERENCE_UID]
        .into_iter()
        .filter_map(|tag| object.get(tag).map(|_| said(&object, tag)))
        .collect()
}

#[test]
fn the_same_run_gives_the_same_names_and_another_run_others_in_the_same_study() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let run = |name: &str, more: &[&str]| {
        let out = models.folder.path().join(name);
        let words = succeeds(&explain(&models, &scan, &out, &[&["--export", "dicom"], more].concat()));
        assert!(words.contains("note: the scan is of no DICOM study"), "{words}");
        OBJECTS.map(|name| names(&out.join(format!("dicom/{name}.dcm"))))
    };
    let (first, again, other) = (run("first", &[]), run("again", &[]), run("other", &["--heatmap", "max"]));
    assert_eq!(first, again);
    for (first, other) in first.iter().zip(&other) {
        assert!(first[0] != other[0] && first[1] != other[1], "{first:?} {other:?}");
        assert_eq!(first[2..], other[2..], "the scan's study, and where it lies");
        assert!(first.iter().all(|uid| uid.starts_with("2.25.")));
    }
    let object = object(&models.folder.path().join("first/dicom/difference.dcm"));
    assert!(object.get(tags::REFERENCED_SERIES_SEQUENCE).is_none(), "no source to refer to");
}

#[test]
fn the_ct_series_is_made_on_request_alone_and_opens_as_the_nifti_does() {
    let made = Made::new(&["--export", "dicom-ct,nifti"]);
    let folder = made.out.join("dicom/counterfactual");
    let (ct, nifti) =
        (io::open(&folder, &Monitor::default()).expect("a scan"), volume(&made.out.join("counterfactual.nii.gz")));
    assert!(ct.notes.is_empty(), "{:?}", ct.notes);
    let (ours, theirs) = (ct.volume.grid.world_from_voxel, nifti.grid.world_from_voxel);
    let gap =
        ours.to_cols_array().into_iter().zip(theirs.to_cols_array()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(gap <= PLACE_MM, "{gap} mm");
    let rounded: Vec<f32> = nifti.voxels.iter().map(f32::round).collect();
    assert_eq!(ct.volume.voxels.iter().collect::<Vec<_>>(), rounded, "HU");
    assert_eq!(std::fs::read_dir(made.out.join("dicom")).expect("a folder").count(), 1, "the series alone");
    // Longer or shorter, another run's series would be mixed with it.
    fails(
        &explain(&made.models, &made.series, &made.out, &["--export", "dicom-ct", "--overwrite"]),
        1,
        "files of another run",
    );
}

#[test]
fn what_dicom_cannot_hold_or_say_is_refused_before_anything_is_computed() {
    let models = TinyModels::new();
    let (nifti, out) = (support::data("nifti/syn_lps.nii.gz"), models.folder.path().join("out"));
    fails(&explain(&models, &nifti, &out, &["--keep-patient"]), 2, "--export dicom");
    fails(&explain(&models, &nifti, &out, &["--export", "dicom", "--keep-patient"]), 3, "no patient to keep");
    let mut volume = volume(&nifti);
    volume.grid.world_from_voxel.matrix3.y_axis += volume.grid.world_from_voxel.matrix3.x_axis * 0.1;
    let skewed = models.folder.path().join("skewed.nii.gz");
    let bytes = parallax::export::nifti::nifti_bytes(&volume, "skewed").expect("a NIfTI");
    std::fs::write(&skewed, bytes).expect("written");
    fails(&explain(&models, &skewed, &out, &["--export", "dicom"]), 3, "perpendicular");
}

/// The slices of a series as the frames of one file, from the last to the first.
fn enhanced(series: &Path) -> PathBuf {
    let mut slices: Vec<_> = files(series).iter().map(|path| object(path)).collect();
    slices.sort_by_key(|slice| std::cmp::Reverse(said(slice, tags::SOP_INSTANCE_UID)));
    let group = |slice: &DefaultDicomObject| {
        let position = slice.element(tags::IMAGE_POSITION_PATIENT).expect("a position").clone();
        let place = InMemDicomObject::from_element_iter([position]);
        InMemDicomObject::from_element_iter([DataElement::new(
            tags::PLANE_POSITION_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(vec![place]),
        )])
    };
    let groups: Vec<_> = slices.iter().map(group).collect();
    let pixels: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes").to_vec())
        .collect();
    let mut whole = slices.swap_remove(0);
    whole.remove_element(tags::IMAGE_POSITION_PATIENT);
    whole.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, SLICES.to_string()));
    whole.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, DataSetSequence::from(groups)));
    whole.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels)));
    let path = series.with_file_name("enhanced.dcm");
    whole.write_to_file(&path).expect("written");
    path
}

#[test]
fn a_slice_that_is_a_frame_of_a_file_is_referred_to_by_its_number() {
    let models = TinyModels::new();
    let scan = enhanced(&oblique(models.folder.path()));
    let out = models.folder.path().join("out");
    succeeds(&explain(&models, &scan, &out, &["--export", "dicom"]));
    let map = object(&out.join("dicom/difference.dcm"));
    for (frame, slice) in groups(&map).0.iter().zip(slices(&map, &volume(&scan).grid)) {
        let source = &items(&items(frame, tags::DERIVATION_IMAGE_SEQUENCE)[0], tags::SOURCE_IMAGE_SEQUENCE)[0];
        assert_eq!(said(source, tags::REFERENCED_SOP_INSTANCE_UID), instance(SLICES - 1));
        assert_eq!(said(source, tags::REFERENCED_FRAME_NUMBER), (SLICES - slice).to_string());
    }
    let series = &items(&map, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(items(series, tags::REFERENCED_INSTANCE_SEQUENCE).len(), 1, "the file is named once");
}
