//! Transposed convolutions: the gradient of a convolution as a pass forward, and its pass forward as the gradient.

use candle_core::{Result, Tensor, bail};

use super::super::along::counted;
use super::super::broadcast::Walk;
use super::super::norm::channelwise_on;
use super::super::{Operation, Pass, Saved, Saves, Sum, each, numbers, only};
use super::kernel::Kernel;
use super::{Axes, biases_of, dilated, numbers_of};
use crate::nn::device::has_kernels;
use crate::nn::geometry::Geometry;
use crate::nn::numbers::{Held, by_type, tensor};

/// A transposed convolution: `[n, in, …]` to `[n, out, …]`, each side (side - 1) stride + kernel long, without what is cut before and
/// behind.
pub struct ConvTranspose {
    /// The convolution of each group from its outputs to its inputs.
    groups: Vec<Kernel>,
    bias: Vec<f64>,
    axes: Axes,
    geometry: Geometry,
    /// Cut off before and behind, along depth, height and width; less than nothing is zeros that are added.
    cut: [[i64; 2]; 3],
}

impl ConvTranspose {
    /// `weight` is `[in, out / groups, …]`, `bias` `[out]`; stride and dilation are along depth, height and width. What is `cut` off
    /// before and behind is the padding; behind, the padding less the output's padding.
    pub fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        groups: usize,
        [stride, dilation]: [[usize; 3]; 2],
        cut: [[i64; 2]; 3],
    ) -> Result<Self> {
        let axes = Axes::of(weight)?;
        let weight = axes.volume(&dilated(weight, dilation)?)?;
        let (c_in, c_out, kd, kh, kw) = weight.dims5()?;
        if groups == 0 || c_in == 0 || c_in % groups != 0 || stride.contains(&0) {
            bail!("a transposed convolution of {c_in} input channels in {groups} groups, by strides {stride:?}");
        }
        let (size, geometry) =
            (c_in / groups, Geometry { kernel: [kd, kh, kw], stride, padding: [0; 3], dilation: [1; 3] });
        let bias = biases_of(bias, c_out * groups)?;
        let group = |group: usize| {
            let weight = weight.narrow(0, group * size, size)?.contiguous()?;
            Ok(Kernel::new(numbers_of(&weight)?, Vec::new(), [c_out, size], geometry))
        };
        let groups = (0..groups).map(group).collect::<Result<Vec<_>>>()?;
        Ok(Self { groups, bias, axes, geometry, cut }.placed())
    }

    /// Leaves what is cut off alike before and behind to the kernels, which then do not compute it.
    fn placed(mut self) -> Self {
        let padding = self.cut.map(|[before, behind]| before.min(behind).max(0) as usize);
        self.geometry.padding = padding;
        for (cut, padding) in self.cut.iter_mut().zip(padding) {
            *cut = cut.map(|cut| cut.saturating_sub(padding as i64));
        }
        self.groups = self.groups.iter().map(|kernel| kernel.placed(self.geometry)).collect();
        self
    }

    /// Input and output channels of a group.
    fn channels(&self) -> [usize; 2] {
        let [c_out, c_in] = self.groups[0].channels(); // there is one at least
        [c_in, c_out]
    }

    /// Gives the size of what the kernels compute of an input, and that of the output.
    fn output(&self, input: [usize; 3]) -> Result<[[usize; 3]; 2]> {
        let (mut whole, mut output) = ([0; 3], [0; 3]);
        for axis in 0..3 {
            let Geometry { kernel, stride, padding, .. } = self.geometry;
            let side = input[axis].checked_sub(1).and_then(|side| side.checked_mul(stride[axis]));
            let side = side.and_then(|side| side.checked_add(kernel[axis])?.checked_sub(padding[axis].checked_mul(2)?));
            let left = side.and_then(|side| {
                let [before, behind] = self.cut[axis];
                usize::try_from(i64::try_from(side).ok()?.checked_sub(before)?.checked_sub(behind)?).ok()
            });
            match (side, left) {
                (Some(side), Some(left)) if side > 0 && left > 0 => (whole[axis], output[axis]) = (side, left),
                _ => bail!("{} cut by {:?} of an input of {input:?} leaves nothing", self.name(), self.cut),
            }
        }
        Ok([whole, output])
    }

    /// Gives what the kernels computed, without what is cut off; with the opposite cuts, the transpose of that, which ends `size` long.
    fn cropped(&self, mut y: Tensor, size: [usize; 3], sign: i64) -> Result<Tensor> {
        for (axis, length) in size.into_iter().enumerate() {
            let [before, behind] = self.cut[axis].map(|cut| cut * sign);
            let more = |cut: i64| usize::try_from(-cut).unwrap_or(0);
            y = y.pad_with_zeros(axis + 2, more(before), more(behind))?;
            y = y.narrow(axis + 2, before.max(0) as usize, length)?;
        }
        y.contiguous()
    }

    fn biased(&self, y: Tensor) -> Result<Tensor> {
        if self.bias.is_empty() {
            return Ok(y);
        }
        let bias = channelwise_on(&self.bias, y.dtype(), y.device())?.reshape((self.bias.len(), 1, 1, 1))?;
        if !has_kernels(y.device()) {
            return y.broadcast_add(&bias);
        }
        let (walk, held, of_bias) = (Walk::new(y.dims(), y.dims(), bias.dims()), Held::of(&y), Held::of(&bias));
        by_type!(y, T => tensor(walk.map::<T>(held.numbers()?, of_bias.numbers()?, |y, bias| y + bias), y.dims()))
    }
}

/// Some of the channels of a tensor.
fn part(x: &Tensor, group: usize, size: usize) -> Result<Tensor> {
    x.narrow(1, group * size, size)?.contiguous()
}

/// Parts side by side along the channels.
fn together(parts: impl Iterator<Item = Result<Tensor>>) -> Result<Tensor> {
    let parts = parts.collect::<Result<Vec<_>>>()?;
    if let [whole] = parts.as_slice() { Ok(whole.clone()) } else { Tensor::cat(&parts, 1)?.contiguous() }
}

impl Operation for ConvTranspose {
    fn name(&self) -> String {
        let [c_in, c_out] = self.channels().map(|channels| channels * self.groups.len());
        format!("transposed convolution {c_in} to {c_out}, kernel {:?}", self.geometry.kernel)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let (n, c, input) = self.axes.sizes(only(inputs)?)?;
        let [c_in, c_out] = self.channels().map(|channels| channels * self.groups.len());
        if c != c_in {
            bail!("{} found {c} channels", self.name());
        }
        let [whole, output] = self.output(input)?;
        counted(&self.name(), self.axes.shape(n, c_out, whole))?;
        counted(&self.name(), self.axes.shape(n, c_out, output))
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let of_number = self.channels()[1] * self.geometry.elements();
        only(inputs).map_or(0.0, |shape| numbers(shape) * of_number as f64)
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let shape = self.shape(&[inputs[0].dims()])?;
        let (x, [c_in, _]) = (self.axes.volume(inputs[0])?, self.channels());
        let (_, _, input) = self.axes.sizes(inputs[0].dims())?;
        let [whole, output] = self.output(input)?;
        let groups = self.groups.iter().enumerate();
        let y = together(groups.map(|(group, kernel)| kernel.vjp(&part(&x, group, c_in)?, whole, None, None)))?;
        let y = self.biased(self.cropped(y, output, 1)?)?;
        Ok((y.reshape(shape)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (shape, [_, c_out]) = (only(pass.shapes)?, self.channels());
        let [whole, _] = self.output(self.axes.sizes(shape)?.2)?;
        each(into, |_| {
            let g = self.cropped(self.axes.volume(gradient)?, whole, -1)?;
            let groups = self.groups.iter().enumerate();
            let forward =
                |(group, kernel): (usize, &Kernel)| Ok(kernel.forward(&part(&g, group, c_out)?, None, None, false)?.0);
            together(groups.map(forward))?.reshape(shape)
        })
    }
}
