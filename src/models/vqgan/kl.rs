//! The KL autoencoder of latent diffusion (Rombach, Blattmann, Lorenz, Esser, Ommer 2022, arXiv 2112.10752): `ldm.models.autoencoder`'s
//! `AutoencoderKL`, of the blocks of a VQGAN. Its latents are not rounded to codes: they are the means of normal distributions.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::config::Sizes;
use super::pair::{Gives, Pair};
use crate::graph::{self, Check, Graph, Plan};
use crate::models::architecture::{Architecture, Defaults, Role};
use crate::models::{Autoencoder, Card, Error, Network, moments};
use crate::weights::Checkpoint;

pub(in crate::models) const ARCHITECTURE: Architecture = Architecture {
    name: "autoencoder-kl",
    title: "KL slice autoencoder",
    role: Role::Autoencoder,
    recognises: |has| has("encoder.down.0.block.0") && has("post_quant_conv.weight") && !has("quantize.embedding"),
    defaults: Defaults { side: None, turned: false },
    load: |card, checkpoint, dtype, device| {
        Ok(Network::Autoencoder(Arc::new(AutoencoderKl::load(card, checkpoint, dtype, device)?)))
    },
};

/// The loss with its discriminator and its own variance, saved with the model, and the averages of the weights.
const UNUSED: [&str; 3] = ["loss.", "model_ema.", "num_batches_tracked"];

pub struct AutoencoderKl {
    pair: Pair,
    /// The graph from a stack to the means.
    means: Graph,
    /// The graph from a stack to the standard deviations.
    deviations: Graph,
}

impl AutoencoderKl {
    /// Sizes come from the tensors' shapes; a yaml that says otherwise is an error.
    pub fn load(
        card: &Card,
        checkpoint: &Checkpoint,
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Self, Error> {
        let sizes = Sizes::of(checkpoint)?;
        if sizes.n_embed.is_some() {
            let what = "it has a codebook, quantize.embedding: kind = \"vqgan\" reads it".to_owned();
            return Err(Error::Card { what, path: checkpoint.path().to_owned() });
        }
        if let Some(yaml) = &card.config {
            sizes.check(yaml)?;
        }
        let pair = Pair::load(card, checkpoint, &sizes, Gives::Moments, (dtype, device))?;
        checkpoint.finish(&UNUSED)?;
        let means = moments::means(pair.encoder.clone(), sizes.embed_dim);
        let deviations = moments::deviations(pair.encoder.clone(), sizes.embed_dim);
        Ok(Self { pair, means, deviations })
    }
}

impl Autoencoder for AutoencoderKl {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        Ok(self.pair.plan(&self.means, stack.dims())?.forward(std::slice::from_ref(stack), check)?.swap_remove(0))
    }

    fn has_deviations(&self) -> bool {
        true
    }

    fn deviations(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Option<Tensor>, graph::Error> {
        let plan = self.pair.plan(&self.deviations, stack.dims())?;
        Ok(Some(plan.forward(std::slice::from_ref(stack), check)?.swap_remove(0)))
    }

    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        self.pair.decoder(latents, size)
    }

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        self.pair.room(&self.means, size)
    }

    fn plans(&self, slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        self.pair.plans(&self.means, slices)
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        self.pair.unit_from_decoded()
    }
}
