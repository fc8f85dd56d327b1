//! The slice autoencoder: VQGAN (Esser, Rombach, Ommer 2021, arXiv 2012.09841), `taming-transformers`' `VQModel`,
//! in the wrapper of `ct_counterfactuals` 0.0.4, `ae.VQGAN`.

mod blocks;
mod config;
pub(super) mod kl;
mod pair;

use std::sync::Arc;

use candle_core::{D, DType, Device, Result, Tensor};

use self::config::Sizes;
use self::pair::{Gives, Pair};
use super::architecture::{Architecture, Defaults, Role};
use super::{Autoencoder, Card, Error, Network};
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
    pair: Pair,
    embedding: Tensor, // [codes, channels]
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
        let wrong = |what: &str| Error::Card { what: what.to_owned(), path: checkpoint.path().to_owned() };
        let codes = match sizes.n_embed {
            None => return Err(wrong("its codebook, quantize.embedding, is missing; this is no VQGAN")),
            Some(0) => return Err(wrong("its codebook, quantize.embedding, holds no code")),
            Some(codes) => codes,
        };
        let pair = Pair::load(card, checkpoint, &sizes, Gives::Latents, (dtype, device))?;
        let embedding = checkpoint.builder(dtype).get((codes, sizes.embed_dim), "quantize.embedding.weight")?;
        checkpoint.finish(&UNUSED)?;
        Ok(Self { pair, embedding: embedding.to_device(device)? })
    }

    /// The pass from a stack `[slices, 1, height, width]` to latents before they are quantised, `[slices, channels, h, w]`.
    pub fn encoder(&self, stack: &[usize]) -> Result<Plan> {
        self.pair.plan(&self.pair.encoder, stack)
    }

    /// The networks themselves, to look into: encoder and decoder.
    pub fn graphs(&self) -> [&Graph; 2] {
        [&self.pair.encoder, &self.pair.decoder]
    }

    /// The code of each latent, `[slices, h, w]`, by `VectorQuantizer2`: the first nearest row.
    pub fn codes(&self, z: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = z.dims4()?;
        let rows = device::copied(z, &self.pair.device)?.permute((0, 2, 3, 1))?.reshape((n * h * w, c))?;
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
        self.pair.decoder(latents, size)
    }

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        self.pair.room(&self.pair.encoder, size)
    }

    fn plans(&self, slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        self.pair.plans(&self.pair.encoder, slices)
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        self.pair.unit_from_decoded()
    }
}
