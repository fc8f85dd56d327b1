//! NRRD, gzipped: a header in words, then the numbers. Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html.

use flate2::{Compression, write::GzEncoder};

use super::nifti::write_voxels;
use super::report::NOTICE;
use crate::volume::{Volume, Voxels};

/// `description` is one line that names no patient. The space is ours, RAS+ millimetres; each direction is one step along a voxel axis.
pub(super) fn nrrd_bytes(volume: &Volume, description: &str) -> std::io::Result<Vec<u8>> {
    let [ni, nj, nk] = volume.grid.shape;
    let number = if matches!(volume.voxels, Voxels::I16(_)) { "short" } else { "float" };
    let vector = |v: glam::DVec3| format!("({},{},{})", v.x, v.y, v.z);
    let place = volume.grid.world_from_voxel;
    let [i, j, k] = [place.matrix3.x_axis, place.matrix3.y_axis, place.matrix3.z_axis].map(vector);
    let origin = vector(place.translation);
    // An empty line ends the header.
    let header = format!(
        "NRRD0005\ntype: {number}\ndimension: 3\nspace: right-anterior-superior\nsizes: {ni} {nj} {nk}\n\
         space directions: {i} {j} {k}\nkinds: domain domain domain\nendian: little\nencoding: gzip\n\
         space units: \"mm\" \"mm\" \"mm\"\nspace origin: {origin}\n\
         description:={description}\nunits:=HU\nnotice:={NOTICE}\n\n"
    );
    let mut packer = GzEncoder::new(header.into_bytes(), Compression::fast());
    write_voxels(&mut packer, &volume.voxels)?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use glam::{DAffine3, DMat3, DVec3};

    use super::*;
    use crate::io;
    use crate::job::Monitor;
    use crate::volume::Grid;

    #[test]
    fn what_is_written_is_read_back_to_the_last_bit() {
        let turned = DMat3::from_rotation_z(0.3) * DMat3::from_rotation_x(-0.2);
        let matrix = turned * DMat3::from_diagonal(DVec3::new(-0.7, 0.8, 2.5));
        let world_from_voxel = DAffine3::from_mat3_translation(matrix, DVec3::new(10.1, -20.2, 30.3));
        let grid = Grid { shape: [4, 5, 6], world_from_voxel };
        let whole = Volume::new(grid, Voxels::I16((0..120).map(|i| i * 17 - 1000).collect::<Vec<_>>().into()));
        let float = Volume::from_f32(grid, whole.voxels.iter().map(|hu| hu / 7.0).collect::<Vec<_>>());
        let folder = tempfile::tempdir().unwrap();
        for volume in [whole, float] {
            let path = folder.path().join("scan.nrrd");
            std::fs::write(&path, nrrd_bytes(&volume, "a test: of colons").unwrap()).unwrap();
            let scan = io::open(&path, &Monitor::default()).unwrap();
            assert_eq!(scan.volume.grid, volume.grid);
            assert!(scan.volume.voxels.iter().eq(volume.voxels.iter()));
            assert!(scan.notes.is_empty(), "{:?}", scan.notes);
        }
    }
}
