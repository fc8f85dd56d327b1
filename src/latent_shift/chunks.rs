//! Slices a few at a time.

use std::cell::Cell;
use std::ops::Range;

use candle_core::Tensor;

use super::Error;
use crate::job::{Cancelled, Monitor};
use crate::models::Autoencoder;
use crate::nn::device;

/// How many slices are taken at a time. Once the device has too little memory for as many, it stays smaller.
pub struct Chunk(Cell<usize>);

impl Chunk {
    pub fn of(slices: usize) -> Self {
        Self(Cell::new(slices.max(1)))
    }

    /// Gives chunks of as many slices as the autoencoder has memory for, or of `on_cpu` where that is no question.
    pub(super) fn for_gradients(autoencoder: &dyn Autoencoder, size: [usize; 2], on_cpu: usize) -> Self {
        Self::of(autoencoder.room(size).unwrap_or(on_cpu))
    }
}

/// Gives what `work` gives of every slice of a range, `chunk` of them at a time; `before` hears where each chunk begins, and can stop
/// it. Where the device has too little memory for a chunk, half as many slices are tried, and the progress says so.
pub(super) fn in_chunks(
    slices: Range<usize>,
    chunk: &Chunk,
    monitor: &Monitor,
    before: impl Fn(usize) -> Result<(), Cancelled>,
    work: impl Fn(usize, usize) -> Result<Tensor, Error>,
) -> Result<Vec<Tensor>, Error> {
    let mut at = slices.start;
    let mut parts = Vec::new();
    while at < slices.end {
        before(at)?;
        let count = chunk.0.get().min(slices.end - at);
        match work(at, count) {
            Err(Error::Tensor(error)) if count > 1 && device::out_of_memory(&error) => {
                chunk.0.set(count / 2);
                monitor.step("memory is short: half as many slices at a time", at - slices.start, slices.len())?;
            }
            part => {
                parts.push(part?);
                at += count;
            }
        }
    }
    Ok(parts)
}

/// Gives the latents of `n` slices from `at` on, of those of `slices`. All of them are all latents, of however many planes: where slices
/// mix, there is no part.
pub(super) fn part(latents: &Tensor, at: usize, n: usize, slices: usize) -> Result<Tensor, Error> {
    let part = if n == slices { latents.clone() } else { latents.narrow(0, at, n)? };
    Ok(part.contiguous()?)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use candle_core::Device;

    use super::*;

    #[test]
    fn where_memory_is_short_half_as_many_slices_are_tried_and_all_are_done_once() {
        let tried = RefCell::new(Vec::new());
        let work = |at: usize, count: usize| {
            tried.borrow_mut().push((at, count));
            if count > 2 {
                return Err(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".to_owned()).into());
            }
            Ok(Tensor::arange(at as u32, (at + count) as u32, &Device::Cpu)?)
        };
        let monitor = Monitor::default();
        let chunk = Chunk::of(5);
        let parts = in_chunks(3..10, &chunk, &monitor, |_| Ok(()), work).expect("done");
        let done = Tensor::cat(&parts, 0).and_then(|t| t.to_vec1::<u32>()).expect("numbers");
        assert_eq!(done, [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(tried.take(), [(3, 5), (3, 2), (5, 2), (7, 2), (9, 1)]);
        in_chunks(0..3, &chunk, &monitor, |_| Ok(()), work).expect("done");
        assert_eq!(tried.take(), [(0, 2), (2, 1)], "what was too many once is not tried again");
        assert!(monitor.phase_secs().iter().any(|(phase, _)| phase.contains("half as many")));
    }

    #[test]
    fn a_single_slice_that_does_not_fit_is_an_error() {
        let full = |_, _| Err(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".to_owned()).into());
        let error = in_chunks(0..4, &Chunk::of(2), &Monitor::default(), |_| Ok(()), full).expect_err("no memory");
        assert!(error.to_string().contains("OUT_OF_MEMORY"));
    }
}
