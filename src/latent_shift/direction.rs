//! The way up that a finding would take, of the gradient of the score with respect to the latents.
//!
//! The gradient itself says what fools the classifier fastest, which need not be what a finding is. The decoder draws each slice
//! for itself, so the gradient may move each by another trifle: a finding goes on from slice to slice. It moves every token a
//! little: a finding lies somewhere. And it moves channels that hardly ever differ from token to token as far as those that
//! do: a finding changes what also changes from place to place. So the gradient is smoothed over the slices, its tokens are
//! weighted by what they matter, and its channels are mixed by their covariance over the scan's own tokens.
//!
//! All of it is one symmetric matrix with no negative eigenvalue, so the score never falls along what comes of it. On phantoms
//! whose truth is known each part changes more of the finding, and less of the edges of everything else.

use candle_core::{DType, Tensor};

use super::Error;

/// How far along the patient a finding is thought to change as one, millimetres: the deviation of a Gaussian over the slices.
const COHERENCE_MM: f64 = 60.0;
/// Added to each channel's variance, as a share of their mean: no direction is lost where few tokens say little.
const SHRINKAGE: f64 = 0.01;

/// What is known of a scan's latents before any gradient.
pub(super) struct Coherence {
    /// The covariance of channels over all tokens, its mean diagonal 1: `[channels, channels]`, f64.
    covariance: Tensor,
    /// A Gaussian over the slices, smoothing half of the way: `[slab, slab]`, f64.
    kernel: Tensor,
}

impl Coherence {
    /// Measures the latents of the slab, `[slab, channels, h, w]`.
    pub(super) fn of(latents: &Tensor, spacing_mm: f64) -> Result<Self, Error> {
        let kernel = gaussian(latents.dim(0)?, COHERENCE_MM / spacing_mm / 2.0_f64.sqrt(), latents)?;
        Ok(Self { covariance: covariance(latents)?, kernel })
    }

    /// The direction of a gradient `[slab, channels, h, w]`; its length says nothing.
    pub(super) fn direction(&self, gradient: &Tensor) -> Result<Tensor, Error> {
        let mixed = self.mixed(&gradient.to_dtype(DType::F64)?)?;
        Ok(self.smoothed(&focused(&self.smoothed(&mixed)?)?)?.to_dtype(gradient.dtype())?)
    }

    fn mixed(&self, gradient: &Tensor) -> Result<Tensor, Error> {
        let (slices, channels, h, w) = gradient.dims4()?;
        let by_slice = self.covariance.broadcast_matmul(&gradient.reshape((slices, channels, h * w))?)?;
        Ok(by_slice.reshape(gradient.shape())?)
    }

    fn smoothed(&self, gradient: &Tensor) -> Result<Tensor, Error> {
        Ok(self.kernel.matmul(&gradient.flatten_from(1)?)?.reshape(gradient.shape())?)
    }
}

/// Of the channels of `[slab, channels, h, w]` over all tokens: which differ from place to place, and which together. Latents
/// that are all alike say nothing: then every channel is as good as any other.
fn covariance(latents: &Tensor) -> Result<Tensor, Error> {
    let channels = latents.dim(1)?;
    let tokens = latents.to_dtype(DType::F64)?.transpose(0, 1)?.flatten_from(1)?;
    let centred = tokens.broadcast_sub(&tokens.mean_keepdim(1)?)?;
    let covariance = centred.matmul(&centred.t()?)?;
    let identity = Tensor::eye(channels, DType::F64, latents.device())?;
    let mean_variance = centred.sqr()?.sum_all()?.to_scalar::<f64>()? / channels as f64;
    if !mean_variance.is_normal() {
        return Ok(identity);
    }
    Ok(((covariance / mean_variance)? + (identity * SHRINKAGE)?)?)
}

/// A Gaussian over `n` slices as a matrix `[n, n]` of f64: beyond the first and the last there is nothing.
fn gaussian(n: usize, deviation: f64, like: &Tensor) -> Result<Tensor, Error> {
    let weight = |away: f64| (-0.5 * (away / deviation).powi(2)).exp();
    let entries = (0..n * n).map(|i| weight((i / n).abs_diff(i % n) as f64));
    Ok(Tensor::from_iter(entries, like.device())?.reshape((n, n))?)
}

/// A gradient with each token weighted by the square of its own length, as a share of the longest: a step between the steepest one
/// where all tokens may move alike and the one that moves a single token. On phantoms whose truth is known it changes more of the
/// finding, and less of the edges of everything else, than the gradient itself, or one weighted by the length.
fn focused(gradient: &Tensor) -> Result<Tensor, Error> {
    let squares = gradient.sqr()?.sum_keepdim(1)?;
    let longest = squares.flatten_all()?.max(0)?.to_scalar::<f64>()?;
    if !longest.is_normal() {
        return Err(Error::NoGradient);
    }
    Ok(gradient.broadcast_mul(&(squares / longest)?)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::path::{dot, unit};
    use super::*;

    const SHAPE: (usize, usize, usize, usize) = (12, 3, 2, 2);
    /// Slices at which the Gaussian's deviation is five slices.
    const SPACING_MM: f64 = COHERENCE_MM / 5.0;

    fn random() -> Tensor {
        Tensor::randn(0.0_f64, 1.0, SHAPE, &Device::Cpu).expect("a tensor")
    }

    /// Latents that say nothing of channels.
    fn alike() -> Tensor {
        Tensor::ones(SHAPE, DType::F64, &Device::Cpu).expect("a tensor")
    }

    fn direction(latents: &Tensor, spacing_mm: f64, gradient: &Tensor) -> Tensor {
        let coherence = Coherence::of(latents, spacing_mm).expect("latents");
        unit(&coherence.direction(gradient).expect("a direction")).expect("a length")
    }

    fn share(direction: &Tensor, part: &Tensor) -> f64 {
        dot(direction, &unit(part).expect("a part")).expect("a share").abs()
    }

    #[test]
    fn the_score_never_falls_along_a_coherent_direction() {
        for spacing_mm in [1e-2, 3.0, SPACING_MM, 1e5] {
            for _ in 0..50 {
                let gradient = random();
                let slope = dot(&gradient, &direction(&random(), spacing_mm, &gradient)).expect("a slope");
                assert!(slope > 0.0, "{slope} with slices {spacing_mm} mm apart");
            }
        }
    }

    #[test]
    fn what_differs_from_slice_to_slice_is_left_out_of_the_direction_and_what_goes_on_is_kept() {
        let whole = alike();
        let signs: Vec<f64> = (0..SHAPE.0).map(|k| if k % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let signs = Tensor::new(signs, &Device::Cpu).unwrap().reshape((SHAPE.0, 1, 1, 1)).unwrap();
        let trifles = whole.broadcast_mul(&signs).unwrap();
        let direction = direction(&alike(), SPACING_MM, &(&whole + &trifles).unwrap());
        let (kept, left) = (share(&direction, &whole), share(&direction, &trifles));
        assert!(kept > 0.85 && left < 0.1, "{kept} and {left}");
    }

    #[test]
    fn a_direction_follows_the_channels_that_differ_from_token_to_token() {
        let scale = Tensor::new(&[3.0_f64, 0.1, 0.1], &Device::Cpu).unwrap().reshape((1, 3, 1, 1)).unwrap();
        let direction = direction(&random().broadcast_mul(&scale).unwrap(), SPACING_MM, &alike());
        let of_channel = |c: usize| direction.narrow(1, c, 1).unwrap().sqr().unwrap().sum_all().unwrap();
        let [first, second, third] = [0, 1, 2].map(|c| of_channel(c).to_scalar::<f64>().unwrap());
        assert!(first > 0.99 && second > 0.0 && third > 0.0, "{first}, {second} and {third} of the whole");
    }

    #[test]
    fn a_single_slice_and_slices_far_apart_are_focused_only() {
        let gradient = random();
        let apart = direction(&alike(), 1e5, &gradient);
        let one = |tensor: &Tensor| tensor.narrow(0, 0, 1).unwrap();
        let alone = direction(&one(&alike()), SPACING_MM, &one(&gradient));
        for (got, of) in [(&apart, gradient.clone()), (&alone, one(&gradient))] {
            let gap = share(got, &focused(&of).unwrap()) - 1.0;
            assert!(gap.abs() < 1e-12, "{gap:e}");
        }
    }
}
