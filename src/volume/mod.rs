//! Numbers on a grid in patient space.
//!
//! World space is RAS+ millimetres, as in NIfTI: x grows to the patient's right, y to the front, z to the head.
//! Voxel `(i, j, k)` lies at `world_from_voxel * (i, j, k)`; integers are voxel centres. Memory runs `i` fastest.

pub mod border;
pub mod orientation;
pub mod phantom;
pub mod resample;
pub mod smoothing;

use std::sync::Arc;

use glam::{DAffine3, DVec3};
use half::f16;

/// Where the voxels are: how many, and how to reach patient space (RAS+ millimetres) from a voxel's centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub shape: [usize; 3],
    pub world_from_voxel: DAffine3,
}

impl Grid {
    /// Of a shape beyond counting, `usize::MAX`: no memory holds as many.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |n: usize, size| n.saturating_mul(*size))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distance between voxel centres along each axis, millimetres.
    pub fn spacing_mm(&self) -> [f64; 3] {
        let m = self.world_from_voxel.matrix3;
        [m.x_axis.length(), m.y_axis.length(), m.z_axis.length()]
    }

    pub fn voxel_from_world(&self) -> DAffine3 {
        self.world_from_voxel.inverse()
    }

    /// The middle of the volume, in world space.
    pub fn center(&self) -> DVec3 {
        let [ni, nj, nk] = self.shape.map(|n| (n as f64 - 1.0) / 2.0);
        self.world_from_voxel.transform_point3(DVec3::new(ni, nj, nk))
    }

    /// Whether a place, in voxels, lies in one of the voxels: these end half a voxel beyond the outermost centres.
    pub fn holds(&self, voxel: DVec3) -> bool {
        (0..3).all(|axis| voxel[axis] >= -0.5 && voxel[axis] <= self.shape[axis] as f64 - 0.5)
    }
}

/// The numbers themselves, `i` fastest. Whole Hounsfield units that fit stay in 16 bits. Shared as the vectors that they were
/// read into: a slice would be a copy.
#[derive(Debug, Clone)]
pub enum Voxels {
    I16(Arc<Vec<i16>>),
    F32(Arc<Vec<f32>>),
    /// Small differences: three digits of each.
    F16(Arc<Vec<f16>>),
}

impl Voxels {
    pub fn len(&self) -> usize {
        match self {
            Self::I16(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F16(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the numbers take in memory.
    pub fn bytes(&self) -> u64 {
        let each = match self {
            Self::I16(_) | Self::F16(_) => 2,
            Self::F32(_) => 4,
        };
        (self.len() as u64).saturating_mul(each)
    }

    #[inline]
    pub fn at(&self, index: usize) -> f32 {
        match self {
            Self::I16(v) => f32::from(v[index]),
            Self::F32(v) => v[index],
            Self::F16(v) => v[index].to_f32(),
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = f32> + '_> {
        match self {
            Self::I16(v) => Box::new(v.iter().map(|&x| f32::from(x))),
            Self::F32(v) => Box::new(v.iter().copied()),
            Self::F16(v) => Box::new(v.iter().map(|x| x.to_f32())),
        }
    }

    /// Whether both are the same memory: what a texture cache asks.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::I16(a), Self::I16(b)) => Arc::ptr_eq(a, b),
            (Self::F32(a), Self::F32(b)) => Arc::ptr_eq(a, b),
            (Self::F16(a), Self::F16(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Voxels on a grid, shared and never changed: cheap to clone.
#[derive(Debug, Clone)]
pub struct Volume {
    pub grid: Grid,
    pub voxels: Voxels,
}

impl Volume {
    /// # Panics
    /// When there are not as many voxels as the grid has places: a mistake in this program, not in a file.
    pub fn new(grid: Grid, voxels: Voxels) -> Self {
        assert_eq!(grid.len(), voxels.len(), "a volume needs one number per voxel");
        Self { grid, voxels }
    }

    pub fn from_f32(grid: Grid, voxels: impl Into<Arc<Vec<f32>>>) -> Self {
        Self::new(grid, Voxels::F32(voxels.into()))
    }

    /// The value at a voxel, `None` outside.
    pub fn get(&self, [i, j, k]: [usize; 3]) -> Option<f32> {
        let [ni, nj, nk] = self.grid.shape;
        (i < ni && j < nj && k < nk).then(|| self.voxels.at(i + ni * (j + nj * k)))
    }
}

/// A volume seen along other axes, without a copy.
#[derive(Debug, Clone, Copy)]
pub struct Turned<'a> {
    pub grid: Grid,
    voxels: &'a Voxels,
    /// Where voxel (0, 0, 0) lies in memory, and how far it is to the next along each axis.
    start: isize,
    strides: [isize; 3],
}

impl<'a> From<&'a Volume> for Turned<'a> {
    fn from(volume: &'a Volume) -> Self {
        let [ni, nj, _] = volume.grid.shape.map(|n| n as isize);
        Self { grid: volume.grid, voxels: &volume.voxels, start: 0, strides: [1, ni, ni * nj] }
    }
}
