//! Resizing slices. The bilinear ones are matrix products of rows and of columns, so that their gradient comes for free.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::composed;
use super::gemm::{Real, contiguous};

/// Repeats each pixel `factor` x `factor` times.
pub fn upsample_nearest(x: &Tensor, factor: usize) -> Result<Tensor> {
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Repeat(factor)) } else { composed::upsample_nearest(x, factor) }
}

/// Each pixel `factor` x `factor` times; its transpose is the sum of each square of pixels.
struct Repeat(usize);
struct SquareSum(usize);

impl CustomOp1 for Repeat {
    fn name(&self) -> &'static str {
        "nearest upsampling"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let storage = match x {
            CpuStorage::F64(_) => f64::storage(repeat::<f64>(contiguous(x, layout)?, w, self.0)),
            _ => f32::storage(repeat::<f32>(contiguous(x, layout)?, w, self.0)),
        };
        Ok((storage, (n, c, h * self.0, w * self.0).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&SquareSum(self.0))?))
    }
}

impl CustomOp1 for SquareSum {
    fn name(&self) -> &'static str {
        "sum of squares of pixels"
    }

    fn cpu_fwd(&self, g: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let storage = match g {
            CpuStorage::F64(_) => f64::storage(square_sum::<f64>(contiguous(g, layout)?, w, self.0)),
            _ => f32::storage(square_sum::<f32>(contiguous(g, layout)?, w, self.0)),
        };
        Ok((storage, (n, c, h / self.0, w / self.0).into()))
    }
}

/// Rows of `w` pixels.
fn repeat<T: Real>(x: &[T], w: usize, factor: usize) -> Vec<T> {
    let mut y = vec![T::default(); x.len() * factor * factor];
    y.par_chunks_mut((w * factor * factor).max(1)).zip(x.par_chunks(w.max(1))).for_each(|(rows, row)| {
        let (first, others) = rows.split_at_mut(w * factor);
        first.chunks_mut(factor).zip(row).for_each(|(pixels, pixel)| pixels.fill(*pixel));
        others.chunks_mut(w * factor).for_each(|other| other.copy_from_slice(first));
    });
    y
}

/// Rows of `w` pixels, which `factor` divides, as their number does.
fn square_sum<T: Real>(g: &[T], w: usize, factor: usize) -> Vec<T> {
    let mut sums = vec![T::default(); g.len() / (factor * factor)];
    sums.par_chunks_mut((w / factor).max(1)).zip(g.par_chunks((w * factor).max(1))).for_each(|(sums, rows)| {
        for row in rows.chunks(w) {
            sums.iter_mut().zip(row.chunks(factor)).for_each(|(sum, pixels)| pixels.iter().for_each(|p| *sum += *p));
        }
    });
    sums
}

/// Half-pixel bilinear with clamped edges: PyTorch's `interpolate(mode="bilinear", align_corners=False)`.
pub fn bilinear(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    resize(x, size, false)
}

/// torchvision's `Resize` of tensors (bilinear, `antialias=True`, the default since 0.17). Enlarging equals [`bilinear`].
pub fn bilinear_antialias(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    resize(x, size, true)
}

fn resize(x: &Tensor, [height, width]: [usize; 2], antialias: bool) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let mut y = x.contiguous()?;
    if width != w {
        y = y.reshape((n * c * h, w))?.matmul(&weights(w, width, antialias, x)?)?.reshape((n, c, h, width))?;
    }
    if height != h {
        let columns = y.transpose(2, 3)?.contiguous()?.reshape((n * c * width, h))?;
        let resized = columns.matmul(&weights(h, height, antialias, x)?)?;
        y = resized.reshape((n, c, width, height))?.transpose(2, 3)?.contiguous()?;
    }
    Ok(y)
}

/// `[from, to]`: the share of each input pixel in each output pixel, a triangle filter about its centre.
/// Source: PyTorch's `aten/src/ATen/native/cpu/UpSampleKernel.cpp`, `_compute_indices_weights_aa`.
fn weights(from: usize, to: usize, antialias: bool, like: &Tensor) -> Result<Tensor> {
    let scale = from as f64 / to as f64;
    let spread = if antialias { scale.max(1.0) } else { 1.0 };
    let mut matrix = vec![0.0_f64; from * to];
    for i in 0..to {
        let mut center = scale * (i as f64 + 0.5);
        if !antialias {
            center = center.clamp(0.5, from as f64 - 0.5); // edges repeat
        }
        let low = (center - spread + 0.5).max(0.0) as usize;
        let high = ((center + spread + 0.5) as usize).min(from);
        let share = |j: usize| (1.0 - ((j as f64 - center + 0.5) / spread).abs()).max(0.0);
        let sum: f64 = (low..high).map(share).sum();
        for j in low..high {
            matrix[j * to + i] = share(j) / sum;
        }
    }
    // Made on the CPU: not every device knows f64.
    Tensor::from_vec(matrix, (from, to), &Device::Cpu)?.to_dtype(like.dtype())?.to_device(like.device())
}
