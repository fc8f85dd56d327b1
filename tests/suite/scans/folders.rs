//! What stands for a scan besides a file of its own: folders with links, archives, folders of volumes; and folders that never end.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use parallax::export::nifti::nifti_bytes;
use parallax::io::{self, Arrival, Choice, Error, Scan, Which};
use parallax::job::Monitor;
use parallax::volume::{Grid, Volume};

use crate::scans::dicom::{SLICES, Slice, write};

/// Far more than a folder of odd files takes, and far less than one waits for a window.
const AT_ONCE: Duration = Duration::from_secs(20);
const EMPTY_FILES: usize = 20_000;

fn open(path: &Path) -> Result<Scan, Error> {
    io::open(path, &Monitor::default())
}

fn study(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    for k in 0..SLICES {
        write(&Slice::axial(k), &folder.join(format!("{k}.dcm")));
    }
}

/// A volume of `value` HU.
fn nifti(path: &Path, value: f32) {
    let grid =
        Grid { shape: [4, 5, 6], world_from_voxel: glam::DAffine3::from_scale(glam::DVec3::new(-1.0, -1.0, 2.0)) };
    let volume = Volume::from_f32(grid, vec![value; grid.len()]);
    std::fs::write(path, nifti_bytes(&volume, "").expect("bytes")).expect("written");
}

#[cfg(unix)]
#[test]
fn links_to_folders_and_files_are_followed_and_a_circle_of_links_ends() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().expect("a folder");
    let (real, links) = (folder.path().join("real"), folder.path().join("links"));
    study(&real.join("ct"));
    std::fs::create_dir(&links).expect("a folder");
    symlink(real.join("ct"), links.join("ct")).expect("a link");
    symlink(&links, links.join("again")).expect("a link to where it lies");
    symlink(folder.path(), real.join("up")).expect("a link to its folder");
    symlink(folder.path().join("nothing"), links.join("gone")).expect("a link to nothing");
    for path in [links.as_path(), folder.path()] {
        let scan = open(path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(scan.volume.grid.shape[2], SLICES, "{}", path.display());
        assert!(!scan.notes.iter().any(|note| note.text.contains("lie where others do")), "{:?}", scan.notes);
    }
    let alone = folder.path().join("files");
    std::fs::create_dir(&alone).expect("a folder");
    for k in 0..SLICES {
        symlink(real.join("ct").join(format!("{k}.dcm")), alone.join(format!("link{k}"))).expect("a link");
    }
    assert_eq!(open(&alone).expect("a scan").volume.grid.shape[2], SLICES);
}

#[test]
fn a_study_in_an_archive_is_the_study_in_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    study(&folder.path().join("study"));
    let path = folder.path().join("study.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).expect("a file"));
    for k in 0..SLICES {
        archive.start_file(format!("a/b/{k}.dcm"), zip::write::SimpleFileOptions::default()).expect("an entry");
        let bytes = std::fs::read(folder.path().join(format!("study/{k}.dcm"))).expect("just written");
        archive.write_all(&bytes).expect("written");
    }
    archive.start_file("__MACOSX/a/._0.dcm", zip::write::SimpleFileOptions::default()).expect("an entry");
    archive.write_all(b"what a Mac adds").expect("written");
    archive.finish().expect("written");
    let (packed, plain) = (open(&path).expect("a scan"), open(&folder.path().join("study")).expect("a scan"));
    assert_eq!((packed.sha256(), packed.volume.grid), (plain.sha256(), plain.volume.grid));

    let mut bytes = std::fs::read(&path).expect("just written");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).expect("written");
    assert!(open(&path).is_err(), "half an archive");
}

#[test]
fn the_one_volume_of_a_folder_opens_and_of_several_the_chosen_one() {
    let folder = tempfile::tempdir().expect("a folder");
    nifti(&folder.path().join("ct.nii.gz"), 7.0);
    std::fs::write(folder.path().join("notes.txt"), "no volume").expect("written");
    assert_eq!(open(folder.path()).expect("a scan").volume.voxels.at(0), 7.0);

    nifti(&folder.path().join("second.nii.gz"), 8.0);
    let listed = std::cell::RefCell::new(Vec::new());
    let show = |arrival| {
        if let Arrival::Listed(series) = arrival {
            listed.replace(series);
        }
    };
    let error =
        io::open_and_show(folder.path(), &Choice::default(), &Monitor::default(), &show).map(|scan| scan.source);
    assert!(error.expect_err("which?").to_string().contains("2 volumes"));
    assert_eq!(listed.borrow().len(), 2, "what there is to choose from");
    let second = Choice { series: Some(Which::Number(2)), volume: None };
    let scan = io::open_and_show(folder.path(), &second, &Monitor::default(), &show).expect("a scan");
    assert_eq!((scan.volume.voxels.at(0), scan.among.number), (8.0, 2));
}

#[test]
fn a_folder_of_many_empty_files_is_no_scan_and_says_so_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for k in 0..EMPTY_FILES {
        std::fs::File::create(folder.path().join(k.to_string())).expect("a file");
    }
    let began = Instant::now();
    assert!(matches!(open(folder.path()), Err(Error::NotAScan { .. })));
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}
