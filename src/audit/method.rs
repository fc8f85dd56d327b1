//! What points at a finding: latent shift, and the methods that it is held against.

use serde::{Serialize, Serializer};

use crate::latent_shift::saliency;

/// What points at a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// |counterfactual - reconstruction|.
    LatentShift,
    /// A map of the classifier alone.
    Of(saliency::Method),
}

impl Method {
    /// Those of an audit that names none.
    pub const DEFAULT: [Self; 4] = [
        Self::LatentShift,
        Self::Of(saliency::Method::Gradient),
        Self::Of(saliency::Method::IntegratedGradients),
        Self::Of(saliency::Method::Occlusion),
    ];

    /// In files.
    pub fn name(self) -> &'static str {
        match self {
            Self::LatentShift => "latent_shift",
            Self::Of(method) => method.name(),
        }
    }

    /// In tables.
    pub fn words(self) -> String {
        self.name().replace('_', " ")
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
