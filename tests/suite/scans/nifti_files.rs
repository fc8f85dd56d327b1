//! NIfTI files that are written, read back, cut, and spoilt field by field.

use std::cell::RefCell;
use std::path::Path;

use glam::{DAffine3, DMat3, DVec3};
use parallax::export::nifti::nifti_bytes;
use parallax::io::{self, Arrival, Choice, Error, Geometry, Scan};
use parallax::job::Monitor;
use parallax::volume::{Grid, Volume, Voxels};

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

fn sheared() -> Volume {
    let matrix = DMat3::from_rotation_z(0.3) * DMat3::from_diagonal(DVec3::new(-0.7, 0.8, 2.5));
    let grid = Grid {
        shape: [4, 5, 6],
        world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::new(10.0, -20.0, 30.5)),
    };
    Volume::new(grid, Voxels::I16((0..120).map(|i| i * 17 - 1000).collect::<Vec<_>>().into()))
}

#[test]
fn what_is_written_reads_back_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = sheared();
    let float = Volume::from_f32(whole.grid, whole.voxels.iter().map(|x| x + 0.25).collect::<Vec<_>>());
    for volume in [whole, float] {
        let path = folder.path().join("back"); // no extension: bytes tell
        std::fs::write(&path, nifti_bytes(&volume, "a test").expect("written")).expect("written");
        let scan = opened(&path);
        assert_eq!(values(&scan), volume.voxels.iter().collect::<Vec<_>>());
        assert_eq!(scan.geometry, Geometry::Sform);
        let gap = scan.volume.grid.world_from_voxel.matrix3 - volume.grid.world_from_voxel.matrix3;
        assert!(gap.to_cols_array().iter().all(|x| x.abs() < 1e-6), "{gap:?}");

        // Without its sform, the qform must say the same.
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(std::fs::File::open(&path).expect("a file")),
            &mut bytes,
        )
        .expect("gzip");
        bytes[254..256].fill(0);
        std::fs::write(&path, &bytes).expect("written");
        let scan = opened(&path);
        assert_eq!(scan.geometry, Geometry::Qform);
        let gap = scan.volume.grid.world_from_voxel.matrix3 - volume.grid.world_from_voxel.matrix3;
        assert!(gap.to_cols_array().iter().all(|x| x.abs() < 1e-5), "{gap:?}");
        bytes[252..254].fill(0);
        std::fs::write(&path, &bytes).expect("written");
        let scan = opened(&path);
        assert_eq!(scan.geometry, Geometry::Spacing);
        assert!(scan.notes[0].text.contains("left and right are a guess"), "{:?}", scan.notes);
    }
}

#[test]
fn the_first_and_the_middle_slice_are_shown_while_a_file_is_read() {
    // Blocks of 4 MB: two slices of 16 bits, or one of floats.
    let grid = Grid { shape: [1024, 1024, 7], ..sheared().grid };
    let whole =
        Volume::new(grid, Voxels::I16((0..grid.len()).map(|i| (i % 4001) as i16 - 1000).collect::<Vec<_>>().into()));
    let float = Volume::from_f32(grid, whole.voxels.iter().map(|hu| hu + 0.25).collect::<Vec<_>>());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.nii.gz");
    for volume in [whole, float] {
        std::fs::write(&path, nifti_bytes(&volume, "a test").expect("written")).expect("written");
        let (monitor, shown) = (Monitor::default(), RefCell::new(Vec::new()));
        let show = |arrival| {
            if let Arrival::Slice(preview) = arrival {
                shown.borrow_mut().push((preview, monitor.progress().expect("reading").done));
            }
        };
        let scan = io::open_and_show(&path, &Choice::default(), &monitor, &show).expect("a scan");
        let shown = shown.into_inner();
        assert_eq!(shown.len(), 2);
        for ((preview, done), k) in shown.iter().zip([0, 3]) {
            assert!(*done <= k, "slice {k} came after {done}");
            assert_eq!(preview.grid, scan.volume.grid);
            let at = |grid: &Grid, k: f64| grid.world_from_voxel.transform_point3(DVec3::new(9.0, 5.0, k));
            let gap = at(&preview.slice.grid, 0.0).distance(at(&scan.volume.grid, k as f64));
            assert!(gap < 1e-9, "slice {k} lies {gap} mm off");
            let [ni, nj, _] = grid.shape;
            assert!((0..ni * nj).all(|n| preview.slice.voxels.at(n) == scan.volume.voxels.at(k * ni * nj + n)), "{k}");
        }
    }
}

/// An uncompressed file of the sheared volume, to be spoilt.
fn plain() -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = nifti_bytes(&sheared(), "").expect("written");
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).expect("gzip");
    bytes
}

#[test]
fn all_threads_read_a_plain_file_as_it_is() {
    // 137 MB: more than is read at once, and no whole number of the parts that threads take.
    let shape: [u16; 3] = [1021, 1031, 65];
    let count: usize = shape.iter().map(|size| usize::from(*size)).product();
    let hu: Vec<i16> = (0..count).map(|i| (i % 4001) as i16 - 1000).collect();
    let mut bytes = plain();
    bytes.truncate(352); // the header, and that no extension follows
    bytes[42..48].copy_from_slice(bytemuck::cast_slice(&shape.map(u16::to_le)));
    bytes.extend(hu.iter().flat_map(|hu| hu.to_le_bytes()));
    let scan = open_bytes(&bytes).expect("a scan");
    assert!(matches!(&scan.volume.voxels, Voxels::I16(read) if **read == *hu), "other voxels");
    bytes.pop();
    let error = open_bytes(&bytes).expect_err("a byte is missing").to_string();
    assert!(error.contains("bytes, "), "{error}");
}

fn open_bytes(bytes: &[u8]) -> Result<Scan, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.nii");
    std::fs::write(&path, bytes).expect("written");
    open(&path)
}

#[test]
fn headers_that_a_ct_cannot_have_are_refused_in_words() {
    let spoilt = |at: usize, with: &[u8]| {
        let mut bytes = plain();
        bytes[at..at + with.len()].copy_from_slice(with);
        open_bytes(&bytes).map(|scan| scan.format).expect_err("refused").to_string()
    };
    let vectors = [5_i16, 4, 5, 3, 1, 2].map(i16::to_le_bytes).concat();
    assert!(spoilt(40, &vectors).contains("5 dimensions"), "{}", spoilt(40, &vectors));
    assert!(spoilt(70, &128_i16.to_le_bytes()).contains("Rgb24"), "{}", spoilt(70, &128_i16.to_le_bytes()));
    assert!(spoilt(42, &0_i16.to_le_bytes()).contains("must be 1 to"));
    assert!(spoilt(42, &(-4_i16).to_le_bytes()).contains("must be 1 to"));
    assert!(spoilt(280, &f32::NAN.to_le_bytes()).contains("broken"));
    assert!(spoilt(42, &4000_i16.to_le_bytes()).contains("are there"), "a file that is cut");
    assert!(spoilt(108, &f32::NAN.to_le_bytes()).contains("vox_offset"));
}

#[test]
fn big_endian_and_odd_slopes_read_as_nibabel_reads_them() {
    let mut bytes = plain();
    bytes[112..116].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(values(&open_bytes(&bytes).expect("no slope")), sheared().voxels.iter().collect::<Vec<_>>());
    bytes[112..116].copy_from_slice(&0.5_f32.to_le_bytes());
    bytes[116..120].copy_from_slice(&10.0_f32.to_le_bytes());
    let halved: Vec<f32> = sheared().voxels.iter().map(|x| x * 0.5 + 10.0).collect();
    assert_eq!(values(&open_bytes(&bytes).expect("a slope")), halved);

    let mut swapped = plain();
    let mut swap =
        |range: std::ops::Range<usize>, size: usize| swapped[range].chunks_mut(size).for_each(<[u8]>::reverse);
    swap(0..4, 4);
    swap(32..36, 4);
    swap(36..38, 2);
    swap(40..56, 2);
    swap(56..68, 4);
    swap(68..76, 2);
    swap(76..120, 4);
    swap(252..256, 2);
    swap(256..328, 4);
    swap(352..592, 2);
    assert_eq!(values(&open_bytes(&swapped).expect("big-endian")), sheared().voxels.iter().collect::<Vec<_>>());
}

#[test]
fn damaged_files_are_errors_never_panics() {
    let packed = nifti_bytes(&sheared(), "").expect("written");
    for cut in (0..packed.len()).step_by(23) {
        assert!(open_bytes(&packed[..cut]).is_err(), "cut at {cut}");
    }
    let mut wrong_sum = packed.clone();
    let at = wrong_sum.len() - 6; // gzip's checksum
    wrong_sum[at] ^= 1;
    assert!(matches!(open_bytes(&wrong_sum), Err(Error::Damaged { .. })), "a checksum that is wrong");
    let whole = plain();
    let mut random = support::Random::new(7);
    for _ in 0..150 {
        let mut bytes = whole.clone();
        random.flip(&mut bytes[..360]);
        open_bytes(&bytes).ok(); // either is right: a panic fails the test by itself
    }
}

#[test]
fn spacings_that_no_scan_has_are_refused_with_the_units_that_the_header_claims() {
    let with = |spacing: f32, units: u8| {
        let mut bytes = plain();
        bytes[252..256].fill(0); // neither form: pixdim alone
        bytes[80..84].copy_from_slice(&spacing.to_le_bytes());
        bytes[123] = units;
        open_bytes(&bytes)
    };
    for (spacing, units, words) in [
        (7e6, 3, "micrometres (xyzt_units 3)"),
        (7e-6, 1, "metres (xyzt_units 1)"),
        (700.0, 2, "where a scan has 0.01 to 100 mm"),
        (0.0, 2, "where a scan has 0.01 to 100 mm"),
        (f32::INFINITY, 2, "where a scan has 0.01 to 100 mm"),
    ] {
        let error = with(spacing, units).expect_err("refused").to_string();
        assert!(error.contains(words), "{spacing} in {units}: {error}");
    }
    // Columns that point the same way span no volume.
    let mut flat = plain();
    flat.copy_within(280..284, 284);
    flat.copy_within(296..300, 300);
    flat.copy_within(312..316, 316);
    assert!(open_bytes(&flat).expect_err("flat").to_string().contains("without volume"));
}

#[test]
fn a_negative_spacing_counts_without_its_sign() {
    for forms in [[0_u8, 0], [1, 0]] {
        let mut bytes = plain();
        bytes[252..256].copy_from_slice(&[forms[0], 0, forms[1], 0]);
        let whole = open_bytes(&bytes).expect("as written");
        let spacing = f32::from_le_bytes(bytes[84..88].try_into().expect("4 bytes"));
        bytes[84..88].copy_from_slice(&(-spacing).to_le_bytes());
        let scan = open_bytes(&bytes).expect("as nibabel reads it");
        assert_eq!(scan.volume.grid, whole.volume.grid);
        assert!(scan.notes.iter().any(|note| note.text.contains("negative spacing")), "{:?}", scan.notes);
    }
}

#[test]
fn zeros_after_a_gzip_file_are_padding() {
    let packed = nifti_bytes(&sheared(), "").expect("written");
    let padded = [packed.clone(), vec![0; 1000]].concat();
    assert_eq!(values(&open_bytes(&padded).expect("padded")), values(&open_bytes(&packed).expect("whole")));
    assert!(open_bytes(&[packed, b"something else".to_vec()].concat()).is_err());
}

#[test]
fn a_size_that_a_file_cannot_hold_is_refused_before_there_is_memory_for_it() {
    for size in [3000_i16, 30000] {
        let mut bytes = plain();
        let sizes = [size, size, 1000].map(i16::to_le_bytes).concat();
        bytes[42..48].copy_from_slice(&sizes);
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, &bytes).expect("packed");
        for bytes in [bytes, packer.finish().expect("packed")] {
            let error = open_bytes(&bytes).expect_err("refused").to_string();
            assert!(error.contains("are there") || error.contains("which no scan has"), "{error}");
        }
    }
}
