//! What was asked of which networks, as records keep it: without the networks themselves.

use serde::{Deserialize, Serialize};

use super::{Model, Request, Target};
use crate::latent_shift::Options;
use crate::models::Probabilities;
use crate::preprocess::Recipe;

/// What was asked of which networks: all of a request but the networks themselves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    pub autoencoder: NetworkUsed,
    pub scored_by: NetworkUsed,
    pub target: String,
    pub options: Options,
    /// The classifier's outputs by name; none where a segmenter gives the score.
    pub labels: Vec<String>,
    /// Which of them were explained, and the weight of each; what is added to their sum.
    pub terms: Vec<(usize, f64)>,
    pub offset: f64,
    /// How the outputs become scores.
    #[serde(default = "before_there_were_others")]
    pub activation: Probabilities,
    #[serde(default)]
    pub toward: Option<ComparedWith>,
}

/// What the published classifier makes of its outputs.
fn before_there_were_others() -> Probabilities {
    Probabilities::Sigmoid
}

impl Asked {
    pub fn of(request: &Request) -> Self {
        let scored_by = match &request.target {
            Target::Classes { classifier, .. } => NetworkUsed::of(classifier),
            Target::LungSize { segmenter } => NetworkUsed::of(segmenter),
            Target::Toward { embedder, .. } => NetworkUsed::of(embedder),
        };
        let asked = Self {
            autoencoder: NetworkUsed::of(&request.autoencoder),
            scored_by,
            target: request.target.name(),
            options: request.options.clone(),
            labels: Vec::new(),
            terms: Vec::new(),
            offset: 0.0,
            activation: Probabilities::None,
            toward: None,
        };
        match &request.target {
            Target::Classes { classifier, terms, offset } => Self {
                labels: classifier.network.labels().to_vec(),
                terms: terms.clone(),
                offset: *offset,
                activation: classifier.network.probabilities(),
                ..asked
            },
            Target::LungSize { .. } => asked,
            Target::Toward { other, .. } => {
                let toward = ComparedWith { sha256: other.sha256.clone(), stored: other.stored };
                Self { toward: Some(toward), ..asked }
            }
        }
    }
}

/// A network as records name it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkUsed {
    pub name: String,
    pub sha256: String,
    /// How far its answers were from those that its export recorded, of the largest; `None` where none were recorded.
    #[serde(default)]
    pub self_check: Option<f64>,
    /// How scans are prepared for it; `None` where an older version did not say.
    #[serde(default)]
    pub recipe: Option<Recipe>,
    /// What a person should know of it: what its self-check came to, and where its scores come from.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl NetworkUsed {
    fn of<T: ?Sized>(model: &Model<T>) -> Self {
        Self {
            name: model.name.clone(),
            sha256: model.sha256.clone(),
            self_check: model.self_check.gap(),
            recipe: Some(model.recipe.clone()),
            notes: model.notes().collect(),
        }
    }
}

/// The other side of a cosine. It names no file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComparedWith {
    /// The hash of the other scan's voxels, or of the file where an embedding was stored; hex.
    pub sha256: String,
    pub stored: bool,
}
