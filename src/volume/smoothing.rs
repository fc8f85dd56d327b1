//! Gaussian smoothing on a grid, and smooth noise.

use rayon::prelude::*;

use crate::random::Stream;

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
    fn noise_has_mean_0_deviation_1_and_neighbours_alike() {
        let noise = smooth_noise(&mut Stream::new(3, "test"), [20, 20, 20], [1.5, 1.5, 0.0]);
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        let along = |step: usize| noise.windows(step + 1).map(|w| w[0] * w[step]).sum::<f32>() / noise.len() as f32;
        assert!(mean.abs() < 1e-4 && (along(0) - 1.0).abs() < 1e-3);
        assert!(along(1) > 0.7 && along(400).abs() < 0.1, "{} {}", along(1), along(400));
    }
}
