//! The arithmetic under the operations of [`crate::graph`]: kernels over slices of numbers on the CPU, and the threads and the device that
//! they run on.
//!
//! Every kernel works in f32 and in f64. The suite proves each operation by central differences and against PyTorch.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instruction set of its caller, see simd"
)]

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod denormals;
pub mod device;
pub mod epilogue;
mod exponential;
pub(crate) mod gemm;
pub(crate) mod geometry;
pub(crate) mod im2col;
pub mod mask;
mod memory;
mod normal;
pub(crate) mod numbers;
mod panels;
pub(crate) mod product;
pub(crate) mod simd;
pub mod threads;
pub(crate) mod winograd;
