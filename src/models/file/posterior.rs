//! What an encoder in a file says of a stack: latents, and how sure it is of them.

use std::sync::Arc;

use candle_core::{DType, Device, Result as TensorResult, bail};

use super::{Pass, output, pass};
use crate::exchange::Model;
use crate::graph::ops::{Clip, Function};
use crate::graph::{Graph, Plan, Value};
use crate::models::{Adapter, Card, Error, Latents};
use crate::preprocess::Recipe;

/// Beyond these a logarithm of a variance is clipped, as in training. Source: diffusers, `DiagonalGaussianDistribution`, and MONAI,
/// `AutoencoderKL.encode`.
const LOG_VARIANCES: Clip = Clip { low: -30.0, high: 20.0 };

/// An encoder; of a KL autoencoder it gives mean and deviation of a normal distribution of latents, the posterior.
#[derive(Clone)]
pub(super) struct Posterior {
    encoder: Pass,
    latents: Latents,
    /// The output with the standard deviations, where it is one of its own.
    deviations: Option<Pass>,
}

/// The start of a graph: from a stack to some value, in the order of the network's axes, with the shape of the encoder's output.
pub(super) struct Encoded {
    pub(super) graph: Graph,
    pub(super) value: Value,
    pub(super) shape: Vec<usize>,
}

impl Posterior {
    pub(super) fn load(card: &Card, encoder: Arc<Model>, dtype: DType, device: &Device) -> Result<Self, Error> {
        let named = output(card, &encoder)?;
        let of_deviations = |output: &String| pass(Arc::clone(&encoder), output, dtype, device);
        let deviations = card.file.deviations.as_ref().map(of_deviations).transpose()?;
        let encoder = pass(encoder, &named, dtype, device)?;
        Ok(Self { encoder, latents: card.file.latents, deviations })
    }

    pub(super) fn has_deviations(&self) -> bool {
        self.deviations.is_some() || self.latents == Latents::Mean
    }

    /// Takes a stack `[slices, 1, height, width]` to latents.
    pub(super) fn latents(&self, recipe: &Recipe, stack: [usize; 4]) -> TensorResult<Encoded> {
        let Encoded { mut graph, value, shape } = encoded(&self.encoder, recipe, stack)?;
        let value = match self.latents {
            Latents::All => value,
            Latents::Mean => graph.narrow(value, 1, 0, half(&shape)?),
        };
        Ok(Encoded { graph, value, shape })
    }

    /// Takes a stack to the standard deviations of the posterior, one for each latent; none where the card says of none. Behind a mean
    /// stands v, the logarithm of the variance: the deviation is exp(v / 2).
    pub(super) fn deviations(&self, recipe: &Recipe, stack: [usize; 4]) -> TensorResult<Option<Encoded>> {
        if let Some(deviations) = &self.deviations {
            return encoded(deviations, recipe, stack).map(Some);
        }
        if self.latents != Latents::Mean {
            return Ok(None);
        }
        let Encoded { mut graph, value, shape } = encoded(&self.encoder, recipe, stack)?;
        let channels = half(&shape)?;
        let value = graph.narrow(value, 1, channels, channels);
        let value = graph.apply(LOG_VARIANCES, &[value]);
        let value = graph.affine(value, 0.5, 0.0);
        let value = graph.function(value, Function::Exp);
        Ok(Some(Encoded { graph, value, shape }))
    }
}

/// Half of an output's channels.
fn half(shape: &[usize]) -> TensorResult<usize> {
    match shape.get(1) {
        Some(channels) if channels.is_multiple_of(2) => Ok(channels / 2),
        _ => bail!("latents = \"mean\" takes half of the encoder's channels, and it gives {shape:?}"),
    }
}

/// Takes a stack to one of the encoder's outputs.
fn encoded(output: &Pass, recipe: &Recipe, stack: [usize; 4]) -> TensorResult<Encoded> {
    let mut graph = Graph::new();
    let x = graph.input();
    let x = Adapter::own(recipe).tensor(&mut graph, x)?;
    let tensor = Plan::new(&graph.clone().finish(&[x]), &[&stack], output.dtype)?.outputs()[0].to_vec();
    let network = output.graph(&tensor)?;
    let shape = Plan::new(&network, &[&tensor], output.dtype)?.outputs()[0].to_vec();
    let value = graph.append(&network, x);
    Ok(Encoded { graph, value, shape })
}
