//! An affine map for each channel, `scale x + shift`, with what follows it: norms, biases, skips, swish, ReLU, and their gradients.

use candle_core::{D, Result, Tensor, bail};
use candle_nn::ops::sigmoid;

use super::AtZero;
use crate::nn::mask::Mask;

/// What is done to the values of an affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Swish,
    Relu,
}

/// The scale and shift of each channel `[c]`, or of each channel of each sample `[n * c]`.
#[derive(Clone)]
pub(super) struct ChannelAffine {
    pub(super) scale: Tensor,
    pub(super) shift: Tensor,
}

/// Shapes numbers by channel so that they broadcast over `x`, `[n, c, …]`.
fn beside(numbers: &Tensor, x: &Tensor) -> Result<Tensor> {
    let mut sides = vec![1; x.rank()];
    (sides[0], sides[1]) = (numbers.elem_count() / x.dim(1)?, x.dim(1)?);
    numbers.reshape(sides)
}

impl ChannelAffine {
    /// Gives relu(scale x + shift + skip), with as many of these terms as there are, and what the ReLU lets through where that
    /// is to be `save`d.
    pub(super) fn of_relu(
        &self,
        x: &Tensor,
        skip: Option<&Tensor>,
        at_zero: Option<AtZero>,
        save: bool,
    ) -> Result<(Tensor, Option<Mask>)> {
        let Some(at_zero) = at_zero else { return Ok((self.of(x, skip, Activation::None)?, None)) };
        if !save {
            return Ok((self.of(x, skip, Activation::Relu)?, None));
        }
        let (y, passes) = match at_zero {
            AtZero::Nothing => {
                let y = self.of(x, skip, Activation::Relu)?;
                let passes = y.gt(0.0)?; // as before the ReLU
                (y, passes)
            }
            AtZero::All => {
                let y = self.of(x, skip, Activation::None)?;
                (relu(&y)?, y.ge(0.0)?)
            }
        };
        Ok((y, Some(Mask::on_device(passes))))
    }

    /// Gives activation(scale x + shift + skip) of `[n, c, …]`.
    pub(super) fn of(&self, x: &Tensor, skip: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
        if let Some(skip) = skip
            && skip.shape() != x.shape()
        {
            bail!("a skip of {:?} beside a convolution's {:?}", skip.shape(), x.shape());
        }
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let flags = [usize::from(skip.is_some()), activation as usize];
            return self.by_channel("affine", &[x, skip.unwrap_or(x)], &flags);
        }
        let mut y = x.broadcast_mul(&beside(&self.scale, x)?)?.broadcast_add(&beside(&self.shift, x)?)?;
        if let Some(skip) = skip {
            y = (y + skip)?;
        }
        match activation {
            Activation::None => Ok(y),
            Activation::Swish => y.silu(),
            Activation::Relu => relu(&y),
        }
    }

    /// Gives the derivative of swish at scale x + shift, times the gradient of its values.
    pub(super) fn swish_slope(&self, gradient: &Tensor, x: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return self.by_channel("swish_slope", &[x, gradient], &[]);
        }
        let y = self.of(x, None, Activation::None)?;
        let s = sigmoid(&y)?;
        let slope = (&s * ((y * s.affine(-1.0, 1.0)?)? + 1.0)?)?;
        gradient * slope
    }

    #[cfg(feature = "cuda")]
    fn by_channel(&self, kernel: &'static str, tensors: &[&Tensor], flags: &[usize]) -> Result<Tensor> {
        let shape = tensors[0].dims();
        let (rows, plane) = (shape[0] * shape[1], shape[2..].iter().product::<usize>());
        let inputs = [tensors, &[&self.scale, &self.shift]].concat();
        let numbers = [&[plane, rows, self.scale.elem_count()], flags].concat();
        crate::nn::cuda::launch(kernel, &inputs, &numbers, shape, [plane, rows, 1])
    }
}

/// Gives the ReLU of a tensor. What is no number stays none, as on a CPU: candle's own makes it 0.
pub(super) fn relu(y: &Tensor) -> Result<Tensor> {
    y.lt(0.0)?.where_cond(&y.zeros_like()?, y)
}

/// Gives a scale + b slope + shift, each number by channel of each sample: `[n, c, …]`.
pub(super) fn blend(a: &Tensor, scale: &Tensor, b: &Tensor, slope: &Tensor, shift: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if a.device().is_cuda() {
        let (rows, plane) = (a.dim(0)? * a.dim(1)?, a.dims()[2..].iter().product::<usize>());
        let inputs = [a, b, scale, slope, shift];
        return crate::nn::cuda::launch("blend", &inputs, &[plane, rows, rows], a.dims(), [plane, rows, 1]);
    }
    let weighted = |x: &Tensor, by: &Tensor| x.broadcast_mul(&beside(by, x)?);
    (weighted(a, scale)? + weighted(b, slope)?)?.broadcast_add(&beside(shift, a)?)
}

/// Gives, for each row of two matrices `[rows, n]`, the mean of a and the covariance of a and b; each `[rows]`.
pub(super) fn moments(a: &Tensor, b: &Tensor) -> Result<[Tensor; 2]> {
    #[cfg(feature = "cuda")]
    if a.device().is_cuda() {
        let (rows, n) = a.dims2()?;
        let both =
            crate::nn::cuda::launch("moments", &[a, b], &[n, rows], &[2, rows], [crate::nn::cuda::THREADS, rows, 1])?;
        return Ok([both.get(0)?, both.get(1)?]);
    }
    let centred = |x: &Tensor| x.broadcast_sub(&x.mean_keepdim(D::Minus1)?);
    Ok([a.mean(D::Minus1)?, (centred(a)? * centred(b)?)?.mean(D::Minus1)?])
}
