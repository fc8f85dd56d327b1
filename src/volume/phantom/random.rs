//! Random numbers by seed and name, the same on every machine: a dial that draws more leaves all other parts as they are.

use rayon::prelude::*;

/// SplitMix64 (Steele, Lea, Flood 2014), keyed by a seed and a name.
pub struct Stream(u64);

impl Stream {
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a of the name tells streams apart; one step of the generator mixes it with the seed.
        let key = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut stream = Self(seed ^ key);
        let mixed = stream.next();
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `bound`, which is at least 1; each as likely as any other, but for `bound` in 2^64.
    /// Source: Lemire 2019, "Fast random integer generation in an interval".
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `low..high`.
    pub fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / (1 << 24) as f32)
    }

    /// Standard normal, by Box and Muller (1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.within(f32::MIN_POSITIVE, 1.0).max(1e-12).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.within(0.0, 1.0)).cos()
    }
}

/// Normal noise on a grid `[ni, nj, nk]`, smoothed by Gaussians of these widths in voxels, mean 0 and deviation 1.
pub fn smooth_noise(stream: &mut Stream, shape: [usize; 3], sigma: [f32; 3]) -> Vec<f32> {
    let mut values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
    smooth(&mut values, shape, sigma);
    normalize(&mut values);
    values
}

/// Mean 0, deviation 1.
pub(super) fn normalize(values: &mut [f32]) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / variance.sqrt().max(1e-12);
    for value in values {
        *value = ((f64::from(*value) - mean) * scale) as f32;
    }
}

/// A Gaussian along each axis, cut at three widths, renormalised at the edges.
pub fn smooth(values: &mut [f32], [ni, nj, nk]: [usize; 3], sigma: [f32; 3]) {
    for (axis, sigma) in sigma.into_iter().enumerate().filter(|(_, sigma)| *sigma > 0.0) {
        let reach = (3.0 * sigma).ceil() as usize;
        let kernel: Vec<f32> = (0..=reach).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
        let (length, stride) = [(ni, 1), (nj, ni), (nk, ni * nj)][axis];
        let source = values.to_vec();
        let window = |at: usize| at.saturating_sub(reach)..(at + reach + 1).min(length);
        let weight: Vec<f32> = (0..length).map(|at| window(at).map(|there| kernel[there.abs_diff(at)]).sum()).collect();
        values.par_chunks_mut(ni).enumerate().for_each(|(row, out)| {
            let start = row * ni;
            out.fill(0.0);
            if axis == 0 {
                let row = &source[start..start + ni];
                for there in 0..ni {
                    let reached = window(there);
                    for (at, out) in reached.clone().zip(&mut out[reached]) {
                        *out += kernel[there.abs_diff(at)] * row[there];
                    }
                }
                out.iter_mut().zip(&weight).for_each(|(out, weight)| *out /= weight);
            } else {
                // Rows are whole: each is a sum of its neighbours.
                let at = start / stride % length;
                for there in window(at) {
                    let w = kernel[there.abs_diff(at)];
                    let from = start + there * stride - at * stride;
                    let row = &source[from..from + ni];
                    out.iter_mut().zip(row).for_each(|(out, value)| *out += w * value);
                }
                for out in out {
                    *out /= weight[at];
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_their_own_and_the_same_every_time() {
        let draw = |seed, name| Stream::new(seed, name).within(0.0, 1.0);
        assert_eq!(draw(1, "anatomy"), draw(1, "anatomy"));
        assert!(draw(1, "anatomy") != draw(1, "noise") && draw(1, "anatomy") != draw(2, "anatomy"));
    }

    #[test]
    fn noise_has_mean_0_deviation_1_and_neighbours_alike() {
        let noise = smooth_noise(&mut Stream::new(3, "test"), [20, 20, 20], [1.5, 1.5, 0.0]);
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        let along = |step: usize| noise.windows(step + 1).map(|w| w[0] * w[step]).sum::<f32>() / noise.len() as f32;
        assert!(mean.abs() < 1e-4 && (along(0) - 1.0).abs() < 1e-3);
        assert!(along(1) > 0.7 && along(400).abs() < 0.1, "{} {}", along(1), along(400));
    }
}
