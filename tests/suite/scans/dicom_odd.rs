//! DICOM files as odd programs write them, byte by byte: right, or refused in words.

use std::path::Path;

use parallax::io::{self, Scan};
use parallax::job::Monitor;

const ROWS: usize = 6;
const COLUMNS: usize = 5;
const SLICES: usize = 8;
const GAP_MM: f64 = 3.0;
const INTERCEPT: i32 = -1024;
const AIR_HU: f32 = -1000.0;
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Elements with their VR and bytes, sorted when written. Numbers of two bytes are in the order of `syntax`.
#[derive(Clone)]
struct File {
    syntax: &'static str,
    elements: Vec<(u32, [u8; 2], Vec<u8>)>,
    /// PixelData with its head.
    pixels: Option<Vec<u8>>,
}

const POSITION: u32 = 0x0020_0032;
const ORIENTATION: u32 = 0x0020_0037;

impl File {
    /// The `k`th slice of an axial series, each pixel of which has its own number.
    fn axial(k: usize) -> Self {
        let mut file = Self { syntax: LITTLE_ENDIAN, elements: Vec::new(), pixels: None };
        for (tag, vr, text) in [
            (0x0008_0008, *b"CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            (0x0008_0016, *b"UI", CT),
            (0x0008_0060, *b"CS", "CT"),
            (0x0010_0020, *b"LO", "P1"),
            (0x0018_0050, *b"DS", "3"),
            (0x0020_000d, *b"UI", "1.2"),
            (0x0020_000e, *b"UI", "1.2.3"),
            (0x0020_0011, *b"IS", "2"),
            (0x0020_0052, *b"UI", "1.2.9"),
            (ORIENTATION, *b"DS", "1\\0\\0\\0\\1\\0"),
            (0x0028_0004, *b"CS", "MONOCHROME2"),
            (0x0028_0030, *b"DS", "0.7\\0.9"),
            (0x0028_1052, *b"DS", "-1024"),
            (0x0028_1053, *b"DS", "1"),
        ] {
            file = file.text(tag, vr, text);
        }
        for (tag, number) in [
            (0x0028_0002, 1),
            (0x0028_0010, ROWS as u16),
            (0x0028_0011, COLUMNS as u16),
            (0x0028_0100, 16),
            (0x0028_0101, 16),
            (0x0028_0102, 15),
            (0x0028_0103, 0),
        ] {
            file = file.number(tag, number);
        }
        file.text(POSITION, *b"DS", &format!("-31\\12\\{}", GAP_MM * k as f64)).words(&stored(k))
    }

    fn with(mut self, tag: u32, vr: [u8; 2], bytes: &[u8]) -> Self {
        self.elements.retain(|(other, ..)| *other != tag);
        self.elements.push((tag, vr, bytes.to_vec()));
        self
    }

    fn text(self, tag: u32, vr: [u8; 2], text: &str) -> Self {
        let even = if text.len() % 2 == 1 { format!("{text} ") } else { text.to_owned() };
        self.with(tag, vr, even.as_bytes())
    }

    fn number(self, tag: u32, number: u16) -> Self {
        self.with(tag, *b"US", &number.to_le_bytes())
    }

    fn without(mut self, tag: u32) -> Self {
        self.elements.retain(|(other, ..)| *other != tag);
        self
    }

    fn words(self, words: &[u16]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.pixels(element(0x7fe0_0010, *b"OW", &bytes, false))
    }

    fn pixels(mut self, element: Vec<u8>) -> Self {
        self.pixels = Some(element);
        self
    }

    fn write(&self, folder: &Path, name: &str) {
        let mut elements = self.elements.clone();
        elements.sort_by_key(|(tag, ..)| *tag);
        let big_endian = self.syntax == BIG_ENDIAN;
        let syntax = if self.syntax.len() % 2 == 1 { format!("{}\0", self.syntax) } else { self.syntax.to_owned() };
        let mut bytes = [&[0; 128][..], b"DICM", &element(0x0002_0010, *b"UI", syntax.as_bytes(), false)].concat();
        for (tag, vr, value) in elements {
            let mut value = value;
            if big_endian && &vr == b"US" {
                value.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            }
            bytes.extend(element(tag, vr, &value, big_endian));
        }
        bytes.extend(self.pixels.iter().flatten());
        std::fs::write(folder.join(name), bytes).expect("written");
    }
}

/// An explicit element.
fn element(tag: u32, vr: [u8; 2], value: &[u8], big_endian: bool) -> Vec<u8> {
    let half = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let whole = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut bytes = [half((tag >> 16) as u16), half(tag as u16), vr].concat();
    match &vr {
        b"OB" | b"OW" | b"SQ" | b"UN" => bytes.extend([&[0, 0], &whole(value.len() as u32)[..]].concat()),
        _ => bytes.extend(half(value.len() as u16)),
    }
    bytes.extend(value);
    bytes
}

fn sequence(tag: u32, items: &[Vec<u8>]) -> Vec<u8> {
    element(tag, *b"SQ", &items.iter().flat_map(|item| an_item(item)).collect::<Vec<_>>(), false)
}

fn an_item(value: &[u8]) -> Vec<u8> {
    [&[0xfe, 0xff, 0x00, 0xe0][..], &(value.len() as u32).to_le_bytes(), value].concat()
}

fn stored(k: usize) -> Vec<u16> {
    (0..ROWS * COLUMNS).map(|n| (1000 + 40 * k + n) as u16).collect()
}

/// HU of slice `k` as [`stored`] has them.
fn hu(k: usize) -> Vec<f32> {
    stored(k).iter().map(|word| (i32::from(*word) + INTERCEPT) as f32).collect()
}

fn folder_of(files: &[File]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    files.iter().enumerate().for_each(|(n, file)| file.write(folder.path(), &format!("{n:03}-Doe.dcm")));
    folder
}

fn open(files: &[File]) -> Result<Scan, String> {
    io::open(folder_of(files).path(), &Monitor::default()).map_err(|error| error.to_string())
}

fn opened(files: &[File]) -> Scan {
    open(files).unwrap_or_else(|error| panic!("{error}"))
}

fn says(scan: &Scan, words: &str) -> bool {
    scan.notes.iter().any(|note| note.text.contains(words))
}

fn series(change: impl Fn(usize, File) -> File) -> Vec<File> {
    (0..SLICES).map(|k| change(k, File::axial(k))).collect()
}

fn plain() -> Vec<f32> {
    (0..SLICES).flat_map(hu).collect()
}

fn voxels(scan: &Scan) -> Vec<f32> {
    scan.volume.voxels.iter().collect()
}

#[test]
fn a_series_written_here_is_read_to_the_last_voxel() {
    let scan = opened(&series(|_, file| file));
    assert_eq!((voxels(&scan), scan.notes.len()), (plain(), 0), "{:?}", scan.notes);
}

/// An enhanced file: a frame of slice `k` for each of `frames`, with groups of its own.
fn enhanced(frames: &[(usize, Vec<u8>)]) -> File {
    let groups: Vec<Vec<u8>> = frames
        .iter()
        .map(|(k, more)| {
            let place = format!("-31\\12\\{:.1}", GAP_MM * *k as f64);
            let place = if place.len() % 2 == 1 { format!("{place} ") } else { place };
            let position = element(POSITION, *b"DS", place.as_bytes(), false);
            [sequence(0x0020_9113, &[position]), more.clone()].concat()
        })
        .collect();
    let words: Vec<u16> = frames.iter().flat_map(|(k, _)| stored(*k)).collect();
    let count = frames.len().to_string();
    let all: Vec<u8> = groups.iter().flat_map(|group| an_item(group)).collect();
    File::axial(0).without(POSITION).text(0x0028_0008, *b"IS", &count).with(0x5200_9230, *b"SQ", &all).words(&words)
}

#[test]
fn frames_are_told_apart_by_binary_numbers_whatever_their_bytes_look_like() {
    // As text, 9 to 13 and 32 are blanks.
    for times in [vec![9_u32, 10, 13, 32], (1..=14).collect()] {
        let frame = |k: usize, time: u32| {
            let index = element(0x0020_9128, *b"UL", &time.to_le_bytes(), false);
            (k, sequence(0x0020_9111, &[index]))
        };
        let frames: Vec<_> = times.iter().flat_map(|time| (0..SLICES).map(move |k| frame(k, *time))).collect();
        let mut file = enhanced(&frames);
        // Each time shows other numbers.
        let words: Vec<u16> =
            (0..times.len()).flat_map(|t| (0..SLICES).flat_map(stored).map(move |w| w + t as u16)).collect();
        file = file.words(&words);
        let scan = opened(&[file]);
        assert_eq!(voxels(&scan), plain(), "{times:?}: the first time");
        assert!(says(&scan, "TemporalPositionIndex"), "{:?}", scan.notes);
        assert_eq!(scan.among.series.len(), times.len());
    }
}

#[test]
fn a_slice_of_a_file_of_many_frames_is_referred_to_by_its_frame() {
    // Frames from the head down: the first slice is the last frame.
    let frames: Vec<_> = (0..SLICES).rev().map(|k| (k, Vec::new())).collect();
    let scan = opened(&[enhanced(&frames).text(0x0008_0018, *b"UI", "1.2.3.4")]);
    let instances = scan.study.expect("a study").instances;
    let named: Vec<_> = instances.iter().map(|one| (one.uid.as_str(), one.frame)).collect();
    assert_eq!(named, (1..=SLICES).rev().map(|frame| ("1.2.3.4", Some(frame))).collect::<Vec<_>>());
    let scan = opened(&series(|k, file| file.text(0x0008_0018, *b"UI", &format!("1.2.3.{k}"))));
    assert!(scan.study.expect("a study").instances.iter().all(|one| one.frame.is_none()), "files of one frame");
}

#[test]
fn a_sequence_that_claims_the_beginning_of_what_follows_is_named() {
    let mut claims = element(0x0040_0275, *b"SQ", &an_item(&element(0x0040_0007, *b"LO", b"ABCD", false)), false);
    claims[8] += 4;
    let change = |_: usize, file: File| {
        let pixels = file.pixels.clone().expect("pixels");
        file.pixels([claims.clone(), element(0x0040_2016, *b"LO", b"1 ", false), pixels].concat())
    };
    let error = open(&series(change)).expect_err("refused");
    assert!(error.contains("RequestAttributesSequence claims 24 bytes, and 4 bytes at their end are no"), "{error}");
}

#[test]
fn a_private_group_changes_no_frame() {
    let slope = element(0x0028_1053, *b"DS", b"3 ", false);
    let elsewhere = element(POSITION, *b"DS", b"0\\0\\0 ", false);
    let private = sequence(0x7fdf_1001, &[[elsewhere, slope].concat()]);
    let frames: Vec<_> = (0..SLICES).map(|k| (k, private.clone())).collect();
    assert_eq!(voxels(&opened(&[enhanced(&frames)])), plain());
}

#[test]
fn padding_beyond_the_stored_bits_becomes_air_and_is_no_metal() {
    for (padding, signed) in [(0xf830_u16, false), (0x8000, true), (0xf000, false)] {
        let files = series(|k, file| {
            let mut words: Vec<u16> = stored(k);
            words[0] = padding;
            let file = file.number(0x0028_0101, 12).number(0x0028_0102, 11).number(0x0028_0103, u16::from(signed));
            file.with(0x0028_0120, *b"US", &padding.to_le_bytes()).words(&words)
        });
        let scan = opened(&files);
        let mut wanted = plain();
        wanted.iter_mut().step_by(ROWS * COLUMNS).for_each(|hu| *hu = AIR_HU);
        assert_eq!(voxels(&scan), wanted, "{padding:#x}");
        assert!(says(&scan, "8 voxels taken for padding") && !says(&scan, "BitsStored"), "{:?}", scan.notes);
    }
}

#[test]
fn fragments_under_an_uncompressed_syntax_are_refused_and_never_read_as_pixels() {
    for length in [2 * ROWS * COLUMNS - 20, 5000] {
        let stream = [vec![0xff, 0xd8, 0xff, 0xf7], vec![7; length - 4]].concat();
        let end = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
        let head = [0xe0, 0x7f, 0x10, 0x00, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff];
        let pixels = [&head[..], &an_item(&[]), &an_item(&stream), &end].concat();
        let error = open(&series(|_, file| file.pixels(pixels.clone()))).expect_err("no pixels");
        assert!(error.contains("transfer syntax") && error.contains("in fragments, where 60 belong"), "{error}");
    }
}

#[test]
fn pixels_behind_those_that_the_header_declares_are_said() {
    let scan = opened(&series(|k, file| file.words(&stored(k).repeat(2))));
    assert_eq!(voxels(&scan), plain());
    assert!(says(&scan, "PixelData holds 120 bytes") && says(&scan, "NumberOfFrames"), "{:?}", scan.notes);
}

#[test]
fn an_element_behind_the_pixels_is_read_as_if_it_stood_in_its_place() {
    let intercept = element(0x0028_1052, *b"DS", b"-1024 ", false);
    let files = series(|k, file| {
        let words: Vec<u8> = stored(k).iter().flat_map(|word| word.to_le_bytes()).collect();
        let pixels = element(0x7fe0_0010, *b"OW", &words, false);
        file.without(0x0028_1052).pixels([pixels, intercept.clone()].concat())
    });
    assert_eq!(voxels(&opened(&files)), plain());
    // Remains of something else are none of the slice.
    let files = series(|k, file| {
        let words: Vec<u8> = stored(k).iter().flat_map(|word| word.to_le_bytes()).collect();
        let pixels = element(0x7fe0_0010, *b"OW", &words, false);
        file.pixels([pixels, b"and so on, until the end".to_vec()].concat())
    });
    assert_eq!(voxels(&opened(&files)), plain());
}

#[test]
fn a_sign_that_is_not_said_is_a_guess_that_is_said() {
    let scan = opened(&series(|_, file| file.without(0x0028_0103)));
    assert!(voxels(&scan) == plain() && says(&scan, "no PixelRepresentation"), "{:?}", scan.notes);
}

#[test]
fn rows_and_columns_at_no_right_angle_are_said() {
    let scan = opened(&series(|_, file| file.text(ORIENTATION, *b"DS", "1\\0\\0\\0.0349\\0.9994\\0")));
    assert!(says(&scan, "meet at 88.0 degrees"), "{:?}", scan.notes);
    let scan = opened(&series(|_, file| file.text(ORIENTATION, *b"DS", "1\\0\\0\\0.01\\1\\0")));
    assert!(scan.notes.is_empty(), "{:?}", scan.notes);
}

#[test]
fn bytes_in_big_endian_words_are_read_in_their_order() {
    const ODD_COLUMNS: usize = 3;
    const ODD_ROWS: usize = 3;
    let files: Vec<File> = (0..SLICES)
        .map(|k| {
            let mut bytes: Vec<u8> = (0..=(ODD_ROWS * ODD_COLUMNS) as u8).map(|n| n + 10 * k as u8).collect();
            bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            let mut file = File::axial(k).number(0x0028_0100, 8).number(0x0028_0101, 8).number(0x0028_0102, 7);
            file = file.number(0x0028_0010, ODD_ROWS as u16).number(0x0028_0011, ODD_COLUMNS as u16);
            file.syntax = BIG_ENDIAN;
            file.pixels(element(0x7fe0_0010, *b"OW", &bytes, true))
        })
        .collect();
    let wanted = (0..SLICES).flat_map(|k| (0..ODD_ROWS * ODD_COLUMNS).map(move |n| (n + 10 * k) as f32 - 1024.0));
    assert_eq!(voxels(&opened(&files)), wanted.collect::<Vec<_>>());
}

/// Two scans under one series UID; the second shows 100 HU more.
fn two(first: impl Fn(usize, File) -> File, second: impl Fn(usize, File) -> File) -> Vec<File> {
    let brighter = |k: usize, file: File| file.words(&stored(k).iter().map(|word| word + 100).collect::<Vec<_>>());
    [series(first), series(|k, file| second(k, brighter(k, file)))].concat()
}

#[test]
fn scans_of_two_days_are_told_apart_by_their_dates() {
    for (tag, vr, days, name) in [
        (0x0008_0022, *b"DA", ["20200101", "20200301"], "AcquisitionDate"),
        (0x0008_002a, *b"DT", ["20200101100000", "20200101100030"], "AcquisitionDateTime"),
    ] {
        let scan = opened(&two(|_, file| file.text(tag, vr, days[0]), |_, file| file.text(tag, vr, days[1])));
        assert!(voxels(&scan) == plain() && says(&scan, name), "{name}: {:?}", scan.notes);
    }
}

#[test]
fn the_original_comes_before_what_was_derived_from_it() {
    let scan = opened(&two(|_, file| file, |_, file| file.text(0x0008_0008, *b"CS", "DERIVED\\SECONDARY\\MPR")));
    assert!(voxels(&scan) == plain() && says(&scan, "ImageType"), "{:?}", scan.notes);
}

#[test]
fn a_localizer_is_said_to_be_none_of_the_slices() {
    let localizer = File::axial(0).text(0x0008_0008, *b"CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    let localizer = localizer.text(ORIENTATION, *b"DS", "1\\0\\0\\0\\0\\-1");
    assert!(says(&opened(std::slice::from_ref(&localizer)), "LOCALIZER"));
    let scan = opened(&[series(|_, file| file), vec![localizer]].concat());
    assert!(voxels(&scan) == plain() && !says(&scan, "LOCALIZER"), "{:?}", scan.notes);
}

#[test]
fn what_a_file_does_not_say_of_its_patient_study_or_frame_is_that_of_its_series() {
    for tag in [0x0010_0020, 0x0020_000d, 0x0020_0052] {
        for half in [0, 1] {
            let scan = opened(&series(|k, file| if k % 2 == half { file.text(tag, *b"LO", "") } else { file }));
            assert_eq!(voxels(&scan), plain(), "{tag:08x}");
        }
    }
}

#[test]
fn a_patient_is_one_in_whatever_case_and_with_whatever_spaces_the_identifier_is_spelt() {
    let spelt = |k: usize| ["Ab 12", "AB  12", " ab 12"][k % 3];
    let scan = opened(&series(|k, file| file.text(0x0010_0020, *b"LO", spelt(k))));
    assert!(voxels(&scan) == plain() && !says(&scan, "a patient, study"), "{:?}", scan.notes);
}

#[test]
fn a_series_whose_files_name_patients_of_their_own_is_whole_with_a_word() {
    let scan = opened(&series(|k, file| file.text(0x0010_0020, *b"LO", &format!("anon{k}"))));
    assert!(voxels(&scan) == plain() && says(&scan, "a patient, study"), "{:?}", scan.notes);
    // Two patients stay apart.
    let scan = opened(&two(|_, file| file, |_, file| file.text(0x0010_0020, *b"LO", "P2")));
    assert_eq!(scan.volume.grid.shape[2], SLICES);
}

#[test]
fn a_negative_slope_is_said_and_skewed_axes_are_refused() {
    let scan = opened(&series(|_, file| file.text(0x0028_1053, *b"DS", "-1")));
    assert!(says(&scan, "RescaleSlope is -1"), "{:?}", scan.notes);
    // Columns lean by 20 degrees.
    let leaning = "1\\0\\0\\0.342020\\0.939693\\0";
    let error = open(&series(|_, file| file.text(ORIENTATION, *b"DS", leaning))).expect_err("no slice is a rhombus");
    assert!(error.contains("ImageOrientationPatient") && error.contains("not perpendicular"), "{error}");
}

#[test]
fn a_slice_of_another_series_number_or_modality_is_named() {
    for (tag, vr, value, words) in [
        (0x0020_0011, *b"IS", "7", "SeriesNumber 7, where the others have 2"),
        (0x0008_0060, *b"CS", "OT", "another Modality"),
    ] {
        let files = series(|k, file| if k == 4 { file.text(tag, vr, value) } else { file });
        let error = open(&files).expect_err("a hole");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_is_packed_in_a_way_that_is_not_read_is_named() {
    let tar = [vec![b'a'; 257], b"ustar\x0000".to_vec(), vec![0; 300]].concat();
    for (bytes, words) in [
        (b"PK\x03\x04 and more".to_vec(), "choose the archive"),
        ([&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0][..], &[0; 8]].concat(), "gzip"),
        (b"7z\xbc\xaf\x27\x1c".to_vec(), "7z"),
        (b"Rar!\x1a\x07".to_vec(), "RAR"),
        (tar, "tar archive"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), bytes).expect("written");
        let error = io::open(folder.path(), &Monitor::default()).expect_err("no scan").to_string();
        assert!(error.contains(words), "{error}");
    }
}
