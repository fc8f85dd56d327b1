//! NRRD, MetaImage and the kinds of NIfTI as nibabel and SimpleITK read them, and what no format may ask for.
//! The files are written by `tests/data/formats/make.py`.

use std::collections::BTreeMap;
use std::path::Path;

use parallax::io::{self, Choice, Error, Geometry, Scan};
use parallax::job::Monitor;
use serde::Deserialize;

use crate::support;

/// f32 of NIfTI headers, and rotations that were multiplied in another order.
const AFFINE_MM: f64 = 1e-5;

#[derive(Deserialize)]
struct Truth {
    files: BTreeMap<String, File>,
    numbers: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct File {
    reader: String,
    affine: [[f64; 4]; 3],
    shape: [usize; 3],
    numbers: usize,
}

fn open(path: &Path, volume: Option<usize>) -> Result<Scan, Error> {
    io::open_and_show(path, &Choice { volume, ..Choice::default() }, &Monitor::default(), &|_| {})
}

fn values(scan: &Scan) -> Vec<f32> {
    scan.volume.voxels.iter().collect()
}

#[test]
fn every_file_reads_as_other_readers_read_it() {
    let text = std::fs::read_to_string(support::data("formats/truth.json")).expect("beside the files");
    let truth: Truth = serde_json::from_str(&text).expect("what the script wrote");
    assert_eq!(truth.files.len(), 75);
    for (name, file) in &truth.files {
        let (path, volume) = name.split_once('#').unwrap_or((name, "1"));
        let volume = volume.parse().expect("a number");
        let scan = open(&support::data("formats").join(path), Some(volume)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(scan.volume.grid.shape, file.shape, "{name}");
        assert_eq!(values(&scan), truth.numbers[file.numbers], "{name}, by {}", file.reader);
        let place = scan.volume.grid.world_from_voxel;
        let columns = [place.matrix3.x_axis, place.matrix3.y_axis, place.matrix3.z_axis, place.translation];
        for (row, wanted) in file.affine.iter().enumerate() {
            for (column, wanted) in columns.iter().zip(wanted) {
                assert!(
                    (column[row] - wanted).abs() < AFFINE_MM,
                    "{name}: {place:?}, {} {:?}",
                    file.reader,
                    file.affine
                );
            }
        }
        let guessed = scan.notes.iter().any(|note| note.text.contains("left and right are a guess"));
        assert_eq!(guessed, scan.geometry == Geometry::Spacing, "{name}: {:?}", scan.notes);
        let volumes = scan.notes.iter().filter(|note| note.text.contains("volumes")).count();
        assert_eq!(scan.notes.len(), volumes + usize::from(guessed), "{name}: {:?}", scan.notes);
    }
}

const NRRD: &str = "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 1\nspace: RAS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n\
                    space origin: (0,0,0)\nendian: little\nencoding: raw\n";
const META: &str = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 1\nElementType = MET_SHORT\nElementSpacing = 1 1 1\n\
                    TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n";

/// What is said of a NRRD file with something in its header changed.
fn nrrd(from: &str, to: &str) -> Result<Scan, Error> {
    assert!(NRRD.contains(from), "{from}");
    written("a.nrrd", &[NRRD.replace(from, to).as_bytes(), b"\n\x01\0\x02\0\x03\0\x04\0"].concat())
}

fn meta(from: &str, to: &str, file: &str) -> Result<Scan, Error> {
    assert!(META.contains(from), "{from}");
    let header = format!("{}ElementDataFile = {file}\n", META.replace(from, to));
    written("a.mha", &[header.as_bytes(), b"\x01\0\x02\0\x03\0\x04\0"].concat())
}

fn written(name: &str, bytes: &[u8]) -> Result<Scan, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), bytes).expect("written");
    open(&folder.path().join(name), None)
}

#[track_caller]
fn refused(result: Result<Scan, Error>, words: &str) {
    let error = result.map(|scan| scan.notes).expect_err("refused").to_string();
    assert!(error.contains(words), "{words:?}: {error}");
}

#[test]
fn what_no_nrrd_scan_has_is_refused_in_words() {
    assert_eq!(values(&nrrd("RAS", "RAS").expect("a scan")), [1.0, 2.0, 3.0, 4.0]);
    for (from, to, words) in [
        ("raw", "bzip2", "bzip2"),
        ("raw", "zstd", "zstd"),
        ("short", "block", "type: block"),
        ("endian: little\n", "", "endian"),
        ("endian: little", "endian: middle", "middle"),
        ("sizes: 2 2 1", "sizes: 2 2", "dimension: 3, and 2 sizes"),
        ("sizes: 2 2 1", "sizes: 2 -2 1", "whole numbers"),
        ("sizes: 2 2 1", "sizes: 2 2 9", "8 are there"),
        ("sizes: 2 2 1", "sizes: 2000000000 2000000000 2000000000", "which no scan has"),
        ("RAS", "upside-down", "none that NRRD has"),
        ("(0,0,1)", "none", "2 axes of space"),
        ("(0,0,1)", "(0,0,nope)", "space directions"),
        ("(0,0,1)", "(0,1,0)", "without volume"),
        ("(0,0,0)", "(0,inf,0)", "spacing of 1 x 1 x 1"),
        ("encoding", "data file: /etc/passwd\nencoding", "no file beside the header"),
        ("encoding", "data file: ../a.raw\nencoding", "no file beside the header"),
        ("encoding", "data file: gone.raw\nencoding", "gone.raw, which is not beside it"),
        ("encoding: raw\n", "encoding: raw\ndata file: LIST\na.raw\nb.raw\n", "several files"),
        ("encoding", "data file: a%03d.raw 1 9 1\nencoding", "several files"),
        ("encoding", "byte skip: -2\nencoding", "byte skip: -2"),
        ("encoding", "byte skip: 5\nencoding", "3 are there"),
        ("encoding: raw", "encoding: raw\nencoding: raw", "twice"),
        ("encoding: raw", "encoding: gzip", "damaged"),
        ("encoding: raw", "nonsense", "no field"),
        (
            "dimension: 3\nsizes: 2 2 1\nspace: RAS\nspace directions:",
            "dimension: 4\nsizes: 3 2 2 1\nspace: RAS\nkinds: RGB-color domain domain domain\nspace directions: none",
            "colours",
        ),
    ] {
        refused(nrrd(from, to), words);
    }
}

#[test]
fn a_nrrd_of_four_dimensions_as_itk_writes_it_is_read_by_its_volumes() {
    let from =
        "dimension: 3\nsizes: 2 2 1\nspace: RAS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n";
    let to = |time: &str| {
        format!(
            "dimension: 4\nspace dimension: 4\nsizes: 2 1 1 2\nspace directions: (1,0,0,{time}) (0,1,0,0) (0,0,1,0) (0,0,0,1)\n\
             kinds: domain domain domain domain\nspace origin: (-30,-25,-100,5)\n"
        )
    };
    let scan = nrrd(from, &to("0")).expect("a scan");
    assert_eq!(values(&scan), [1.0, 2.0]);
    assert!(scan.notes.iter().any(|note| note.text.contains("2 volumes")), "{:?}", scan.notes);
    assert_eq!(scan.volume.grid.world_from_voxel.translation.to_array(), [30.0, 25.0, -100.0], "LPS, as ITK takes it");
    refused(nrrd(from, &to("3")), "space directions");
}

#[test]
fn a_nrrd_in_micrometres_is_said() {
    let scan = nrrd("(1,0,0) (0,1,0) (0,0,1)\n", "(20,0,0) (0,20,0) (0,0,20)\nspace units: \"um\" \"um\" \"um\"\n");
    let scan = scan.expect("a scan");
    assert!((scan.volume.grid.spacing_mm()[0] - 0.02).abs() < 1e-12);
    assert!(scan.notes[0].text.contains("20 x 20 x 20 of them are 0.02 x 0.02 x 0.02 mm"), "{:?}", scan.notes);
}

#[test]
fn units_that_differ_and_numbers_that_are_to_be_scaled_are_said() {
    let scan = nrrd("encoding: raw", "space units: \"mm\" \"cm\" \"mm\"\nencoding: raw").expect("a scan");
    assert!(scan.notes[0].text.contains("axes in \"mm\" and in \"cm\""), "{:?}", scan.notes);
    let scan = meta("Offset", "ElementToIntensityFunctionSlope = 2\nOffset", "LOCAL").expect("a scan");
    assert!(scan.notes[0].text.contains("ElementToIntensityFunctionSlope = 2"), "{:?}", scan.notes);
    assert_eq!(values(&scan), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn what_no_metaimage_scan_has_is_refused_in_words() {
    assert_eq!(values(&meta("Image", "Image", "LOCAL").expect("a scan")), [1.0, 2.0, 3.0, 4.0]);
    for (from, to, file, words) in [
        ("MET_SHORT", "MET_SHORT_ARRAY", "LOCAL", "ElementType"),
        ("NDims", "ElementNumberOfChannels = 3\nNDims", "LOCAL", "colours"),
        ("NDims = 3", "NDims = 4", "LOCAL", "NDims = 4, and 3 sizes"),
        ("NDims = 3\nDimSize = 2 2 1", "NDims = 2\nDimSize = 2 2", "LOCAL", "2 dimensions"),
        ("2 2 1", "2 2 0", "LOCAL", "DimSize"),
        ("2 2 1", "2 2 9", "LOCAL", "8 are there"),
        ("ElementSpacing = 1 1 1\n", "", "LOCAL", "no spacing"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 1 1 -1", "LOCAL", "above 0"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 0 1 0", "LOCAL", "6 numbers"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 1 0 0 0 0 1", "LOCAL", "without volume"),
        ("Offset = 0 0 0", "Offset = 0 0", "LOCAL", "three numbers"),
        ("Offset", "HeaderSize = -5\nOffset", "LOCAL", "HeaderSize"),
        ("Offset", "CompressedData = True\nOffset", "LOCAL", "damaged"),
        ("Offset", "CompressedData = Perhaps\nOffset", "LOCAL", "Perhaps"),
        ("Offset", "Offset", "/etc/passwd", "no file beside the header"),
        ("Offset", "Offset", "..\\a.raw", "no file beside the header"),
        ("Offset", "Offset", "gone.raw", "gone.raw, which is not beside it"),
        ("Offset", "Offset", "LIST", "several files"),
    ] {
        refused(meta(from, to, file), words);
    }
}

#[test]
fn numbers_without_their_header_name_it() {
    for (numbers, header) in
        [("apart.raw", "apart.mhd"), ("apart_packed.zraw", "apart_packed.mhd"), ("detached.raw", "detached.nhdr")]
    {
        let path = support::data("formats").join(numbers);
        refused(open(&path, None), &format!("choose {header}"));
    }
}

/// Bits flipped, bytes set to their extremes, and files cut: each an error or a scan, within a second.
#[test]
fn spoilt_files_are_errors_never_panics() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut numbers = support::Random::new(18);
    let mut random = || numbers.next() as usize;
    for name in
        ["second.nii", "volumes_plain.nii", "attached.mha", "volumes.mha", "ascii.nrrd", "gzip.nrrd", "list_first.nrrd"]
    {
        let whole = std::fs::read(support::data("formats").join(name)).expect("a file");
        for round in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=random() % 3 {
                let at = random() % bytes.len().min(560);
                match random() % 4 {
                    0 => bytes[at] ^= 1 << (random() % 8),
                    1 => bytes[at] = [0, 0x7f, 0x80, 0xff, b'9', b'-', b' ', b'\n'][random() % 8],
                    2 => bytes.truncate(at.max(8)),
                    _ => {
                        let end = (at + 8).min(bytes.len());
                        bytes[at..end].fill([0, 0x7f, 0xff, b'9'][random() % 4]);
                    }
                }
            }
            let path = folder.path().join("spoilt");
            std::fs::write(&path, &bytes).expect("written");
            let began = std::time::Instant::now();
            open(&path, Some(1)).ok(); // either is right: a panic fails the test by itself
            let secs = began.elapsed().as_secs_f64();
            assert!(secs < 1.0, "{name}, round {round}: {secs} s");
        }
    }
}
