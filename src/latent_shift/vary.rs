//! A run's start, perturbed: noise in its latents, and its slab a slice further on.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use crate::graph::{self, Check};
use crate::models::{Autoencoder, Within};
use crate::random::Stream;

/// The deviation of the noise, as a share of that of each plane of latents.
pub const NOISE: f32 = 0.1;

/// What is perturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// Where the noise begins: one seed gives one noise.
    pub seed: u64,
    /// Slices that may change.
    pub slab: Range<usize>,
}

impl Variation {
    /// Gives `runs` variations of a run with this slab in a stack of `slices`. Each has its own noise. Their slabs are, in turn, the run's
    /// own, the same a slice on, and the same a slice back, as far as the stack goes.
    pub fn all(runs: usize, slab: &Range<usize>, slices: usize) -> Vec<Self> {
        let mut slabs = vec![slab.clone()];
        if slab.end < slices {
            slabs.push(slab.start + 1..slab.end + 1);
        }
        if slab.start > 0 {
            slabs.push(slab.start - 1..slab.end - 1);
        }
        (1..).zip(slabs.into_iter().cycle()).take(runs).map(|(seed, slab)| Self { seed, slab }).collect()
    }
}

/// An autoencoder whose latents have noise. The noise is that of the seed, however many slices are encoded at a time, as long as each is
/// encoded once and in order.
pub struct Noisy<'a> {
    autoencoder: &'a dyn Autoencoder,
    stream: Mutex<Stream>,
}

impl<'a> Noisy<'a> {
    pub fn new(autoencoder: &'a dyn Autoencoder, seed: u64) -> Self {
        Self { autoencoder, stream: Mutex::new(Stream::new(seed, "stability")) }
    }

    /// Normal numbers for latents `[planes, channels, h, w]`, whose deviation is that share of each plane's.
    fn noise(&self, latents: &Tensor) -> Result<Tensor> {
        let planes: Vec<Vec<f32>> = latents.to_dtype(DType::F32)?.flatten_from(1)?.to_vec2()?;
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let noise = planes.iter().flat_map(|plane| {
            let scale = NOISE * deviation(plane);
            plane.iter().map(|_| scale * stream.normal()).collect::<Vec<f32>>()
        });
        let noise: Vec<f32> = noise.collect();
        Tensor::from_vec(noise, latents.dims(), &Device::Cpu)?.to_dtype(latents.dtype())
    }
}

fn deviation(numbers: &[f32]) -> f32 {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = numbers.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt() as f32
}

impl Autoencoder for Noisy<'_> {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        let latents = self.autoencoder.encode(stack, check)?;
        Ok((&latents + self.noise(&latents)?)?)
    }

    fn has_deviations(&self) -> bool {
        self.autoencoder.has_deviations()
    }

    fn deviations(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Option<Tensor>, graph::Error> {
        self.autoencoder.deviations(stack, check)
    }

    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<graph::Plan> {
        self.autoencoder.decoder(latents, size)
    }

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        self.autoencoder.room(size)
    }

    fn plans(&self, slices: &[usize; 4]) -> Result<Vec<(&'static str, graph::Plan)>> {
        self.autoencoder.plans(slices)
    }

    fn mixes_slices(&self) -> bool {
        self.autoencoder.mixes_slices()
    }

    fn within(&self, latents: &Tensor, slab: &Range<usize>, slices: usize) -> Option<Within> {
        self.autoencoder.within(latents, slab, slices)
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        self.autoencoder.unit_from_decoded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_moves_by_a_slice_either_way_as_far_as_there_is_room() {
        let slabs = |slab: Range<usize>| {
            Variation::all(4, &slab, 8).into_iter().map(|one| (one.seed, one.slab)).collect::<Vec<_>>()
        };
        assert_eq!(slabs(2..4), [(1, 2..4), (2, 3..5), (3, 1..3), (4, 2..4)]);
        assert_eq!(slabs(0..8), [(1, 0..8), (2, 0..8), (3, 0..8), (4, 0..8)]);
        assert_eq!(slabs(6..8), [(1, 6..8), (2, 5..7), (3, 6..8), (4, 5..7)]);
    }
}
