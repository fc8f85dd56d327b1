//! What a kind of network says of itself: its name, its role, how its tensors are recognised, and how it is built.

use candle_core::{DType, Device};
use serde::Deserialize;

use super::{Card, Error, Network};
use crate::weights::Checkpoint;

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Autoencoder,
    Classifier,
    Segmenter,
    /// Its output is the embedding of a scan.
    Embedder,
}

impl Role {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Autoencoder => "autoencoder",
            Self::Classifier => "classifier",
            Self::Segmenter => "segmenter",
            Self::Embedder => "embedder",
        }
    }
}

/// What a bare checkpoint is taken to have been fed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) side: Option<usize>,
    pub(super) turned: bool,
}

/// Says whether there is a tensor whose name holds a part.
pub(super) type Has<'a> = &'a dyn Fn(&str) -> bool;

/// One kind of network.
pub struct Architecture {
    /// As cards spell it.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    pub role: Role,
    /// Whether tensors with such parts of names are those of this architecture.
    pub(super) recognises: fn(Has<'_>) -> bool,
    pub(super) defaults: Defaults,
    /// Builds the network that a card and its checkpoint describe.
    pub(super) load: fn(&Card, &Checkpoint, DType, &Device) -> Result<Network, Error>,
}
