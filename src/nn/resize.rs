//! Resizing slices, with the gradients that candle's lack or get wrong.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::composed;
use super::device::has_kernels;
use super::gemm::{Real, contiguous, zeros};

/// Repeats each pixel `factor` x `factor` times.
pub fn upsample_nearest(x: &Tensor, factor: usize) -> Result<Tensor> {
    if has_kernels(x.device()) {
        x.contiguous()?.apply_op1(Repeat(factor))
    } else {
        composed::upsample_nearest(x, factor)
    }
}

/// The sum of each square of `factor` x `factor` pixels; `factor` divides height and width.
pub fn sum_squares(x: &Tensor, factor: usize) -> Result<Tensor> {
    if has_kernels(x.device()) {
        x.contiguous()?.apply_op1(SquareSum(factor))
    } else {
        composed::sum_squares(x, factor)
    }
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

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&Repeat(self.0))?))
    }
}

/// Rows of `w` pixels.
fn repeat<T: Real>(x: &[T], w: usize, factor: usize) -> Vec<T> {
    let mut y = zeros(x.len() * factor * factor);
    y.par_chunks_mut((w * factor * factor).max(1)).zip(x.par_chunks(w.max(1))).for_each(|(rows, row)| {
        let (first, others) = rows.split_at_mut(w * factor);
        first.chunks_mut(factor).zip(row).for_each(|(pixels, pixel)| pixels.fill(*pixel));
        others.chunks_mut(w * factor).for_each(|other| other.copy_from_slice(first));
    });
    y
}

/// Rows of `w` pixels, which `factor` divides, as their number does.
fn square_sum<T: Real>(g: &[T], w: usize, factor: usize) -> Vec<T> {
    let mut sums = zeros(g.len() / (factor * factor));
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
    let (_, _, h, w) = x.dims4()?;
    if [h, w] == [height, width] {
        return x.contiguous();
    }
    let filters = [Filter::new(h, height, antialias), Filter::new(w, width, antialias)];
    if has_kernels(x.device()) {
        x.contiguous()?.apply_op1(Resize { filters: filters.into(), back: false })
    } else {
        composed::resize(x, matrices(&filters, x)?)
    }
}

/// From the gradient of [`bilinear`]'s outputs to that of its input, of height and width `size`.
pub fn bilinear_back(gradient: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let (_, _, h, w) = gradient.dims4()?;
    if [h, w] == [height, width] {
        return gradient.contiguous();
    }
    let filters = [Filter::new(height, h, false), Filter::new(width, w, false)];
    if has_kernels(gradient.device()) {
        return gradient.contiguous()?.apply_op1_no_bwd(&Resize { filters: filters.into(), back: true });
    }
    let [of_height, of_width] = matrices(&filters, gradient)?;
    composed::resized(gradient, [&of_height.t()?, &of_width.t()?])
}

/// Of the height and of the width, where our loops do not run.
pub(super) fn matrices([of_height, of_width]: &[Filter; 2], like: &Tensor) -> Result<[Tensor; 2]> {
    Ok([of_height.matrix(like)?, of_width.matrix(like)?])
}

/// The shares of input pixels in each output pixel along an axis, a triangle filter about its centre.
/// Source: PyTorch's `aten/src/ATen/native/cpu/UpSampleKernel.cpp`, `_compute_indices_weights_aa`.
pub(super) struct Filter {
    from: usize,
    to: usize,
    /// By output pixel: the first input pixel that has a share, and the shares from there on.
    shares: Vec<(usize, Vec<f64>)>,
}

impl Filter {
    pub(super) fn new(from: usize, to: usize, antialias: bool) -> Self {
        let scale = from as f64 / to as f64;
        let spread = if antialias { scale.max(1.0) } else { 1.0 };
        let shares = (0..to).map(|i| {
            let mut center = scale * (i as f64 + 0.5);
            if !antialias {
                center = center.clamp(0.5, from as f64 - 0.5); // edges repeat
            }
            let low = (center - spread + 0.5).max(0.0) as usize;
            let high = ((center + spread + 0.5) as usize).min(from);
            let share = |j: usize| (1.0 - ((j as f64 - center + 0.5) / spread).abs()).max(0.0);
            let sum: f64 = (low..high).map(share).sum();
            (low, (low..high).map(|j| share(j) / sum).collect())
        });
        Self { from, to, shares: shares.collect() }
    }

    /// The shares as numbers of a kind.
    fn shares<T: Real>(&self) -> Vec<(usize, Vec<T>)> {
        self.shares.iter().map(|(first, shares)| (*first, shares.iter().map(|x| T::from_f64(*x)).collect())).collect()
    }

    /// `[from, to]`; made on the CPU, as not every device knows f64.
    fn matrix(&self, like: &Tensor) -> Result<Tensor> {
        let mut matrix = vec![0.0_f64; self.from * self.to];
        for (i, (first, shares)) in self.shares.iter().enumerate() {
            shares.iter().enumerate().for_each(|(j, share)| matrix[(first + j) * self.to + i] = *share);
        }
        Tensor::from_vec(matrix, (self.from, self.to), &Device::Cpu)?.to_dtype(like.dtype())?.to_device(like.device())
    }
}

/// By filters of height and width; or `back`, its transpose, which spreads a gradient.
struct Resize {
    filters: Arc<[Filter; 2]>,
    back: bool,
}

/// Columns first, whose sums are of whole rows; then rows.
fn resized<T: Real>(x: &[T], [of_height, of_width]: &[Filter; 2]) -> Vec<T> {
    let (rows, columns) = (of_height.shares::<T>(), of_width.shares::<T>());
    let mut y = zeros(x.len() / (of_height.from * of_width.from) * of_height.to * of_width.to);
    let planes = y.par_chunks_mut(of_height.to * of_width.to).zip(x.par_chunks(of_height.from * of_width.from));
    planes.for_each_init(
        || vec![T::default(); of_width.from],
        |sum, (y, x)| {
            for (y, (first, shares)) in y.chunks_mut(of_width.to).zip(&rows) {
                sum.fill(T::default());
                for (x, share) in x.chunks(of_width.from).skip(*first).zip(shares) {
                    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x * *share);
                }
                for (y, (first, shares)) in y.iter_mut().zip(&columns) {
                    let weighted = sum[*first..].iter().zip(shares).map(|(x, share)| *x * *share);
                    *y = weighted.fold(T::default(), |sum, x| sum + x);
                }
            }
        },
    );
    y
}

fn spread<T: Real>(g: &[T], [of_height, of_width]: &[Filter; 2]) -> Vec<T> {
    let (rows, columns) = (of_height.shares::<T>(), of_width.shares::<T>());
    let mut gx = zeros(g.len() / (of_height.to * of_width.to) * of_height.from * of_width.from);
    let planes = gx.par_chunks_mut(of_height.from * of_width.from).zip(g.par_chunks(of_height.to * of_width.to));
    planes.for_each_init(
        || vec![T::default(); of_width.from],
        |sum, (gx, g)| {
            for (g, (first, shares)) in g.chunks(of_width.to).zip(&rows) {
                sum.fill(T::default());
                for (g, (first, shares)) in g.iter().zip(&columns) {
                    sum[*first..].iter_mut().zip(shares).for_each(|(sum, share)| *sum += *g * *share);
                }
                for (gx, share) in gx.chunks_mut(of_width.from).skip(*first).zip(shares) {
                    gx.iter_mut().zip(sum.iter()).for_each(|(gx, sum)| *gx += *sum * *share);
                }
            }
        },
    );
    gx
}

impl CustomOp1 for Resize {
    fn name(&self) -> &'static str {
        "bilinear resize"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, ..) = layout.shape().dims4()?;
        let Self { filters, back } = self;
        let [height, width] = filters.each_ref().map(|of| if *back { of.from } else { of.to });
        let storage = match (x, back) {
            (CpuStorage::F64(_), false) => f64::storage(resized::<f64>(contiguous(x, layout)?, filters)),
            (CpuStorage::F64(_), true) => f64::storage(spread::<f64>(contiguous(x, layout)?, filters)),
            (_, false) => f32::storage(resized::<f32>(contiguous(x, layout)?, filters)),
            (_, true) => f32::storage(spread::<f32>(contiguous(x, layout)?, filters)),
        };
        Ok((storage, (n, c, height, width).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let transpose = Self { filters: Arc::clone(&self.filters), back: !self.back };
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&transpose)?))
    }
}
