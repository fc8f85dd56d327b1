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
