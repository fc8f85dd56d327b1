//! The networks to measure, by name, each with an input.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, bail};
use candle_core::{DType, Device, Module, Result, Tensor, Var};
use parallax::models::{Autoencoder, Card, Classifier, I3ResNet, LungUnet, Segmenter, Vqgan};
use parallax::nn::conv::Conv2d;
use parallax::nn::device;
use parallax::weights::Checkpoint;

use crate::random::{self, Random, Weights};

type Network = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

pub(crate) struct Case {
    pub(crate) network: Network,
    /// Forward, and back from a gradient of ones.
    pub(crate) gradient: Network,
    pub(crate) input: Tensor,
}

/// The gradient as candle's graph has it.
fn by_graph(network: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Network {
    Box::new(move |x| {
        let leaf = Var::from_tensor(x)?;
        let mut gradients = network(&leaf)?.sum_all()?.backward()?;
        gradients.remove(&leaf).ok_or_else(|| candle_core::Error::Msg("no gradient".to_owned()))
    })
}

impl Case {
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        let mut parts = name.split(':');
        let kind = parts.next().unwrap_or_default();
        let numbers = parts.map(str::parse).collect::<std::result::Result<Vec<usize>, _>>();
        let numbers = numbers.with_context(|| format!("{name}: numbers follow the colons"))?;
        match (kind, numbers.as_slice()) {
            ("demo-decoder", [slices]) => decoder(&asset("vqgan")?, [*slices, 16, 3, 3], 96),
            ("demo-classifier", []) => classifier(&asset("classifier")?, [36, 1, 96, 96]),
            ("decoder-f16", []) => decoder(&drawn("vqgan", random::vqgan(&[1, 1, 2, 2, 4])?)?, [1, 256, 16, 16], 256),
            ("decoder-f64", []) => {
                decoder(&drawn("vqgan", random::vqgan(&[1, 1, 2, 2, 4, 4, 4])?)?, [1, 256, 4, 4], 256)
            }
            ("unet", []) => segmenter(&drawn("lung-unet", random::unet()?)?, [1, 1, 224, 224]),
            ("i3resnet", [depth]) => classifier(&drawn("i3resnet", random::i3resnet()?)?, [*depth, 1, 224, 224]),
            ("conv3", [channels, side]) => convolution(3, *channels, *side),
            ("conv1", [channels, side]) => convolution(1, *channels, *side),
            _ => bail!("unknown case {name}"),
        }
    }
}

struct Model {
    card: Card,
    checkpoint: Checkpoint,
    /// Where drawn weights lie until they are loaded.
    _folder: Option<tempfile::TempDir>,
}

impl Model {
    fn open(card: &Path, folder: Option<tempfile::TempDir>) -> anyhow::Result<Self> {
        let card = Card::open(card)?;
        let checkpoint = Checkpoint::open(&card.weights)?;
        Ok(Self { card, checkpoint, _folder: folder })
    }
}

fn asset(name: &str) -> anyhow::Result<Model> {
    Model::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/{name}.toml")), None)
}

/// A network of random weights.
fn drawn(kind: &str, weights: Weights) -> anyhow::Result<Model> {
    let (folder, card) = weights.card(kind, None)?;
    Model::open(&card, Some(folder))
}

fn input(shape: &[usize]) -> Result<Tensor> {
    Random(7).tensor(shape)
}

fn decoder(model: &Model, latents: [usize; 4], side: usize) -> anyhow::Result<Case> {
    let network = Vqgan::load(&model.card, &model.checkpoint, DType::F32, device::chosen())?;
    let network = Rc::new(network);
    let same = Rc::clone(&network);
    let gradient = move |z: &Tensor| {
        let (y, pull_back) = same.trail(z, [side, side])?;
        pull_back(&y.ones_like()?)
    };
    Ok(Case {
        network: Box::new(move |z| network.decode(z, [side, side])),
        gradient: Box::new(gradient),
        input: input(&latents)?,
    })
}

fn classifier(model: &Model, stack: [usize; 4]) -> anyhow::Result<Case> {
    let network = I3ResNet::load(&model.card, &model.checkpoint, DType::F32, device::chosen())?;
    let network = Rc::new(network);
    let same = Rc::clone(&network);
    let forward = move |x: &Tensor| network.stages().iter().try_fold(x.clone(), |x, stage| stage.forward(&x));
    let gradient = move |x: &Tensor| {
        let stages = same.stages();
        let (logits, mut trails) = parallax::models::trail(&stages, x, || Ok::<_, candle_core::Error>(()))?;
        let mut gradient = logits.ones_like()?;
        while let Some(pull_back) = trails.pop() {
            gradient = pull_back(&gradient)?;
        }
        Ok(gradient)
    };
    Ok(Case { network: Box::new(forward), gradient: Box::new(gradient), input: input(&stack)? })
}

fn segmenter(model: &Model, stack: [usize; 4]) -> anyhow::Result<Case> {
    let network = LungUnet::load(&model.card, &model.checkpoint, DType::F32, device::chosen())?;
    let network = Rc::new(network);
    let same = Rc::clone(&network);
    let gradient = move |x: &Tensor| {
        let (y, pull_back) = same.trail(x)?;
        pull_back(&y.ones_like()?)
    };
    Ok(Case {
        network: Box::new(move |x| network.log_probabilities(x)),
        gradient: Box::new(gradient),
        input: input(&stack)?,
    })
}

fn convolution(kernel: usize, channels: usize, side: usize) -> anyhow::Result<Case> {
    let weight = input(&[channels, channels, kernel, kernel])?;
    let network = Conv2d::from_tensors(&weight, Some(&input(&[channels])?), 1, kernel / 2)?;
    let network = Rc::new(network);
    let forward = move |x: &Tensor| network.forward(&x.to_device(device::chosen())?)?.to_device(&Device::Cpu);
    let input = input(&[1, channels, side, side])?;
    Ok(Case { network: Box::new(forward.clone()), gradient: by_graph(forward), input })
}
