//! Pools over windows of slices and volumes, and the mean over everything.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::unfold::Unfold;
use super::{Operation, Pass, Planes, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::geometry::Geometry;
use crate::nn::mask::Mask;
use crate::nn::numbers::{Held, by_type, tensor};

/// Windows along depth, height and width; of slices the depth is 1.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    pub kernel: [usize; 3],
    pub stride: [usize; 3],
    /// How many places are padded before and behind, along each axis.
    pub padding: [usize; 3],
    /// Whether a last window that lies only in part within the padded input counts.
    pub ceil: bool,
}

/// Maximum over windows: `[n, c, …]`. Padding never wins; of equal numbers the first in scan order has the gradient, as in PyTorch;
/// a NaN wins on a CPU alone.
pub struct MaxPool(pub Windows);

/// Mean over windows: `[n, c, …]`.
pub struct AveragePool {
    pub windows: Windows,
    /// Whether zeros of the padding count.
    pub count_padding: bool,
}

/// Mean over all axes behind the channels: `[n, c, …]` to `[n, c]`.
pub struct GlobalMean;

/// Where maxima lie: by window, in scan order, the number of the place within it.
pub struct Places(Vec<u16>);

/// Planes of a batch, each of the same depth, height and width.
fn planes(shape: &[usize]) -> Result<(usize, [usize; 3])> {
    match shape {
        [n, c, h, w] => Ok((n * c, [1, *h, *w])),
        [n, c, d, h, w] => Ok((n * c, [*d, *h, *w])),
        _ => bail!("a pool over slices or volumes, found {shape:?}"),
    }
}

impl Windows {
    /// Cubes of side `k`, or squares of slices where the depth is 1.
    pub fn cubes(k: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [k; 3], stride: [stride; 3], padding: [padding; 3], ceil: false }
    }

    /// Squares of side `k` on slices.
    pub fn squares(k: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [1, k, k], stride: [1, stride, stride], padding: [0, padding, padding], ceil: false }
    }

    fn output(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let mut output = [0; 3];
        for axis in 0..3 {
            let [kernel, stride, padding] = [self.kernel[axis], self.stride[axis], self.padding[axis]];
            let padded = input[axis] + 2 * padding;
            if input[axis] == 0 || stride == 0 || padded < kernel || 2 * padding > kernel {
                bail!("a pool of {self:?} does not fit an input of {input:?}");
            }
            let surplus = padded - kernel;
            let whole = if self.ceil { surplus.div_ceil(stride) } else { surplus / stride };
            // No window begins in the padding behind: PyTorch, `aten/src/ATen/native/Pool.h`.
            let beyond = self.ceil && whole * stride >= input[axis] + padding;
            output[axis] = whole + 1 - usize::from(beyond);
        }
        Ok(output)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        let [d, h, w] = self.output(planes(shape)?.1)?;
        Ok(if shape.len() == 4 { vec![shape[0], shape[1], h, w] } else { vec![shape[0], shape[1], d, h, w] })
    }

    /// These windows on some planes along an axis, which come with their padding.
    fn on_planes(self, axis: usize, output: &[usize], filling: f32) -> Option<(Self, Planes)> {
        if axis < 2 {
            return Some((self, Planes::each(axis)));
        }
        let ([kernel, ..], [stride, ..], [padding, ..]) = (self.kernel, self.stride, self.padding);
        let planes = Planes { axis, kernel, stride, padding, filling };
        let [_, height, width] = self.padding;
        let depth = axis == 2 && output.len() == 5 && !self.ceil;
        depth.then_some((Self { padding: [0, height, width], ..self }, planes))
    }

    /// What a window sees of the input along an axis.
    fn range(&self, axis: usize, o: usize, input: [usize; 3]) -> Range<usize> {
        let first = o * self.stride[axis];
        let end = (first + self.kernel[axis]).saturating_sub(self.padding[axis]).min(input[axis]);
        first.saturating_sub(self.padding[axis]).min(end)..end
    }

    /// How much of a window lies within the padded input along an axis.
    fn padded(&self, axis: usize, o: usize, input: [usize; 3]) -> usize {
        let first = o * self.stride[axis];
        (first + self.kernel[axis]).min(input[axis] + 2 * self.padding[axis]) - first
    }

    /// Gives the windows as candle's operations take them.
    fn unfold(self, input: [usize; 3]) -> Result<Unfold> {
        if self.ceil && self.output(input)? != (Self { ceil: false, ..self }).output(input)? {
            bail!(
                "a pool of {self:?} on {input:?} has windows that lie outside; not yet on this device: use --device cpu"
            );
        }
        Unfold::new(
            Geometry { kernel: self.kernel, stride: self.stride, padding: self.padding, dilation: [1; 3] },
            input,
        )
    }

    /// How far each place of a window lies behind its first, in an input of that size.
    fn places(&self, input: [usize; 3]) -> Vec<usize> {
        let [kd, kh, kw] = self.kernel;
        let place = |at: usize| (at / (kh * kw) * input[1] + at / kw % kh) * input[2] + at % kw;
        (0..kd * kh * kw).map(place).collect()
    }

    /// Calls `visit` with the number of each window, where it stands, and the ranges that it sees.
    fn each(&self, input: [usize; 3], output: [usize; 3], mut visit: impl FnMut(usize, [usize; 3], [Range<usize>; 3])) {
        let mut out = 0;
        for z in 0..output[0] {
            for y in 0..output[1] {
                for x in 0..output[2] {
                    let ranges = [self.range(0, z, input), self.range(1, y, input), self.range(2, x, input)];
                    visit(out, [z, y, x], ranges);
                    out += 1;
                }
            }
        }
    }

    /// The maximum of each window and its place, as `set` wants them: of equal numbers the first, of those that are none the last.
    fn maxima<T: Real>(&self, x: &[T], input: [usize; 3], output: [usize; 3], mut set: impl FnMut(usize, T, usize)) {
        let [od, oh, ow] = output;
        let mut columns = Columns { best: vec![T::MIN; input[2]], rows: vec![0; input[2]] };
        for (out, (z, y)) in (0..od).flat_map(|z| (0..oh).map(move |y| (z, y))).enumerate() {
            let element = |axis: usize, at: usize, o: usize| at + self.padding[axis] - o * self.stride[axis];
            let mut none = true;
            for (at_z, at_y) in self.range(0, z, input).flat_map(|z| self.range(1, y, input).map(move |y| (z, y))) {
                let row = &x[(at_z * input[1] + at_y) * input[2]..][..input[2]];
                columns.take(row, element(0, at_z, z) * self.kernel[1] + element(1, at_y, y), none);
                none = false;
            }
            for x in 0..ow {
                let seen = if none { 0..0 } else { self.range(2, x, input) };
                let (best, place) = columns
                    .best(seen)
                    .map_or((T::MIN, 0), |(best, row, column)| (best, row * self.kernel[2] + element(2, column, x)));
                set(out * ow + x, best, place);
            }
        }
    }
}

/// The maximum of each column of some rows, and the number of its row.
struct Columns<T> {
    best: Vec<T>,
    rows: Vec<u32>,
}

impl<T: Real> Columns<T> {
    /// Takes a row, the first or another.
    fn take(&mut self, row: &[T], number: usize, first: bool) {
        let number = number as u32;
        if first {
            self.best.copy_from_slice(row);
            self.rows.fill(number);
        }
        for ((best, from), value) in self.best.iter_mut().zip(&mut self.rows).zip(row) {
            let larger = *value > *best || value.partial_cmp(value).is_none();
            (*best, *from) = if larger { (*value, number) } else { (*best, *from) };
        }
    }

    /// The maximum of some columns, its row and its column: the first row of those that are equal, the last of those that are no number.
    fn best(&self, mut columns: Range<usize>) -> Option<(T, usize, usize)> {
        let first = columns.next()?;
        let (mut best, mut row, mut at) = (self.best[first], self.rows[first], first);
        for column in columns {
            let (value, of) = (self.best[column], self.rows[column]);
            let later = match (value.partial_cmp(&value), best.partial_cmp(&best)) {
                (None, None) => of >= row,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                _ => value > best || (value == best && of < row),
            };
            if later {
                (best, row, at) = (value, of, column);
            }
        }
        Some((best, row as usize, at))
    }
}

impl MaxPool {
    /// The input's gradient, of that shape: each window's goes to the place of its maximum, where that number passes.
    fn spread<T: Real>(
        &self,
        gradient: &[T],
        places: &Places,
        shape: &[usize],
        passes: impl Fn(usize) -> bool + Sync,
    ) -> Result<Vec<T>> {
        let ((_, input), (_, output)) = (planes(shape)?, planes(&self.0.shape(&[shape])?)?);
        if gradient.len() != places.0.len() {
            bail!("a gradient of another pool");
        }
        let [voxels, positions] = [input, output].map(|size| size.iter().product::<usize>());
        let offsets = self.0.places(input);
        let row = |axis: usize, o: usize| (o * self.0.stride[axis]).wrapping_sub(self.0.padding[axis]);
        let mut spread = zeros::<T>(shape.iter().product());
        let planes = gradient.par_chunks(positions).zip(places.0.par_chunks(positions));
        spread.par_chunks_mut(voxels).zip(planes).enumerate().for_each(|(plane, (spread, (gradient, places)))| {
            let rows = gradient.chunks(output[2]).zip(places.chunks(output[2])).enumerate();
            for (number, (gradient, places)) in rows {
                let [z, y] = [row(0, number / output[1]), row(1, number % output[1])];
                let first = z.wrapping_mul(input[1]).wrapping_add(y).wrapping_mul(input[2]);
                for (x, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                    // A window that sees nothing has its place outside.
                    let at = first.wrapping_add(row(2, x)).wrapping_add(offsets[usize::from(*place)]);
                    if at < spread.len() && passes(plane * voxels + at) {
                        spread[at] += *gradient;
                    }
                }
            }
        });
        Ok(spread)
    }
}

impl Operation for MaxPool {
    fn name(&self) -> String {
        format!("maximum over {:?}", self.0.kernel)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        if self.0.kernel.iter().product::<usize>() > usize::from(u16::MAX) {
            bail!("a pool of {:?} has more places than are counted", self.0);
        }
        self.0.shape(inputs)
    }

    fn saves(&self) -> Saves {
        Saves::Places
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let (x, windows) = (inputs[0].contiguous()?, self.0);
        let shape = self.shape(&[x.dims()])?;
        let ((_, input), (_, output)) = (planes(x.dims())?, planes(&shape)?);
        if !has_kernels(x.device()) {
            let y = max_by_elements(&volumes(&x)?, &windows.unfold(input)?)?.reshape(shape)?;
            let saved = if save { Saved::Tensors(vec![x, y.clone()]) } else { Saved::Nothing };
            return Ok((y, saved));
        }
        let [voxels, positions] = [input, output].map(|size| size.iter().product::<usize>());
        let count = shape.iter().product();
        let mut places = zeros::<u16>(if save { count } else { 0 });
        let held = Held::of(&x);
        let y = by_type!(x, T => {
            let mut y = zeros::<T>(count);
            let planes = y.par_chunks_mut(positions).zip(held.numbers::<T>()?.par_chunks(voxels));
            if save {
                planes.zip(places.par_chunks_mut(positions)).for_each(|((y, x), places)| {
                    // There are no more places than that, see `shape`.
                    windows.maxima(x, input, output, |out, best, place| (y[out], places[out]) = (best, place as u16));
                });
            } else {
                planes.for_each(|(y, x)| windows.maxima(x, input, output, |out, best, _| y[out] = best));
            }
            tensor(y, &shape)?
        });
        Ok((y, if save { Saved::Places(Arc::new(Places(places))) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (windows, shape) = (self.0, only(pass.shapes)?);
        let (_, input) = planes(shape)?;
        let Saved::Places(places) = pass.saved else {
            let [x, maxima] = [volumes(pass.saved.tensor(0)?)?, volumes(pass.saved.tensor(1)?)?];
            let unfold = windows.unfold(input)?;
            return each(into, |_| to_maxima(&x, &unfold, &maxima, &volumes(gradient)?)?.reshape(shape));
        };
        let gradient = gradient.contiguous()?;
        let held = Held::of(&gradient);
        let part = |mut sum: Sum| {
            // A mask that no other part waits for is looked up where something goes: there is no second gradient of that size.
            let mask = sum.mask.take_if(|mask| sum.others.is_none() && mask.on_cpu().is_some());
            let passes = mask.as_ref().and_then(Mask::on_cpu);
            let passes = |at: usize| passes.as_ref().is_none_or(|passes| passes(at));
            sum.with(by_type!(gradient, T => tensor(self.spread(held.numbers::<T>()?, places, shape, passes)?, shape))?)
        };
        into.into_iter().map(|sum| sum.map(part).transpose()).collect()
    }

    fn on_planes(&self, axis: usize, output: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        let (windows, planes) = self.0.on_planes(axis, output, f32::NEG_INFINITY)?;
        Some((Arc::new(Self(windows)), planes))
    }
}

impl AveragePool {
    /// Gives, by window, what its sum is divided by.
    fn counts(&self, input: [usize; 3], output: [usize; 3]) -> Vec<f64> {
        let mut counts = vec![0.0; output.iter().product()];
        self.windows.each(input, output, |out, at, ranges| {
            let count: usize = if self.count_padding {
                (0..3).map(|axis| self.windows.padded(axis, at[axis], input)).product()
            } else {
                ranges.iter().map(Range::len).product()
            };
            counts[out] = count.max(1) as f64;
        });
        counts
    }

    /// The counts beside `[n, c, d, h, w]`.
    fn counts_beside(&self, x: &Tensor, input: [usize; 3], output: [usize; 3]) -> Result<Tensor> {
        let [d, h, w] = output;
        let counts = Tensor::from_vec(self.counts(input, output), (1, 1, d, h, w), &candle_core::Device::Cpu)?;
        counts.to_dtype(x.dtype())?.to_device(x.device())
    }
}

impl Operation for AveragePool {
    fn name(&self) -> String {
        format!("mean over {:?}", self.windows.kernel)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        self.windows.shape(inputs)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let (x, windows) = (inputs[0].contiguous()?, self.windows);
        let shape = self.shape(&[x.dims()])?;
        let ((_, input), (_, output)) = (planes(x.dims())?, planes(&shape)?);
        if !has_kernels(x.device()) {
            let unfold = windows.unfold(input)?;
            let padded = unfold.padded(&volumes(&x)?, 0.0)?;
            let gathered = unfold.elements().map(|element| unfold.gather(&padded, element));
            let sum =
                gathered.reduce(|sum, gathered| sum? + gathered?).unwrap_or_else(|| bail!("a pool has no elements"))?;
            let y = sum.broadcast_div(&self.counts_beside(&x, input, output)?)?;
            return Ok((y.reshape(shape)?, Saved::Nothing));
        }
        let counts = self.counts(input, output);
        let [voxels, positions] = [input, output].map(|size| size.iter().product::<usize>());
        let held = Held::of(&x);
        by_type!(x, T => {
            let mut y = zeros::<T>(shape.iter().product());
            y.par_chunks_mut(positions).zip(held.numbers::<T>()?.par_chunks(voxels)).for_each(|(y, x)| {
                windows.each(input, output, |out, _, [zs, ys, xs]| {
                    let mut sum = T::default();
                    for z in zs {
                        for row in ys.clone().map(|y| (z * input[1] + y) * input[2]) {
                            x[row + xs.start..row + xs.end].iter().for_each(|x| sum += *x);
                        }
                    }
                    y[out] = sum * T::from_f64(1.0 / counts[out]);
                });
            });
            Ok((tensor(y, &shape)?, Saved::Nothing))
        })
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (gradient, shape, windows) = (gradient.contiguous()?, only(pass.shapes)?, self.windows);
        let ((_, input), (_, output)) = (planes(shape)?, planes(gradient.dims())?);
        if !has_kernels(gradient.device()) {
            let unfold = windows.unfold(input)?;
            let shares = volumes(&gradient)?.broadcast_div(&self.counts_beside(&gradient, input, output)?)?;
            let sum = || {
                unfold.elements().map(|element| unfold.scatter(&shares, element)).reduce(|sum, placed| sum? + placed?)
            };
            return each(into, |_| {
                unfold.cropped(&sum().unwrap_or_else(|| bail!("a pool has no elements"))?)?.reshape(shape)
            });
        }
        let counts = self.counts(input, output);
        let [voxels, positions] = [input, output].map(|size| size.iter().product::<usize>());
        let held = Held::of(&gradient);
        each(into, |_| {
            by_type!(gradient, T => {
                let mut gx = zeros::<T>(shape.iter().product());
                gx.par_chunks_mut(voxels).zip(held.numbers::<T>()?.par_chunks(positions)).for_each(|(gx, g)| {
                    windows.each(input, output, |out, _, [zs, ys, xs]| {
                        let share = g[out] * T::from_f64(1.0 / counts[out]);
                        for z in zs {
                            for row in ys.clone().map(|y| (z * input[1] + y) * input[2]) {
                                gx[row + xs.start..row + xs.end].iter_mut().for_each(|gx| *gx += share);
                            }
                        }
                    });
                });
                tensor(gx, shape)
            })
        })
    }
    fn on_planes(&self, axis: usize, output: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        // Where padding counts, or there is none, zeros stand for it.
        let plain = self.count_padding || self.windows.padding[0] == 0;
        let (windows, planes) = self.windows.on_planes(axis, output, 0.0).filter(|_| plain)?;
        Some((Arc::new(Self { windows, count_padding: self.count_padding }), planes))
    }
}

impl Operation for GlobalMean {
    fn name(&self) -> String {
        "mean over everything".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match only(inputs)? {
            [n, c, rest @ ..] if rest.iter().product::<usize>() > 0 => Ok(vec![*n, *c]),
            other => bail!("a mean over voxels, found {other:?}"),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        Ok((x.flatten_from(2)?.mean(2)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let shape = only(pass.shapes)?;
        let voxels: usize = shape[2..].iter().product();
        let mut beside = vec![1; shape.len()];
        beside[..2].copy_from_slice(&shape[..2]);
        each(into, |_| (gradient / voxels as f64)?.reshape(beside.as_slice())?.broadcast_as(shape)?.contiguous())
    }
}

/// Gives a tensor as `[n, c, d, h, w]`; slices become volumes 1 deep.
fn volumes(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 4 { x.unsqueeze(2) } else { Ok(x.clone()) }
}

/// The maximum over every element of each window.
fn max_by_elements(x: &Tensor, unfold: &Unfold) -> Result<Tensor> {
    let padded = unfold.padded(x, f32::NEG_INFINITY)?;
    let gathered = unfold.elements().map(|element| unfold.gather(&padded, element));
    gathered
        .reduce(|best, gathered| best?.maximum(&gathered?))
        .unwrap_or_else(|| bail!("a pool of {unfold:?} has no elements"))
}

/// Each window's gradient goes to the first place that holds its maximum.
fn to_maxima(x: &Tensor, unfold: &Unfold, maxima: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let padded = unfold.padded(x, f32::NEG_INFINITY)?;
    let (zeros, mut left) = (gradient.zeros_like()?, gradient.clone());
    let mut sum = padded.zeros_like()?;
    for element in unfold.elements() {
        let here = unfold.gather(&padded, element)?.eq(maxima)?;
        sum = (sum + unfold.scatter(&here.where_cond(&left, &zeros)?, element)?)?;
        left = here.where_cond(&zeros, &left)?;
    }
    unfold.cropped(&sum)
}
