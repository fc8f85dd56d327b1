//! The built-in demo: a phantom with pleural effusion, and the networks trained on phantoms that come with the program.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::job::Monitor;
use crate::latent_shift::Options;
use crate::models::label_index;
use crate::pipeline::{self, BadInput, Input, Request, Target};
use crate::preprocess::Recipe;
use crate::volume::phantom::Dials;

/// The patient, and what ails it.
pub const SEED: u64 = 5;
pub const DIALS: Dials = Dials { effusion: 0.7, nodule: 0.0, cardiomegaly: 0.0, emphysema: 0.0 };
/// The classifier's class that is explained.
pub const TARGET: &str = "effusion";

/// Where the networks are, other than in the places that programs have them.
const VARIABLE: &str = "PARALLAX_ASSETS";

/// The model cards that come with the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cards {
    pub autoencoder: PathBuf,
    pub classifier: PathBuf,
    pub segmenter: PathBuf,
    /// The session that holds the demo's result. Where it is not there, the demo is computed.
    pub result: PathBuf,
}

impl Cards {
    /// In the folder that `PARALLAX_ASSETS` names, or else beside the program, in its `share`, or in the sources it was built from, unless it
    /// was built for a package.
    pub fn find() -> Result<Self> {
        let named = std::env::var_os(VARIABLE).map(PathBuf::from);
        let program = std::env::current_exe().ok(); // a program that does not know where it is looks elsewhere
        let beside = program.as_deref().and_then(Path::parent);
        let beside = beside.map(|beside| [beside.join("assets"), beside.join("../share/parallax/assets")]);
        let known = beside.into_iter().flatten().chain(sources());
        let places = named.map_or_else(|| known.collect(), |folder| vec![folder]);
        Self::among(&places)
    }

    /// The first of these folders that holds all three.
    fn among(places: &[PathBuf]) -> Result<Self> {
        let cards = |folder: &PathBuf| Self {
            autoencoder: folder.join("vqgan.toml"),
            classifier: folder.join("classifier.toml"),
            segmenter: folder.join("segmenter.toml"),
            result: folder.join("demo.parallax"),
        };
        let whole = |c: &Self| [&c.autoencoder, &c.classifier, &c.segmenter].into_iter().all(|card| card.is_file());
        places.iter().map(cards).find(whole).ok_or_else(|| {
            let listed: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
            BadInput(anyhow!(
                "the demo's networks (vqgan.toml, classifier.toml, segmenter.toml) are not there; name the folder \"assets\" that comes with Parallax in {VARIABLE}; looked in {}",
                listed.join(", ")
            ))
            .into()
        })
    }
}

/// The sources that the program was built from. A package holds no path of the machine that built it.
const SOURCES: Option<&str> = match option_env!("PARALLAX_PACKAGE") {
    Some(_) => None,
    None => Some(env!("CARGO_MANIFEST_DIR")),
};

fn sources() -> Option<PathBuf> {
    SOURCES.map(|folder| Path::new(folder).join("assets"))
}

/// How the demo searches: to a score that says there is none.
pub fn options() -> Options {
    Options { drop: 1.0, floor: 0.1, max_change: 1.0, ..Options::default() }
}

/// What the demo asks of its networks.
pub fn request(cards: &Cards, monitor: &Monitor) -> Result<Request> {
    let classifier = pipeline::load_classifier(&cards.classifier, monitor)?;
    let label = label_index(classifier.network.labels(), TARGET).map_err(BadInput::new)?;
    Ok(Request {
        autoencoder: pipeline::load_autoencoder(&cards.autoencoder, monitor)?,
        target: Target::Classes { classifier, terms: vec![(label, 1.0)], offset: 0.0 },
        slab: None,
        options: options(),
    })
}

/// Draws the demo's scan and prepares it.
pub fn input(recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    Ok(pipeline::draw(SEED, DIALS, recipe, monitor)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_are_not_there_are_missed_in_words() {
        let nowhere = [PathBuf::from("nowhere"), PathBuf::from("elsewhere")];
        let error = Cards::among(&nowhere).expect_err("no cards").to_string();
        assert!(error.contains("vqgan.toml") && error.contains(VARIABLE), "{error}");
        assert!(error.contains("nowhere, elsewhere"), "{error}");
    }

    #[test]
    fn the_networks_come_with_the_sources() {
        let sources = sources().expect("no package");
        let cards = Cards::among(&[PathBuf::from("nowhere"), sources.clone()]).expect("cards");
        assert_eq!(cards.autoencoder, sources.join("vqgan.toml"));
    }
}
