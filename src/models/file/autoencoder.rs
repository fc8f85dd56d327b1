//! Autoencoders of slices in two files: an encoder to latents, and a decoder from them.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};

use super::pass::{Pass, pass};
use super::posterior::{Encoded, Posterior};
use super::tiling::Tiling;
use super::volumes::FileVolumes;
use super::{example, same_channels, unit};
use crate::exchange::Model;
use crate::graph::ops::Reduction;
use crate::graph::{self, Check, Graph, Plan};
use crate::models::roles::planned;
use crate::models::{Autoencoder, Card, Error, Latents};
use crate::nn::device;
use crate::preprocess::Recipe;

/// Compresses slices one by one.
pub(super) struct FileAutoencoder {
    encoder: Posterior,
    decoder: Pass,
    recipe: Recipe,
    dtype: DType,
    device: Device,
}

/// Why a decoder does not go with its encoder, for people.
struct Misfit(String);

impl Misfit {
    fn of(decoder: &Pass, latents: &[usize], setting: Latents, error: &candle_core::Error) -> Self {
        let given = latents.get(1).copied().unwrap_or(0);
        let remedy = match (decoder.channels(), setting) {
            (Some(taken), Latents::All) if taken.checked_mul(2) == Some(given) => format!(
                "; the decoder takes {taken} channels, half of the {given} that the encoder gives: the others are a logarithm of the \
                 variance, so say latents = \"mean\" in the card"
            ),
            (Some(taken), Latents::Mean) if given.checked_mul(2) == Some(taken) => {
                format!("; the decoder takes all {taken} channels that the encoder gives: leave latents = \"mean\" out of the card")
            }
            (Some(taken), _) if taken != given => {
                format!("; the decoder takes {taken} channels of latents, and the encoder gives {given}: name the decoder that belongs to it")
            }
            (None, Latents::All) if given.is_multiple_of(2) => {
                "; if the encoder gives the mean of latents and the logarithm of their variance, say latents = \"mean\" in the card".to_owned()
            }
            _ => String::new(),
        };
        Self(format!("the decoder does not go with the encoder: {error}{remedy}"))
    }
}

impl FileAutoencoder {
    /// Checks the two files against each other and the recipe.
    pub(super) fn load(
        card: &Card,
        recipe: &Recipe,
        [encoder, decoder]: [Arc<Model>; 2],
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Arc<dyn Autoencoder>, Error> {
        let (path, of_decoder) = (encoder.path().to_owned(), decoder.path().to_owned());
        let wrong = |what: String| Error::Card { what, path: path.clone() };
        let misfit = |Misfit(what): Misfit| Error::Card { what, path: of_decoder.clone() };
        if recipe.z_score || !recipe.windows.is_empty() {
            return Err(wrong(
                "recipe.z_score and recipe.windows cannot be undone behind a decoder; an autoencoder has one window, recipe.hu".to_owned(),
            ));
        }
        let tiles = super::tiles(card, recipe, &encoder)?;
        if tiles.is_some() && recipe.axes.is_slice() {
            return Err(wrong(
                "[tiles] says nothing here: the network takes slices, one by one; leave it out".to_owned(),
            ));
        }
        let encoder = Posterior::load(card, encoder, (dtype, device))?;
        let first = decoder.outputs().first().map(|port| port.name.clone()).unwrap_or_default();
        let decoder = pass(decoder, &first, recipe, (dtype, device))?;
        let (recipe, device) = (recipe.clone(), device.clone());
        if recipe.axes.is_slice() {
            let network = Self { encoder, decoder, recipe, dtype, device };
            let latents = network.latents().map_err(|error| wrong(error.to_string()))?;
            network
                .check(&latents)
                .map_err(|error| misfit(Misfit::of(&network.decoder, &latents, card.file.latents, &error)))?;
            network.decoder.differentiable(&latents).map_err(|error| misfit(Misfit(error.to_string())))?;
            return Ok(Arc::new(network));
        }
        let tiling = Tiling::of(tiles, &recipe, (dtype, &device), |tile| encoder.shape_of_latents(tile));
        let tiling = tiling.map_err(|error| wrong(error.to_string()))?;
        let network = FileVolumes { encoder, decoder, recipe, tiling, dtype, device };
        let latents = network.latents().map_err(|error| wrong(error.to_string()))?;
        network
            .check(&latents)
            .map_err(|error| misfit(Misfit::of(&network.decoder, &latents, card.file.latents, &error)))?;
        network.differentiable(&latents).map_err(|error| misfit(Misfit(error.to_string())))?;
        Ok(Arc::new(network))
    }

    /// Follows the shape of a slice through the encoder: the shape of its latents.
    fn latents(&self) -> Result<Vec<usize>> {
        let [rows, columns] = self.example()?;
        Ok(self.encoder([1, 1, rows, columns])?.outputs()[0].to_vec())
    }

    /// Follows the shape of a slice's latents through the decoder.
    fn check(&self, latents: &[usize]) -> Result<()> {
        self.decoder(latents, self.example()?).map(drop)
    }

    /// Rows and columns of a slice.
    fn example(&self) -> Result<[usize; 2]> {
        let slice = example(&self.recipe, 1);
        let [_, _, height, width] = slice[..] else { bail!("slices [n, c, h, w], found {slice:?}") };
        Ok(self.stack_size([height, width]))
    }

    /// Rows and columns of a stack, from the height and width of the network's tensor, and the other way.
    fn stack_size(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self.recipe.axes.of_stack().next() {
            Some((1, _)) => [height, width],
            _ => [width, height],
        }
    }

    /// The pass from a stack `[slices, 1, height, width]` to latents.
    fn encoder(&self, stack: [usize; 4]) -> Result<Plan> {
        self.planned(self.encoder.through(&self.recipe, stack, None, |tensor| self.encoder.latents(tensor))?, stack)
    }

    fn planned(&self, Encoded { graph, value, .. }: Encoded, stack: [usize; 4]) -> Result<Plan> {
        let plan = planned(&graph.finish(&[value]), &stack, self.dtype, &self.device)?;
        match plan.outputs()[0] {
            [n, _, _, _] if *n == stack[0] => Ok(plan),
            other => {
                bail!("the encoder gives {other:?} of {} slices, where latents are [slices, channels, h, w]", stack[0])
            }
        }
    }
}

impl Autoencoder for FileAutoencoder {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        let (n, c, h, w) = stack.dims4()?;
        Ok(self.encoder([n, c, h, w])?.forward(std::slice::from_ref(stack), check)?.remove(0))
    }

    fn has_deviations(&self) -> bool {
        self.encoder.has_deviations()
    }

    fn deviations(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Option<Tensor>, graph::Error> {
        let (n, c, h, w) = stack.dims4()?;
        let shape = [n, c, h, w];
        if !self.encoder.has_deviations() {
            return Ok(None);
        }
        let encoded = self.encoder.through(&self.recipe, shape, None, |tensor| self.encoder.deviations(tensor))?;
        Ok(Some(self.planned(encoded, shape)?.forward(std::slice::from_ref(stack), check)?.remove(0)))
    }

    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        let network = self.decoder.graph(latents)?;
        let decoded = Plan::new(&network, &[latents], self.dtype)?.outputs()[0].to_vec();
        let mut g = Graph::new();
        let z = g.input();
        let mut y = g.append(&network, z);
        match decoded[..] {
            [n, c, height, width] if n == latents[0] && self.stack_size([height, width]) == size => {
                same_channels(&self.recipe, c)?;
                if c > 1 {
                    y = g.reduce(Reduction::Mean, y, &[1], true);
                }
            }
            _ => bail!(
                "the decoder gives {decoded:?} of latents {latents:?}, where the scan's slices have {} x {} pixels; \
                 set recipe.size to what the autoencoder was trained on",
                size[0],
                size[1]
            ),
        }
        let axes: Vec<(usize, bool)> = self.recipe.axes.of_stack().collect();
        let reversed: Vec<usize> = (0..2).filter(|at| axes[*at].1).map(|at| at + 2).collect();
        if !reversed.is_empty() {
            y = g.flip(y, &reversed);
        }
        if axes[0].0 == 2 {
            y = g.permute(y, &[0, 1, 3, 2]);
        }
        let y = unit(&mut g, y, &self.recipe);
        planned(&g.finish(&[y]), latents, self.dtype, &self.device)
    }

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        let free = device::free_bytes(&self.device)? as u64;
        let latents = self.encoder([1, 1, size[0], size[1]]).ok()?;
        let of_slice = self.decoder(latents.outputs().first()?, size).ok()?.gradient_bytes();
        Some(usize::try_from(free / of_slice.max(1)).unwrap_or(usize::MAX).max(1))
    }

    fn plans(&self, slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        let encoder = self.encoder(*slices)?;
        let decoder = self.decoder(encoder.outputs()[0], [slices[2], slices[3]])?;
        Ok(vec![("encoder", encoder), ("decoder", decoder)])
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        [1.0, 0.0]
    }
}
