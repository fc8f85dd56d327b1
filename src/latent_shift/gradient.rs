//! The exact gradient of the score in the latents, in the memory of one chunk.
//!
//! The chain rule splits at the decoded stack: the score is differentiated once with respect to the stack, a leaf, and that
//! is pulled back through the decoder a few slices at a time, since each slice is decoded on its own.
//! The reference holds every slab slice's decoder graph at once, and so can let only a few slices change.

use candle_core::{DType, Tensor};

use super::Error;
use super::chunks::{Chunk, in_chunks, part};
use super::objective::{Scored, SlabScore};
use crate::job::Monitor;
use crate::models::Autoencoder;

/// What is said of the slab's `slices`, `[slab, 1, height, width]`, which are decode(`latents`), and the gradient with respect to these
/// latents, `[slab, channels, h, w]`. Any `chunk` gives that gradient; a larger one costs more memory.
pub fn gradient(
    autoencoder: &dyn Autoencoder,
    score: &dyn SlabScore,
    latents: &Tensor,
    slices: &Tensor,
    chunk: &Chunk,
    monitor: &Monitor,
) -> Result<(Scored, Tensor), Error> {
    let (count, _, height, width) = slices.dims4()?;
    let (scored, cotangent) = score.gradient(slices, monitor)?;
    let step = |at: usize| monitor.step("gradient of the decoder", at, count);
    let parts = in_chunks(0..count, chunk, monitor, step, |at, n| {
        let latents = part(latents, at, n, count)?;
        let check = |_, _| monitor.check();
        let tape = autoencoder.decoder(latents.dims(), [height, width])?.fitted()?.tape(&[latents], &check)?;
        let cotangent = cotangent.narrow(0, at, n)?.contiguous()?;
        Ok(tape.into_vjp(&[cotangent], &check)?.remove(0))
    })?;
    let gradient = Tensor::cat(&parts, 0)?;
    let norm = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
    if !norm.is_finite() {
        return Err(Error::NotFinite("the gradient".to_owned()));
    }
    Ok((scored, gradient))
}
