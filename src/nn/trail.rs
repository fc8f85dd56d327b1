//! Passes by hand: forward leaving a trail of masks, and back along it. candle's graph would keep every tensor, add each gradient
//! to zeros of its own, and do so on one thread; of a network of convolutions and ReLUs with frozen weights, the gradient needs
//! to know only what passed.

use candle_core::{Result, Tensor, bail};

pub use super::after::{AtZero, Mask};
use super::conv::{Conv2d, Conv3d};
use super::device::has_kernels;
use super::kernel::Forward;

impl Conv3d {
    /// relu(conv(x) + skip) with the norms that belong to it, and what the ReLU lets through. No graph is recorded.
    pub fn trail(&self, x: &Tensor, skip: Option<&Tensor>, at_zero: AtZero) -> Result<(Tensor, Mask)> {
        let x = x.contiguous()?;
        self.0.check(skip)?;
        if !has_kernels(x.device()) {
            return self.0.on(x.device())?.trail(&x, skip, at_zero);
        }
        let op = Forward::of(&self.0, Some(at_zero)).noting();
        let y = op.apply(&x, skip)?;
        match op.noted() {
            Some(mask) => Ok((y, mask.clone())),
            None => bail!("a convolution noted nothing"),
        }
    }

    /// From the gradient of the outputs, once past the ReLU, to that of the input, whose depth, height and width are told. To it
    /// `skip` is added, another part of the same gradient; then what `mask` lets through is left, that of the layer before.
    pub fn pull_back(
        &self,
        gradient: &Tensor,
        input: [usize; 3],
        skip: Option<&Tensor>,
        mask: Option<&Mask>,
    ) -> Result<Tensor> {
        self.0.pull_back(&gradient.contiguous()?, input, skip, mask)
    }
}

impl Conv2d {
    /// As [`Conv3d::normed_last`].
    pub fn normed_last(&self, norm: super::norm::BatchNorm) -> Result<Self> {
        self.0.normed_last(norm).map(Self)
    }

    /// As [`Conv3d::trail`].
    pub fn trail(&self, x: &Tensor, skip: Option<&Tensor>, at_zero: AtZero) -> Result<(Tensor, Mask)> {
        let skip = skip.map(|skip| skip.unsqueeze(2)).transpose()?;
        let (y, mask) = self.0.trail(&x.unsqueeze(2)?, skip.as_ref(), at_zero)?;
        Ok((y.squeeze(2)?, mask))
    }

    /// As [`Conv3d::pull_back`].
    pub fn pull_back(
        &self,
        gradient: &Tensor,
        [height, width]: [usize; 2],
        skip: Option<&Tensor>,
        mask: Option<&Mask>,
    ) -> Result<Tensor> {
        let skip = skip.map(|skip| skip.unsqueeze(2)).transpose()?;
        self.0.pull_back(&gradient.unsqueeze(2)?, [1, height, width], skip.as_ref(), mask)?.squeeze(2)
    }
}
