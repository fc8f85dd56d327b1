//! A model card that is being written for a network in a file: what can be guessed from the file, and what a person must say.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::facts::Facts;
use super::{Latents, Probabilities, Role};
use crate::preprocess::{Axes, Recipe};

/// A card as far as it is written. What is `None` is not said yet, and cannot be guessed.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub role: Role,
    pub output: Option<String>,
    pub activation: Option<Probabilities>,
    /// The file of an autoencoder's decoder, beside that of its encoder.
    pub decoder: String,
    /// Whether an encoder gives the mean of a posterior and the logarithm of its variance behind it.
    pub latents: Latents,
    /// One in each line.
    pub labels: String,
    pub axes: Option<Axes>,
    /// Towards R, A, S; 0 is the scan's own.
    pub spacing_mm: Option<[f64; 3]>,
    pub hu: Option<[f32; 2]>,
    /// All that has a usual value: size, range, clip.
    pub recipe: Recipe,
}

impl Draft {
    /// What the file lets one guess.
    pub fn of(facts: &Facts) -> Self {
        let at = if facts.channels_last { facts.sides.len().saturating_sub(1) } else { 1 };
        let channels = facts.sides.get(at).copied().flatten().unwrap_or(1);
        let recipe = Recipe { size: [0; 3], channels: channels.clamp(1, 16), ..Recipe::default() };
        let output = facts.names.first().filter(|_| facts.names.len() > 1).cloned();
        // "encoder.onnx" lies beside "decoder.onnx".
        let name = facts.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let other = name.replace("encoder", "decoder");
        let is_there = other != name && facts.path.with_file_name(&other).is_file();
        let decoder = if is_there { other } else { String::new() };
        Self {
            role: if decoder.is_empty() { facts.role } else { Role::Autoencoder },
            output,
            activation: None,
            decoder,
            latents: Latents::All,
            labels: String::new(),
            axes: None,
            spacing_mm: None,
            hu: None,
            recipe,
        }
    }

    /// The recipe as far as it is said; what is not is a guess, to be looked at.
    pub fn recipe(&self, facts: &Facts) -> Recipe {
        let is_slice = facts.sides.len() == 4;
        let usual = if is_slice { "PL" } else { "RAS" };
        let axes = self.axes.or_else(|| Axes::of(usual).ok()).unwrap_or_default();
        let axes = axes.before_channels(axes.are_before_channels() || facts.channels_last);
        let mut recipe = Recipe {
            axes,
            spacing_mm: self.spacing_mm.unwrap_or(Recipe::default().spacing_mm),
            hu: self.hu.unwrap_or(Recipe::default().hu),
            ..self.recipe.clone()
        };
        if axes.is_slice() == is_slice {
            for ((axis, _), side) in axes.of_stack().zip(axes.channels_first(&facts.sides).into_iter().skip(2)) {
                if let (0, Some(side)) = (recipe.size[2 - axis], side) {
                    recipe.size[2 - axis] = side;
                }
            }
        }
        recipe
    }

    /// What must be said before the card can be written.
    pub fn missing(&self, facts: &Facts) -> Vec<&'static str> {
        let head = self.activation.is_none() && facts.activation.is_none() && self.role == Role::Classifier;
        let all = [
            (self.role == Role::Autoencoder && self.decoder.trim().is_empty(), "the file of the decoder"),
            (self.axes.is_none(), "the order of the axes"),
            (self.spacing_mm.is_none(), "the spacing"),
            (self.hu.is_none(), "the window of HU"),
            (head, "how numbers become scores"),
        ];
        all.into_iter().filter(|(missing, _)| *missing).map(|(_, words)| words).collect()
    }

    /// The card's text.
    ///
    /// # Errors
    /// In words, where the recipe is none.
    pub fn card(&self, facts: &Facts) -> Result<String, String> {
        #[derive(Serialize)]
        struct Lines<'a> {
            role: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            weights: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            encoder: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            decoder: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            latents: Option<Latents>,
            #[serde(skip_serializing_if = "Option::is_none")]
            output: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            activation: Option<Probabilities>,
            #[serde(skip_serializing_if = "Option::is_none")]
            labels: Option<Vec<&'a str>>,
            recipe: Recipe,
        }
        let recipe = self.recipe(facts);
        recipe.check()?;
        let name = facts.path.file_name().unwrap_or_default();
        let network = name.to_str().ok_or("the file's name is no text; rename it")?;
        let encodes = self.role == Role::Autoencoder;
        let has_classes = matches!(self.role, Role::Classifier | Role::Segmenter);
        let labels: Vec<&str> = self.labels.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let labels = (has_classes && !labels.is_empty()).then_some(labels);
        let lines = Lines {
            role: self.role.title(),
            weights: (!encodes).then_some(network),
            encoder: encodes.then_some(network),
            decoder: encodes.then_some(self.decoder.trim()),
            latents: (encodes && self.latents != Latents::All).then_some(self.latents),
            output: self.output.as_deref(),
            activation: self.activation.filter(|_| has_classes),
            labels,
            recipe,
        };
        toml::to_string(&lines).map_err(|error| error.to_string())
    }

    /// Where the card belongs: beside the file, with its name.
    pub fn place(network: &Path) -> PathBuf {
        network.with_extension("toml")
    }
}
