//! Convolutions with frozen weights, 2-D and 3-D by one kernel: blocks of im2col and a matrix product.
//!
//! candle computes the gradient of the weights as well, and that of the input by a naive loop; here it is the transposed
//! product, and nothing else. Scratch memory is a block per thread, whatever the image's size.
#![expect(unsafe_code, reason = "threads write different columns of one output")]

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Module, Result, Shape as TensorShape, Tensor, bail};
use candle_nn::VarBuilder;
use rayon::prelude::*;

use super::gemm::{Columns, Matrix, Real, contiguous, multiply};

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

/// Elements of an im2col block: 1 MB of f32, which stays in the second-level cache.
const BLOCK: usize = 1 << 18;
/// A block narrower than this would leave the matrix kernel starved.
const NARROWEST: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Geometry {
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
}

impl Geometry {
    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Whether the im2col matrix is the input itself.
    fn pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3]
    }

    fn output(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let mut output = [0; 3];
        for axis in 0..3 {
            let padded = input[axis] + 2 * self.padding[axis];
            if padded < self.kernel[axis] || self.stride[axis] == 0 {
                bail!(
                    "a convolution of kernel {:?}, stride {:?}, padding {:?} does not fit an input of {input:?}",
                    self.kernel,
                    self.stride,
                    self.padding
                );
            }
            output[axis] = (padded - self.kernel[axis]) / self.stride[axis] + 1;
        }
        Ok(output)
    }
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
}

/// The forward product; its backward is [`Transposed`].
#[derive(Clone)]
struct Forward(Arc<Kernel>);

/// From the output's gradient to the input's, whose size it must be told.
struct Transposed(Arc<Kernel>, [usize; 3]);

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, TensorShape)> {
        let (n, c, d, h, w) = layout.shape().dims5()?;
        let [c_in, c_out] = self.0.channels;
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let output = self.0.geometry.output([d, h, w])?;
        let storage = match &self.0.weight {
            Numbers::F32(weight) => {
                f32::storage(forward(&self.0, weight, contiguous(storage, layout)?, n, [d, h, w], output))
            }
            Numbers::F64(weight) => {
                f64::storage(forward(&self.0, weight, contiguous(storage, layout)?, n, [d, h, w], output))
            }
        };
        Ok((storage, (n, c_out, output[0], output[1], output[2]).into()))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, d, h, w) = arg.dims5()?;
        let transposed = Transposed(Arc::clone(&self.0), [d, h, w]);
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&transposed)?))
    }
}

impl CustomOp1 for Transposed {
    fn name(&self) -> &'static str {
        "transposed convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, TensorShape)> {
        let (n, _, d, h, w) = layout.shape().dims5()?;
        let (kernel, input) = (&self.0, self.1);
        let storage = match &kernel.weight {
            Numbers::F32(weight) => {
                f32::storage(backward(kernel, weight, contiguous(storage, layout)?, n, input, [d, h, w]))
            }
            Numbers::F64(weight) => {
                f64::storage(backward(kernel, weight, contiguous(storage, layout)?, n, input, [d, h, w]))
            }
        };
        Ok((storage, (n, kernel.channels[0], input[0], input[1], input[2]).into()))
    }
}

/// Columns per block: within the cache, and enough blocks for every thread.
fn block(rows: usize, positions: usize, samples: usize) -> usize {
    let share = (positions * samples).div_ceil(rayon::current_num_threads());
    (BLOCK / rows.max(1)).min(share).clamp(NARROWEST, positions.max(NARROWEST))
}

fn forward<T: Real>(kernel: &Kernel, weight: &[T], x: &[T], n: usize, input: [usize; 3], output: [usize; 3]) -> Vec<T> {
    let [c_in, c_out] = kernel.channels;
    let rows = c_in * kernel.geometry.taps();
    let (voxels, positions) = (input.iter().product::<usize>(), output.iter().product::<usize>());
    let mut y = vec![T::default(); n * c_out * positions];
    if !kernel.bias.is_empty() {
        let channels = y.par_chunks_mut(positions.max(1)).enumerate();
        channels.for_each(|(i, channel)| channel.fill(T::from_f64(kernel.bias[i % c_out])));
    }
    let width = block(rows, positions, n);
    let blocks = positions.div_ceil(width);
    let columns = Columns::new(&mut y);
    (0..n * blocks).into_par_iter().for_each_init(Vec::new, |scratch, job| {
        let (sample, first) = (job / blocks, job % blocks * width);
        let count = width.min(positions - first);
        let x = &x[sample * c_in * voxels..(sample + 1) * c_in * voxels];
        let left = Matrix { values: weight, offset: 0, shape: [c_out, rows], strides: [rows, 1] };
        let right = if kernel.geometry.pointwise() {
            Matrix { values: x, offset: first, shape: [rows, count], strides: [positions, 1] }
        } else {
            scratch.resize(rows * count, T::default());
            for_each_run(&kernel.geometry, input, output, first..first + count, c_in, |row, at, run| {
                run.gather(&mut scratch[row * count + at..][..run.length], x);
            });
            Matrix { values: scratch, offset: 0, shape: [rows, count], strides: [count, 1] }
        };
        // SAFETY: each job owns its sample's columns `first..first + count`.
        unsafe { columns.multiply_into(left, right, sample * c_out * positions + first, positions) };
    });
    y
}

fn backward<T: Real>(
    kernel: &Kernel,
    weight: &[T],
    g: &[T],
    n: usize,
    input: [usize; 3],
    output: [usize; 3],
) -> Vec<T> {
    let [c_in, c_out] = kernel.channels;
    let taps = kernel.geometry.taps();
    let (voxels, positions) = (input.iter().product::<usize>(), output.iter().product::<usize>());
    let mut gx = vec![T::default(); n * c_in * voxels];
    // A group of input channels belongs to one thread, which alone adds to it.
    let group = c_in.div_ceil(2 * rayon::current_num_threads()).max(1);
    gx.par_chunks_mut(c_in * voxels).enumerate().for_each(|(sample, gx)| {
        let g = &g[sample * c_out * positions..(sample + 1) * c_out * positions];
        gx.par_chunks_mut(group * voxels).enumerate().for_each_init(Vec::new, |scratch, (index, gx)| {
            let channels = gx.len() / voxels;
            let rows = channels * taps;
            // The transpose of the weight's columns of these channels, by its strides.
            let left = Matrix {
                values: weight,
                offset: index * group * taps,
                shape: [rows, c_out],
                strides: [1, c_in * taps],
            };
            if kernel.geometry.pointwise() {
                multiply(left, Matrix { values: g, offset: 0, shape: [c_out, positions], strides: [positions, 1] }, gx);
                return;
            }
            let width = (BLOCK / rows.max(1)).clamp(NARROWEST, positions.max(NARROWEST));
            for first in (0..positions).step_by(width) {
                let count = width.min(positions - first);
                scratch.resize(rows * count, T::default());
                multiply(
                    left,
                    Matrix { values: g, offset: first, shape: [c_out, count], strides: [positions, 1] },
                    scratch,
                );
                for_each_run(&kernel.geometry, input, output, first..first + count, channels, |row, at, run| {
                    run.scatter(&scratch[row * count + at..][..run.length], gx);
                });
            }
        });
    });
    gx
}

/// Neighbouring output positions of one output row, as one tap of one channel sees them.
struct Run {
    length: usize,
    /// Those whose source lies inside the image; the others see padding.
    inside: Range<usize>,
    /// Source index of position 0, may lie outside, and the step between neighbours.
    base: isize,
    step: usize,
}

impl Run {
    /// Where in the image the positions inside come from.
    fn sources(&self) -> Range<usize> {
        let first = (self.base + (self.inside.start * self.step) as isize) as usize;
        first..first + self.inside.len().saturating_sub(1) * self.step + usize::from(!self.inside.is_empty())
    }

    /// The image as this tap sees it; padding is 0. Neighbours are copied as one piece.
    fn gather<T: Real>(&self, cells: &mut [T], image: &[T]) {
        let Range { start, end } = self.inside;
        cells[..start].fill(T::default());
        cells[end..].fill(T::default());
        let (cells, sources) = (&mut cells[start..end], &image[self.sources()]);
        if self.step == 1 {
            cells.copy_from_slice(sources);
        } else {
            cells.iter_mut().zip(sources.iter().step_by(self.step)).for_each(|(cell, source)| *cell = *source);
        }
    }

    /// The transpose of `gather`: adds to the image.
    fn scatter<T: Real>(&self, cells: &[T], image: &mut [T]) {
        let (cells, sources) = (&cells[self.inside.clone()], &mut image[self.sources()]);
        if self.step == 1 {
            sources.iter_mut().zip(cells).for_each(|(source, cell)| *source += *cell);
        } else {
            sources.iter_mut().step_by(self.step).zip(cells).for_each(|(source, cell)| *source += *cell);
        }
    }
}

/// Calls `visit(row, at, run)` for each im2col row and each run of `range`: `at` is where the run begins in the block.
fn for_each_run(
    geometry: &Geometry,
    input: [usize; 3],
    output: [usize; 3],
    range: Range<usize>,
    channels: usize,
    mut visit: impl FnMut(usize, usize, &Run),
) {
    let ([_, ih, iw], [_, oh, ow]) = (input, output);
    let ([_, kh, kw], [sd, sh, sw], [pd, ph, pw]) = (geometry.kernel, geometry.stride, geometry.padding);
    let voxels: usize = input.iter().product();
    for row in 0..channels * geometry.taps() {
        let (channel, tap) = (row / geometry.taps(), row % geometry.taps());
        let (td, th, tw) = (tap / (kh * kw), tap / kw % kh, tap % kw);
        let mut at = range.start;
        while at < range.end {
            let (z, y, x) = (at / (oh * ow), at / ow % oh, at % ow);
            let length = (ow - x).min(range.end - at);
            let (source_z, source_y) = ((z * sd + td).wrapping_sub(pd), (y * sh + th).wrapping_sub(ph));
            let first = (x * sw + tw) as isize - pw as isize; // source column of the run's first position
            let inside = if source_z >= input[0] || source_y >= ih {
                0..0
            } else {
                let begin = if first < 0 { (-first as usize).div_ceil(sw) } else { 0 };
                let end = if first >= iw as isize { 0 } else { ((iw as isize - 1 - first) as usize) / sw + 1 };
                begin.min(length)..end.min(length).max(begin.min(length))
            };
            let base = if inside.is_empty() {
                0
            } else {
                (channel * voxels + (source_z * ih + source_y) * iw) as isize + first
            };
            visit(row, at - range.start, &Run { length, inside, base, step: sw });
            at += length;
        }
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
        Ok(Self(Forward(Arc::new(Kernel { weight, bias, channels: [c_in, out], geometry }))))
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
