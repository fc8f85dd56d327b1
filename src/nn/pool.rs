//! Pooling with the gradients that candle's lack.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::after::Mask;
use super::composed::{self, Taps};
use super::device::has_kernels;
use super::gemm::{Real, contiguous, zeros};
use super::geometry::Geometry;
use super::resize;

/// Mean over `k` x `k` windows, stride `k`: `[n, c, h, w]` to `[n, c, h / k, w / k]`, a remainder is dropped.
pub fn avg_pool2d(x: &Tensor, k: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let whole = x.narrow(2, 0, h / k * k)?.narrow(3, 0, w / k * k)?.contiguous()?;
    resize::sum_squares(&whole, k)? / (k * k) as f64
}

/// From the gradient of [`avg_pool2d`]'s outputs to that of its input, of height and width `size`.
pub fn avg_pool2d_back(gradient: &Tensor, k: usize, [height, width]: [usize; 2]) -> Result<Tensor> {
    let (_, _, oh, ow) = gradient.dims4()?;
    let wide = resize::upsample_nearest(&(gradient / (k * k) as f64)?, k)?;
    wide.pad_with_zeros(2, 0, height - oh * k)?.pad_with_zeros(3, 0, width - ow * k)
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

/// The same without a graph, and which place of each window holds its maximum.
pub fn max_pool3d_trail(x: &Tensor, k: usize, stride: usize, padding: usize) -> Result<(Tensor, Maxima)> {
    let x = x.contiguous()?;
    let windows = Windows { kernel: [k; 3], stride: [stride; 3], padding: [padding; 3] };
    let (_, _, d, h, w) = x.dims5()?;
    if !has_kernels(x.device()) {
        windows.output([d, h, w])?; // refuses what no pool can be
        let (y, way) = composed::max_pool_trail(&x, windows.taps([d, h, w])?)?;
        return Ok((y, Maxima(Way::Device(way))));
    }
    let pool = Pool { windows, places: Some(OnceLock::new()) };
    let y = x.apply_op1_no_bwd(&pool)?;
    match pool.places.and_then(OnceLock::into_inner) {
        Some(places) => Ok((y, Maxima(Way::Cpu(places)))),
        None => bail!("a pool noted nothing"),
    }
}

/// Where the maxima of a pool lie.
pub struct Maxima(Way);

enum Way {
    Cpu(Places),
    Device(composed::MaximaBack),
}

impl Maxima {
    /// From the gradient of the maxima to that of the pool's input, of which `mask` lets through what it does.
    pub fn pull_back(&self, gradient: &Tensor, mask: Option<&Mask>) -> Result<Tensor> {
        match &self.0 {
            Way::Cpu(places) => gradient.contiguous()?.apply_op1_no_bwd(&ToPlaces(places, mask)),
            Way::Device(back) => {
                let pulled = back(gradient)?;
                mask.map_or_else(|| Ok(pulled.clone()), |mask| mask.pass(&pulled))
            }
        }
    }
}

/// By window, in scan order: the number of the place within it.
struct Places {
    windows: Windows,
    input: [usize; 3],
    numbers: Vec<u16>,
}

/// The pass of a pool.
struct Pool {
    windows: Windows,
    /// Where the maxima lie, of a pass whose gradient will be wanted.
    places: Option<OnceLock<Places>>,
}

/// Sends each window's gradient to a place that is known, where the mask has it.
struct ToPlaces<'a>(&'a Places, Option<&'a Mask>);

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "max pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, d, h, w) = layout.shape().dims5()?;
        let (windows, input) = (self.windows, [d, h, w]);
        let output = windows.output(input)?;
        if windows.kernel.iter().product::<usize>() > usize::from(u16::MAX) {
            bail!("a pool of {windows:?} has more places than are counted");
        }
        let wanted = if self.places.is_some() { n * c * output.iter().product::<usize>() } else { 0 };
        let mut numbers = zeros(wanted);
        let storage = match storage {
            CpuStorage::F64(_) => {
                f64::storage(windows.forward::<f64>(contiguous(storage, layout)?, input, output, &mut numbers))
            }
            _ => f32::storage(windows.forward::<f32>(contiguous(storage, layout)?, input, output, &mut numbers)),
        };
        if let Some(places) = &self.places {
            places.get_or_init(|| Places { windows, input, numbers });
        }
        Ok((storage, (n, c, output[0], output[1], output[2]).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match self.places.as_ref().and_then(OnceLock::get) {
            Some(places) => Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&ToPlaces(places, None))?)),
            None => bail!("a pool noted nothing"),
        }
    }
}

impl ToPlaces<'_> {
    fn send<T: Real>(&self, g: &[T], output: [usize; 3]) -> Result<Vec<T>> {
        let Self(Places { windows, input, numbers: places }, mask) = self;
        let (voxels, positions): (usize, usize) = (input.iter().product(), output.iter().product());
        let mask = mask.map(Mask::bytes).transpose()?;
        let mask = mask.as_deref();
        let mut gx = zeros(places.len() / positions * voxels);
        if g.len() != places.len() || mask.is_some_and(|mask| mask.len() != gx.len()) {
            bail!("a gradient or a mask of another pool");
        }
        let planes = gx.par_chunks_mut(voxels).zip(g.par_chunks(positions).zip(places.par_chunks(positions)));
        planes.enumerate().for_each(|(plane, (gx, (g, places)))| {
            let mask = mask.map(|mask| &mask[plane * voxels..][..voxels]);
            for (out, (g, place)) in g.iter().zip(places).enumerate() {
                let at = windows.index(out, usize::from(*place), *input, output);
                if mask.is_none_or(|mask| mask[at] != 0) {
                    gx[at] += *g;
                }
            }
        });
        Ok(gx)
    }
}

impl CustomOp1 for ToPlaces<'_> {
    fn name(&self) -> &'static str {
        "gradient of max pool"
    }

    fn cpu_fwd(&self, g: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, d, h, w) = layout.shape().dims5()?;
        let storage = match g {
            CpuStorage::F64(_) => f64::storage(self.send::<f64>(contiguous(g, layout)?, [d, h, w])?),
            _ => f32::storage(self.send::<f32>(contiguous(g, layout)?, [d, h, w])?),
        };
        let [d, h, w] = self.0.input;
        Ok((storage, (n, c, d, h, w).into()))
    }
}

#[derive(Debug, Clone, Copy)]
struct Windows {
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
}

impl Windows {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        if has_kernels(x.device()) {
            return x.apply_op1(Pool { windows: self, places: x.track_op().then(OnceLock::new) });
        }
        let (_, _, d, h, w) = x.dims5()?;
        self.output([d, h, w])?; // refuses what no pool can be
        composed::max_pool(&x, self.taps([d, h, w])?)
    }

    fn taps(self, input: [usize; 3]) -> Result<Taps> {
        Taps::new(Geometry { kernel: self.kernel, stride: self.stride, padding: self.padding }, input)
    }

    /// Where a place of a window lies.
    fn index(&self, out: usize, place: usize, input: [usize; 3], output: [usize; 3]) -> usize {
        let ([_, kh, kw], [_, oh, ow]) = (self.kernel, output);
        let along = |axis: usize, o: usize, tap: usize| o * self.stride[axis] + tap - self.padding[axis];
        let z = along(0, out / (oh * ow), place / (kh * kw));
        let y = along(1, out / ow % oh, place / kw % kh);
        (z * input[1] + y) * input[2] + along(2, out % ow, place % kw)
    }

    /// The place of a voxel in a window.
    fn place(&self, out: usize, at: usize, input: [usize; 3], output: [usize; 3]) -> usize {
        let ([_, kh, kw], [_, oh, ow]) = (self.kernel, output);
        let tap = |axis: usize, i: usize, o: usize| i + self.padding[axis] - o * self.stride[axis];
        let z = tap(0, at / (input[1] * input[2]), out / (oh * ow));
        let y = tap(1, at / input[2] % input[1], out / ow % oh);
        (z * kh + y) * kw + tap(2, at % input[2], out % ow)
    }

    /// The maxima, and their places where there is room for them.
    fn forward<T: Real>(&self, x: &[T], input: [usize; 3], output: [usize; 3], places: &mut [u16]) -> Vec<T> {
        let (voxels, positions): (usize, usize) = (input.iter().product(), output.iter().product());
        let mut y = zeros(x.len() / voxels * positions);
        let planes = y.par_chunks_mut(positions).zip(x.par_chunks(voxels));
        if places.is_empty() {
            planes.for_each(|(y, x)| self.maxima(x, input, output, |out, at| y[out] = x[at]));
            return y;
        }
        planes.zip(places.par_chunks_mut(positions)).for_each(|((y, x), places)| {
            self.maxima(x, input, output, |out, at| {
                y[out] = x[at];
                places[out] = self.place(out, at, input, output) as u16; // no more than that, see Pool
            });
        });
        y
    }

    fn output(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let mut output = [0; 3];
        for axis in 0..3 {
            let padded = input[axis] + 2 * self.padding[axis];
            let fits = padded >= self.kernel[axis] && 2 * self.padding[axis] <= self.kernel[axis];
            if input[axis] == 0 || self.stride[axis] == 0 || !fits {
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
}
