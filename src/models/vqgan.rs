//! The slice autoencoder: VQGAN (Esser, Rombach, Ommer 2021, arXiv 2012.09841), `taming-transformers`' `VQModel`,
//! in the wrapper of `ct_counterfactuals` 0.0.4, `ae.VQGAN`.

mod blocks;
mod config;

use candle_core::{D, DType, Device, Result, Tensor};

use self::blocks::{Decoder, Encoder};
use self::config::Sizes;
use super::stage::pull_by_graph;
use super::{Autoencoder, Card, Decode, Error, PullBack, fits, halves};
use crate::nn::conv::{Conv2d, Shape, conv2d};
use crate::nn::{device, resize};
use crate::weights::Checkpoint;

/// The loss and its discriminator, saved with the model.
const UNUSED: [&str; 2] = ["loss.", "num_batches_tracked"];

pub struct Vqgan {
    side: Option<usize>,
    turned: bool,
    scale: Decode,
    encoder: Encoder,
    quant_conv: Conv2d,
    embedding: Tensor, // [codes, channels]
    post_quant_conv: Conv2d,
    decoder: Decoder,
    /// Resolutions, and channels of the first.
    levels: usize,
    width: usize,
    /// What a gradient of one slice takes, bytes per pixel of the network's own grid.
    bytes_per_pixel: usize,
    device: Device,
}

impl Vqgan {
    /// Sizes come from the tensors' shapes; a yaml that says otherwise is an error.
    pub fn load(
        card: &Card,
        checkpoint: &Checkpoint,
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Self, Error> {
        let sizes = Sizes::of(checkpoint)?;
        if let Some(yaml) = &card.config {
            sizes.check(yaml)?;
        }
        if sizes.n_embed == 0 {
            let what = "its codebook, quantize.embedding, holds no code".to_owned();
            return Err(Error::Card { what, path: checkpoint.path().to_owned() });
        }
        let vb = checkpoint.builder(dtype);
        let pointwise = Shape { kernel: 1, stride: 1, padding: 0 };
        let network = Self {
            side: card.side,
            turned: card.turned,
            scale: card.decode,
            encoder: Encoder::new(&sizes, &vb.pp("encoder"))?,
            quant_conv: conv2d(sizes.z_channels, sizes.embed_dim, pointwise, &vb.pp("quant_conv"))?,
            embedding: vb.get((sizes.n_embed, sizes.embed_dim), "quantize.embedding.weight")?.to_device(device)?,
            post_quant_conv: conv2d(sizes.embed_dim, sizes.z_channels, pointwise, &vb.pp("post_quant_conv"))?,
            decoder: Decoder::new(&sizes, &vb.pp("decoder"))?,
            levels: sizes.widths.len(),
            width: sizes.ch,
            bytes_per_pixel: sizes.gradient_bytes_per_pixel(),
            device: device.clone(),
        };
        checkpoint.finish(&UNUSED)?;
        Ok(network)
    }

    /// The encoder's input: -1..=1, resized, turned.
    pub fn model_input(&self, stack: &Tensor) -> Result<Tensor> {
        let (slices, _, h, w) = stack.dims4()?;
        let [height, width] = self.side.map_or([h, w], |side| fit([h, w], side));
        halves([height, width], self.levels)?;
        // What its first convolution gives, and what its first norm makes of that.
        fits([2 * slices, self.width, height, width], [slices, height, width], &self.device)?;
        let mut x = stack.affine(2.0, -1.0)?;
        if let Some(side) = self.side {
            x = resize::bilinear_antialias(&x, fit([h, w], side))?;
        }
        if self.turned { turn(&x) } else { Ok(x) }
    }

    /// From the decoder's output to the stack's own grid and range, on the CPU.
    fn finished(&self, y: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let y = if self.turned { turn(y)? } else { y.clone() };
        let y = resize::bilinear_antialias(&y, size)?.to_device(&Device::Cpu)?;
        match self.scale {
            Decode::Inverse => y.affine(0.5, 0.5),
            Decode::Reference => y.affine(0.25, 0.5),
        }
    }

    /// Before quantisation: `[slices, channels, h, w]`.
    pub fn continuous_latents(&self, input: &Tensor) -> Result<Tensor> {
        input.apply(&self.encoder)?.apply(&self.quant_conv)
    }

    /// The code of each latent, `[slices, h, w]`, by `VectorQuantizer2`: the first nearest row.
    pub fn codes(&self, z: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = z.dims4()?;
        let rows = z.permute((0, 2, 3, 1))?.reshape((n * h * w, c))?;
        let squares = rows.sqr()?.sum_keepdim(1)?.broadcast_add(&self.embedding.sqr()?.sum(1)?)?;
        let distance = (squares - (rows.matmul(&self.embedding.t()?)? * 2.0)?)?;
        distance.argmin(D::Minus1)?.reshape((n, h, w))
    }
}

impl Autoencoder for Vqgan {
    fn encode(&self, stack: &Tensor) -> Result<Tensor> {
        let z = self.continuous_latents(&self.model_input(&device::copied(stack, &self.device)?)?)?;
        let (n, c, h, w) = z.dims4()?;
        let nearest = self.embedding.index_select(&self.codes(&z)?.flatten_all()?, 0)?;
        let nearest = nearest.reshape((n, h, w, c))?.permute((0, 3, 1, 2))?;
        // z + (e - z), not e: the reference's straight-through form, and its rounding.
        (&z + (nearest - &z)?)?.contiguous()?.to_device(&Device::Cpu)
    }

    fn decode(&self, latents: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let z = device::copied(latents, &self.device)?.apply(&self.post_quant_conv)?;
        self.finished(&z.apply(&self.decoder)?, size)
    }

    fn trail(&self, latents: &Tensor, size: [usize; 2]) -> Result<(Tensor, PullBack<'_>)> {
        let (_, _, h, w) = latents.dims4()?;
        let z = device::copied(latents, &self.device)?.apply(&self.post_quant_conv)?;
        let (y, back) = self.decoder.trail(&z)?;
        let finished = self.finished(&y, size)?;
        let pull_back = move |gradient: &Tensor| {
            let gradient = back(&pull_by_graph(|y| self.finished(y, size), &y, gradient)?)?;
            self.post_quant_conv.pull_back(&gradient, [h, w], None, None)?.to_device(&Device::Cpu)
        };
        Ok((finished, Box::new(pull_back)))
    }

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        let [h, w] = self.side.map_or(size, |side| fit(size, side));
        let slices = device::free_bytes(&self.device)? / self.bytes_per_pixel.saturating_mul(h * w).max(1);
        Some(slices.max(1))
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        match self.scale {
            Decode::Inverse => [1.0, 0.0],
            Decode::Reference => [2.0, -0.5],
        }
    }
}

/// torchvision's `Resize(side)`: the smaller edge becomes `side`, the other keeps the aspect, rounded down.
fn fit([h, w]: [usize; 2], side: usize) -> [usize; 2] {
    let longer = |long: usize, short: usize| side.saturating_mul(long) / short.max(1);
    if h <= w { [side, longer(w, h)] } else { [longer(h, w), side] }
}

/// A quarter turn and a mirror, out[i, j] = x[n-1-j, n-1-i]: how the published networks were fed. Its own inverse.
pub(super) fn turn(x: &Tensor) -> Result<Tensor> {
    x.transpose(D::Minus1, D::Minus2)?.contiguous()?.flip(&[2, 3])
}

#[cfg(test)]
mod tests {
    use candle_core::IndexOp;

    use super::*;

    #[test]
    fn turning_twice_changes_nothing() -> Result<()> {
        let x = Tensor::arange(0_f32, 12.0, &Device::Cpu)?.reshape((1, 1, 3, 4))?;
        let turned = turn(&x)?;
        assert_eq!(turned.dims(), [1, 1, 4, 3]);
        assert_eq!(turned.i((0, 0, 0))?.to_vec1::<f32>()?, [11.0, 7.0, 3.0]);
        assert_eq!(turn(&turned)?.flatten_all()?.to_vec1::<f32>()?, x.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    #[test]
    fn turning_is_the_published_rotation_and_flip_both_ways() -> Result<()> {
        let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/resize.safetensors");
        let g = candle_core::safetensors::load(goldens, &Device::Cpu)?;
        for name in ["rf_enc", "rf_dec"] {
            let gap = (turn(&g["rect40x56"])? - &g[name])?.abs()?.sum_all()?.to_scalar::<f32>()?;
            assert_eq!(gap, 0.0, "{name}");
        }
        Ok(())
    }

    #[test]
    fn the_smaller_edge_becomes_the_side() {
        assert_eq!(fit([40, 56], 64), [64, 89]);
        assert_eq!(fit([56, 40], 64), [89, 64]);
        assert_eq!(fit([224, 224], 256), [256, 256]);
    }
}
