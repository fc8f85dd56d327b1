//! Convolutions in groups of channels: each group's outputs see its own inputs alone.

use candle_core::{Result, Tensor, bail};

use super::super::along::counted;
use super::super::{Operation, Pass, Saved, Saves, Sum, each, numbers, only};
use super::{Conv, depthwise};
use crate::nn::device::has_kernels;

/// A convolution in groups: `[n, in, …]` to `[n, out, …]`, where the channels of each are as many groups.
pub struct GroupedConv {
    groups: Vec<Conv>,
    /// Where each group is of one channel in and one out.
    depthwise: Option<depthwise::Kernel>,
}

impl GroupedConv {
    /// `weight` is `[out, in / groups, …]`, `bias` `[out]`; `place` gives each group's convolution its stride, padding and whatever else
    /// all have.
    pub fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        groups: usize,
        place: impl Fn(&Tensor, Option<&Tensor>) -> Result<Conv>,
    ) -> Result<Self> {
        let out = weight.dims().first().copied().unwrap_or(0);
        if groups == 0 || out == 0 || out % groups != 0 {
            bail!("a convolution of {out} output channels in {groups} groups");
        }
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            bail!("a convolution of {out} output channels has biases {:?}", bias.dims());
        }
        let size = out / groups;
        let group = |group: usize| {
            let bias = bias.map(|bias| bias.narrow(0, group * size, size)).transpose()?;
            place(&weight.narrow(0, group * size, size)?.contiguous()?, bias.as_ref())
        };
        let groups = (0..groups).map(group).collect::<Result<Vec<_>>>()?;
        let depthwise = depthwise::Kernel::of(&groups);
        Ok(Self { groups, depthwise })
    }

    /// Input channels of a group, and output channels.
    fn channels(&self) -> [usize; 2] {
        self.groups[0].kernel.channels() // there is one at least
    }

    /// One group's part of tensors that have `size` channels for each.
    fn part(x: &Tensor, group: usize, size: usize) -> Result<Tensor> {
        x.narrow(1, group * size, size)?.contiguous()
    }
}

impl Operation for GroupedConv {
    fn name(&self) -> String {
        let [c_in, c_out] = self.channels();
        format!("convolution {c_in} to {c_out} in each of {} groups", self.groups.len())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let ([c_in, c_out], mut shape, count) = (self.channels(), only(inputs)?.to_vec(), self.groups.len());
        if shape.get(1) != Some(&(c_in * count)) {
            bail!("{} takes {} channels, found {shape:?}", self.name(), c_in * count);
        }
        shape[1] = c_in;
        shape = self.groups[0].shape(&[&shape])?;
        shape[1] = c_out * count;
        counted(&self.name(), shape)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let of_number = self.channels()[0] * self.groups[0].kernel.geometry().elements();
        self.shape(inputs).map_or(0.0, |shape| numbers(&shape) * of_number as f64)
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let (x, [c_in, _]) = (inputs[0], self.channels());
        let shape = self.shape(&[x.dims()])?;
        if let Some(kernel) = self.depthwise.as_ref().filter(|_| has_kernels(x.device())) {
            return Ok((kernel.forward(&x.contiguous()?, &shape)?, Saved::Nothing));
        }
        let outputs = self.groups.iter().enumerate().map(|(group, conv)| {
            let part = Self::part(x, group, c_in)?;
            Ok(conv.forward(&[&part], false)?.0)
        });
        Ok((Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, 1)?.contiguous()?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (shape, [c_in, c_out]) = (only(pass.shapes)?, self.channels());
        if let Some(kernel) = self.depthwise.as_ref().filter(|_| has_kernels(gradient.device())) {
            let gradient = gradient.contiguous()?;
            return each(into, |_| kernel.vjp(&gradient, shape));
        }
        let mut of_group = shape.to_vec();
        of_group[1] = c_in;
        each(into, |_| {
            let parts = self.groups.iter().enumerate().map(|(group, conv)| {
                let pass = Pass { saved: &Saved::Nothing, shapes: &[&of_group] };
                let part = conv.vjp(&pass, &Self::part(gradient, group, c_out)?, vec![Some(Sum::default())])?;
                match part.into_iter().next().flatten() {
                    Some(part) => Ok(part),
                    None => bail!("a group of a convolution gave no gradient"),
                }
            });
            Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)?.contiguous()
        })
    }

    /// The groups' parts of input and output, beside the whole.
    fn scratch_bytes(&self, inputs: &[&[usize]]) -> usize {
        let output: usize = self.shape(inputs).map_or(0, |shape| shape.iter().product());
        let input: usize = inputs.iter().map(|input| input.iter().product::<usize>()).sum();
        if self.depthwise.is_some() { 0 } else { input.saturating_add(output).saturating_mul(size_of::<f32>()) }
    }
}
