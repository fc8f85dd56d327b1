//! The layers that candle lacks, or gets wrong or slow, each with an exact gradient in its input. Weights are frozen:
//! no gradient of a weight is ever computed.
//!
//! Everything works in f32 and in f64; the suite proves each layer by central differences and against PyTorch.
//! On a CPU our own kernels run; elsewhere the layers are made of candle's operations (`composed`), each held beside its CPU twin.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instruction set of its caller, see simd"
)]

mod after;
mod composed;
pub mod conv;
pub mod denormals;
pub mod device;
mod exponential;
mod gemm;
mod geometry;
pub mod group_norm;
mod im2col;
mod kernel;
mod memory;
pub mod norm;
pub mod pool;
mod product;
pub mod resize;
mod simd;
pub mod threads;
pub mod trail;
mod winograd;
