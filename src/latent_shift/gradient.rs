//! The exact gradient of the score in the latents, in the memory of one chunk.
//!
//! The chain rule splits at the decoded stack: the score is differentiated once with respect to the stack, a leaf, and that
//! is pulled back through the decoder a few slices at a time, since each slice is decoded on its own.
//! The reference holds every slab slice's decoder graph at once, and so can let only a few slices change.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{DType, Tensor};

use super::Error;
use super::chunks::{Chunk, in_chunks, part};
use super::objective::{Scored, SlabScore};
use crate::graph::Tape;
use crate::job::Monitor;
use crate::machine;
use crate::models::Autoencoder;

/// What the tapes of a decoded slab may take, bytes. A gradient takes about as much while it is computed.
const MOST_TAPE_BYTES: u64 = 1_600_000_000;
/// They take at most this share of the memory that the process can have.
const SHARE_OF_MEMORY: u64 = 4;

/// What the decoder recorded of a slab, for the gradient in its latents: the tape of each chunk of slices.
pub(super) struct Tapes(Vec<(Range<usize>, Tape)>);

impl Tapes {
    /// Decodes latents `[slab, channels, h, w]` to `slices` slices, `[slices, 1, height, width]`, and keeps the tapes where there is
    /// memory for them all.
    pub(super) fn record(
        autoencoder: &dyn Autoencoder,
        latents: &Tensor,
        slices: usize,
        size: [usize; 2],
        chunk: &Chunk,
        monitor: &Monitor,
    ) -> Result<(Tensor, Option<Self>), Error> {
        let most = machine::memory_bytes().map_or(MOST_TAPE_BYTES, |all| MOST_TAPE_BYTES.min(all / SHARE_OF_MEMORY));
        let (tapes, check) = (RefCell::new(Vec::new()), |_, _| monitor.check());
        let decode = |at, n| {
            let latents = part(latents, at, n, slices)?;
            let plan = autoencoder.decoder(latents.dims(), size)?.fitted()?;
            let of_all = |bytes: u64| bytes.saturating_mul(slices.div_ceil(n) as u64);
            if plan.tape_bytes().is_none_or(|bytes| of_all(bytes) > most) {
                return Ok(plan.forward(&[latents], &check)?.remove(0));
            }
            let (mut outputs, tape) = plan.record(&[latents], &check)?;
            tapes.borrow_mut().push((at..at + n, tape));
            Ok(outputs.remove(0))
        };
        let slab = Tensor::cat(&in_chunks(0..slices, chunk, monitor, |_| monitor.check(), decode)?, 0)?;
        let tapes = Self(tapes.into_inner());
        let kept: usize = tapes.0.iter().map(|(range, _)| range.len()).sum();
        Ok((slab, (kept == slices).then_some(tapes)))
    }

    /// What [`gradient`] gives of the slices that were decoded, without decoding them again.
    pub(super) fn gradient(
        self,
        score: &dyn SlabScore,
        slices: &Tensor,
        monitor: &Monitor,
    ) -> Result<(Scored, Tensor), Error> {
        let count = slices.dim(0)?;
        let (scored, cotangent) = score.gradient(slices, monitor)?;
        let parts = self.0.into_iter().map(|(range, tape)| {
            monitor.step("gradient of the decoder", range.start, count)?;
            let cotangent = cotangent.narrow(0, range.start, range.len())?.contiguous()?;
            Ok(tape.into_vjp(&[cotangent], &|_, _| monitor.check())?.remove(0))
        });
        Ok((scored, finite(Tensor::cat(&parts.collect::<Result<Vec<_>, Error>>()?, 0)?)?))
    }
}

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
    Ok((scored, finite(Tensor::cat(&parts, 0)?)?))
}

/// A gradient whose length is a number.
fn finite(gradient: Tensor) -> Result<Tensor, Error> {
    let norm = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
    if norm.is_finite() { Ok(gradient) } else { Err(Error::NotFinite("the gradient".to_owned())) }
}
