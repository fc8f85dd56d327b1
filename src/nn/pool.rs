//! Pooling with the gradients that candle's lack.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::composed::{self, Taps};
use super::gemm::{Real, contiguous};
use super::geometry::Geometry;

/// Mean over `k` x `k` windows, stride `k`: `[n, c, h, w]` to `[n, c, h / k, w / k]`, a remainder is dropped.
pub fn avg_pool2d(x: &Tensor, k: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let (oh, ow) = (h / k, w / k);
    let whole = x.narrow(2, 0, oh * k)?.narrow(3, 0, ow * k)?.contiguous()?;
    (whole.reshape((n * c * oh, k, ow, k))?.sum(3)?.sum(1)? / (k * k) as f64)?.reshape((n, c, oh, ow))
}

/// Mean over everything after the channels: `[n, c, …]` to `[n, c]`.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    x.flatten_from(2)?.mean(2)
}

/// Maximum over `k` x `k` windows. Padding never wins.
pub fn max_pool2d(x: &Tensor, k: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let windows = Windows { kernel: [1, k, k], stride: [1, stride, stride], padding: [0, padding, padding] };
    windows.apply(&x.unsqueeze(2)?)?.squeeze(2)
}

/// Maximum over cubes of side `k`: `[n, c, d, h, w]`.
pub fn max_pool3d(x: &Tensor, k: usize, stride: usize, padding: usize) -> Result<Tensor> {
    Windows { kernel: [k; 3], stride: [stride; 3], padding: [padding; 3] }.apply(x)
}

#[derive(Debug, Clone, Copy)]
struct Windows {
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
}

/// Sends each window's gradient to its maximum.
struct ToMaximum(Windows);

impl Windows {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        if x.device().is_cpu() {
            return x.apply_op1(self);
        }
        let (_, _, d, h, w) = x.dims5()?;
        self.output([d, h, w])?; // refuses what no pool can be
        let geometry = Geometry { kernel: self.kernel, stride: self.stride, padding: self.padding };
        composed::max_pool(&x, Taps::new(geometry, [d, h, w])?)
    }

    fn output(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let mut output = [0; 3];
        for axis in 0..3 {
            let padded = input[axis] + 2 * self.padding[axis];
            if padded < self.kernel[axis] || self.stride[axis] == 0 || 2 * self.padding[axis] > self.kernel[axis] {
                bail!("a pool of {self:?} does not fit an input of {input:?}");
            }
            output[axis] = (padded - self.kernel[axis]) / self.stride[axis] + 1;
        }
        Ok(output)
    }

    /// Where the maximum of each window lies, in scan order; the first of equals, as in PyTorch. A NaN wins.
    fn maxima<T: Real>(&self, x: &[T], input: [usize; 3], output: [usize; 3], mut visit: impl FnMut(usize, usize)) {
        let range = |axis: usize, o: usize| {
            let first = o * self.stride[axis];
            first.saturating_sub(self.padding[axis])
                ..(first + self.kernel[axis]).saturating_sub(self.padding[axis]).min(input[axis])
        };
        let mut out = 0;
        for z in 0..output[0] {
            for y in 0..output[1] {
                for w in 0..output[2] {
                    let (mut best, mut at) = (T::MIN, None);
                    for i in range(0, z) {
                        for j in range(1, y) {
                            for k in range(2, w) {
                                let index = (i * input[1] + j) * input[2] + k;
                                let value = x[index];
                                if at.is_none() || value > best || value.partial_cmp(&value).is_none() {
                                    (best, at) = (value, Some(index));
                                }
                            }
                        }
                    }
                    visit(out, at.unwrap_or(0)); // no window is empty: padding is at most half the kernel
                    out += 1;
                }
            }
        }
    }

    fn forward<T: Real>(&self, x: &[T], input: [usize; 3], output: [usize; 3]) -> Vec<T> {
        let (voxels, positions): (usize, usize) = (input.iter().product(), output.iter().product());
        let mut y = vec![T::default(); x.len() / voxels * positions];
        y.par_chunks_mut(positions).zip(x.par_chunks(voxels)).for_each(|(y, x)| {
            self.maxima(x, input, output, |out, at| y[out] = x[at]);
        });
        y
    }

    fn backward<T: Real>(&self, x: &[T], g: &[T], input: [usize; 3], output: [usize; 3]) -> Vec<T> {
        let (voxels, positions): (usize, usize) = (input.iter().product(), output.iter().product());
        let mut gx = vec![T::default(); x.len()];
        gx.par_chunks_mut(voxels).zip(x.par_chunks(voxels)).zip(g.par_chunks(positions)).for_each(|((gx, x), g)| {
            self.maxima(x, input, output, |out, at| gx[at] += g[out]);
        });
        gx
    }
}

impl CustomOp1 for Windows {
    fn name(&self) -> &'static str {
        "max pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, d, h, w) = layout.shape().dims5()?;
        let (input, output) = ([d, h, w], self.output([d, h, w])?);
        let storage = match storage {
            CpuStorage::F64(_) => f64::storage(self.forward::<f64>(contiguous(storage, layout)?, input, output)),
            _ => f32::storage(self.forward::<f32>(contiguous(storage, layout)?, input, output)),
        };
        Ok((storage, (n, c, output[0], output[1], output[2]).into()))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(arg.apply_op2_no_bwd(&gradient.contiguous()?, &ToMaximum(*self))?))
    }
}

impl CustomOp2 for ToMaximum {
    fn name(&self) -> &'static str {
        "gradient of max pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, g: &CpuStorage, lg: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, _, d, h, w) = lx.shape().dims5()?;
        let (input, output) = ([d, h, w], self.0.output([d, h, w])?);
        let storage = match x {
            CpuStorage::F64(_) => {
                f64::storage(self.0.backward::<f64>(contiguous(x, lx)?, contiguous(g, lg)?, input, output))
            }
            _ => f32::storage(self.0.backward::<f32>(contiguous(x, lx)?, contiguous(g, lg)?, input, output)),
        };
        Ok((storage, lx.shape().clone()))
    }
}
