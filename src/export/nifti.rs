//! NIfTI-1, gzipped: i16 where the volume is, else f32; sform and qform both say where it lies.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use glam::{DMat3, DQuat};

use crate::volume::{Volume, Voxels};

const HEADER_BYTES: usize = 352; // 348 and an empty extension flag
const INT16: (i16, i16) = (4, 16); // datatype, bitpix
const FLOAT32: (i16, i16) = (16, 32);
const SCANNER: i16 = 1; // NIFTI_XFORM_SCANNER_ANAT
const MILLIMETRES: u8 = 2;
const DESCRIPTION_BYTES: usize = 79;

/// `description` is cut to 79 bytes; it must name no patient. The field layout is `nifti1.h`'s.
pub fn nifti_bytes(volume: &Volume, description: &str) -> Result<Vec<u8>> {
    let grid = &volume.grid;
    let mut header = vec![0_u8; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    put(40, &3_i16.to_le_bytes());
    for (axis, n) in grid.shape.iter().enumerate() {
        let n =
            i16::try_from(*n).with_context(|| format!("NIfTI-1 holds at most 32767 voxels along an axis, not {n}"))?;
        put(42 + 2 * axis, &n.to_le_bytes());
    }
    for axis in 3..7 {
        put(42 + 2 * axis, &1_i16.to_le_bytes());
    }
    let (datatype, bitpix) = if matches!(volume.voxels, Voxels::I16(_)) { INT16 } else { FLOAT32 };
    put(70, &datatype.to_le_bytes());
    put(72, &bitpix.to_le_bytes());

    let matrix = grid.world_from_voxel.matrix3;
    let mirrored = matrix.determinant() < 0.0;
    put(76, &(if mirrored { -1.0_f32 } else { 1.0 }).to_le_bytes());
    for (axis, spacing) in grid.spacing_mm().iter().enumerate() {
        put(80 + 4 * axis, &(*spacing as f32).to_le_bytes());
    }
    put(108, &(HEADER_BYTES as f32).to_le_bytes());
    put(112, &1.0_f32.to_le_bytes()); // scl_slope
    put(123, &[MILLIMETRES]);
    let mut text = description.to_owned();
    while text.len() > DESCRIPTION_BYTES {
        text.pop();
    }
    put(148, text.as_bytes());
    put(252, &SCANNER.to_le_bytes());
    put(254, &SCANNER.to_le_bytes());

    // qform: the nearest rotation, with the third axis turned back where the grid is mirrored.
    let unit = |v: glam::DVec3| v / v.length();
    let x = unit(matrix.x_axis);
    let y = unit(matrix.y_axis - x * x.dot(matrix.y_axis));
    let mut quat = DQuat::from_mat3(&DMat3::from_cols(x, y, x.cross(y))).normalize();
    if quat.w < 0.0 {
        quat = -quat;
    }
    let origin = grid.world_from_voxel.translation;
    for (i, value) in [quat.x, quat.y, quat.z, origin.x, origin.y, origin.z].iter().enumerate() {
        put(256 + 4 * i, &(*value as f32).to_le_bytes());
    }
    for row in 0..3 {
        for (column, value) in
            [matrix.x_axis[row], matrix.y_axis[row], matrix.z_axis[row], origin[row]].iter().enumerate()
        {
            put(280 + 16 * row + 4 * column, &(*value as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");

    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&header)?;
    write_voxels(&mut packer, &volume.voxels)?;
    Ok(packer.finish()?)
}

/// Little-endian, first axis fastest.
pub(super) fn write_voxels(to: &mut impl Write, voxels: &Voxels) -> std::io::Result<()> {
    match voxels {
        Voxels::I16(values) => write_all(to, values, i16::to_le_bytes),
        Voxels::F32(values) => write_all(to, values, f32::to_le_bytes),
        Voxels::F16(values) => write_all(to, values, |value| value.to_f32().to_le_bytes()),
    }
}

fn write_all<T: Copy, const N: usize>(
    to: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> std::io::Result<()> {
    for part in values.chunks(1 << 16) {
        to.write_all(&part.iter().flat_map(|v| bytes(*v)).collect::<Vec<u8>>())?;
    }
    Ok(())
}
