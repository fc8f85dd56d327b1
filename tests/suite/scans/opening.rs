//! Opening scans: DICOM against NIfTI, every transfer syntax, and what must be refused in words.

use std::path::{Path, PathBuf};

use parallax::io::{self, Choice, Error, Geometry, Scan};
use parallax::job::Monitor;
use parallax::pipeline::{self, Opened};
use parallax::preprocess::Recipe;

use crate::support;

fn open(path: &Path) -> Result<Scan, Error> {
    io::open(path, &Monitor::default())
}

fn opened(path: &Path) -> Scan {
    open(path).unwrap_or_else(|e| panic!("{e}"))
}

fn values(scan: &Scan) -> Vec<f32> {
    scan.volume.voxels.iter().collect()
}

#[test]
fn the_dicom_series_and_the_nifti_file_are_one_scan() {
    let Some(series) = support::shared("data/dicom/thorax_series") else { return };
    let nifti = opened(&support::shared("data/nifti/thorax_contrast_1.5mm.nii.gz").expect("beside it"));
    let dicom = opened(&series);
    assert_eq!(dicom.geometry, Geometry::Dicom);
    assert_eq!(dicom.volume.grid.shape, nifti.volume.grid.shape);
    let (a, b) = (dicom.volume.grid.world_from_voxel, nifti.volume.grid.world_from_voxel);
    let gap = (a.matrix3 - b.matrix3).to_cols_array().iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    assert!(gap < 1e-5 && (a.translation - b.translation).length() < 1e-3, "{a:?}\n{b:?}");
    assert_eq!(dicom.sha256(), nifti.sha256(), "the same voxels");
}

#[test]
fn every_transfer_syntax_is_decoded() {
    let Some(folder) = support::shared("data/dicom/syntaxes") else { return };
    let read = |name: &str| opened(&folder.join(name));
    let first = read("CT1_RLE.dcm");
    for lossless in ["CT1_J2KR.dcm", "CT1_JLSL.dcm", "CT1_JPLL.dcm"] {
        assert_eq!(values(&read(lossless)), values(&first), "{lossless}");
    }
    for (lossy, worst_hu, mean_hu) in [("CT1_JLSN.dcm", 30.0, 10.0), ("CT1_J2KI.dcm", 2000.0, 40.0)] {
        let scan = read(lossy);
        let gaps: Vec<f32> = values(&scan).iter().zip(values(&first)).map(|(a, b)| (a - b).abs()).collect();
        let (worst, mean) = (gaps.iter().copied().fold(0.0, f32::max), gaps.iter().sum::<f32>() / gaps.len() as f32);
        assert!(worst <= worst_hu && mean <= mean_hu, "{lossy}: off by {worst} HU, {mean} on average");
    }
}

#[test]
fn slices_that_lack_high_bit_and_series_are_read() {
    let Some(slice) = support::shared("data/dicom/slices/thorax_0.dcm") else { return };
    let scan = opened(&slice);
    assert_eq!(scan.volume.grid.shape, [512, 512, 1]);
    let (least, most) = values(&scan).iter().fold((f32::MAX, f32::MIN), |(l, m), v| (l.min(*v), m.max(*v)));
    assert!((-3100.0..=-900.0).contains(&least) && most > 200.0, "{least} to {most} HU");
}

#[test]
fn a_missing_slice_is_refused_and_a_foreign_file_left_out() {
    let Some(series) = support::shared("data/dicom/thorax_series") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let files: Vec<PathBuf> = std::fs::read_dir(series).expect("a folder").map(|e| e.expect("a file").path()).collect();
    for file in &files {
        std::fs::copy(file, folder.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    std::fs::write(folder.path().join("notes.txt"), "not a slice").expect("written");
    std::fs::copy(&files[3], folder.path().join("again.dcm")).expect("copied");
    let scan = opened(folder.path());
    assert_eq!(scan.volume.grid.shape[2], files.len());
    assert!(scan.notes[0].text.ends_with("files were left out: 1 x not a DICOM file"), "{:?}", scan.notes);
    assert!(scan.notes.iter().any(|note| note.text.contains("lie at one place")), "{:?}", scan.notes);

    // Taking a slice away leaves a gap, wherever it was, unless it was an end.
    std::fs::remove_file(folder.path().join("again.dcm")).expect("removed");
    let mut refused = 0;
    for file in files.iter().take(5) {
        let copy = folder.path().join(file.file_name().expect("a name"));
        std::fs::remove_file(&copy).expect("removed");
        if let Err(error) = open(folder.path()) {
            assert!(error.to_string().contains("slice spacing varies"), "{error}");
            refused += 1;
        }
        std::fs::copy(file, &copy).expect("copied");
    }
    assert!(refused >= 3, "{refused} of 5 gaps were seen");
}

#[test]
fn what_is_no_scan_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let notes = folder.path().join("notes.nii");
    std::fs::write(&notes, "these are notes, long enough to be looked at more than once").expect("written");
    assert!(matches!(open(&notes), Err(Error::NotAScan { .. })));
    assert!(matches!(open(folder.path()), Err(Error::NotAScan { .. })));
    assert!(matches!(open(&folder.path().join("none")), Err(Error::Io { .. })));
}

fn open_bytes(bytes: &[u8]) -> Result<Scan, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.nii");
    std::fs::write(&path, bytes).expect("written");
    open(&path)
}

#[test]
fn damaged_slices_are_errors_never_panics() {
    let Some(folder) = support::shared("data/dicom/syntaxes") else { return };
    for name in ["CT1_JLSL.dcm", "CT1_RLE.dcm", "CT1_JPLL.dcm", "CT1_J2KR.dcm"] {
        let whole = std::fs::read(folder.join(name)).expect("a file");
        // The last 8 bytes only say that the pixels have ended.
        let end = whole.len() - 8;
        for cut in (0..end).step_by(whole.len() / 11) {
            assert!(open_bytes(&whole[..cut]).is_err(), "{name} cut at {cut}");
        }
        // The byte before them may be there to make the length even.
        if let Ok(scan) = open_bytes(&whole[..end - 1]) {
            assert_eq!(values(&scan), values(&open_bytes(&whole).expect("whole")), "{name}");
        }
    }
}

#[test]
fn info_tells_a_stack_from_a_checkpoint() {
    use candle_core::{DType, Device, Tensor};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("prepared.safetensors");
    let save = |name: &str, shape: &[usize]| {
        let tensor = Tensor::full(0.5_f32, shape, &Device::Cpu).and_then(|t| t.to_dtype(DType::F32)).expect("a tensor");
        candle_core::safetensors::save(&[(name.to_owned(), tensor)].into(), &path).expect("written");
        pipeline::inspect(&path, &Choice::default(), &Recipe::default(), &Monitor::default())
            .unwrap_or_else(|e| panic!("{e}"))
    };
    let Opened::Scan { scan, notes, sha256 } = save("stack", &[3, 1, 4, 5]) else { panic!("a stack") };
    let input = pipeline::open(&path, &Recipe::default(), &Monitor::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(sha256, input.sha256(), "what a result calls it");
    assert_eq!(notes, input.notes(), "what the window and explain say of it");
    assert!(notes[0].text.contains("does not say where it lies"), "{notes:?}");
    assert_eq!(scan.volume.grid.shape, [5, 4, 3]);
    assert!(values(&scan).iter().all(|hu| *hu == 0.0) && scan.format.contains("stack"), "{}", scan.format);
    assert!(matches!(save("stack", &[3, 4]), Opened::Checkpoint { kind: None, .. }));
    assert!(matches!(save("weight", &[3, 1, 4, 5]), Opened::Checkpoint { kind: None, .. }));
}
