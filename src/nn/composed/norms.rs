//! Group norm, with the swish that may follow.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::lines::{Lines, Then, blend, moments};
use super::node;

/// Frozen numbers of a group norm, on a device.
pub(in super::super) struct GroupNorm {
    pub(in super::super) groups: usize,
    pub(in super::super) weight: Tensor, // [c]
    pub(in super::super) bias: Tensor,   // [c]
    pub(in super::super) eps: f64,
}

impl GroupNorm {
    /// The norm, then swish where it is wanted: `[n, c, …]`.
    pub(in super::super) fn forward(self: &Arc<Self>, x: &Tensor, swish: bool) -> Result<Tensor> {
        let x = x.contiguous()?;
        let (plain, of) = (x.detach(), Arc::clone(self));
        let then = if swish { Then::Swish } else { Then::Nothing };
        let ([mean, rate], n) = (self.standard(&plain)?, x.dim(0)?);
        let y = self.lines(&mean, &rate, n)?.of(&plain, None, then)?;
        node("group norm", &x, y, move |gradient| of.backward(&plain, gradient, [&mean, &rate], swish))
    }

    fn grouped(&self, x: &Tensor) -> Result<Tensor> {
        x.reshape((x.dim(0)? * self.groups, ()))
    }

    /// Mean and 1 / deviation of each group of each sample, `[n * groups]`.
    fn standard(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        let grouped = self.grouped(x)?;
        let [mean, variance] = moments(&grouped, &grouped)?;
        Ok([mean, (variance + self.eps)?.sqrt()?.recip()?])
    }

    /// One number of each group, for each of its channels: `[n * c]`.
    fn spread(&self, of_group: &Tensor, n: usize) -> Result<Tensor> {
        let channels = self.weight.elem_count() / self.groups;
        let wide = of_group.reshape((n * self.groups, 1))?.broadcast_as((n * self.groups, channels))?;
        wide.contiguous()?.flatten_all()
    }

    /// (x - mean) \* rate \* weight + bias as lines, `[n * c]`.
    fn lines(&self, mean: &Tensor, rate: &Tensor, n: usize) -> Result<Lines> {
        let repeated = |of_channel: &Tensor| of_channel.repeat(n);
        let scale = (self.spread(rate, n)? * repeated(&self.weight)?)?;
        let shift = (repeated(&self.bias)? - (self.spread(mean, n)? * &scale)?)?;
        Ok(Lines { scale, shift })
    }

    /// From the gradient of the outputs at `x` to that of `x`.
    pub(in super::super) fn pull_back(&self, x: &Tensor, gradient: &Tensor, swish: bool) -> Result<Tensor> {
        let [mean, rate] = self.standard(x)?;
        self.backward(x, gradient, [&mean, &rate], swish)
    }

    /// With h = (x - mean) \* rate and u = d loss / d h: d loss / d x = rate \* (u - mean(u) - h \* mean(u h)), and
    /// mean(u h) = rate \* cov(u, x).
    fn backward(&self, x: &Tensor, gradient: &Tensor, [mean, rate]: [&Tensor; 2], swish: bool) -> Result<Tensor> {
        let n = x.dim(0)?;
        let mut u = gradient.clone();
        if swish {
            u = self.lines(mean, rate, n)?.swish_slope(&u, x)?;
        }
        let weighted = Lines { scale: self.weight.clone(), shift: self.weight.zeros_like()? };
        let u = weighted.of(&u, None, Then::Nothing)?;
        let [level, along] = moments(&self.grouped(&u)?, &self.grouped(x)?)?;
        let slope = ((rate * rate)? * rate)?.mul(&along)?;
        let shift = ((&slope * mean)? - (rate * level)?)?;
        let [rate, slope, shift] = [rate.clone(), slope.neg()?, shift].map(|of_group| self.spread(&of_group, n));
        blend(&u, &rate?, x, &slope?, &shift?)
    }
}
