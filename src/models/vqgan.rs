//! The slice autoencoder: VQGAN (Esser, Rombach, Ommer 2021, arXiv 2012.09841), `taming-transformers`' `VQModel`,
//! in the wrapper of `ct_counterfactuals` 0.0.4, `ae.VQGAN`.

mod blocks;
mod config;

use std::sync::Arc;

use candle_core::{D, DType, Device, Result, Tensor};

use self::blocks::conv_1x1;
use self::config::Sizes;
use super::architecture::{Architecture, Defaults, Role};
use super::roles::{halves, planned};
use super::{Autoencoder, Card, Decode, Error, Network, turned};
use crate::graph::ops::Size;
use crate::graph::{self, Check, Graph, Plan};
use crate::nn::device;
use crate::weights::Checkpoint;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "vqgan",
    title: "VQGAN slice autoencoder",
    role: Role::Autoencoder,
    recognises: |has| has("quantize.embedding") && has("post_quant_conv.weight"),
    defaults: Defaults { side: Some(256), turned: true },
    load: |card, checkpoint, dtype, device| {
        Ok(Network::Autoencoder(Arc::new(Vqgan::load(card, checkpoint, dtype, device)?)))
    },
};

/// The loss and its discriminator, saved with the model.
const UNUSED: [&str; 2] = ["loss.", "num_batches_tracked"];

pub struct Vqgan {
    side: Option<usize>,
    turned: bool,
    scale: Decode,
    /// The graph from a stack to latents before they are quantised.
    encoder: Graph,
    embedding: Tensor, // [codes, channels]
    /// The graph from latents to -1..=1 on the network's own grid.
    decoder: Graph,
    /// Resolutions.
    levels: usize,
    dtype: DType,
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
        let x = blocks::encoder(&mut g, x, &sizes, &vb.pp("encoder"))?;
        let x = g.conv(x, conv_1x1([sizes.z_channels, sizes.embed_dim], &vb.pp("quant_conv"))?);
        let encoder = g.finish(&[x]).fused();

        let mut g = Graph::new();
        let z = g.input();
        let z = g.conv(z, conv_1x1([sizes.embed_dim, sizes.z_channels], &vb.pp("post_quant_conv"))?);
        g.name(z, "post_quant_conv");
        let y = blocks::decoder(&mut g, z, &sizes, &vb.pp("decoder"))?;
        let decoder = g.finish(&[y]).fused();

        let embedding = vb.get((sizes.n_embed, sizes.embed_dim), "quantize.embedding.weight")?.to_device(device)?;
        checkpoint.finish(&UNUSED)?;
        let (side, turned, scale, levels) = (card.side, card.turned, card.decode, sizes.widths.len());
        Ok(Self { side, turned, scale, encoder, embedding, decoder, levels, dtype, device: device.clone() })
    }

    /// The pass from a stack `[slices, 1, height, width]` to latents before they are quantised, `[slices, channels, h, w]`.
    pub fn encoder(&self, stack: &[usize]) -> Result<Plan> {
        if let [_, _, h, w] = stack {
            halves(self.side.map_or([*h, *w], |side| Size::Smaller(side).of([*h, *w])), self.levels)?;
        }
        planned(&self.encoder, stack, self.dtype, &self.device)
    }

    /// The networks themselves, to look into: encoder and decoder.
    pub fn graphs(&self) -> [&Graph; 2] {
        [&self.encoder, &self.decoder]
    }

    /// The code of each latent, `[slices, h, w]`, by `VectorQuantizer2`: the first nearest row.
    pub fn codes(&self, z: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = z.dims4()?;
        let rows = device::copied(z, &self.device)?.permute((0, 2, 3, 1))?.reshape((n * h * w, c))?;
        let squares = rows.sqr()?.sum_keepdim(1)?.broadcast_add(&self.embedding.sqr()?.sum(1)?)?;
        let distance = (squares - (rows.matmul(&self.embedding.t()?)? * 2.0)?)?;
        distance.argmin(D::Minus1)?.reshape((n, h, w))
    }

    /// Latents as the decoder was trained on them: each the nearest code.
    fn quantized(&self, z: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = z.dims4()?;
        let nearest = self.embedding.index_select(&self.codes(z)?.flatten_all()?, 0)?.to_device(&Device::Cpu)?;
        let nearest = nearest.reshape((n, h, w, c))?.permute((0, 3, 1, 2))?;
        // z + (e - z), not e: the reference's straight-through form, and its rounding.
        (z + (nearest - z)?)?.contiguous()
    }
}

impl Autoencoder for Vqgan {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        let z = self.encoder(stack.dims())?.forward(std::slice::from_ref(stack), check)?;
        Ok(self.quantized(&z[0])?)
    }

    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
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

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        let free = device::free_bytes(&self.device)? as u64;
        let latents = self.encoder(&[1, 1, size[0], size[1]]).ok()?;
        let of_slice = self.decoder(latents.outputs().first()?, size).ok()?.gradient_bytes();
        Some(usize::try_from(free / of_slice.max(1)).unwrap_or(usize::MAX).max(1))
    }

    fn plans(&self, slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        let encoder = self.encoder(slices)?;
        let decoder = self.decoder(encoder.outputs()[0], [slices[2], slices[3]])?;
        Ok(vec![("encoder", encoder), ("decoder", decoder)])
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        match self.scale {
            Decode::Inverse => [1.0, 0.0],
            Decode::Reference => [2.0, -0.5],
        }
    }
}
