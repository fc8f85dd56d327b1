//! What an encoder in a file says of a stack: latents, and how sure it is of them.

use std::sync::Arc;

use candle_core::{DType, Device, Result as TensorResult, bail};

use super::output;
use super::pass::{Pass, pass};
use super::tiling::Tiling;
use crate::exchange::Model;
use crate::graph::{Graph, Plan, Value};
use crate::models::{Adapter, Card, Error, Latents, moments};
use crate::preprocess::Recipe;

/// An encoder; of a KL autoencoder it gives mean and deviation of a normal distribution of latents, the posterior.
#[derive(Clone)]
pub(super) struct Posterior {
    encoder: Pass,
    latents: Latents,
    /// The output with the standard deviations, where it is one of its own.
    deviations: Option<Pass>,
}

/// The start of a graph: from a stack to some value, in the order of the network's axes, with the value's shape.
pub(super) struct Encoded {
    pub(super) graph: Graph,
    pub(super) value: Value,
    pub(super) shape: Vec<usize>,
}

impl Posterior {
    pub(super) fn load(card: &Card, encoder: Arc<Model>, on: (DType, &Device)) -> Result<Self, Error> {
        let named = output(card, &encoder)?;
        let of_deviations = |output: &String| pass(Arc::clone(&encoder), output, &card.recipe, on);
        let deviations = card.file.deviations.as_ref().map(of_deviations).transpose()?;
        let encoder = pass(encoder, &named, &card.recipe, on)?;
        Ok(Self { encoder, latents: card.file.latents, deviations })
    }

    pub(super) fn has_deviations(&self) -> bool {
        self.deviations.is_some() || self.latents == Latents::Mean
    }

    /// The graph from a tensor of such a shape, as the network takes it, to latents.
    pub(super) fn latents(&self, tensor: &[usize]) -> TensorResult<Graph> {
        let network = self.encoder.graph(tensor)?;
        if self.latents == Latents::All {
            return Ok(network);
        }
        Ok(moments::means(network, half(&self.encoder.output_of(tensor)?)?))
    }

    /// The graph from a tensor to the standard deviations of the posterior, one for each latent; none where the card says of none.
    pub(super) fn deviations(&self, tensor: &[usize]) -> TensorResult<Graph> {
        if let Some(deviations) = &self.deviations {
            return deviations.graph(tensor);
        }
        Ok(moments::deviations(self.encoder.graph(tensor)?, half(&self.encoder.output_of(tensor)?)?))
    }

    /// The shape of the latents of a tensor.
    pub(super) fn shape_of_latents(&self, tensor: &[usize]) -> TensorResult<Vec<usize>> {
        Ok(Plan::new(&self.latents(tensor)?, &[tensor], self.dtype())?.outputs()[0].to_vec())
    }

    /// The type of the numbers that it computes in.
    fn dtype(&self) -> DType {
        self.encoder.dtype
    }

    /// Takes a stack `[slices, 1, height, width]` through an adapter and the graph that `network` gives of a tensor, tile by tile where there
    /// are tiles.
    pub(super) fn through(
        &self,
        recipe: &Recipe,
        stack: [usize; 4],
        tiling: Option<&Tiling>,
        network: impl Fn(&[usize]) -> TensorResult<Graph>,
    ) -> TensorResult<Encoded> {
        let mut graph = Graph::new();
        let x = graph.input();
        let x = Adapter::own(recipe).tensor(&mut graph, x)?;
        let shape = |graph: &Graph, value: Value| -> TensorResult<Vec<usize>> {
            Ok(Plan::new(&graph.clone().finish(&[value]), &[&stack], self.dtype())?.outputs()[0].to_vec())
        };
        let tensor = shape(&graph, x)?;
        let value = if let Some(tiling) = tiling {
            tiling.encode(&mut graph, x, &tensor, network)?
        } else {
            let network = network(&tensor)?;
            graph.append(&network, x)
        };
        let shape = shape(&graph, value)?;
        Ok(Encoded { graph, value, shape })
    }
}

/// Half of an output's channels.
fn half(shape: &[usize]) -> TensorResult<usize> {
    match shape.get(1) {
        Some(channels) if channels.is_multiple_of(2) => Ok(channels / 2),
        _ => bail!("latents = \"mean\" takes half of the encoder's channels, and it gives {shape:?}"),
    }
}
