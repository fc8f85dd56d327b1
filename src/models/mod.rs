//! The networks: what each can do, and the cards that say what they are.

mod card;
mod i3resnet;
#[cfg(test)]
#[path = "../../tests/suite/support/needed.rs"]
mod needed;
mod phecodes;
mod stage;
mod unet;
mod vqgan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};

pub use card::{Card, Decode, Kind, check_labels};
pub use i3resnet::I3ResNet;
pub use stage::{PullBack, Stage, forward, trail};
pub use unet::LungUnet;
pub use vqgan::Vqgan;

use crate::io::counted;
use crate::machine;
use crate::weights::{self, Checkpoint};

/// Compresses slices one by one, wherever its weights are; the tensors it is given and gives back lie on the CPU. Slices never mix: decoding one slice alone gives what decoding it among others gives.
pub trait Autoencoder: Send + Sync {
    /// `[slices, 1, height, width]` in `0..=1` to latents `[slices, channels, h, w]`.
    fn encode(&self, stack: &Tensor) -> Result<Tensor>;
    /// Latents to `[slices, 1, height, width]`; `size` is the stack's height and width, since latents do not know it.
    fn decode(&self, latents: &Tensor, size: [usize; 2]) -> Result<Tensor>;
    /// The same, and how its gradient becomes that of the latents.
    fn trail(&self, latents: &Tensor, size: [usize; 2]) -> Result<(Tensor, PullBack<'_>)>;
    /// For how many slices of height and width `size` the network's device has memory at a time, their gradient included; `None`
    /// where that is the caller's to choose: on the CPU.
    fn room(&self, _size: [usize; 2]) -> Option<usize> {
        None
    }
    /// `[slope, offset]`: what turns decoded values into the stack's `0..=1`. `[1, 0]` for a true inverse;
    /// `[2, -0.5]` where decoding returns (y+2)/4 as the published code does.
    fn unit_from_decoded(&self) -> [f32; 2];
}

/// Gives one logit per label for a whole stack.
pub trait Classifier: Send + Sync {
    fn labels(&self) -> &[String];
    /// The network in pieces: the first takes the stack `[slices, 1, height, width]`, the last gives logits `[1, labels]`.
    /// Each leaves a trail for its gradient; between them work can be cancelled. Stack and logits lie on the CPU.
    fn stages(&self) -> Vec<Stage<'_>>;
}

/// Gives each pixel a probability per class, slice by slice.
pub trait Segmenter: Send + Sync {
    fn labels(&self) -> &[String];
    /// `[slices, 1, height, width]` to log-softmax `[slices, classes, h, w]`, differentiable. Both lie on the CPU.
    fn log_probabilities(&self, stack: &Tensor) -> Result<Tensor>;
    /// The same, and how its gradient becomes that of the stack.
    fn trail(&self, stack: &Tensor) -> Result<(Tensor, PullBack<'_>)>;
}

/// What can be wrong with a card, or with a checkpoint that is to be a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the {of}: {cause}: {}", path.display())]
    Io { of: &'static str, cause: std::io::Error, path: PathBuf },
    #[error("the model card is wrong: {what}: {}", path.display())]
    Card { what: String, path: PathBuf },
    #[error("no network that Parallax knows has these tensors; write a model card that says its kind: {}", path.display())]
    UnknownKind { path: PathBuf },
    #[error("{config} says {field} = {said}, the checkpoint's tensors say {found}; use the yaml that belongs to it", config = path.display())]
    Config { field: &'static str, said: String, found: String, path: PathBuf },
    #[error("{given} labels for {classes} classes; the card must name every class, in the model's order: {}", path.display())]
    Labels { given: usize, classes: usize, path: PathBuf },
    #[error("no class {wanted:?}{hint}")]
    NoSuchLabel { wanted: String, hint: String },
    #[error("the network takes {needed} of memory, and this process can have {most}; close what else uses it: {}", path.display())]
    Memory { needed: String, most: String, path: PathBuf },
    #[error(transparent)]
    Weights(#[from] weights::Error),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Any network, loaded.
pub enum Network {
    Autoencoder(Arc<dyn Autoencoder>),
    Classifier(Arc<dyn Classifier>),
    Segmenter(Arc<dyn Segmenter>),
}

impl Network {
    /// Loads what a card describes; with the SHA-256 of its checkpoint.
    pub fn load(card: &Card, device: &Device) -> std::result::Result<(Self, String), Error> {
        let checkpoint = Checkpoint::open(&card.weights)?;
        // Every number is an f32 here, whatever it is in the file.
        let needed = (checkpoint.numbers() as u64).saturating_mul(size_of::<f32>() as u64);
        if let Some(most) = machine::memory_bytes().filter(|most| needed > *most) {
            let (needed, most) = (machine::gigabytes(needed), machine::gigabytes(most));
            return Err(Error::Memory { needed, most, path: card.weights.clone() });
        }
        let network = match card.kind {
            Kind::Vqgan => Self::Autoencoder(Arc::new(Vqgan::load(card, &checkpoint, DType::F32, device)?)),
            Kind::I3resnet => Self::Classifier(Arc::new(I3ResNet::load(card, &checkpoint, DType::F32, device)?)),
            Kind::LungUnet => Self::Segmenter(Arc::new(LungUnet::load(card, &checkpoint, DType::F32, device)?)),
        };
        Ok((network, checkpoint.sha256().to_owned()))
    }

    /// "a classifier": for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Autoencoder(_) => "an autoencoder",
            Self::Classifier(_) => "a classifier",
            Self::Segmenter(_) => "a segmenter",
        }
    }
}

/// The class of that exact name, or of that number.
pub fn label_index(labels: &[String], wanted: &str) -> std::result::Result<usize, Error> {
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
    let hint = if number.is_ok() || near.is_empty() {
        format!("; there are {}, numbered from 0", labels.len())
    } else {
        format!("; did you mean {}?", near.join(" | "))
    };
    Err(Error::NoSuchLabel { wanted: wanted.to_owned(), hint })
}

/// Refuses slices that a network has no output for, as each of its levels halves them, before anything is computed.
fn halves(size: [usize; 2], levels: usize) -> Result<()> {
    let least = u32::try_from(levels.saturating_sub(1)).ok().and_then(|by| 1_usize.checked_shl(by));
    let least = least.unwrap_or(usize::MAX);
    if size.iter().any(|pixels| *pixels < least) {
        let [h, w] = size;
        bail!(
            "the network halves a slice {} times, and so needs {least} x {least} pixels, where it was given {h} x {w}; \
             give it larger slices, or set `side` in its card",
            levels.saturating_sub(1)
        );
    }
    Ok(())
}

/// Refuses, before anything is computed, an input whose `numbers` of f32 no memory holds: those of its
/// largest tensors, which are there at once. A GPU is asked for its memory by other means.
fn fits(numbers: [usize; 4], [slices, h, w]: [usize; 3], device: &Device) -> Result<()> {
    let bytes = numbers.iter().fold(size_of::<f32>() as u64, |product, n| product.saturating_mul(*n as u64));
    let Some(most) = machine::memory_bytes().filter(|most| device.is_cpu() && bytes > *most) else { return Ok(()) };
    bail!(
        "{} of {h} x {w} pixels take at least {} of memory in the network, and this process can have {}; \
         set a smaller `side` in its card, or give it fewer slices",
        counted(slices, "slice"),
        machine::gigabytes(bytes),
        machine::gigabytes(most)
    )
}

/// The card's labels, or the network's own, one per class.
fn labels(
    card: &Card,
    classes: usize,
    default: impl FnOnce() -> Vec<String>,
    path: &Path,
) -> std::result::Result<Vec<String>, Error> {
    let labels = card.labels.clone().unwrap_or_else(default);
    if labels.len() == classes {
        Ok(labels)
    } else {
        Err(Error::Labels { given: labels.len(), classes, path: path.to_owned() })
    }
}
