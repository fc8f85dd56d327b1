//! Model cards: a few lines of toml beside the weights that say what a checkpoint cannot.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Error, Kind};
use crate::files;
use crate::preprocess::Recipe;
use crate::weights::Checkpoint;

/// A card that names every class of a large classifier takes a tenth of this.
const MAX_CARD_BYTES: u64 = 4 << 20;
/// Far fewer and far more pixels than any network was trained on.
const SIDES: RangeInclusive<usize> = 1..=4096;
/// The longest of the published phenotypes has half as many letters.
const MAX_LABEL_LETTERS: usize = 200;

/// What decoded numbers y, about -1..=1, become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// (y + 1) / 2, the inverse of encoding's 2x - 1.
    #[default]
    Inverse,
    /// (y + 2) / 4, as the published code has it: half the contrast.
    Reference,
}

/// A network and how it was trained to be fed.
#[derive(Debug, Clone)]
pub struct Card {
    pub kind: Kind,
    pub weights: PathBuf,
    /// The training's yaml.
    pub config: Option<PathBuf>,
    /// Slices are resized to `side` x `side` first.
    pub side: Option<usize>,
    /// Trained on anti-transposed slices.
    pub turned: bool,
    pub decode: Decode,
    pub labels: Option<Vec<String>>,
    /// How scans were prepared for it.
    pub recipe: Recipe,
}

/// The toml file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    kind: Kind,
    weights: PathBuf,
    config: Option<PathBuf>,
    side: Option<usize>,
    #[serde(default)]
    turned: bool,
    #[serde(default)]
    decode: Decode,
    labels: Option<Vec<String>>,
    #[serde(default)]
    recipe: Recipe,
}

impl Card {
    /// Reads a card, or makes one for a bare checkpoint whose kind its tensors tell. Paths in a card are relative to it.
    ///
    /// A bare checkpoint is taken to be one of the published networks: a VQGAN and a ResNet trained on turned slices, of
    /// side 256 and 224; a yaml with the checkpoint's name beside it is its config.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("toml")) {
            return Self::of_checkpoint(path);
        }
        let text = files::read_text(path, MAX_CARD_BYTES).map_err(|cause| Error::Io {
            of: "model card",
            cause,
            path: path.to_owned(),
        })?;
        let wrong = |what: String| Error::Card { what, path: path.to_owned() };
        let lines: Lines = toml::from_str(&text).map_err(|e| wrong(e.message().to_owned()))?;
        if let Some(side) = lines.side.filter(|side| !SIDES.contains(side)) {
            return Err(wrong(format!("side = {side}; a slice has {SIDES:?} pixels a side")));
        }
        lines.labels.as_deref().map_or(Ok(()), check_labels).map_err(wrong)?;
        lines.recipe.check().map_err(wrong)?;
        let beside = |file: PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
        Ok(Self {
            kind: lines.kind,
            weights: beside(lines.weights),
            config: lines.config.map(beside),
            side: lines.side,
            turned: lines.turned,
            decode: lines.decode,
            labels: lines.labels,
            recipe: lines.recipe,
        })
    }

    fn of_checkpoint(path: &Path) -> Result<Self, Error> {
        let kind = Kind::of(&Checkpoint::open(path)?).ok_or_else(|| Error::UnknownKind { path: path.to_owned() })?;
        let config = Some(path.with_extension("yaml")).filter(|yaml| yaml.exists());
        Ok(Self {
            kind,
            weights: path.to_owned(),
            config,
            side: kind.defaults.side,
            turned: kind.defaults.turned,
            decode: Decode::default(),
            labels: None,
            recipe: Recipe::default(),
        })
    }
}

/// Refuses labels that a reader could not tell apart, or that would change what stands around them, in words.
pub fn check_labels(labels: &[String]) -> Result<(), String> {
    let mut places = HashMap::with_capacity(labels.len());
    for (at, label) in labels.iter().enumerate() {
        let shown = files::printable(label);
        if label.trim().is_empty() {
            return Err(format!("label {at} is empty; name every class"));
        }
        if label.chars().count() > MAX_LABEL_LETTERS {
            let start: String = shown.chars().take(40).collect();
            return Err(format!(
                "label {at}, \"{start}…\", has more than {MAX_LABEL_LETTERS} letters; give it a shorter name"
            ));
        }
        if !label.chars().all(files::is_plain) {
            return Err(format!(
                "label {at}, \"{shown}\", holds a control character or one that turns the direction of a text; leave it out"
            ));
        }
        if let Some(first) = places.insert(label.as_str(), at) {
            return Err(format!("labels {first} and {at} are both \"{label}\"; give each class a name of its own"));
        }
    }
    Ok(())
}
