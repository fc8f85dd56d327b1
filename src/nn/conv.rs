//! Convolutions with frozen weights, 2-D and 3-D by one kernel.
//!
//! candle computes the gradient of the weights as well, and that of the input by a naive loop; here it is that of the input
//! alone. At stride 1 it is a convolution too, of mirrored weights, and as fast.
//! f32 at stride 1 and 3 x 3 taps goes through Winograd's transform; all else is im2col and a matrix product.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Module, Result, Shape as TensorShape, Tensor, bail};
use candle_nn::VarBuilder;

use super::gemm::{Real, contiguous};
use super::geometry::Geometry;
use super::im2col;
use super::simd::Instructions;
use super::winograd::Winograd;

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

/// Weights `[out, in * taps]` as numbers of one kind.
enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

struct Kernel {
    weight: Numbers,
    /// One per output channel; none is nothing to add.
    bias: Vec<f64>,
    channels: [usize; 2], // in, out
    geometry: Geometry,
    /// Made by the first gradient. None where the gradient is no convolution.
    mirrored: OnceLock<Option<Arc<Kernel>>>,
    /// Made by the first pass that it pays for.
    winograd: OnceLock<Winograd>,
}

impl Kernel {
    fn new(weight: Numbers, bias: Vec<f64>, channels: [usize; 2], geometry: Geometry) -> Arc<Self> {
        Arc::new(Self { weight, bias, channels, geometry, mirrored: OnceLock::new(), winograd: OnceLock::new() })
    }

    /// The convolution from the output's gradient to the input's: taps in reverse, input and output channels exchanged.
    fn mirrored(&self) -> Option<&Arc<Self>> {
        let make = || {
            let geometry = self.geometry.mirrored()?;
            let [c_in, c_out] = self.channels;
            let weight = match &self.weight {
                Numbers::F32(weight) => Numbers::F32(mirror(weight, self.channels, geometry.taps())),
                Numbers::F64(weight) => Numbers::F64(mirror(weight, self.channels, geometry.taps())),
            };
            Some(Self::new(weight, Vec::new(), [c_out, c_in], geometry))
        };
        self.mirrored.get_or_init(make).as_ref()
    }

    fn forward_f32(&self, weight: &[f32], x: &[f32], n: usize, input: [usize; 3], output: [usize; 3]) -> Vec<f32> {
        if !Winograd::fits(&self.geometry) || !Winograd::pays(output) {
            return self.products(weight).forward(x, n, input, output);
        }
        let make = || Winograd::new(weight, &self.bias, self.channels, &self.geometry, Instructions::best());
        self.winograd.get_or_init(make).forward(x, n, input, output)
    }

    fn products<'a, T>(&'a self, weight: &'a [T]) -> im2col::Kernel<'a, T> {
        im2col::Kernel { weight, bias: &self.bias, channels: self.channels, geometry: &self.geometry }
    }
}

/// `[out, in, taps]` to `[in, out, taps]`, the taps in reverse.
fn mirror<T: Copy>(weight: &[T], [c_in, c_out]: [usize; 2], taps: usize) -> Vec<T> {
    let kernels = (0..c_in * c_out).map(|at| (at % c_out * c_in + at / c_out) * taps);
    kernels.flat_map(|first| weight[first..first + taps].iter().rev().copied()).collect()
}

/// The forward product. Its backward is that of the mirrored kernel, or [`Transposed`].
#[derive(Clone)]
struct Forward(Arc<Kernel>);

/// From the output's gradient to the input's, whose size it must be told, where a stride leaves gaps.
struct Transposed(Arc<Kernel>, [usize; 3]);

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, TensorShape)> {
        let (n, c, d, h, w) = layout.shape().dims5()?;
        let kernel = &*self.0;
        let [c_in, c_out] = kernel.channels;
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let (input, output) = ([d, h, w], kernel.geometry.output([d, h, w])?);
        let storage = match &kernel.weight {
            Numbers::F32(weight) => {
                f32::storage(kernel.forward_f32(weight, contiguous(storage, layout)?, n, input, output))
            }
            Numbers::F64(weight) => {
                f64::storage(kernel.products(weight).forward(contiguous(storage, layout)?, n, input, output))
            }
        };
        Ok((storage, (n, c_out, output[0], output[1], output[2]).into()))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        if let Some(mirrored) = self.0.mirrored() {
            return gradient.apply_op1_no_bwd(&Self(Arc::clone(mirrored))).map(Some);
        }
        let (_, _, d, h, w) = arg.dims5()?;
        gradient.apply_op1_no_bwd(&Transposed(Arc::clone(&self.0), [d, h, w])).map(Some)
    }
}

impl CustomOp1 for Transposed {
    fn name(&self) -> &'static str {
        "transposed convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, TensorShape)> {
        let (n, _, d, h, w) = layout.shape().dims5()?;
        let (kernel, input, output) = (&*self.0, self.1, [d, h, w]);
        let storage = match &kernel.weight {
            Numbers::F32(weight) => {
                f32::storage(kernel.products(weight).backward(contiguous(storage, layout)?, n, input, output))
            }
            Numbers::F64(weight) => {
                f64::storage(kernel.products(weight).backward(contiguous(storage, layout)?, n, input, output))
            }
        };
        Ok((storage, (n, kernel.channels[0], input[0], input[1], input[2]).into()))
    }
}

/// A 3-D convolution: `[n, in, d, h, w]` to `[n, out, d', h', w']`.
pub struct Conv3d(Forward);

impl Conv3d {
    /// `weight` is `[out, in, kd, kh, kw]`, `bias` `[out]`.
    pub fn from_tensors(
        weight: &Tensor,
        bias: Option<&Tensor>,
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> Result<Self> {
        let (out, c_in, kd, kh, kw) = weight.dims5()?;
        let flat = weight.flatten_all()?;
        let weight = match weight.dtype() {
            DType::F32 => Numbers::F32(flat.to_vec1()?),
            DType::F64 => Numbers::F64(flat.to_vec1()?),
            other => bail!("a convolution works in f32 or f64, not in {other:?}"),
        };
        let geometry = Geometry { kernel: [kd, kh, kw], stride, padding };
        let bias = bias.map_or(Ok(Vec::new()), |bias| bias.to_dtype(DType::F64)?.to_vec1())?;
        if !bias.is_empty() && bias.len() != out {
            bail!("a convolution of {out} output channels has {} biases", bias.len());
        }
        Ok(Self(Forward(Kernel::new(weight, bias, [c_in, out], geometry))))
    }
}

impl Module for Conv3d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(self.0.clone())
    }
}

/// A 2-D convolution: `[n, in, h, w]` to `[n, out, h', w']`. The 3-D one at depth 1.
pub struct Conv2d(Conv3d);

impl Conv2d {
    /// `weight` is `[out, in, k, k]`, `bias` `[out]`.
    pub fn from_tensors(weight: &Tensor, bias: Option<&Tensor>, stride: usize, padding: usize) -> Result<Self> {
        Conv3d::from_tensors(&weight.unsqueeze(2)?, bias, [1, stride, stride], [0, padding, padding]).map(Self)
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
