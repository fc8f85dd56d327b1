//! Depthwise convolutions: each channel by a kernel of its own, by a direct loop over its elements.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::Conv;
use super::kernel::Numbers;
use crate::nn::gemm::{Real, zeros};
use crate::nn::geometry::Geometry;
use crate::nn::numbers::{Held, by_type, tensor};

/// The weights of every channel.
pub(super) struct Kernel {
    /// `[channels, elements]`, and one bias for each channel; f64 holds f32 exactly.
    weights: Vec<f64>,
    bias: Vec<f64>,
    geometry: Geometry,
    /// Zeros before, along each axis.
    before: [usize; 3],
    axes: super::Axes,
}

/// Where one kernel element along a row lets outputs meet inputs: so many of both, from a place in either on.
struct KernelSpan {
    output: usize,
    input: usize,
    count: usize,
}

/// The rows of a channel, by depth and height, of its input and of its output.
struct Rows {
    input: [usize; 3],
    output: [usize; 3],
    /// One for each kernel element along a row.
    runs: Vec<KernelSpan>,
}

impl Kernel {
    /// Joins convolutions of one channel each; gives none where one has more.
    pub(super) fn of(groups: &[Conv]) -> Option<Self> {
        let first = groups.first().filter(|first| first.kernel.channels() == [1, 1])?;
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for group in groups {
            match group.kernel.numbers() {
                Numbers::F32(loaded) => weights.extend(loaded.loaded().iter().map(|w| w.to_f64())),
                Numbers::F64(loaded) => weights.extend(loaded.loaded()),
            }
            bias.push(group.kernel.bias().first().copied().unwrap_or(0.0));
        }
        let geometry = first.kernel.geometry();
        let before = std::array::from_fn(|axis| geometry.padding[axis] + first.around[axis][0]);
        Some(Self { weights, bias, geometry, before, axes: first.axes })
    }

    fn rows(&self, input: [usize; 3], output: [usize; 3]) -> Rows {
        let Geometry { kernel, stride, dilation, .. } = self.geometry;
        let run = |element: usize| {
            let (element, before, stride) = (element * dilation[2], self.before[2], stride[2]);
            let first = before.saturating_sub(element).div_ceil(stride);
            let end = (input[2] + before).saturating_sub(element).div_ceil(stride).min(output[2]);
            let count = end.saturating_sub(first);
            // Where nothing is read, from which place on must not matter.
            let input = if count == 0 { 0 } else { first * stride + element - before };
            KernelSpan { output: if count == 0 { 0 } else { first }, input, count }
        };
        Rows { input, output, runs: (0..kernel[2]).map(run).collect() }
    }

    /// Calls `visit` with the number of each kernel element and with its run, counted in all of the channel, for each output row in turn.
    fn of_outputs(&self, rows: &Rows, mut visit: impl FnMut(usize, KernelSpan)) {
        let Geometry { kernel, stride, dilation, .. } = self.geometry;
        let source = |axis: usize, at: usize, element: usize| {
            let place = (at * stride[axis] + element * dilation[axis]).checked_sub(self.before[axis]);
            place.filter(|place| *place < rows.input[axis])
        };
        for row in 0..rows.output[0] * rows.output[1] {
            let [z, y] = [row / rows.output[1], row % rows.output[1]];
            for plane in 0..kernel[0] * kernel[1] {
                let [z_element, y_element] = [plane / kernel[1], plane % kernel[1]];
                if let (Some(z), Some(y)) = (source(0, z, z_element), source(1, y, y_element)) {
                    rows.meet([row, z * rows.input[1] + y], plane * kernel[2], &mut visit);
                }
            }
        }
    }

    /// Calls `visit` as [`Self::of_outputs`] does, for each input row in turn.
    fn of_inputs(&self, rows: &Rows, mut visit: impl FnMut(usize, KernelSpan)) {
        let Geometry { kernel, stride, dilation, .. } = self.geometry;
        let reached = |axis: usize, at: usize, element: usize| {
            let place = (at + self.before[axis]).checked_sub(element * dilation[axis])?;
            let is_whole = place % stride[axis] == 0;
            Some(place / stride[axis]).filter(|place| is_whole && *place < rows.output[axis])
        };
        for row in 0..rows.input[0] * rows.input[1] {
            let [z, y] = [row / rows.input[1], row % rows.input[1]];
            for plane in 0..kernel[0] * kernel[1] {
                let [z_element, y_element] = [plane / kernel[1], plane % kernel[1]];
                if let (Some(z), Some(y)) = (reached(0, z, z_element), reached(1, y, y_element)) {
                    rows.meet([z * rows.output[1] + y, row], plane * kernel[2], &mut visit);
                }
            }
        }
    }

    /// Gives the bias and the weights of each channel.
    fn channel<T: Real>(&self, at: usize) -> (T, Vec<T>) {
        let (channel, count) = (at % self.bias.len(), self.geometry.elements());
        let weights = self.weights[channel * count..][..count].iter().map(|weight| T::from_f64(*weight)).collect();
        (T::from_f64(self.bias[channel]), weights)
    }

    pub(super) fn forward(&self, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
        let ((_, _, input), (_, _, output)) = (self.axes.sizes(x.dims())?, self.axes.sizes(shape)?);
        let [voxels, positions] = [input, output].map(|size| size.iter().product::<usize>().max(1));
        let (held, step, rows) = (Held::of(x), self.geometry.stride[2], self.rows(input, output));
        by_type!(x, T => {
            let mut y = zeros::<T>(shape.iter().product());
            let channels = y.par_chunks_mut(positions).zip(held.numbers::<T>()?.par_chunks(voxels)).enumerate();
            channels.for_each(|(at, (y, x))| {
                let (bias, weights) = self.channel::<T>(at);
                y.fill(bias);
                self.of_outputs(&rows, |element, KernelSpan { output, input, count }| {
                    let y = &mut y[output..output + count];
                    if step == 1 {
                        y.iter_mut().zip(&x[input..input + count]).for_each(|(y, x)| *y += weights[element] * *x);
                    } else if count > 0 {
                        y.iter_mut().zip(x[input..].iter().step_by(step)).for_each(|(y, x)| *y += weights[element] * *x);
                    }
                });
            });
            tensor(y, shape)
        })
    }

    /// Gives the gradient of the input, whose shape is told, from that of the outputs.
    pub(super) fn vjp(&self, gradient: &Tensor, shape: &[usize]) -> Result<Tensor> {
        let ((_, _, input), (_, _, output)) = (self.axes.sizes(shape)?, self.axes.sizes(gradient.dims())?);
        let [voxels, positions] = [input, output].map(|size| size.iter().product::<usize>().max(1));
        let (held, step, rows) = (Held::of(gradient), self.geometry.stride[2], self.rows(input, output));
        by_type!(gradient, T => {
            let mut gx = zeros::<T>(shape.iter().product());
            let channels = gx.par_chunks_mut(voxels).zip(held.numbers::<T>()?.par_chunks(positions)).enumerate();
            channels.for_each(|(at, (gx, g))| {
                let (_, weights) = self.channel::<T>(at);
                self.of_inputs(&rows, |element, KernelSpan { output, input, count }| {
                    let g = &g[output..output + count];
                    if step == 1 {
                        gx[input..input + count].iter_mut().zip(g).for_each(|(gx, g)| *gx += weights[element] * *g);
                    } else if count > 0 {
                        gx[input..].iter_mut().step_by(step).zip(g).for_each(|(gx, g)| *gx += weights[element] * *g);
                    }
                });
            });
            tensor(gx, shape)
        })
    }
}

impl Rows {
    /// Calls `visit` with the runs of the kernel elements from `first` on, where an output row meets an input row.
    fn meet(&self, [output, input]: [usize; 2], first: usize, visit: &mut impl FnMut(usize, KernelSpan)) {
        let [output, input] = [output * self.output[2], input * self.input[2]];
        for (element, run) in self.runs.iter().enumerate().filter(|(_, run)| run.count > 0) {
            visit(
                first + element,
                KernelSpan { output: output + run.output, input: input + run.input, count: run.count },
            );
        }
    }
}
