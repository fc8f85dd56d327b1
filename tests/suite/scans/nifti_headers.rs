//! NIfTI headers that contradict themselves: read as nibabel does where it does, and said with both answers in numbers.

use std::io::Write;
use std::path::Path;

use parallax::io::{self, Choice, Error, Geometry, Scan, Weight};
use parallax::job::Monitor;

const SHAPE: [u16; 3] = [5, 4, 3];
const COUNT: usize = 60;
/// Of the fields in `nifti1.h`.
const DIM: usize = 40;
const INTENT: usize = 68;
const DATATYPE: usize = 70;
const BITPIX: usize = 72;
const PIXDIM: usize = 76;
const VOX_OFFSET: usize = 108;
const SLOPE: usize = 112;
const INTER: usize = 116;
const UNITS: usize = 123;
const QFORM_CODE: usize = 252;
const SFORM_CODE: usize = 254;
const QUATERN: usize = 256;
const QOFFSET: usize = 268;
const SROW: usize = 280;
const BEGIN: usize = 352;

/// A file of 5 x 4 x 3 numbers of 16 bits, 0 to 59, at 1.5 x 1.5 x 3 mm, whose forms agree: left, back, head.
#[derive(Clone)]
struct File(Vec<u8>);

impl File {
    fn new() -> Self {
        let mut file = Self(vec![0; BEGIN]);
        file.put(0, &348_i32.to_le_bytes());
        for (index, size) in [3, SHAPE[0], SHAPE[1], SHAPE[2], 1, 1, 1, 1].into_iter().enumerate() {
            file.put(DIM + 2 * index, &size.to_le_bytes());
        }
        file.put(DATATYPE, &4_i16.to_le_bytes());
        file.put(BITPIX, &16_i16.to_le_bytes());
        file.floats(PIXDIM, &[1.0, 1.5, 1.5, 3.0]);
        file.floats(VOX_OFFSET, &[BEGIN as f32, f32::NAN, f32::NAN]);
        file.codes(1, 1);
        file.floats(QUATERN, &[0.0, 0.0, 1.0, 30.0, 25.0, -100.0]); // half a turn about the third axis
        file.floats(SROW, &[-1.5, 0.0, 0.0, 30.0, 0.0, -1.5, 0.0, 25.0, 0.0, 0.0, 3.0, -100.0]);
        file.put(344, b"n+1\0");
        file.0.extend((0..COUNT as i16).flat_map(i16::to_le_bytes));
        file
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn floats(&mut self, at: usize, values: &[f32]) {
        for (index, value) in values.iter().enumerate() {
            self.put(at + 4 * index, &value.to_le_bytes());
        }
    }

    fn codes(&mut self, qform: i16, sform: i16) {
        self.put(QFORM_CODE, &qform.to_le_bytes());
        self.put(SFORM_CODE, &sform.to_le_bytes());
    }

    fn open(&self) -> Result<Scan, Error> {
        open(&self.0, "scan.nii", None)
    }
}

/// A file with some fields changed.
fn with(change: impl Fn(&mut File)) -> File {
    let mut file = File::new();
    change(&mut file);
    file
}

fn open(bytes: &[u8], name: &str, volume: Option<usize>) -> Result<Scan, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), bytes).expect("written");
    open_volume(&folder.path().join(name), volume)
}

fn open_volume(path: &Path, volume: Option<usize>) -> Result<Scan, Error> {
    io::open_and_show(path, &Choice { volume, ..Choice::default() }, &Monitor::default(), &|_| {})
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("packed");
    packer.finish().expect("packed")
}

fn values(scan: &Scan) -> Vec<f32> {
    scan.volume.voxels.iter().collect()
}

fn counted() -> Vec<f32> {
    (0..COUNT).map(|n| n as f32).collect()
}

/// That a note of a weight has all the words, and that the numbers are as stored.
#[track_caller]
fn says(scan: &Scan, weight: Weight, words: &[&str]) {
    let has = |text: &str| words.iter().all(|word| text.contains(word));
    assert!(scan.notes.iter().any(|note| note.weight == weight && has(&note.text)), "{words:?}: {:#?}", scan.notes);
}

#[track_caller]
fn refused(result: Result<Scan, Error>, words: &[&str]) {
    let error = result.map(|scan| scan.notes).expect_err("refused").to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

#[test]
fn a_header_that_agrees_with_itself_says_nothing() {
    let scan = File::new().open().expect("a scan");
    assert!(scan.notes.is_empty(), "{:?}", scan.notes);
    assert_eq!((values(&scan), scan.geometry), (counted(), Geometry::Sform));
    assert_eq!(scan.volume.grid.spacing_mm(), [1.5, 1.5, 3.0]);
}

#[test]
fn an_sform_of_zeros_gives_way_to_the_qform() {
    let empty = with(|file| file.floats(SROW, &[0.0; 12]));
    let scan = empty.open().expect("by its qform");
    says(&scan, Weight::Serious, &["sform", "qform", "1.5 x 1.5 x 3 mm"]);
    assert_eq!((scan.volume.grid.spacing_mm(), scan.geometry), ([1.5, 1.5, 3.0], Geometry::Qform));
    let neither = with(|file| {
        file.floats(SROW, &[0.0; 12]);
        file.codes(0, 1);
    });
    refused(neither.open(), &["0 x 0 x 0 mm", "broken"]);
}

#[test]
fn an_sform_whose_spacing_is_not_that_of_pixdim_says_both() {
    let scan = with(|file| file.floats(SROW + 40, &[0.8])).open().expect("by its sform");
    says(&scan, Weight::Serious, &["sform", "1.5 x 1.5 x 0.8", "pixdim and the qform", "1.5 x 1.5 x 3"]);
    assert_eq!(scan.notes.len(), 1, "it is said once: {:?}", scan.notes);
    assert!((scan.volume.grid.spacing_mm()[2] - 0.8).abs() < 1e-6);
}

#[test]
fn forms_that_lie_apart_say_where() {
    let moved = with(|file| file.floats(QOFFSET, &[42.0])).open().expect("by its sform");
    says(&moved, Weight::Caution, &["12 mm apart", "(30, 25, -100)", "(42, 25, -100)"]);
    let turned = with(|file| file.floats(QUATERN, &[0.0, 0.0, 0.0])).open().expect("by its sform");
    says(&turned, Weight::Serious, &["axes to LPS", "axes to RAS"]);
    let broken = with(|file| file.floats(QUATERN, &[1.0, 1.0, 0.0])).open().expect("by its sform");
    says(&broken, Weight::Caution, &["quaternion"]);
}

#[test]
fn a_file_without_forms_names_both_guesses() {
    let scan = with(|file| file.codes(0, 0)).open().expect("by its spacing");
    says(&scan, Weight::Serious, &["front and back", "(-1.5, 1.5, 3)", "ITK takes (-1.5, -1.5, 3)"]);
    assert_eq!(scan.geometry, Geometry::Spacing);
}

#[test]
fn a_sheared_sform_says_its_angle() {
    let scan = with(|file| file.floats(SROW + 24, &[0.6])).open().expect("by its sform");
    says(&scan, Weight::Caution, &["sheared", "78.69 degrees"]); // atan(3 / 0.6)
}

#[test]
fn a_qfac_of_zero_is_one_and_said() {
    let scan = with(|file| {
        file.codes(1, 0);
        file.floats(PIXDIM, &[0.0]);
    });
    let scan = scan.open().expect("as nibabel reads it");
    says(&scan, Weight::Caution, &["pixdim[0] = 0", "1 is taken"]);
    assert_eq!(scan.volume.grid, with(|file| file.codes(1, 0)).open().expect("a scan").volume.grid);
}

#[test]
fn units_are_taken_at_their_word_where_a_scan_can_be_so() {
    for (units, stored, mm, word) in [
        (3, 10.0_f32, 0.01, "10 x 10 x 10 of them are 0.01 x 0.01 x 0.01 mm, which is taken"),
        (1, 7e-4, 0.7, "metres"),
    ] {
        let file = with(|file| {
            file.codes(0, 0);
            file.floats(PIXDIM + 4, &[stored; 3]);
            file.put(UNITS, &[units]);
        });
        let scan = file.open().expect("in millimetres");
        says(&scan, Weight::Serious, &[word, "nibabel"]);
        assert!(scan.volume.grid.spacing_mm().iter().all(|there| (there - mm).abs() < 1e-7), "{:?}", scan.volume.grid);
    }
    let slip = with(|file| file.put(UNITS, &[3])).open().expect("millimetres all the same");
    says(&slip, Weight::Serious, &["0.0015 x 0.0015 x 0.003 mm, which no scan has", "1.5 x 1.5 x 3 mm is taken"]);
}

#[test]
fn a_hundredth_of_a_millimetre_in_f32_is_a_spacing() {
    let file = with(|file| {
        file.codes(0, 0);
        file.floats(PIXDIM + 4, &[0.01; 3]);
    });
    file.open().expect("micro-CT");
}

#[test]
fn voxels_begin_behind_the_header() {
    let scan = with(|file| file.floats(VOX_OFFSET, &[0.0])).open().expect("as nibabel reads it");
    says(&scan, Weight::Caution, &["vox_offset = 0", "byte 352"]);
    assert_eq!(values(&scan), counted());
    refused(with(|file| file.floats(VOX_OFFSET, &[100.0])).open(), &["vox_offset = 100", "352"]);
    refused(with(|file| file.floats(VOX_OFFSET, &[352.5])).open(), &["vox_offset = 352.5"]);
    // An extension lies between.
    let mut file = with(|file| file.floats(VOX_OFFSET, &[384.0]));
    file.0.splice(BEGIN..BEGIN, [32, 0, 0, 0, 6, 0, 0, 0].into_iter().chain([b'x'; 24]));
    file.put(348, &[1]);
    assert_eq!(values(&file.open().expect("behind its extension")), counted());
}

#[test]
fn bits_that_are_not_the_kinds_are_said_or_refused() {
    let file = with(|file| file.put(BITPIX, &32_i16.to_le_bytes()));
    let scan = file.open().expect("as nibabel reads it");
    says(&scan, Weight::Serious, &["datatype = 4", "bitpix = 32"]);
    let mut long = file;
    long.0.resize(BEGIN + 4 * COUNT, 0);
    refused(long.open(), &["bitpix", "its length agrees"]);
    refused(open(&packed(&long.0), "scan.nii.gz", None), &["bitpix", "its length agrees"]);
}

#[test]
fn kinds_that_are_not_one_number_are_refused_by_name() {
    for (datatype, name) in
        [(1, "Binary"), (32, "Complex"), (128, "Rgb24"), (1536, "Float128"), (2304, "Rgba32"), (77, "unknown")]
    {
        refused(with(|file| file.put(DATATYPE, &i16::to_le_bytes(datatype))).open(), &[name]);
    }
    let labels = with(|file| file.put(INTENT, &1002_i16.to_le_bytes())).open().expect("a scan");
    says(&labels, Weight::Serious, &["labels", "1002"]);
}

#[test]
fn slopes_that_mean_none_are_said_where_an_intercept_is_lost() {
    let lost = with(|file| file.floats(SLOPE, &[0.0, -1024.0])).open().expect("as nibabel reads it");
    says(&lost, Weight::Serious, &["scl_slope = 0", "scl_inter = -1024"]);
    assert_eq!(values(&lost), counted());
    let endless = with(|file| file.floats(SLOPE, &[f32::INFINITY, 0.0])).open().expect("as nibabel reads it");
    says(&endless, Weight::Caution, &["scl_slope = inf"]);
    refused(with(|file| file.floats(SLOPE, &[1.0, f32::NAN])).open(), &["scl_inter = NaN"]);
    let plain = with(|file| file.floats(INTER, &[0.0])).open().expect("a scan");
    assert!(plain.notes.is_empty(), "{:?}", plain.notes);
}

/// Three volumes: 0 to 59, 60 to 119, 120 to 179.
fn volumes() -> File {
    let mut file = with(|file| file.put(DIM, &[4_i16, 5, 4, 3, 3].map(i16::to_le_bytes).concat()));
    file.0.extend((COUNT as i16..3 * COUNT as i16).flat_map(i16::to_le_bytes));
    file
}

#[test]
fn one_volume_of_several_is_opened_and_the_others_are_counted() {
    for (bytes, name) in [(volumes().0, "scan.nii"), (packed(&volumes().0), "scan.nii.gz")] {
        for volume in [None, Some(1), Some(2), Some(3)] {
            let scan = open(&bytes, name, volume).expect("a volume");
            let number = volume.unwrap_or(1);
            assert_eq!(values(&scan)[0], ((number - 1) * COUNT) as f32);
            assert_eq!((scan.among.volumes, scan.among.volume), (3, number));
            says(&scan, Weight::Caution, &["3 volumes", &format!("volume {number}")]);
        }
        for volume in [0, 4] {
            refused(open(&bytes, name, Some(volume)), &["choose 1 to 3"]);
        }
    }
    refused(open(&File::new().0, "scan.nii", Some(2)), &["volume 2", "one alone"]);
}

#[test]
fn a_cut_file_of_volumes_opens_those_that_are_there() {
    let mut file = volumes();
    file.0.truncate(BEGIN + 2 * (2 * COUNT) + 20);
    let scan = open(&file.0, "scan.nii", Some(2)).expect("it is whole");
    says(&scan, Weight::Serious, &["3 volumes", "missing or cut at the end: 1"]);
    refused(open(&file.0, "scan.nii", Some(3)), &["volume 3 of 3", "20 are there"]);
}

#[test]
fn bytes_behind_the_voxels_are_said_and_not_read_for_ever() {
    let mut file = File::new();
    file.0.resize(file.0.len() + 4 * COUNT, 0);
    says(&file.open().expect("a scan"), Weight::Caution, &["240 bytes follow"]);
    // 8 GB of zeros in a file of 8 MB.
    let mut endless = Vec::new();
    let zeros = packed(&vec![0; 64 << 20]);
    endless.extend(packed(&File::new().0));
    (0..128).for_each(|_| endless.extend_from_slice(&zeros));
    let began = std::time::Instant::now();
    let scan = open(&endless, "scan.nii.gz", None).expect("a scan");
    let secs = began.elapsed().as_secs_f64();
    assert!(secs < 5.0, "{secs} s");
    says(&scan, Weight::Serious, &["64 MB", "checksum"]);
    assert_eq!(values(&scan), counted());
}

#[test]
fn a_pair_opens_by_either_half() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = with(|file| {
        file.put(344, b"ni1\0");
        file.floats(VOX_OFFSET, &[0.0]);
    });
    let image = file.0.split_off(BEGIN);
    file.0.truncate(348);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.HDR"), &file.0).expect("written");
    refused(open_volume(&at("a.HDR"), None), &["without its image", "a.img"]);
    std::fs::write(at("a.img"), &image).expect("written");
    std::fs::write(at("b.hdr.gz"), packed(&file.0)).expect("written");
    std::fs::write(at("b.img.gz"), packed(&image)).expect("written");
    for name in ["a.HDR", "a.img", "b.hdr.gz", "b.img.gz"] {
        let scan = open_volume(&at(name), None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(values(&scan), counted(), "{name}");
        assert!(scan.notes.is_empty(), "{name}: {:?}", scan.notes);
    }
    std::fs::write(at("c.hdr"), with(|file| file.put(344, &[0; 4])).0).expect("written");
    refused(open_volume(&at("c.hdr"), None), &["Analyze"]);
}

#[test]
fn a_gzip_of_a_gzip_opens() {
    let scan = open(&packed(&packed(&File::new().0)), "scan.nii.gz", None).expect("a scan");
    says(&scan, Weight::Fact, &["gzip of a gzip"]);
    assert_eq!(values(&scan), counted());
}
