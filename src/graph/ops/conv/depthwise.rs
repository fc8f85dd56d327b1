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

/// Where a row of outputs meets what one kernel element reads of the input.
struct Run {
    output: usize,
    input: usize,
    count: usize,
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

    /// Calls `visit` with the number of each kernel element and each of its runs, of a channel of `input` that becomes `output`.
    fn each_run(&self, input: [usize; 3], output: [usize; 3], mut visit: impl FnMut(usize, Run)) {
        let Geometry { kernel, stride, dilation, .. } = self.geometry;
        // The outputs along an axis whose element lies within the input, and where the first one's lies.
        let reached = |axis: usize, element: usize| {
            let element = element * dilation[axis];
            let first = self.before[axis].saturating_sub(element).div_ceil(stride[axis]);
            let end =
                (input[axis] + self.before[axis]).saturating_sub(element).div_ceil(stride[axis]).min(output[axis]);
            (first..end.max(first), (first * stride[axis] + element).saturating_sub(self.before[axis]))
        };
        let mut element = 0;
        for z_element in 0..kernel[0] {
            let (zs, z_in) = reached(0, z_element);
            for y_element in 0..kernel[1] {
                let (ys, y_in) = reached(1, y_element);
                for x_element in 0..kernel[2] {
                    let (xs, x_in) = reached(2, x_element);
                    element += 1;
                    if xs.is_empty() {
                        continue; // where nothing is read, from which place on must not matter
                    }
                    for (z, at) in zs.clone().zip((z_in..).step_by(stride[0])) {
                        for (y, row) in ys.clone().zip((y_in..).step_by(stride[1])) {
                            visit(
                                element - 1,
                                Run {
                                    output: (z * output[1] + y) * output[2] + xs.start,
                                    input: (at * input[1] + row) * input[2] + x_in,
                                    count: xs.len(),
                                },
                            );
                        }
                    }
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
        let (held, step) = (Held::of(x), self.geometry.stride[2]);
        by_type!(x, T => {
            let mut y = zeros::<T>(shape.iter().product());
            let channels = y.par_chunks_mut(positions).zip(held.numbers::<T>()?.par_chunks(voxels)).enumerate();
            channels.for_each(|(at, (y, x))| {
                let (bias, weights) = self.channel::<T>(at);
                y.fill(bias);
                self.each_run(input, output, |element, Run { output, input, count }| {
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
        let (held, step) = (Held::of(gradient), self.geometry.stride[2]);
        by_type!(gradient, T => {
            let mut gx = zeros::<T>(shape.iter().product());
            let channels = gx.par_chunks_mut(voxels).zip(held.numbers::<T>()?.par_chunks(positions)).enumerate();
            channels.for_each(|(at, (gx, g))| {
                let (_, weights) = self.channel::<T>(at);
                self.each_run(input, output, |element, Run { output, input, count }| {
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
