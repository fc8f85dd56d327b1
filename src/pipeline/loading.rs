//! Loads networks by their cards, each with what a record says of it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use super::BadInput;
use super::network::{self, SelfCheck};
use crate::job::Monitor;
use crate::models::{self, Autoencoder, Card, Classifier, Embedder, Head, Loaded, Network, Segmenter, TrainedOn};
use crate::nn::{denormals, device};
use crate::preprocess::Recipe;

/// A network with where it came from.
pub struct Model<T: ?Sized> {
    pub network: Arc<T>,
    /// File name of the card or checkpoint, for people.
    pub name: String,
    /// SHA-256 of the checkpoint file, hex.
    pub sha256: String,
    /// How scans are prepared for it.
    pub recipe: Recipe,
    /// The intensities that it was trained on, where its card says them.
    pub trained_on: Option<TrainedOn>,
    pub self_check: SelfCheck,
    /// Where its scores come from, where its file says.
    pub head: Option<Head>,
    /// What its card leaves open, in words.
    pub left_open: Option<&'static str>,
}

impl<T: ?Sized> Model<T> {
    /// What a person should know of the network: what its self-check came to, where its scores come from, and what its card leaves open.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let of_head = self.head.as_ref().and_then(Head::note);
        let left_open = self.left_open.map(str::to_owned);
        [self.self_check.words(), of_head, left_open]
            .into_iter()
            .flatten()
            .map(|words| format!("{}: {words}", self.name))
    }
}

/// How scans are prepared for the network of a card.
pub fn recipe(card: &Path) -> Result<Recipe> {
    models::recipe(&Card::open(card).map_err(BadInput::mark)?).map_err(BadInput::mark)
}

pub fn load_autoencoder(card: &Path, monitor: &Monitor) -> Result<Arc<Model<dyn Autoencoder>>> {
    match load(card, "an autoencoder", monitor)? {
        (Network::Autoencoder(network), model) => Ok(model.with(network)),
        (other, _) => Err(wrong(card, &other, "an autoencoder")),
    }
}

/// Loads a classifier, or a segmenter, whose classes' shares of the volume are scored as classes are.
pub fn load_classifier(card: &Path, monitor: &Monitor) -> Result<Arc<Model<Classifier>>> {
    match load(card, "a classifier", monitor)? {
        (Network::Classifier(network), model) => Ok(model.with(network)),
        (Network::Segmenter(network), model) => {
            let shares = network.shares(&model.recipe);
            Ok(model.with(Arc::new(shares)))
        }
        (other, _) => Err(wrong(card, &other, "a classifier")),
    }
}

/// Loads a segmenter of lungs, whose lung size is scored.
pub fn load_segmenter(card: &Path, monitor: &Monitor) -> Result<Arc<Model<Segmenter>>> {
    let kind = Card::open(card).map(|card| card.kind);
    if kind.is_ok_and(|kind| kind == models::NetworkKind::File(models::Role::Segmenter)) {
        return Err(BadInput(anyhow!(
            "a segmenter in a file has no lung size: the share of the volume that one of its classes has is scored, as a class of a \
             classifier is; name it by --target, or load it as the classifier: {}",
            card.display()
        ))
        .into());
    }
    match load(card, "a segmenter", monitor)? {
        (Network::Segmenter(network), model) => Ok(model.with(network)),
        (other, _) => Err(wrong(card, &other, "a segmenter")),
    }
}

/// Loads a network whose output is the embedding of a scan.
pub fn load_embedder(card: &Path, monitor: &Monitor) -> Result<Arc<Model<Embedder>>> {
    match load(card, "an embedder", monitor)? {
        (Network::Embedder(network), model) => Ok(model.with(network)),
        (other, _) => Err(wrong(card, &other, "an embedder")),
    }
}

/// A network's name, hash and recipe, before its kind is known.
struct Origin {
    name: String,
    sha256: String,
    recipe: Recipe,
    trained_on: Option<TrainedOn>,
    self_check: SelfCheck,
    head: Option<Head>,
    left_open: Option<&'static str>,
}

impl Origin {
    fn with<T: ?Sized>(self, network: Arc<T>) -> Arc<Model<T>> {
        let Self { name, sha256, recipe, trained_on, self_check, head, left_open } = self;
        Arc::new(Model { network, name, sha256, recipe, trained_on, self_check, head, left_open })
    }
}

fn load(path: &Path, wanted: &str, monitor: &Monitor) -> Result<(Network, Origin)> {
    monitor.step("loading the networks", 0, 0)?;
    let _flushed = denormals::flushed();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let card = Card::open(path).with_context(|| format!("{name} was to be {wanted}")).map_err(BadInput::mark)?;
    let Loaded { network, sha256, recipe, head } = Network::load(&card, device::chosen()).map_err(BadInput::mark)?;
    monitor.check()?;
    let self_check = network::self_check(&card, &sha256, monitor)?;
    let Card { trained_on, left_open, .. } = card;
    Ok((network, Origin { name, sha256, recipe, trained_on, self_check, head, left_open }))
}

fn wrong(card: &Path, network: &Network, wanted: &str) -> anyhow::Error {
    BadInput(anyhow!("this is {}, and {wanted} is wanted here: {}", network.describe(), card.display())).into()
}
