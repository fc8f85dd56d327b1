//! Convolutions with frozen weights, 2-D and 3-D by one kernel.
//!
//! candle computes the gradient of the weights as well, and that of the input by a naive loop; here it is that of the input
//! alone. At stride 1 it is a convolution too, of mirrored weights, and as fast.
//! f32 at stride 1 and 3 x 3 taps goes through Winograd's transform; all else is im2col and a matrix product. A batch norm, a
//! skip and a ReLU that follow are done to the outputs while the caches hold them. On a GPU all is made of candle's operations, see
//! `composed`.

use std::sync::Arc;

use candle_core::{DType, Module, Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::after::AtZero;
use super::device::has_kernels;
use super::geometry::Geometry;
use super::kernel::{Forward, Kernel, Numbers};
use super::norm::BatchNorm;

/// Kernel, stride and padding of a square convolution.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    With,
    Without,
}

/// A 3-D convolution: `[n, in, d, h, w]` to `[n, out, d', h', w']`.
pub struct Conv3d(pub(super) Arc<Kernel>);

impl Conv3d {
    /// `weight` is `[out, in, kd, kh, kw]`, `bias` `[out]`.
    pub fn from_tensors(
        weight: &Tensor,
        bias: Option<&Tensor>,
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> Result<Self> {
        let (out, c_in, kd, kh, kw) = weight.dims5()?;
        if weight.elem_count() == 0 {
            bail!("a convolution whose weights are {:?} has no numbers", weight.dims());
        }
        let flat = weight.flatten_all()?;
        let weight = match weight.dtype() {
            DType::F32 => Numbers::F32(Arc::new(flat.to_vec1()?).into()),
            DType::F64 => Numbers::F64(Arc::new(flat.to_vec1()?).into()),
            other => bail!("a convolution works in f32 or f64, not in {other:?}"),
        };
        let geometry = Geometry { kernel: [kd, kh, kw], stride, padding };
        let bias = bias.map_or(Ok(Vec::new()), |bias| bias.to_dtype(DType::F64)?.to_vec1())?;
        if !bias.is_empty() && bias.len() != out {
            bail!("a convolution of {out} output channels has {} biases", bias.len());
        }
        Ok(Self(Arc::new(Kernel::new(weight, bias, [c_in, out], geometry))))
    }

    /// This convolution with the batch norm that follows it.
    pub fn normed(&self, norm: BatchNorm) -> Result<Self> {
        self.with(norm, false)
    }

    /// This convolution with the batch norm that follows its skip and ReLU.
    pub fn normed_last(&self, norm: BatchNorm) -> Result<Self> {
        self.with(norm, true)
    }

    fn with(&self, norm: BatchNorm, last: bool) -> Result<Self> {
        let channels = self.0.channels();
        if norm.scale().len() != channels[1] {
            bail!("batch norm over {} channels follows a convolution to {}", norm.scale().len(), channels[1]);
        }
        Ok(Self(Arc::new(self.0.normed(norm, last))))
    }

    fn apply(&self, x: &Tensor, skip: Option<&Tensor>, relu: Option<AtZero>) -> Result<Tensor> {
        let x = x.contiguous()?;
        self.0.check(skip)?;
        if !has_kernels(x.device()) {
            return self.0.on(x.device())?.forward(&x, skip, relu);
        }
        let tracked = x.track_op() || skip.is_some_and(Tensor::track_op);
        let op = Forward::of(&self.0, relu);
        let op = if tracked { op.noting() } else { op };
        match skip {
            Some(skip) => x.apply_op2(&skip.contiguous()?, op),
            None => x.apply_op1(op),
        }
    }

    /// relu(conv(x))
    pub fn relu(&self, x: &Tensor, at_zero: AtZero) -> Result<Tensor> {
        self.apply(x, None, Some(at_zero))
    }

    /// conv(x) + skip; `skip` is of the output's shape.
    pub fn add(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        self.apply(x, Some(skip), None)
    }

    /// relu(conv(x) + skip)
    pub fn add_relu(&self, x: &Tensor, skip: &Tensor, at_zero: AtZero) -> Result<Tensor> {
        self.apply(x, Some(skip), Some(at_zero))
    }
}

impl Module for Conv3d {
    /// conv(x)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(x, None, None)
    }
}

/// A 2-D convolution: `[n, in, h, w]` to `[n, out, h', w']`. The 3-D one at depth 1.
pub struct Conv2d(pub(super) Conv3d);

impl Conv2d {
    /// `weight` is `[out, in, k, k]`, `bias` `[out]`.
    pub fn from_tensors(weight: &Tensor, bias: Option<&Tensor>, stride: usize, padding: usize) -> Result<Self> {
        Conv3d::from_tensors(&weight.unsqueeze(2)?, bias, [1, stride, stride], [0, padding, padding]).map(Self)
    }

    /// relu(conv(x))
    pub fn relu(&self, x: &Tensor, at_zero: AtZero) -> Result<Tensor> {
        self.0.relu(&x.unsqueeze(2)?, at_zero)?.squeeze(2)
    }

    /// conv(x) + skip; `skip` is of the output's shape.
    pub fn add(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        self.0.add(&x.unsqueeze(2)?, &skip.unsqueeze(2)?)?.squeeze(2)
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(&x.unsqueeze(2)?)?.squeeze(2)
    }
}

/// A square convolution with bias: "weight" `[out, in, k, k]`, "bias" `[out]`.
pub fn conv2d(c_in: usize, c_out: usize, shape: Shape, vb: &VarBuilder) -> Result<Conv2d> {
    let weight = vb.get((c_out, c_in, shape.kernel, shape.kernel), "weight")?;
    Conv2d::from_tensors(&weight, Some(&vb.get(c_out, "bias")?), shape.stride, shape.padding)
}

/// "weight" `[out, in, kd, kh, kw]`, and "bias" `[out]` where there is one.
pub fn conv3d(
    channels: [usize; 2],
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    bias: Bias,
    vb: &VarBuilder,
) -> Result<Conv3d> {
    let ([c_in, c_out], [kd, kh, kw]) = (channels, kernel);
    let weight = vb.get((c_out, c_in, kd, kh, kw), "weight")?;
    let bias = if bias == Bias::With { Some(vb.get(c_out, "bias")?) } else { None };
    Conv3d::from_tensors(&weight, bias.as_ref(), stride, padding)
}
