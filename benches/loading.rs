//! How long a scan takes to open, beside nibabel and SimpleITK: one JSON line per scan and other reader, with the ratio of their
//! median seconds. Each opens it in turn, so that a busy moment of the machine meets both.
//!
//! `cargo bench --bench loading -- [PATH...] [--python PROGRAM] [--runs N]`: files and folders; by default a scan of
//! 512 x 512 x 200 voxels computed here, as `.nii`, as `.nii.gz` and as a DICOM series. `PROGRAM` is a Python with the packages
//! nibabel and SimpleITK, by default `python3`. Parallax also checks the geometry, which the others
//! do not.

mod synthetic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use flate2::read::GzDecoder;
use glam::DVec3;
use parallax::export::nifti::nifti_bytes;
use parallax::io;
use parallax::job::Monitor;
use parallax::nn::threads;
use parallax::volume::Voxels;
use serde_json::json;

const SHAPE: [usize; 3] = [512, 512, 200];
const SPACING_MM: DVec3 = DVec3::new(0.7, 0.7, 1.5);

struct Arguments {
    paths: Vec<PathBuf>,
    python: PathBuf,
    runs: usize,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self { paths: Vec::new(), python: PathBuf::from("python3"), runs: 5 };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--python" => parsed.python = words.next().context("--python takes a program")?.into(),
                "--runs" => {
                    let runs = words.next().context("--runs takes a number")?;
                    parsed.runs = runs.parse().with_context(|| format!("--runs takes a number, not {runs}"))?;
                }
                "--bench" => {} // cargo's own
                _ => parsed.paths.push(word.into()),
            }
        }
        Ok(parsed)
    }
}

/// Writes a scan as `plain.nii`, `packed.nii.gz` and the folder `series`.
fn scans(folder: &Path) -> Result<Vec<PathBuf>> {
    let scan = synthetic::scan(SHAPE, SPACING_MM);
    // Of different names: SimpleITK takes the plain one for a packed one beside it.
    let paths = ["plain.nii", "packed.nii.gz", "series"].map(|name| folder.join(name));
    let [plain, packed, series] = &paths;
    let bytes = nifti_bytes(&scan, "made by a benchmark")?;
    std::fs::write(packed, &bytes)?;
    std::io::copy(&mut GzDecoder::new(bytes.as_slice()), &mut std::fs::File::create(plain)?)?;
    let Voxels::I16(hu) = &scan.voxels else { bail!("the scan is not of whole HU") };
    std::fs::create_dir(series)?;
    for (k, slice) in hu.chunks_exact(SHAPE[0] * SHAPE[1]).enumerate() {
        write_slice(slice, k, &series.join(format!("{k:04}.dcm")))?;
    }
    Ok(paths.to_vec())
}

/// One slice of an axial CT series, in HU as they are.
fn write_slice(hu: &[i16], k: usize, path: &Path) -> Result<()> {
    let mut object = InMemDicomObject::new_empty();
    let uid = format!("1.2.3.4.{k}");
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
        (tags::SOP_INSTANCE_UID, VR::UI, uid.clone()),
        (tags::MODALITY, VR::CS, "CT".to_owned()),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3".to_owned()),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4".to_owned()),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".to_owned()),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, format!("0\\0\\{}", SPACING_MM.z * k as f64)),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0".to_owned()),
        (tags::PIXEL_SPACING, VR::DS, format!("{}\\{}", SPACING_MM.y, SPACING_MM.x)),
        (tags::RESCALE_SLOPE, VR::DS, "1".to_owned()),
        (tags::RESCALE_INTERCEPT, VR::DS, "0".to_owned()),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::ROWS, SHAPE[1] as u16),
        (tags::COLUMNS, SHAPE[0] as u16),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u16> = hu.iter().map(|&value| value as u16).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(uid);
    object.with_meta(meta)?.write_to_file(path)?;
    Ok(())
}

/// Seconds, and the number of voxels.
fn parallax(path: &Path) -> Result<(f64, usize)> {
    let began = Instant::now();
    let scan = io::open(path, &Monitor::default())?;
    Ok((began.elapsed().as_secs_f64(), scan.volume.grid.shape.iter().product()))
}

/// The same of another reader.
fn other(python: &Path, library: &str, path: &Path) -> Result<(f64, usize)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/loading.py");
    let output = Command::new(python).arg(script).arg(library).arg(path).output();
    let output = output.with_context(|| format!("{} does not start", python.display()))?;
    if !output.status.success() {
        bail!("{library} does not open {}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let said = String::from_utf8(output.stdout)?;
    let (secs, voxels) = said.trim().split_once(' ').with_context(|| format!("{library} said {said:?}"))?;
    Ok((secs.parse()?, voxels.parse()?))
}

fn median(mut secs: Vec<f64>) -> f64 {
    secs.sort_by(f64::total_cmp);
    secs[secs.len() / 2]
}

fn compare(path: &Path, library: &str, arguments: &Arguments) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..=arguments.runs {
        let (secs, voxels) = parallax(path)?;
        let (other_secs, other_voxels) = other(&arguments.python, library, path)?;
        ensure!(
            voxels == other_voxels,
            "{library} reads {other_voxels} voxels of {}, Parallax {voxels}",
            path.display()
        );
        // The first run brings the file into the system's cache.
        if run > 0 {
            ours.push(secs);
            theirs.push(other_secs);
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let rounded = |x: f64| (x * 1e4).round() / 1e4;
    println!(
        "{}",
        json!({
            "scan": path.file_name().unwrap_or(path.as_os_str()).to_string_lossy(),
            "parallax_secs": rounded(ours),
            "other": library,
            "other_secs": rounded(theirs),
            "ratio": rounded(ours / theirs),
        })
    );
    Ok(())
}

#[expect(unsafe_code, reason = "only the first line of a program can promise that there is no other thread")]
fn main() -> Result<()> {
    // SAFETY: nothing has run in this process yet.
    unsafe { threads::prepare_process() }; // this and the next as the program does
    threads::start(0)?;
    let mut arguments = Arguments::parse(std::env::args().skip(1))?;
    ensure!(arguments.runs > 0, "--runs takes a number above 0");
    let folder = tempfile::tempdir()?;
    if arguments.paths.is_empty() {
        arguments.paths = scans(folder.path())?;
    }
    for path in &arguments.paths {
        // nibabel reads no DICOM.
        let nifti = path.to_string_lossy().contains(".nii");
        for library in if nifti { &["nibabel", "simpleitk"][..] } else { &["simpleitk"] } {
            compare(path, library, &arguments)?;
        }
    }
    Ok(())
}
