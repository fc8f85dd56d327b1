//! Where a run starts: the latents of the slices that it encodes, and the stack at lambda 0.

use std::ops::Range;

use candle_core::{DType, Tensor};

use super::Error;
use super::chunks::{Chunk, in_chunks, part};
use crate::job::Monitor;
use crate::models::Autoencoder;

/// What is known before any score.
pub(super) struct Start {
    /// The slices that went through the autoencoder.
    encoded: Range<usize>,
    /// The latents of these slices, `[encoded, channels, h, w]`.
    pub(super) latents: Tensor,
    /// The step at lambda 0, `[slices, 1, height, width]`, decoded units.
    pub(super) stack: Tensor,
}

impl Start {
    /// Sends the slices `encoded` of `input`, `[slices, 1, height, width]` in `0..=1`, through the autoencoder; all others stay as
    /// they are, in decoded units.
    ///
    /// A classifier is fed decoded units at every lambda. Where decoding returns (y+2)/4, as published, a scan's slice as it is
    /// would have twice the contrast of the decoded ones beside it: so it is fed what a decoder that loses nothing would return.
    pub(super) fn of(
        input: &Tensor,
        autoencoder: &dyn Autoencoder,
        encoded: Range<usize>,
        chunk: &Chunk,
        monitor: &Monitor,
    ) -> Result<Self, Error> {
        let (slices, _, height, width) = input.dims4()?;
        let (count, sent) = (encoded.len(), input.narrow(0, encoded.start, encoded.len())?);
        let step = |at: usize| monitor.step("encoding", at, count);
        let check = |_, _| monitor.check();
        let encode = |at, n| Ok(autoencoder.encode(&sent.narrow(0, at, n)?.contiguous()?, &check)?);
        let latents = Tensor::cat(&in_chunks(0..count, chunk, monitor, step, encode)?, 0)?;
        let step = |at: usize| monitor.step("reconstructing", at, count);
        let decode = |at, n| decoded(autoencoder, &part(&latents, at, n, count)?, [height, width], monitor);
        let decoded = Tensor::cat(&in_chunks(0..count, chunk, monitor, step, decode)?, 0)?;
        let stack = if count == slices {
            decoded
        } else {
            // With [1, 0] this changes no bit.
            let [slope, offset] = autoencoder.unit_from_decoded().map(f64::from);
            let as_scanned = input.to_dtype(decoded.dtype())?.affine(1.0 / slope, -offset / slope)?;
            as_scanned.slice_scatter0(&decoded, encoded.start)?
        };
        Ok(Self { encoded, latents, stack })
    }

    /// The standard deviations of the posterior that these latents are the mean of, `[encoded, channels, h, w]`; `input` is the stack.
    pub(super) fn deviations(
        &self,
        input: &Tensor,
        autoencoder: &dyn Autoencoder,
        chunk: &Chunk,
        monitor: &Monitor,
    ) -> Result<Tensor, Error> {
        let (count, sent) = (self.encoded.len(), input.narrow(0, self.encoded.start, self.encoded.len())?);
        let step = |at: usize| monitor.step("encoding deviations", at, count);
        let check = |_, _| monitor.check();
        let encode = |at, n| {
            let deviations = autoencoder.deviations(&sent.narrow(0, at, n)?.contiguous()?, &check)?;
            deviations.ok_or(Error::NoDeviations)
        };
        let deviations = Tensor::cat(&in_chunks(0..count, chunk, monitor, step, encode)?, 0)?;
        if deviations.dims() != self.latents.dims() {
            let (found, wanted) = (deviations.dims(), self.latents.dims());
            return Err(candle_core::Error::Msg(format!("deviations {found:?} of latents {wanted:?}")).into());
        }
        let numbers: Vec<f64> = deviations.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        match numbers.into_iter().find(|number| !(number.is_finite() && *number > 0.0)) {
            Some(odd) => Err(Error::NotPositive("standard deviation of a latent", odd)),
            None => Ok(deviations),
        }
    }

    /// Whether the stack at lambda 0 differs from the scan, `[slices, 1, height, width]`, in the slab alone.
    pub(super) fn is_scan_outside(&self, slab: &Range<usize>, input: &Tensor) -> Result<bool, Error> {
        let behind = self.stack.dim(0)? - slab.end;
        let alike = |first: usize, count: usize| -> Result<bool, Error> {
            let of = |stack: &Tensor| -> candle_core::Result<Vec<f32>> {
                stack.narrow(0, first, count)?.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
            };
            Ok(of(&self.stack)? == of(input)?)
        };
        // What was reconstructed is hardly ever the scan to the bit, so that is not even looked at.
        Ok(self.encoded == *slab && alike(0, slab.start)? && alike(slab.end, behind)?)
    }

    /// Which planes of the latents a slab comes from, where slices do not mix.
    pub(super) fn planes_of(&self, slab: &Range<usize>) -> Range<usize> {
        slab.start - self.encoded.start..slab.end - self.encoded.start
    }

    /// Numbers of some planes of latents `[planes, channels, h, w]` among those of all, with zeros for the others.
    pub(super) fn among_all(&self, of_planes: &Tensor, planes: &Range<usize>) -> Result<Tensor, Error> {
        let all = self.latents.dim(0)?;
        Ok(of_planes.pad_with_zeros(0, planes.start, all - planes.end)?)
    }
}

/// Latents as slices of height and width `size`.
pub(super) fn decoded(
    autoencoder: &dyn Autoencoder,
    latents: &Tensor,
    size: [usize; 2],
    monitor: &Monitor,
) -> Result<Tensor, Error> {
    let plan = autoencoder.decoder(latents.dims(), size)?;
    Ok(plan.forward(&[latents.contiguous()?], &|_, _| monitor.check())?.remove(0))
}
