//! The networks of a run, autoencoder, classifier, segmenter and embedder, and the cards that say what each is. [`Card`] opens a text file or
//! a checkpoint; loading it gives a [`Network`]. `src/models/densenet.rs` is the architecture to copy for another one.

mod adapter;
mod architecture;
mod bundle;
mod card;
mod densenet;
mod draft;
mod facts;
mod file;
mod i3resnet;
mod moments;
mod phecodes;
mod registry;
mod roles;
mod tiles;
mod told;
mod trained_on;
mod unet;
mod vqgan;
mod wording;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};

pub use adapter::Adapter;
pub use architecture::Role;
pub use card::{Card, Decode, Latents, check_labels, is_file_of_operations};
pub use draft::Draft;
pub use facts::Facts;
pub use file::facts;
pub use registry::NetworkKind;
pub use roles::{Autoencoder, Classifier, Embedder, Probabilities, Segmenter, Within};
pub use tiles::Tiles;
pub use told::{Told, is_model, tell};
pub use trained_on::TrainedOn;
pub use vqgan::Vqgan;
pub use vqgan::kl::AutoencoderKl;

use crate::exchange;
use crate::files;
use crate::graph::ops::{Size, Unsqueeze};
use crate::graph::{Graph, Plan, Value};
use crate::machine;
use crate::preprocess::Recipe;
use crate::weights::{self, Checkpoint};

/// What can be wrong with a card, or with a checkpoint that is to be a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the {of}: {cause}: {}", path.display())]
    Io { of: &'static str, cause: std::io::Error, path: PathBuf },
    #[error("the model card is wrong: {what}: {}", path.display())]
    Card { what: String, path: PathBuf },
    #[error(
        "no network that Parallax knows has these tensors: export the network in Python with assets/export.py, to .onnx or .pt2; or write a \
         model card that says its kind, where it is one of Parallax's own: {}",
        path.display()
    )]
    UnknownKind { path: PathBuf },
    #[error("{config} says {field} = {said}, the checkpoint's tensors say {found}; use the yaml that belongs to it", config = path.display())]
    Config { field: &'static str, said: String, found: String, path: PathBuf },
    #[error("{given} labels for {classes} classes; the card must name every class, in the model's order: {}", path.display())]
    Labels { given: usize, classes: usize, path: PathBuf },
    #[error("no class {wanted:?}{hint}")]
    NoSuchLabel { wanted: String, hint: String },
    #[error("the network takes {needed} of memory, and this process can have {most}; close what else uses it: {}", path.display())]
    Memory { needed: String, most: String, path: PathBuf },
    #[error(
        "the self-check that lies beside the network cannot be read: {why}; export the network again, or remove this file to go without a check: {}",
        path.display()
    )]
    SelfCheck { why: String, path: PathBuf },
    #[error(transparent)]
    File(#[from] exchange::Error),
    #[error(transparent)]
    Weights(#[from] weights::Error),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A loaded network of any role.
pub enum Network {
    Autoencoder(Arc<dyn Autoencoder>),
    Classifier(Arc<Classifier>),
    Segmenter(Arc<Segmenter>),
    Embedder(Arc<Embedder>),
}

/// A network with what is known of it.
pub struct Loaded {
    pub network: Network,
    /// SHA-256 of its checkpoint or its files, hex.
    pub sha256: String,
    /// How scans are prepared for it: the card's recipe, with the sizes that its file fixes.
    pub recipe: Recipe,
    /// Where the scores of a classifier or a segmenter in a file come from.
    pub head: Option<Head>,
}

/// Where the scores of a network in a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The output that the card names, or else the file's first.
    pub output: String,
    /// The value that scores are made of: what the output's activation takes, where it ends in one.
    pub value: String,
    /// How scores are made of that value.
    pub activation: Probabilities,
    /// Whether the output is the number of the largest class, which has no gradient.
    pub chosen: bool,
}

impl Head {
    /// "a softmax of "logits", before the output "probabilities"".
    pub fn words(&self) -> String {
        let [output, value] = [&self.output, &self.value].map(|name| files::printable(name));
        let how = match self.activation {
            Probabilities::None => "the numbers of".to_owned(),
            activation => format!("a {} of", activation.word()),
        };
        if output == value {
            format!("{how} \"{value}\"")
        } else {
            format!("{how} \"{value}\", before the output \"{output}\"")
        }
    }

    /// What a person should know of it.
    pub fn note(&self) -> Option<String> {
        let (output, words) = (files::printable(&self.output), self.words());
        let why = "is the number of the largest class, which has no gradient; its scores are taken as";
        self.chosen.then(|| format!("its output \"{output}\" {why} {words}"))
    }
}

/// Where an export leaves the self-check of a network: beside it.
pub fn self_check(network: &Path) -> PathBuf {
    file::self_check(network)
}

/// Opens the file that recorded what a network answers.
///
/// # Errors
/// In words, where it is cut or holds something else.
pub fn open_self_check(path: &Path) -> Result<Checkpoint, Error> {
    Checkpoint::open(path).map_err(|error| file::of_self_check(error, path))
}

/// Whether a folder is a MONAI bundle, which opens as a card does.
pub fn is_bundle(path: &Path) -> bool {
    bundle::Bundle::is(path)
}

/// How scans are prepared for the network of a card.
///
/// # Errors
/// Where the card contradicts the file of its network.
pub fn recipe(card: &Card) -> Result<Recipe, Error> {
    match card.kind {
        NetworkKind::Built(_) => Ok(card.recipe.clone()),
        NetworkKind::File(_) => file::recipe(card),
    }
}

impl Network {
    /// Loads what a card describes.
    pub fn load(card: &Card, device: &Device) -> Result<Loaded, Error> {
        if let NetworkKind::File(role) = card.kind {
            return file::load(card, role, DType::F32, device);
        }
        let checkpoint = Checkpoint::open(&card.weights)?;
        // Every number is an f32 here, whatever it is in the file.
        let needed = (checkpoint.numbers() as u64).saturating_mul(size_of::<f32>() as u64);
        if let Some(most) = machine::memory_bytes().filter(|most| needed > *most) {
            let (needed, most) = (machine::gigabytes(needed), machine::gigabytes(most));
            return Err(Error::Memory { needed, most, path: card.weights.clone() });
        }
        let network = Self::of(card, &checkpoint, DType::F32, device)?;
        Ok(Loaded { network, sha256: checkpoint.sha256().to_owned(), recipe: card.recipe.clone(), head: None })
    }

    /// Builds what a card describes of an open checkpoint, in f32 or f64.
    pub fn of(card: &Card, checkpoint: &Checkpoint, dtype: DType, device: &Device) -> Result<Self, Error> {
        match card.kind {
            NetworkKind::Built(architecture) => (architecture.load)(card, checkpoint, dtype, device),
            NetworkKind::File(_) => Err(Error::UnknownKind { path: checkpoint.path().to_owned() }),
        }
    }

    /// The role of the network.
    pub fn role(&self) -> Role {
        match self {
            Self::Autoencoder(_) => Role::Autoencoder,
            Self::Classifier(_) => Role::Classifier,
            Self::Segmenter(_) => Role::Segmenter,
            Self::Embedder(_) => Role::Embedder,
        }
    }

    /// Plans the passes of the network, by name, over a stack `[slices, 1, height, width]`. A pass of a network that takes slices
    /// one by one is planned for `at_once` of them, one that mixes slices for all.
    pub fn plans(&self, stack: [usize; 4], at_once: usize) -> candle_core::Result<Vec<(&'static str, Plan)>> {
        let [slices, channels, height, width] = stack;
        let some = |count: usize| [slices.min(count), channels, height, width];
        match self {
            Self::Autoencoder(network) if network.mixes_slices() => network.plans(&stack),
            Self::Autoencoder(network) => network.plans(&some(at_once)),
            Self::Classifier(network) => Ok(vec![("classifier", network.plan(&stack)?)]),
            Self::Segmenter(network) => Ok(vec![("segmenter", network.plan(&some(1))?)]),
            Self::Embedder(network) => Ok(vec![("embedder", network.plan(&stack)?)]),
        }
    }

    /// "a classifier": for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Autoencoder(_) => "an autoencoder",
            Self::Classifier(_) => "a classifier",
            Self::Segmenter(_) => "a segmenter",
            Self::Embedder(_) => "an embedder",
        }
    }
}

/// Most classes that a message lists.
const MOST_LISTED: usize = 8;

/// The class of that exact name, or of that number.
pub fn label_index(labels: &[String], wanted: &str) -> Result<usize, Error> {
    if let Some(index) = labels.iter().position(|label| label == wanted) {
        return Ok(index);
    }
    let number = wanted.parse::<usize>();
    if let Ok(index) = number
        && index < labels.len()
    {
        return Ok(index);
    }
    let lower = wanted.to_lowercase();
    let near: Vec<_> = labels.iter().filter(|label| label.to_lowercase().contains(&lower)).take(5).cloned().collect();
    let hint = if number.is_err() && !near.is_empty() {
        format!("; did you mean {}?", near.join(" | "))
    } else if labels.len() <= MOST_LISTED {
        format!("; there are {}, numbered from 0: {}", labels.len(), labels.join(" | "))
    } else {
        format!("; there are {}, numbered from 0", labels.len())
    };
    Err(Error::NoSuchLabel { wanted: wanted.to_owned(), hint })
}

/// A classifier's graph of a volume `[1, 1, d, h, w]` as one of a stack `[slices, 1, h, w]`, turned and resized as its card says.
fn of_volume(card: &Card, network: &Graph) -> Graph {
    let mut g = Graph::new();
    let mut x = g.input();
    if card.turned {
        x = turned(&mut g, x);
    }
    if let Some(side) = card.side {
        x = g.resize(x, Size::Fixed([side; 2]), false);
    }
    let x = g.permute(x, &[1, 0, 2, 3]);
    let x = g.apply(Unsqueeze { axis: 0 }, &[x]);
    let logits = g.append(network, x);
    g.finish(&[logits])
}

/// Turns a slice a quarter and mirrors it, out[i, j] = x[n-1-j, n-1-i]: so the published networks were fed. The map is its own inverse.
fn turned(g: &mut Graph, x: Value) -> Value {
    let x = g.permute(x, &[0, 1, 3, 2]);
    g.flip(x, &[2, 3])
}

/// The card's labels, or the network's own, one per class.
fn labels(
    card: &Card,
    classes: usize,
    default: impl FnOnce() -> Vec<String>,
    path: &Path,
) -> Result<Vec<String>, Error> {
    let labels = card.labels.clone().unwrap_or_else(default);
    if labels.len() == classes {
        Ok(labels)
    } else {
        Err(Error::Labels { given: labels.len(), classes, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{IndexOp, Result, Tensor};

    use super::*;

    fn turn(x: &Tensor) -> Result<Tensor> {
        let mut g = Graph::new();
        let input = g.input();
        let y = turned(&mut g, input);
        let plan = Plan::new(&g.finish(&[y]), &[x.dims()], DType::F32)?;
        Ok(plan.forward(std::slice::from_ref(x), &|_, _| Ok(())).map_err(candle_core::Error::wrap)?.remove(0))
    }

    #[test]
    fn turning_twice_changes_nothing() -> Result<()> {
        let x = Tensor::arange(0_f32, 12.0, &Device::Cpu)?.reshape((1, 1, 3, 4))?;
        let turned = turn(&x)?;
        assert_eq!(turned.dims(), [1, 1, 4, 3]);
        assert_eq!(turned.i((0, 0, 0))?.to_vec1::<f32>()?, [11.0, 7.0, 3.0]);
        assert_eq!(turn(&turned)?.flatten_all()?.to_vec1::<f32>()?, x.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    #[test]
    fn turning_is_the_published_rotation_and_flip_both_ways() -> Result<()> {
        let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/resize.safetensors");
        let g = candle_core::safetensors::load(goldens, &Device::Cpu)?;
        for name in ["rf_enc", "rf_dec"] {
            let gap = (turn(&g["rect40x56"])? - &g[name])?.abs()?.sum_all()?.to_scalar::<f32>()?;
            assert_eq!(gap, 0.0, "{name}");
        }
        Ok(())
    }
}
