//! Convolutions as products of matrices: what the taps see by the weights, or the weights by the gradient, folded.

use std::sync::{Arc, OnceLock};

use candle_core::{Result, Tensor};

use super::super::after::{AtZero, Mask, Passing};
use super::super::geometry::Geometry;
use super::lines::{Lines, Then, relu};
use super::taps::Taps;
use super::{node, node2};

/// Most numbers of the matrix of several images: 1 GiB of f32. A larger one is no faster.
const MATRIX: usize = 1 << 28;

/// Frozen numbers of a convolution and of what follows it, on a device.
pub(in super::super) struct Convolution {
    weight: Tensor, // [out, in, kd, kh, kw]
    geometry: Geometry,
    after: Lines,
    last: Option<Lines>,
    backward: OnceLock<Backward>,
}

enum Backward {
    /// Weights `[in, out, …]`, taps in reverse, times the lines' scale: at stride 1 the gradient is a convolution too.
    Mirrored(Tensor, Geometry),
    /// `[in * taps, out]`, times the lines' scale.
    Transposed(Tensor),
}

impl Convolution {
    /// `weight` is `[out, in, kd, kh, kw]`; the lines are the norm's, the bias within their shift; the last ones follow the skip
    /// and the ReLU. Of the two norms there is one at most.
    pub(in super::super) fn new(weight: Tensor, after: Lines, last: Option<Lines>, geometry: Geometry) -> Self {
        Self { weight, geometry, after, last, backward: OnceLock::new() }
    }

    /// last(relu(lines(conv(x)) + skip)), and what the ReLU lets through.
    pub(in super::super) fn trail(&self, x: &Tensor, skip: Option<&Tensor>, at_zero: AtZero) -> Result<(Tensor, Mask)> {
        let y = convolve(x, &self.weight, self.geometry)?;
        let (y, passes) = match at_zero {
            AtZero::Nothing => {
                let y = self.after.of(&y, skip, Then::Relu)?;
                let passes = y.gt(0.0)?; // as before the ReLU
                (y, passes)
            }
            AtZero::All => {
                let y = self.after.of(&y, skip, Then::Nothing)?;
                (relu(&y)?, y.ge(0.0)?)
            }
        };
        Ok((self.finished(y)?, Mask(Passing::Device(passes))))
    }

    fn finished(&self, y: Tensor) -> Result<Tensor> {
        match &self.last {
            Some(last) => last.of(&y, None, Then::Nothing),
            None => Ok(y),
        }
    }

    /// last(relu(lines(conv(x)) + skip)), of these what there is: `[n, in, d, h, w]` to `[n, out, d', h', w']`.
    pub(in super::super) fn forward(
        self: &Arc<Self>,
        x: &Tensor,
        skip: Option<&Tensor>,
        relu: Option<AtZero>,
    ) -> Result<Tensor> {
        let (_, _, d, h, w) = x.dims5()?;
        let (plain, beside) = (x.detach(), skip.map(Tensor::detach));
        let tracked = x.track_op() || skip.is_some_and(Tensor::track_op);
        let (y, mask) = if let (Some(at_zero), true) = (relu, tracked) {
            let (y, mask) = self.trail(&plain, beside.as_ref(), at_zero)?;
            (y, Some(mask))
        } else {
            let then = if relu.is_some() { Then::Relu } else { Then::Nothing };
            let y = self.after.of(&convolve(&plain, &self.weight, self.geometry)?, beside.as_ref(), then)?;
            (self.finished(y)?, None)
        };
        let of = Arc::clone(self);
        let through = move |gradient: &Tensor| match &mask {
            Some(mask) => mask.pass(gradient),
            None => Ok(gradient.clone()),
        };
        match skip {
            None => node("convolution", x, y, move |gradient| of.pull_back(&through(gradient)?, [d, h, w])),
            Some(skip) => node2("convolution and skip", [x, skip], y, move |gradient| {
                let gradient = through(gradient)?;
                Ok([of.pull_back(&gradient, [d, h, w])?, gradient])
            }),
        }
    }

    fn backward(&self) -> Result<&Backward> {
        if let Some(made) = self.backward.get() {
            return Ok(made);
        }
        let scale = self.last.as_ref().map_or(&self.after.scale, |last| &last.scale);
        let scaled = self.weight.broadcast_mul(&scale.reshape(((), 1, 1, 1, 1))?)?;
        let made = match self.geometry.mirrored() {
            Some(geometry) => {
                let mirrored = scaled.transpose(0, 1)?.contiguous()?.flip(&[2, 3, 4])?.contiguous()?;
                Backward::Mirrored(mirrored, geometry)
            }
            None => Backward::Transposed(scaled.flatten_from(1)?.t()?.contiguous()?),
        };
        Ok(self.backward.get_or_init(|| made))
    }

    /// From the output's gradient to that of the input, whose depth, height and width are told.
    pub(in super::super) fn pull_back(&self, gradient: &Tensor, input: [usize; 3]) -> Result<Tensor> {
        match self.backward()? {
            Backward::Mirrored(weight, geometry) => convolve(gradient, weight, *geometry),
            Backward::Transposed(weight) => {
                let columns = weight.broadcast_matmul(&gradient.contiguous()?.flatten_from(2)?)?;
                Taps::new(self.geometry, input)?.fold(&columns)
            }
        }
    }
}

/// `[n, in, d, h, w]` by `[out, in, kd, kh, kw]`, as many samples at a time as the matrix has room for.
fn convolve(x: &Tensor, weight: &Tensor, geometry: Geometry) -> Result<Tensor> {
    let (n, c_in, d, h, w) = x.dims5()?;
    let (weight, taps) = (weight.flatten_from(1)?, Taps::new(geometry, [d, h, w])?);
    let samples = (MATRIX / (c_in * taps.count() * taps.positions()).max(1)).max(1);
    let part = |first: usize| {
        let columns = taps.unfold(&x.narrow(0, first, samples.min(n - first))?.contiguous()?)?;
        weight.broadcast_matmul(&columns)
    };
    let parts = (0..n).step_by(samples).map(part).collect::<Result<Vec<_>>>()?;
    let [od, oh, ow] = taps.output();
    Tensor::cat(&parts, 0)?.reshape((n, weight.dim(0)?, od, oh, ow))
}
