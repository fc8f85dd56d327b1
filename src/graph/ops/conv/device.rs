//! Convolutions as products of matrices: unfolded windows by the weights, or the weights by the gradient, folded.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use crate::graph::ops::AtZero;
use crate::graph::ops::channel_affine::{Activation, ChannelAffine};
use crate::graph::ops::unfold::Unfold;
use crate::nn::geometry::Geometry;
use crate::nn::mask::Mask;

/// Most numbers of the matrix of several images: 1 GiB of f32. A larger one is no faster.
const MATRIX: usize = 1 << 28;

/// Frozen numbers of a convolution and of what follows it, on a device.
pub(super) struct Convolution {
    weight: Tensor, // [out, in, kd, kh, kw]
    geometry: Geometry,
    affine: ChannelAffine,
    last: Option<ChannelAffine>,
    backward: OnceLock<Backward>,
}

enum Backward {
    /// Weights `[in, out, …]`, kernels in reverse, times the norm's scale: at stride 1 the gradient is a convolution too.
    Mirrored(Tensor, Geometry),
    /// Weights `[in * elements, out]`, times the norm's scale.
    Transposed(Tensor),
}

impl Convolution {
    /// `weight` is `[out, in, kd, kh, kw]`; `affine` is the norm that follows at once, with the bias in its shift; `last` is the norm
    /// that follows the skip and the ReLU. There is at most one of the two norms.
    pub(super) fn new(weight: Tensor, affine: ChannelAffine, last: Option<ChannelAffine>, geometry: Geometry) -> Self {
        Self { weight, geometry, affine, last, backward: OnceLock::new() }
    }

    /// Gives last(relu(affine(conv(x)) + skip)), with as many of these as there are, and what the ReLU lets through where that is
    /// to be `save`d: `[n, in, d, h, w]` to `[n, out, d', h', w']`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        skip: Option<&Tensor>,
        relu: Option<AtZero>,
        save: bool,
    ) -> Result<(Tensor, Option<Mask>)> {
        let (y, mask) = self.affine.of_relu(&convolve(x, &self.weight, self.geometry)?, skip, relu, save)?;
        match &self.last {
            Some(last) => Ok((last.of(&y, None, Activation::None)?, mask)),
            None => Ok((y, mask)),
        }
    }

    fn backward(&self) -> Result<&Backward> {
        if let Some(known) = self.backward.get() {
            return Ok(known);
        }
        let scale = self.last.as_ref().map_or(&self.affine.scale, |last| &last.scale);
        let scaled = self.weight.broadcast_mul(&scale.reshape(((), 1, 1, 1, 1))?)?;
        let backward = match self.geometry.mirrored() {
            Some(geometry) => {
                let mirrored = scaled.transpose(0, 1)?.contiguous()?.flip(&[2, 3, 4])?.contiguous()?;
                Backward::Mirrored(mirrored, geometry)
            }
            None => Backward::Transposed(scaled.flatten_from(1)?.t()?.contiguous()?),
        };
        Ok(self.backward.get_or_init(|| backward))
    }

    /// Gives the gradient of the input, whose depth, height and width are told, from that of the output.
    pub(super) fn vjp(&self, gradient: &Tensor, input: [usize; 3]) -> Result<Tensor> {
        match self.backward()? {
            Backward::Mirrored(weight, geometry) => convolve(gradient, weight, *geometry),
            Backward::Transposed(weight) => {
                let columns = weight.broadcast_matmul(&gradient.contiguous()?.flatten_from(2)?)?;
                Unfold::new(self.geometry, input)?.fold(&columns)
            }
        }
    }
}

/// `[n, in, d, h, w]` by `[out, in, kd, kh, kw]`, as many samples at a time as the matrix has room for.
fn convolve(x: &Tensor, weight: &Tensor, geometry: Geometry) -> Result<Tensor> {
    let (n, c_in, d, h, w) = x.dims5()?;
    let (weight, unfold) = (weight.flatten_from(1)?, Unfold::new(geometry, [d, h, w])?);
    let samples = (MATRIX / (c_in * unfold.count() * unfold.positions()).max(1)).max(1);
    let part = |first: usize| {
        let columns = unfold.columns(&x.narrow(0, first, samples.min(n - first))?.contiguous()?)?;
        weight.broadcast_matmul(&columns)
    };
    let parts = (0..n).step_by(samples).map(part).collect::<Result<Vec<_>>>()?;
    let [od, oh, ow] = unfold.output();
    Tensor::cat(&parts, 0)?.reshape((n, weight.dim(0)?, od, oh, ow))
}
