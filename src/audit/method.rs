//! What points at a finding: latent shift, and the methods that it is held against.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    pub const ALL: [Self; 6] = [
        Self::LatentShift,
        Self::Of(saliency::Method::Gradient),
        Self::Of(saliency::Method::IntegratedGradients),
        Self::Of(saliency::Method::Occlusion),
        Self::Of(saliency::Method::Rise),
        Self::Of(saliency::Method::GradCam),
    ];

    /// Those of an audit that names none: all but RISE, which takes as long as occlusion and longer.
    pub const DEFAULT: [Self; 5] = [
        Self::LatentShift,
        Self::Of(saliency::Method::Gradient),
        Self::Of(saliency::Method::IntegratedGradients),
        Self::Of(saliency::Method::Occlusion),
        Self::Of(saliency::Method::GradCam),
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
        match self {
            Self::Of(method @ (saliency::Method::Rise | saliency::Method::GradCam)) => method.title().to_owned(),
            Self::LatentShift | Self::Of(_) => self.name().replace('_', " "),
        }
    }

    /// What it costs, in words: a pass is one of the classifier over a whole scan.
    pub fn cost(self) -> &'static str {
        match self {
            Self::LatentShift => "the search itself, which is run anyway",
            Self::Of(saliency::Method::Gradient) => "a pass forward and back",
            Self::Of(saliency::Method::IntegratedGradients) => "16 passes forward and back",
            Self::Of(saliency::Method::Occlusion) => "up to 250 passes a scan",
            Self::Of(saliency::Method::Rise) => "256 passes a scan",
            Self::Of(saliency::Method::GradCam) => "a pass forward, and half of one back",
        }
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| D::Error::custom(format!("there is no method {name:?}")))
    }
}
