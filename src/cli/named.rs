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
        Some(PossibleValue::new(typed(*self)).help(self.describe()))
    }
}

/// What is typed for a method: shorter than its name in files where that is long.
fn typed(method: Method) -> &'static str {
    match method {
        Method::IntegratedGradients => "integrated",
        Method::GradCam => "grad-cam",
        Method::Gradient | Method::Occlusion | Method::Rise => method.name(),
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
        };
        let name = match self {
            Self::LatentShift => "latent-shift",
            Self::Of(method) => typed(*method),
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
