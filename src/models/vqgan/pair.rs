//! Encoder and decoder of a slice autoencoder, as `taming-transformers` and `latent-diffusion` lay them out.

use candle_core::{DType, Device, Result};

use super::blocks::{self, conv_1x1};
use super::config::Sizes;
use crate::graph::ops::Size;
use crate::graph::{Graph, Plan};
use crate::models::roles::{halves, planned};
use crate::models::{Card, Decode, turned};
use crate::nn::device;
use crate::weights::Checkpoint;

/// How many numbers the encoder gives for each latent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Latents = 1,
    /// Mean and logarithm of the variance, one half of the channels each.
    Moments = 2,
}

pub(super) struct Pair {
    side: Option<usize>,
    turned: bool,
    scale: Decode,
    /// The graph from a stack to what the encoder gives.
    pub(super) encoder: Graph,
    /// The graph from latents to -1..=1 on the network's own grid.
    pub(super) decoder: Graph,
    /// Resolutions.
    levels: usize,
    pub(super) dtype: DType,
    pub(super) device: Device,
}

impl Pair {
    pub(super) fn load(
        card: &Card,
        checkpoint: &Checkpoint,
        sizes: &Sizes,
        gives: Gives,
        (dtype, device): (DType, &Device),
    ) -> Result<Self> {
        let vb = checkpoint.builder(dtype);
        let mut g = Graph::new();
        let x = g.input();
        let mut x = g.affine(x, 2.0, -1.0);
        if let Some(side) = card.side {
            x = g.resize(x, Size::Smaller(side), true);
        }
        if card.turned {
            x = turned(&mut g, x);
        }
        g.name(x, "model_input");
        let [z, latents] = [sizes.z_channels, sizes.embed_dim].map(|channels| channels.saturating_mul(gives as usize));
        let x = blocks::encoder(&mut g, x, sizes, z, &vb.pp("encoder"))?;
        let x = g.conv(x, conv_1x1([z, latents], &vb.pp("quant_conv"))?);
        let encoder = g.finish(&[x]).fused();

        let mut g = Graph::new();
        let z = g.input();
        let z = g.conv(z, conv_1x1([sizes.embed_dim, sizes.z_channels], &vb.pp("post_quant_conv"))?);
        g.name(z, "post_quant_conv");
        let y = blocks::decoder(&mut g, z, sizes, &vb.pp("decoder"))?;
        let decoder = g.finish(&[y]).fused();

        let (side, turned, scale, levels) = (card.side, card.turned, card.decode, sizes.widths.len());
        Ok(Self { side, turned, scale, encoder, decoder, levels, dtype, device: device.clone() })
    }

    /// The pass of a graph that begins as the encoder does, over a stack `[slices, 1, height, width]`.
    pub(super) fn plan(&self, encoder: &Graph, stack: &[usize]) -> Result<Plan> {
        if let [_, _, h, w] = stack {
            halves(self.side.map_or([*h, *w], |side| Size::Smaller(side).of([*h, *w])), self.levels)?;
        }
        planned(encoder, stack, self.dtype, &self.device)
    }

    /// The pass from latents to `[slices, 1, height, width]`, with `size` the height and width.
    pub(super) fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        let mut g = self.decoder.clone();
        let mut y = g.output();
        if self.turned {
            y = turned(&mut g, y);
        }
        y = g.resize(y, Size::Fixed(size), true);
        y = match self.scale {
            Decode::Inverse => g.affine(y, 0.5, 0.5),
            Decode::Reference => g.affine(y, 0.25, 0.5),
        };
        planned(&g.finish(&[y]), latents, self.dtype, &self.device)
    }

    /// How many slices of that height and width the device has memory for at a time, where `encoder` gives their latents.
    pub(super) fn room(&self, encoder: &Graph, size: [usize; 2]) -> Option<usize> {
        let free = device::free_bytes(&self.device)? as u64;
        let encoder = self.plan(encoder, &[1, 1, size[0], size[1]]).ok()?;
        let of_slice = self.decoder(encoder.outputs().first()?, size).ok()?.gradient_bytes();
        Some(usize::try_from(free / of_slice.max(1)).unwrap_or(usize::MAX).max(1))
    }

    /// The passes by name, over slices of such a shape, where `encoder` gives their latents.
    pub(super) fn plans(&self, encoder: &Graph, slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        let encoder = self.plan(encoder, slices)?;
        let decoder = self.decoder(encoder.outputs()[0], [slices[2], slices[3]])?;
        Ok(vec![("encoder", encoder), ("decoder", decoder)])
    }

    pub(super) fn unit_from_decoded(&self) -> [f32; 2] {
        match self.scale {
            Decode::Inverse => [1.0, 0.0],
            Decode::Reference => [2.0, -0.5],
        }
    }
}
