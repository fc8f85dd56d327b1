//! Where the slices of the scan's grid lie, as DICOM says it: LPS+ millimetres, a corner and two directions a slice.

use anyhow::{Context, Result, bail};
use dicom_dictionary_std::tags;
use glam::DVec3;

use super::element::{Element, check_bytes, decimals};
use crate::volume::Grid;

/// Rows and columns count as perpendicular up to this cosine: dciodvfy's bound, and far above the rounding of a NIfTI's f32.
const SQUARE: f64 = 1e-4;

/// Rows run along the grid's first axis, columns of pixels along the second, slices along the third.
pub(super) struct Planes {
    grid: Grid,
    /// Columns and rows of a slice.
    pub(super) size: [u16; 2],
}

impl Planes {
    /// An error where DICOM cannot hold the grid.
    pub(super) fn of(grid: &Grid) -> Result<Self> {
        let [along_row, down_column] = axes(grid).map(DVec3::normalize);
        let cosine = along_row.dot(down_column);
        if cosine.abs() > SQUARE {
            let degrees = cosine.clamp(-1.0, 1.0).acos().to_degrees();
            bail!(
                "rows and columns of the scan meet at {degrees:.2} degrees, and DICOM holds only perpendicular ones; export NIfTI or NRRD"
            );
        }
        let [columns, rows, _] = grid.shape;
        let count = |n: usize| u16::try_from(n).with_context(|| format!("DICOM holds 65535 rows and columns, not {n}"));
        check_bytes(grid.len().saturating_mul(size_of::<f32>()))?;
        Ok(Self { grid: *grid, size: [count(columns)?, count(rows)?] })
    }

    pub(super) fn pixels(&self) -> usize {
        self.grid.shape[0] * self.grid.shape[1]
    }

    /// The centre of a slice's first pixel (PS3.3, C.7.6.2.1.1).
    pub(super) fn position(&self, slice: usize) -> Element {
        let corner = self.grid.world_from_voxel.transform_point3(DVec3::new(0.0, 0.0, slice as f64));
        decimals(tags::IMAGE_POSITION_PATIENT, &lps(corner).to_array())
    }

    pub(super) fn orientation(&self) -> Element {
        let [along_row, down_column] = axes(&self.grid).map(|axis| lps(axis.normalize()).to_array());
        decimals(tags::IMAGE_ORIENTATION_PATIENT, &[along_row, down_column].concat())
    }

    /// Between rows first, then between columns (PS3.3, 10.7.1.3); slices as thick as they are apart.
    pub(super) fn measures(&self) -> [Element; 3] {
        let [along_row, down_column] = axes(&self.grid);
        let normal = along_row.cross(down_column).normalize();
        let gap_mm = self.grid.world_from_voxel.matrix3.z_axis.dot(normal).abs();
        [
            decimals(tags::PIXEL_SPACING, &[down_column.length(), along_row.length()]),
            decimals(tags::SLICE_THICKNESS, &[gap_mm]),
            decimals(tags::SPACING_BETWEEN_SLICES, &[gap_mm]),
        ]
    }
}

fn axes(grid: &Grid) -> [DVec3; 2] {
    [grid.world_from_voxel.matrix3.x_axis, grid.world_from_voxel.matrix3.y_axis]
}

/// DICOM counts x to the patient's left and y to the back; RAS+ the other way.
fn lps(ras: DVec3) -> DVec3 {
    DVec3::new(-ras.x, -ras.y, ras.z)
}
