//! DICOM series written here: every orientation keeps its place in the patient, whatever the files are called; phases are told
//! apart, and what is no regular stack of CT slices is refused in words.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use glam::DVec3;
use parallax::io::{self, Arrival, Choice, Error};
use parallax::job::Monitor;
use parallax::volume::Grid;

use crate::support::{self, Said, ct_slice};

const ROWS: usize = 5;
const COLUMNS: usize = 4;
pub(crate) const SLICES: usize = 6;
/// Between rows, between columns: as DICOM orders them.
const SPACING_MM: [f64; 2] = [0.7, 0.9];
const GAP_MM: f64 = 2.5;
/// Where one bright voxel lies: column, row, slice.
const MARK: [usize; 3] = [1, 3, 4];
const MARK_HU: f32 = 700.0;
/// Positions are written with three decimals.
const PLACE_MM: f64 = 2e-3;

/// What one file says. Vectors are DICOM's: towards the patient's left, back, head.
pub(crate) struct Slice {
    position: DVec3,
    along_row: DVec3,
    down_column: DVec3,
    series: &'static str,
    /// HU = slope * stored + intercept; every slice of a series may have its own.
    rescale: [f64; 2],
    marked: bool,
    /// Said instead of, or besides, what every file here says.
    also: Vec<Said>,
}

impl Slice {
    /// The `k`th slice of an axial series.
    pub(crate) fn axial(k: usize) -> Self {
        Self {
            position: DVec3::new(-31.0, 12.0, 250.0 + GAP_MM * k as f64),
            along_row: DVec3::X,
            down_column: DVec3::Y,
            series: "1.2.3",
            rescale: [1.0, -1024.0],
            marked: k == MARK[2],
            also: Vec::new(),
        }
    }

    pub(crate) fn saying(mut self, tag: Tag, vr: VR, value: &impl ToString) -> Self {
        self.also.push((tag, vr, value.to_string()));
        self
    }
}

fn written(numbers: &[f64]) -> String {
    numbers.iter().map(|x| format!("{x:.3}")).collect::<Vec<_>>().join("\\")
}

pub(crate) fn write(slice: &Slice, path: &Path) {
    let [slope, intercept] = slice.rescale;
    let stored = |hu: f32| ((f64::from(hu) - intercept) / slope).round() as u16;
    let mut pixels = vec![stored(0.0); ROWS * COLUMNS];
    if slice.marked {
        pixels[MARK[0] + COLUMNS * MARK[1]] = stored(MARK_HU);
    }
    let orientation = [slice.along_row.to_array(), slice.down_column.to_array()].concat();
    let mut says: Vec<Said> = vec![
        (tags::SERIES_INSTANCE_UID, VR::UI, slice.series.to_owned()),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, written(&slice.position.to_array())),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, written(&orientation)),
        (tags::PIXEL_SPACING, VR::DS, written(&SPACING_MM)),
        (tags::RESCALE_SLOPE, VR::DS, slope.to_string()),
        (tags::RESCALE_INTERCEPT, VR::DS, intercept.to_string()),
    ];
    says.extend(slice.also.iter().cloned());
    std::fs::write(path, ct_slice([COLUMNS as u16, ROWS as u16], true, pixels, &says)).expect("written");
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
            also: Vec::new(),
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
                assert!(scan.notes.is_empty(), "{:?}", scan.notes);
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
        also: Vec::new(),
    };
    write(&other, &folder.path().join("scout.dcm"));
    let scan = open(folder.path());
    assert_eq!(scan.volume.grid.shape[2], SLICES);
    assert!(scan.notes.iter().any(|note| note.text.contains("other series")), "{:?}", scan.notes);
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

/// A folder of slices, named in their order here.
fn folder_of(slices: &[Slice]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (i, slice) in slices.iter().enumerate() {
        write(slice, &folder.path().join(format!("{i:03}-Doe^John.dcm")));
    }
    folder
}

fn error_of(path: &Path) -> Error {
    io::open(path, &Monitor::default()).map(|scan| scan.notes).expect_err("refused")
}

fn axial() -> Vec<Slice> {
    (0..SLICES).map(Slice::axial).collect()
}

#[test]
fn slices_off_the_straight_line_are_refused() {
    for shifted in [1, 3] {
        let mut slices = axial();
        slices[shifted].position.x += 0.3; // a third of a pixel: rounding, and the patient
        let scan = open(folder_of(&slices).path());
        assert!(scan.notes.is_empty(), "{:?}", scan.notes);
        slices[shifted].position.x += 3.0;
        let error = error_of(folder_of(&slices).path()).to_string();
        let name = format!("{shifted:03}-Doe");
        assert!(error.contains("3.3 mm off the straight line") && error.contains(&name), "{error}");
    }
}

#[test]
fn a_tilted_gantry_is_made_upright_with_a_word() {
    let mut slices = axial();
    for (k, slice) in slices.iter_mut().enumerate() {
        slice.position.y += (10.0_f64).to_radians().tan() * GAP_MM * k as f64;
    }
    let scan = open(folder_of(&slices).path());
    assert!(scan.notes[0].text.contains("tilted by 10.0 degrees"), "{:?}", scan.notes);
    let step = scan.volume.grid.world_from_voxel.matrix3.z_axis;
    assert!((step - DVec3::new(0.0, 0.0, GAP_MM)).length() < PLACE_MM, "{step}");
    assert!(scan.volume.grid.shape[1] > ROWS, "the grid grows so that no row is lost");
}

#[test]
fn the_first_and_the_middle_slice_of_a_series_are_shown_while_it_is_read() {
    const MANY: usize = 40; // two batches and a half
    let mut slices: Vec<_> = (0..MANY).map(Slice::axial).collect();
    slices[MANY / 2].marked = true;
    let folder = folder_of(&slices);
    let (monitor, shown) = (Monitor::default(), RefCell::new(Vec::new()));
    let show = |arrival| {
        if let Arrival::Slice(preview) = arrival {
            shown.borrow_mut().push((preview, monitor.progress().expect("reading").done));
        }
    };
    let scan = io::open_and_show(folder.path(), &Choice::default(), &monitor, &show).expect("a series");
    let shown = shown.into_inner();
    assert_eq!(shown.len(), 2);
    for ((preview, done), k) in shown.iter().zip([0, MANY / 2]) {
        assert!(*done <= k && k < MANY, "slice {k} came after {done}");
        let at = |grid: &Grid, k: f64| grid.world_from_voxel.transform_point3(DVec3::new(0.0, 0.0, k));
        assert_eq!(at(&preview.slice.grid, 0.0), at(&scan.volume.grid, k as f64));
        let whole = (0..ROWS * COLUMNS).map(|n| scan.volume.voxels.at(k * ROWS * COLUMNS + n));
        assert!(preview.slice.voxels.iter().eq(whole), "slice {k}");
    }
    assert!(shown[1].0.slice.voxels.iter().any(|hu| hu == MARK_HU));
}

/// Two phases at the same places, the second of which shows no mark; slices of `first` come before those of the other in names.
fn two_phases(first: usize, tag: Tag, vr: VR, values: [&str; 2]) -> Vec<Slice> {
    let mut slices = Vec::new();
    for k in 0..SLICES {
        for phase in [first, 1 - first] {
            let mut slice = Slice::axial(k).saying(tag, vr, &values[phase]);
            slice.marked &= phase == 0;
            slices.push(slice);
        }
    }
    slices
}

#[test]
fn one_phase_of_two_is_opened_whatever_the_files_are_called() {
    for (tag, vr, values, name) in [
        (tags::ACQUISITION_NUMBER, VR::IS, ["9", "10"], "AcquisitionNumber"),
        (tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, ["1", "2"], "TemporalPositionIdentifier"),
        (tags::ACQUISITION_TIME, VR::TM, ["101500.25", "101530.75"], "AcquisitionTime"),
        (tags::CONTENT_TIME, VR::TM, ["101500", "101530"], "ContentTime"),
    ] {
        let open = |first| open(folder_of(&two_phases(first, tag, vr, values)).path());
        let (scan, other) = (open(0), open(1));
        assert_eq!(scan.sha256(), other.sha256(), "{name}");
        assert_eq!(scan.volume.grid, other.volume.grid, "{name}");
        assert_eq!((scan.volume.grid.shape[2], brightest(&scan).1), (SLICES, MARK_HU), "{name}: the earlier phase");
        assert!(
            scan.notes[0].text.contains(name) && scan.notes[0].text.contains("6 slices of others"),
            "{:?}",
            scan.notes
        );
        assert!(!scan.notes.iter().any(|note| note.text.contains("Doe")), "{:?}", scan.notes);
    }
}

#[test]
fn the_phase_that_is_a_regular_stack_is_the_one_opened() {
    // The earlier acquisition lacks a slice in its middle.
    let mut slices = two_phases(0, tags::ACQUISITION_NUMBER, VR::IS, ["1", "2"]);
    slices.remove(4);
    let scan = open(folder_of(&slices).path());
    assert_eq!((scan.volume.grid.shape[2], brightest(&scan).1), (SLICES, 0.0));
    // A timing run at one place says nothing against the rest.
    let mut slices: Vec<Slice> =
        axial().into_iter().map(|slice| slice.saying(tags::ACQUISITION_NUMBER, VR::IS, &5)).collect();
    for time in 0..3 {
        let mut slice = Slice::axial(2).saying(tags::ACQUISITION_NUMBER, VR::IS, &1);
        slice.rescale[1] -= f64::from(time + 1);
        slice.rescale[0] = 2.0;
        slice.marked = true;
        slices.push(slice);
    }
    let scan = open(folder_of(&slices).path());
    assert_eq!(scan.volume.grid.shape[2], SLICES);
}

#[test]
fn copies_are_dropped() {
    // Acquired in two parts, one slice copied: the copy is no reason to open one part alone.
    let mut slices: Vec<Slice> =
        (0..SLICES).map(|k| Slice::axial(k).saying(tags::ACQUISITION_NUMBER, VR::IS, &(k / 4))).collect();
    slices.push(Slice::axial(1).saying(tags::ACQUISITION_NUMBER, VR::IS, &0));
    let scan = open(folder_of(&slices).path());
    assert_eq!(scan.volume.grid.shape[2], SLICES);
    assert!(scan.notes[0].text.ends_with("show the same, one was kept: 1 slice left out"), "{:?}", scan.notes);
    // Exported again, every slice with a time of its own.
    let timed = |(i, slice): (usize, Slice)| slice.saying(tags::CONTENT_TIME, VR::TM, &(101_500 + i));
    let slices: Vec<Slice> = axial().into_iter().chain(axial()).enumerate().map(timed).collect();
    let scan = open(folder_of(&slices).path());
    assert_eq!((scan.volume.grid.shape[2], brightest(&scan).1), (SLICES, MARK_HU));
    assert!(scan.notes[0].text.ends_with("show the same, one was kept: 6 slices left out"), "{:?}", scan.notes);
}

#[test]
fn phases_that_nothing_tells_apart_are_refused() {
    for timed in [false, true] {
        let mut slices: Vec<Slice> = axial().into_iter().chain(axial()).collect();
        slices[MARK[2]].marked = false;
        if timed {
            // A time that is each slice's own makes no phases of them.
            for (i, slice) in slices.iter_mut().enumerate() {
                slice.also.push((tags::CONTENT_TIME, VR::TM, (101_500 + i).to_string()));
            }
        }
        let error = error_of(folder_of(&slices).path());
        let words = error.to_string();
        assert!(matches!(error, Error::Unsuitable { .. }) && words.contains("lie on each other and differ"), "{words}");
        assert!(words.contains("004-Doe") && words.contains("010-Doe"), "{words}");
    }
}

/// A file of one slice, with its bytes changed.
fn file_of(slice: &Slice, change: impl Fn(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let folder = folder_of(std::slice::from_ref(slice));
    let path = folder.path().join("000-Doe^John.dcm");
    let mut bytes = std::fs::read(&path).expect("just written");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

#[test]
fn headers_that_no_ct_slice_has_are_refused_in_words() {
    for (tag, vr, value, words) in [
        (tags::PIXEL_SPACING, VR::DS, "1e-200\\1e-200", "PixelSpacing"),
        (tags::PIXEL_SPACING, VR::DS, "700\\700", "where a scan has 0.01 to 100 mm"),
        (tags::BITS_STORED, VR::US, "12", "HighBit 15 with BitsStored 12"),
        (tags::BITS_STORED, VR::US, "0", "BitsStored 0"),
        (tags::BITS_ALLOCATED, VR::US, "24", "BitsAllocated 24"),
    ] {
        let (_folder, path) = file_of(&Slice::axial(0).saying(tag, vr, &value), |_| ());
        let error = error_of(&path);
        assert!(matches!(error, Error::Unsuitable { .. }) && error.to_string().contains(words), "{error}");
    }
    // 60000 x 60000 pixels are not in a file of 1 kB: nothing may be allocated for them.
    let huge = Slice::axial(0).saying(tags::ROWS, VR::US, &60000).saying(tags::COLUMNS, VR::US, &60000);
    let error = error_of(&file_of(&huge, |_| ()).1);
    assert!(matches!(error, Error::Damaged { .. }) && error.to_string().contains("7200000000 bytes"), "{error}");
}

#[test]
fn gaps_that_no_scan_has_are_refused() {
    for gap in [0.004, 250.0] {
        let mut slices = axial();
        for (k, slice) in slices.iter_mut().enumerate() {
            slice.position.z = gap * k as f64;
        }
        let error = error_of(folder_of(&slices).path()).to_string();
        assert!(error.contains("where a scan has 0.01 to 100 mm"), "{gap}: {error}");
    }
}

#[test]
fn an_unknown_transfer_syntax_is_named_and_damage_is_told_from_it() {
    let change = |bytes: &mut Vec<u8>| {
        let uid = b"1.2.840.10008.1.2.1\0";
        let at = bytes.windows(uid.len()).position(|window| window == uid).expect("the transfer syntax");
        bytes[at..at + uid.len()].copy_from_slice(b"1.2.840.10008.1.2.7\0");
    };
    let (folder, path) = file_of(&Slice::axial(0), change);
    let error = error_of(&path);
    assert!(matches!(error, Error::Unsuitable { .. }), "{error}");
    assert!(error.to_string().contains("1.2.840.10008.1.2.7, which is not decoded here; convert it"), "{error}");

    // In a folder, with a reason of each kind.
    write(&Slice::axial(1).saying(tags::NUMBER_OF_FRAMES, VR::IS, &7), &folder.path().join("frames.dcm"));
    write(&Slice::axial(2).saying(tags::NUMBER_OF_FRAMES, VR::IS, &9), &folder.path().join("more.dcm"));
    std::fs::write(folder.path().join("notes.txt"), "not a slice").expect("written");
    let error = error_of(folder.path()).to_string();
    for words in ["none of its 4 files", "2 x a multi-frame file", "1 x transfer syntax", "1 x not a DICOM file"] {
        assert!(error.contains(words), "{error}");
    }

    // A file that begins as DICOM and ends too early is damaged, not foreign; its name is in the path alone.
    let error = error_of(&file_of(&Slice::axial(0), |bytes| bytes.truncate(400)).1);
    let Error::Damaged { what, .. } = &error else { panic!("{error}") };
    assert!(!what.contains("Doe"), "{what}");
}

#[test]
fn another_modality_is_opened_with_a_word_about_its_numbers() {
    let said = |modality: &'static str| axial().into_iter().map(move |s| s.saying(tags::MODALITY, VR::CS, &modality));
    assert!(open(folder_of(&said("CT").collect::<Vec<_>>()).path()).notes.is_empty());
    let notes = open(folder_of(&said("MR").collect::<Vec<_>>()).path()).notes;
    assert!(notes[0].text.contains("MR, not CT") && notes[0].text.contains("not Hounsfield units"), "{notes:?}");
}

#[test]
fn a_size_that_a_compressed_file_cannot_hold_is_an_error() {
    for name in ["CT1_RLE.dcm", "CT1_J2KR.dcm", "CT1_JLSL.dcm", "CT1_JPLL.dcm"] {
        let Some(path) = support::shared(&format!("data/dicom/syntaxes/{name}")) else { return };
        let mut bytes = std::fs::read(path).expect("a file");
        for element in [0x10, 0x11] {
            let tag = [0x28, 0, element, 0, b'U', b'S', 2, 0];
            let at = bytes.windows(8).position(|window| window == tag).expect("Rows and Columns") + 8;
            bytes[at..at + 2].copy_from_slice(&60000_u16.to_le_bytes());
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), bytes).expect("written");
        let error = error_of(folder.path());
        assert!(matches!(error, Error::Damaged { .. }), "{name}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_read_is_left_out_with_a_word() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder_of(&axial());
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    let allow = |mode| std::fs::set_permissions(&inside, PermissionsExt::from_mode(mode)).expect("ours");
    allow(0o000);
    let closed = std::fs::read_dir(&inside).is_err(); // root reads everything
    let scan = open(folder.path());
    allow(0o700);
    assert_eq!(scan.volume.grid.shape[2], SLICES);
    assert_eq!(
        scan.notes.iter().any(|note| note.text.contains("1 folder inside could not be read")),
        closed,
        "{:?}",
        scan.notes
    );
}
