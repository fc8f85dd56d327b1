//! One test binary: each further one would link wgpu and candle again.
mod support;

mod checkpoints;
mod dicom;
mod gradients;
mod models;
mod nifti;
mod ops;
mod preparation;
mod shaders;
mod window;
