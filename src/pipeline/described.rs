//! What a model card makes of the networks' files that it names, for `parallax info`.

use std::path::Path;

use anyhow::Result;

use super::{BadInput, network};
use crate::exchange::Model;
use crate::models::{Card, Head, Latents, Loaded, Network, Role, Tiles};
use crate::nn::device;
use crate::preprocess::Recipe;

/// A card that holds, with the files of its networks.
pub struct Described {
    pub role: Role,
    /// Each file and what it is: "network", or "encoder" and "decoder".
    pub parts: Vec<(&'static str, Model)>,
    /// Of a classifier or a segmenter.
    pub labels: Option<Vec<String>>,
    /// Where scores come from.
    pub head: Option<Head>,
    /// Of an autoencoder.
    pub latents: Option<Latents>,
    pub tiles: Option<Tiles>,
    /// With the sizes that the files fix.
    pub recipe: Recipe,
}

/// Reads a card and loads what it names, as a run does.
///
/// # Errors
/// Where a run could not begin with this card.
pub(super) fn described(card: &Card) -> Result<Described> {
    let Loaded { network, recipe, head, .. } = Network::load(card, device::chosen()).map_err(BadInput::mark)?;
    let labels = match &network {
        Network::Classifier(classifier) => Some(classifier.labels().to_vec()),
        Network::Segmenter(segmenter) => Some(segmenter.labels().to_vec()),
        Network::Autoencoder(_) | Network::Embedder(_) => None,
    };
    let files: [(&str, Option<&Path>); 2] = match card.kind.role() {
        Role::Autoencoder => [("encoder", Some(&card.weights)), ("decoder", card.file.decoder.as_deref())],
        _ => [("network", Some(&card.weights)), ("network", None)],
    };
    let there = files.into_iter().filter_map(|(part, file)| Some((part, file?)));
    let role = card.kind.role();
    Ok(Described {
        role,
        parts: there.map(|(part, file)| Ok((part, network::open(file)?))).collect::<Result<_>>()?,
        labels,
        head,
        latents: (role == Role::Autoencoder).then_some(card.file.latents),
        tiles: card.file.tiles,
        recipe,
    })
}
