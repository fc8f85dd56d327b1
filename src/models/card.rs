//! Model cards: a few lines of toml beside the weights that say what a checkpoint cannot.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::bundle::Bundle;
use super::{Error, NetworkKind, Probabilities, Role, Tiles, TrainedOn, file, wording};
use crate::preprocess::{Axes, OverSlices, Recipe};
use crate::weights::Checkpoint;
use crate::{catalogue, files};

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

/// A network of volumes in the order of RAS sees them mirrored and with axes changed where this is wrong, and answers all the same.
const LEFT_OPEN: &str = "its card does not say which way slices lie, and they are fed as they lie; write turned = true for a network that was \
                         trained on RAS volumes, as MONAI's are, else turned = false";

/// A network and how it was trained to be fed.
#[derive(Debug, Clone)]
pub struct Card {
    pub kind: NetworkKind,
    /// The checkpoint; or the file that holds the network, of an autoencoder its encoder.
    pub weights: PathBuf,
    /// The training's yaml.
    pub config: Option<PathBuf>,
    /// Slices are resized to `side` x `side` first.
    pub side: Option<usize>,
    /// Trained on anti-transposed slices.
    pub turned: bool,
    /// What the card leaves open and a score hangs on, in words.
    pub left_open: Option<&'static str>,
    pub decode: Decode,
    pub labels: Option<Vec<String>>,
    /// How scans were prepared for it.
    pub recipe: Recipe,
    /// The intensities that it was trained on, where the card says them.
    pub trained_on: Option<TrainedOn>,
    /// Whether the card says the size that scans are brought to.
    pub says_size: bool,
    /// What only networks in files of their own need.
    pub file: OfFile,
}

/// What a card says of a network whose file holds its operations.
#[derive(Debug, Clone, Default)]
pub struct OfFile {
    /// The file of the decoder.
    pub decoder: Option<PathBuf>,
    /// Which output, by name; it may be a value within the network.
    pub output: Option<String>,
    /// How the output's numbers become scores.
    pub activation: Option<Probabilities>,
    /// Which channels of the encoder's output are latents.
    pub latents: Latents,
    /// Which output of the encoder holds the standard deviations of its posterior, by name.
    pub deviations: Option<String>,
    /// How volumes are cut into tiles; none where an autoencoder is given them whole.
    pub tiles: Option<Tiles>,
}

/// Which channels of an encoder's output are latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latents {
    #[default]
    All,
    /// The first half: the output is the mean of a posterior, and its logarithm of the variance behind it.
    Mean,
}

/// The toml file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    kind: Option<NetworkKind>,
    role: Option<Role>,
    weights: Option<PathBuf>,
    encoder: Option<PathBuf>,
    decoder: Option<PathBuf>,
    output: Option<String>,
    activation: Option<Probabilities>,
    #[serde(default)]
    latents: Latents,
    deviations: Option<String>,
    tiles: Option<Tiles>,
    config: Option<PathBuf>,
    side: Option<usize>,
    turned: Option<bool>,
    #[serde(default)]
    decode: Decode,
    labels: Option<Vec<String>>,
    /// A text file with a label in each line.
    labels_file: Option<PathBuf>,
    trained_on_hu: Option<TrainedOn>,
    #[serde(default)]
    recipe: toml::Table,
}

impl Card {
    /// Reads a card, or makes one for a bare checkpoint whose kind its tensors tell. Paths in a card are relative to it, or name a file of
    /// Hugging Face's cache by `hf://OWNER/NAME[@REVISION]/FILE`, which is looked for and never fetched.
    ///
    /// A bare checkpoint is taken to be one of the published networks: a VQGAN and a ResNet trained on turned slices, of
    /// side 256 and 224; a yaml with the checkpoint's name beside it is its config.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if Bundle::is(path) {
            return Self::of_bundle(path);
        }
        if is_file_of_operations(path) {
            return Self::of_network(path);
        }
        if !path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("toml")) {
            return Self::of_checkpoint(path);
        }
        let text = files::read_text(path, MAX_CARD_BYTES).map_err(|cause| Error::Io {
            of: "model card",
            cause,
            path: path.to_owned(),
        })?;
        let wrong = |what: String| Error::Card { what, path: path.to_owned() };
        let lines: Lines = toml::from_str(&text).map_err(|error| wrong(wording::of_toml(&error, &text)))?;
        Self::of_lines(lines, path, &text).map_err(|what| wrong(wording::of_rule(what, &text)))
    }

    /// Of a card's text, as it was read. Paths are relative to the card's; `hf://OWNER/NAME/FILE` is a file of Hugging Face's cache.
    fn of_lines(lines: Lines, path: &Path, text: &str) -> Result<Self, String> {
        let (kind, weights) = lines.network()?;
        if let Some(side) = lines.side.filter(|side| !SIDES.contains(side)) {
            return Err(format!("side = {side}; a slice has {SIDES:?} pixels a side"));
        }
        let beside = |file: PathBuf| -> Result<PathBuf, String> {
            let of_hub = file.to_str().and_then(|text| catalogue::named_file(text, &catalogue::hub_caches()));
            of_hub.unwrap_or_else(|| Ok(path.parent().unwrap_or(Path::new("")).join(file)))
        };
        let labels = match (lines.labels, lines.labels_file) {
            (Some(_), Some(_)) => return Err("labels and labels_file; one of them says the labels".to_owned()),
            (None, Some(file)) => Some(read_labels(&beside(file)?)?),
            (labels, None) => labels,
        };
        labels.as_deref().map_or(Ok(()), check_labels)?;
        let is_often_turned = matches!(kind, NetworkKind::Built(architecture) if architecture.defaults.turned);
        let says_size = lines.recipe.contains_key("size") || lines.recipe.contains_key("side");
        let says_over_slices = lines.recipe.contains_key("over_slices");
        let mut recipe = Recipe::deserialize(lines.recipe).map_err(|error| wording::of_recipe(text, &error))?;
        recipe.check()?;
        if let NetworkKind::Built(_) = kind {
            only_what_is_fed(&recipe)?;
        }
        lines.trained_on_hu.map_or(Ok(()), |trained_on| trained_on.check())?;
        lines.tiles.map_or(Ok(()), |tiles| tiles.check())?;
        if kind.role() == Role::Embedder && recipe.axes.is_slice() && !says_over_slices {
            // The largest of each number of many embeddings is none of them.
            recipe.over_slices = OverSlices::Mean;
        }
        Ok(Self {
            kind,
            weights: beside(weights)?,
            config: lines.config.map(beside).transpose()?,
            side: lines.side,
            turned: lines.turned.unwrap_or(false),
            left_open: (lines.turned.is_none() && is_often_turned).then_some(LEFT_OPEN),
            decode: lines.decode,
            labels,
            recipe,
            trained_on: lines.trained_on_hu,
            says_size,
            file: OfFile {
                decoder: lines.decoder.map(beside).transpose()?,
                output: lines.output,
                activation: lines.activation,
                latents: lines.latents,
                deviations: lines.deviations,
                tiles: lines.tiles,
            },
        })
    }

    /// A MONAI bundle's folder.
    fn of_bundle(folder: &Path) -> Result<Self, Error> {
        let bundle = Bundle::open(folder).map_err(|what| Error::Card { what, path: folder.to_owned() })?;
        bundle
            .labels
            .as_deref()
            .map_or(Ok(()), check_labels)
            .map_err(|what| Error::Card { what, path: folder.to_owned() })?;
        let role = file::role(&bundle.network)?;
        let file = OfFile { activation: bundle.activation, ..OfFile::default() };
        Ok(Self {
            labels: bundle.labels,
            file,
            ..Self::of_file(NetworkKind::File(role), &bundle.network, bundle.recipe)
        })
    }

    /// A network's file without a card: the card beside it that has its name, or what whoever exported it wrote into it.
    fn of_network(path: &Path) -> Result<Self, Error> {
        let beside = path.with_extension("toml");
        if beside.is_file() {
            return Self::open(&beside);
        }
        let said = file::said(path)?;
        let Some(recipe) = said.recipe else {
            let what = format!(
                "nothing says how scans are prepared for it: write a model card {}, or export it with assets/export.py",
                beside.file_name().unwrap_or_default().display()
            );
            return Err(Error::Card { what, path: path.to_owned() });
        };
        let file = OfFile { activation: said.activation, ..OfFile::default() };
        let role = file::role(path)?;
        let of_file = Self::of_file(NetworkKind::File(role), path, recipe);
        Ok(Self { labels: said.labels, trained_on: said.trained_on, file, ..of_file })
    }

    fn of_file(kind: NetworkKind, weights: &Path, recipe: Recipe) -> Self {
        Self {
            kind,
            weights: weights.to_owned(),
            config: None,
            side: None,
            turned: false,
            left_open: None,
            decode: Decode::default(),
            labels: None,
            says_size: recipe.size != Recipe::default().size,
            recipe,
            trained_on: None,
            file: OfFile::default(),
        }
    }

    fn of_checkpoint(path: &Path) -> Result<Self, Error> {
        let kind =
            NetworkKind::of(&Checkpoint::open(path)?).ok_or_else(|| Error::UnknownKind { path: path.to_owned() })?;
        let NetworkKind::Built(Architecture { defaults, .. }) = kind else {
            return Err(Error::UnknownKind { path: path.to_owned() });
        };
        let config = Some(path.with_extension("yaml")).filter(|yaml| yaml.exists());
        Ok(Self {
            kind,
            weights: path.to_owned(),
            config,
            side: defaults.side,
            turned: defaults.turned,
            left_open: None,
            decode: Decode::default(),
            labels: None,
            recipe: Recipe::default(),
            trained_on: None,
            says_size: false,
            file: OfFile::default(),
        })
    }
}

impl Lines {
    /// Where the network's operations come from, and the file of its weights.
    fn network(&self) -> Result<(NetworkKind, PathBuf), String> {
        let of_file = |given: bool, word: &str| {
            let why = || format!("{word} is for networks in files that hold their operations; a checkpoint has none");
            if given { Err(why()) } else { Ok(()) }
        };
        match self.kind {
            Some(kind) => self.only_of_checkpoints(kind)?,
            None => self.only_of_files()?,
        }
        match (self.kind, &self.weights, &self.encoder, &self.decoder) {
            (Some(kind), Some(weights), None, None) => {
                of_file(self.role.is_some(), "role")?;
                of_file(self.output.is_some(), "output")?;
                of_file(self.activation.is_some(), "activation")?;
                of_file(self.deviations.is_some(), "deviations")?;
                of_file(self.tiles.is_some(), "tiles")?;
                Ok((kind, weights.clone()))
            }
            (Some(_), None, None, None) => Err("it has no `weights`; say the checkpoint's file".to_owned()),
            (None, Some(weights), None, None) => match self.role {
                Some(Role::Autoencoder) => {
                    Err("an autoencoder is two files, `encoder` and `decoder`; export them one by one".to_owned())
                }
                Some(role) => Ok((NetworkKind::File(role), weights.clone())),
                None => Err("it has neither `kind` (a checkpoint's architecture) nor `role` (classifier, segmenter, \
                             embedder or autoencoder, of an .onnx or .pt2 file); add the one that fits"
                    .to_owned()),
            },
            (None, None, Some(encoder), Some(_)) => match self.role {
                None | Some(Role::Autoencoder) => Ok((NetworkKind::File(Role::Autoencoder), encoder.clone())),
                Some(role) => {
                    Err(format!("role = \"{}\", where `encoder` and `decoder` are an autoencoder's", role.title()))
                }
            },
            (None, None, None, None) => Err("it names no file: `weights`, or `encoder` and `decoder`".to_owned()),
            _ => {
                Err("it has some of `kind`, `weights`, `encoder` and `decoder`; a checkpoint has kind and weights, a \
                      network in a file weights and role, an autoencoder in files encoder and decoder"
                    .to_owned())
            }
        }
    }
}

/// Whether a file's name is that of a network with its operations.
pub fn is_file_of_operations(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ["onnx", "pt2"].iter().any(|known| ext.eq_ignore_ascii_case(known)))
}

impl Lines {
    /// Refuses words of checkpoints' cards, which would change nothing.
    fn only_of_files(&self) -> Result<(), String> {
        let encodes = self.encoder.is_some();
        let embeds = self.role == Some(Role::Embedder);
        let words = [
            (self.side.is_some(), "side", "recipe.size says how large a scan becomes"),
            (self.turned == Some(true), "turned", "recipe.axes says which way the axes run"),
            (self.decode != Decode::default(), "decode", "recipe.range says what a decoder gives"),
            (self.config.is_some(), "config", "the file says what the network is"),
            (self.latents != Latents::default() && !encodes, "latents", "they are an autoencoder's"),
            (self.deviations.is_some() && !encodes, "deviations", "they are an autoencoder's"),
            (self.tiles.is_some() && !encodes, "tiles", "they are an autoencoder's"),
            (
                self.deviations.is_some() && self.latents != Latents::default(),
                "deviations",
                "latents = \"mean\" has the logarithm of the variance behind it",
            ),
            (
                encodes && (self.labels.is_some() || self.labels_file.is_some()),
                "labels",
                "an autoencoder has no classes",
            ),
            (encodes && self.activation.is_some(), "activation", "an autoencoder gives no scores"),
            (embeds && (self.labels.is_some() || self.labels_file.is_some()), "labels", "an embedding has no classes"),
            (embeds && self.activation.is_some(), "activation", "an embedding is compared as it is"),
            self.side_of_size(),
        ];
        refuse_idle(&words)
    }

    /// Refuses words of other cards, which would change nothing for a checkpoint of such a kind.
    fn only_of_checkpoints(&self, kind: NetworkKind) -> Result<(), String> {
        let (encodes, segments) = (kind.role() == Role::Autoencoder, kind.role() == Role::Segmenter);
        refuse_idle(&[
            (self.side.is_some() && segments, "side", "recipe.side says how large a scan becomes"),
            (self.turned == Some(true) && segments, "turned", "a lung U-Net is fed slices as they lie"),
            (self.latents != Latents::default(), "latents", "the architecture knows its own"),
            (self.decode != Decode::default() && !encodes, "decode", "it is an autoencoder's"),
            (self.config.is_some() && !encodes, "config", "it is a VQGAN's yaml"),
            (
                encodes && (self.labels.is_some() || self.labels_file.is_some()),
                "labels",
                "an autoencoder has no classes",
            ),
            self.side_of_size(),
        ])
    }

    /// Of the two words for a scan's size, the one that the other makes idle.
    fn side_of_size(&self) -> (bool, &'static str, &'static str) {
        let both = self.recipe.contains_key("side") && self.recipe.contains_key("size");
        (both, "recipe.side", "recipe.size says it")
    }
}

/// Refuses what a recipe says beyond the stack that networks of a `kind` take: slices from below, one window, 0 to 1.
fn only_what_is_fed(recipe: &Recipe) -> Result<(), String> {
    let order = |axes: Axes| (axes.of_stack().collect::<Vec<_>>(), axes.are_before_channels());
    let one_window = "a network of a `kind` takes one window, recipe.hu, as 0 to 1, and scales it as its authors do";
    refuse_idle(&[
        (recipe.range != [0.0, 1.0], "recipe.range", one_window),
        (recipe.z_score, "recipe.z_score", one_window),
        (!recipe.windows.is_empty(), "recipe.windows", one_window),
        (recipe.channels != 1, "recipe.channels", "a network of a `kind` repeats its channel itself"),
        (
            order(recipe.axes) != order(Axes::default()),
            "recipe.axes",
            "`turned` says how a network of a `kind` was fed",
        ),
        (
            recipe.over_slices != OverSlices::default(),
            "recipe.over_slices",
            "no classifier of a `kind` is given slices one by one",
        ),
    ])
}

/// Refuses the first of some keys that is given and would change nothing: whether it is, its name, and why.
fn refuse_idle(words: &[(bool, &str, &str)]) -> Result<(), String> {
    match words.iter().find(|(given, ..)| *given) {
        Some((_, word, why)) => Err(format!("{word} says nothing here: {why}; leave it out")),
        None => Ok(()),
    }
}

/// A label in each line; empty lines at the end count for nothing.
fn read_labels(path: &Path) -> Result<Vec<String>, String> {
    let text = files::read_text(path, MAX_CARD_BYTES)
        .map_err(|cause| format!("labels_file cannot be read: {cause}: {}", path.display()))?;
    Ok(text.trim_end().lines().map(|line| line.trim().to_owned()).collect())
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
