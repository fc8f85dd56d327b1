//! What leaves the program: one file per format, each giving bytes; one place that writes them. A session comes back, too.

pub mod gif;
pub mod montage;
pub mod nifti;
pub mod png;
pub mod report;
pub mod session;
pub mod tensors;
pub mod write;
