//! What a run is told: the networks, what is scored, and what may change.

use std::ops::Range;
use std::sync::Arc;

use super::Model;
use crate::latent_shift::Options;
use crate::models::{Autoencoder, Classifier, Embedder, Segmenter};

/// What gives the score.
#[derive(Clone)]
pub enum Target {
    /// Weighted sum of class probabilities: `(label index, weight)`, plus `offset`.
    Classes { classifier: Arc<Model<Classifier>>, terms: Vec<(usize, f64)>, offset: f64 },
    /// 1 - mean of the segmenter's p/(1+p) over its first channel.
    LungSize { segmenter: Arc<Model<Segmenter>> },
    /// The cosine between the embeddings of this scan and of another one.
    Toward { embedder: Arc<Model<Embedder>>, other: Arc<Other> },
}

impl Target {
    /// What is scored, in words.
    pub fn name(&self) -> String {
        match self {
            Self::LungSize { .. } => "lung size".to_owned(),
            Self::Toward { other, .. } if other.stored => "cosine similarity to a stored embedding".to_owned(),
            Self::Toward { .. } => "cosine similarity to another scan".to_owned(),
            Self::Classes { classifier, terms, offset } => {
                let labels = classifier.network.labels();
                let term = |&(i, weight): &(usize, f64)| match weight {
                    1.0 => labels[i].clone(),
                    _ => format!("{weight} * {}", labels[i]),
                };
                let offset = (*offset != 0.0).then(|| offset.to_string());
                terms.iter().map(term).chain(offset).collect::<Vec<_>>().join(" + ")
            }
        }
    }

    /// The network behind the score: its name and the SHA-256 of its checkpoint.
    pub fn scored_by(&self) -> (&str, &str) {
        match self {
            Self::LungSize { segmenter } => (&segmenter.name, &segmenter.sha256),
            Self::Toward { embedder, .. } => (&embedder.name, &embedder.sha256),
            Self::Classes { classifier, .. } => (&classifier.name, &classifier.sha256),
        }
    }
}

/// An embedding that a scan may come nearer to.
#[derive(Debug, Clone)]
pub struct Other {
    pub(super) embedding: Vec<f64>,
    /// The hash of the other scan's voxels, or of the file of a stored embedding; hex.
    pub sha256: String,
    /// Whether the embedding was stored, and not computed of a scan here.
    pub stored: bool,
}

/// Everything `explain` is told.
#[derive(Clone)]
pub struct Request {
    pub autoencoder: Arc<Model<dyn Autoencoder>>,
    pub target: Target,
    /// Slices that may change; `None` = all.
    pub slab: Option<Range<usize>>,
    pub options: Options,
}
