//! Mean and deviation of a posterior, from an encoder whose output holds means, and the logarithms of the variances behind them.

use crate::graph::Graph;
use crate::graph::ops::{Clip, Function};

/// Beyond these a logarithm of a variance is clipped, as in training. Source: `latent-diffusion` and diffusers,
/// `DiagonalGaussianDistribution`, and MONAI, `AutoencoderKL.encode`.
const LOG_VARIANCES: Clip = Clip { low: -30.0, high: 20.0 };

/// The graph of the means, the first `channels` of what the encoder gives.
pub(super) fn means(mut encoder: Graph, channels: usize) -> Graph {
    let moments = encoder.output();
    let value = encoder.narrow(moments, 1, 0, channels);
    encoder.finish(&[value])
}

/// The graph of the deviations, one for each latent: exp(v / 2), with v the logarithm of the variance.
pub(super) fn deviations(mut encoder: Graph, channels: usize) -> Graph {
    let moments = encoder.output();
    let value = encoder.narrow(moments, 1, channels, channels);
    let value = encoder.apply(LOG_VARIANCES, &[value]);
    let value = encoder.affine(value, 0.5, 0.0);
    let value = encoder.function(value, Function::Exp);
    encoder.finish(&[value])
}
