//! Convolutions as products of matrices: what the taps see by the weights, or the weights by the gradient, folded.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use crate::graph::ops::AtZero;
use crate::graph::ops::lines::{Lines, Then};
use crate::graph::ops::taps::Taps;
use crate::nn::geometry::Geometry;
use crate::nn::mask::Mask;

/// Most numbers of the matrix of several images: 1 GiB of f32. A larger one is no faster.
const MATRIX: usize = 1 << 28;

/// Frozen numbers of a convolution and of what follows it, on a device.
pub(super) struct Convolution {
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
    pub(super) fn new(weight: Tensor, after: Lines, last: Option<Lines>, geometry: Geometry) -> Self {
        Self { weight, geometry, after, last, backward: OnceLock::new() }
    }

    /// last(relu(lines(conv(x)) + skip)), of these what there is, and what the ReLU lets through where that is to be `save`d:
    /// `[n, in, d, h, w]` to `[n, out, d', h', w']`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        skip: Option<&Tensor>,
        relu: Option<AtZero>,
        save: bool,
    ) -> Result<(Tensor, Option<Mask>)> {
        let (y, mask) = self.after.of_relu(&convolve(x, &self.weight, self.geometry)?, skip, relu, save)?;
        match &self.last {
            Some(last) => Ok((last.of(&y, None, Then::Nothing)?, mask)),
            None => Ok((y, mask)),
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
    pub(super) fn vjp(&self, gradient: &Tensor, input: [usize; 3]) -> Result<Tensor> {
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
