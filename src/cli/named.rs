//! Choices that are typed by the names that reports have for them.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::audit;
use crate::export::{Annotation, Kind, Layout};
use crate::latent_shift::saliency::Method;
use crate::latent_shift::{Outside, StepsIn};

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describe()))
    }
}

impl ValueEnum for Method {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let name = if *self == Self::IntegratedGradients { "integrated" } else { self.name() };
        Some(PossibleValue::new(name).help(self.describe()))
    }
}

impl ValueEnum for audit::Method {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let describe = match self {
            Self::LatentShift => "What the counterfactual changed.",
            Self::Of(method) => method.describe(),
            Self::GradCam => "The last map of a convolutional classifier, weighted by its gradient (Grad-CAM++).",
        };
        let name = match self {
            Self::LatentShift => "latent-shift",
            Self::Of(Method::IntegratedGradients) => "integrated",
            Self::Of(method) => method.name(),
            Self::GradCam => "grad-cam",
        };
        Some(PossibleValue::new(name).help(format!("{describe} Costs {}", self.cost())))
    }
}

impl ValueEnum for Annotation {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describe()))
    }
}

impl ValueEnum for Outside {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describe()))
    }
}

impl ValueEnum for StepsIn {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describe()))
    }
}

impl ValueEnum for Layout {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describe()))
    }
}
