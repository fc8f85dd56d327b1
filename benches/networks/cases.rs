//! The networks to measure, by name, each with an input.

use std::path::Path;

use anyhow::{Context, bail};
use candle_core::{DType, Result, Tensor};
use parallax::exchange::{Model, Size};
use parallax::graph::ops::Conv;
use parallax::graph::{Graph, Plan};
use parallax::models::{Autoencoder, Card, Network, Vqgan};
use parallax::nn::device;
use parallax::random::Stream;
use parallax::weights::Checkpoint;

use crate::random::{self, Weights};

type Pass = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

pub(crate) struct Case {
    pub(crate) network: Pass,
    /// Forward, and back from a gradient of ones.
    pub(crate) gradient: Pass,
    pub(crate) input: Tensor,
}

impl Case {
    /// Of a pass through a plan.
    fn of(plan: Plan, input: Tensor) -> Self {
        let same = plan.clone();
        let gradient = move |x: &Tensor| {
            let (y, tape) = same.record(std::slice::from_ref(x), &|_, _| Ok(())).map_err(candle_core::Error::wrap)?;
            let gradients = tape.into_vjp(&[y[0].ones_like()?], &|_, _| Ok(())).map_err(candle_core::Error::wrap)?;
            Ok(gradients[0].clone())
        };
        let forward = move |x: &Tensor| {
            Ok(plan.forward(std::slice::from_ref(x), &|_, _| Ok(())).map_err(candle_core::Error::wrap)?[0].clone())
        };
        Self { network: Box::new(forward), gradient: Box::new(gradient), input }
    }
}

impl Case {
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        if let Some(path) = name.strip_prefix("file:") {
            return file(Path::new(path));
        }
        let mut parts = name.split(':');
        let kind = parts.next().unwrap_or_default();
        let numbers = parts.map(str::parse).collect::<std::result::Result<Vec<usize>, _>>();
        let numbers = numbers.with_context(|| format!("{name}: numbers follow the colons"))?;
        match (kind, numbers.as_slice()) {
            ("demo-decoder", [slices]) => decoder(&asset("vqgan")?, [*slices, 16, 3, 3], 96),
            ("demo-classifier", []) => network(&asset("classifier")?, [36, 1, 96, 96]),
            ("decoder-f16", []) => decoder(&drawn("vqgan", random::vqgan(&[1, 1, 2, 2, 4])?)?, [1, 256, 16, 16], 256),
            ("decoder-f64", []) => {
                decoder(&drawn("vqgan", random::vqgan(&[1, 1, 2, 2, 4, 4, 4])?)?, [1, 256, 4, 4], 256)
            }
            ("unet", []) => network(&drawn("lung-unet", random::unet()?)?, [1, 1, 224, 224]),
            ("i3resnet", [depth]) => network(&drawn("i3resnet", random::i3resnet()?)?, [*depth, 1, 224, 224]),
            ("densenet121", [d, h, w]) => network(&drawn("densenet", random::densenet121()?)?, [*d, 1, *h, *w]),
            ("conv3", [channels, side]) => convolution(3, *channels, *side),
            ("conv1", [channels, side]) => convolution(1, *channels, *side),
            _ => bail!("unknown case {name}"),
        }
    }
}

struct Weighed {
    card: Card,
    checkpoint: Checkpoint,
    /// Where drawn weights lie until they are loaded.
    _folder: Option<tempfile::TempDir>,
}

impl Weighed {
    fn open(card: &Path, folder: Option<tempfile::TempDir>) -> anyhow::Result<Self> {
        let card = Card::open(card)?;
        let checkpoint = Checkpoint::open(&card.weights)?;
        Ok(Self { card, checkpoint, _folder: folder })
    }
}

fn asset(name: &str) -> anyhow::Result<Weighed> {
    Weighed::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/{name}.toml")), None)
}

/// A network of random weights.
fn drawn(kind: &str, weights: Weights) -> anyhow::Result<Weighed> {
    let (folder, card) = weights.card(kind, None)?;
    Weighed::open(&card, Some(folder))
}

/// The first output of a network in a file whose only input has one size.
fn file(path: &Path) -> anyhow::Result<Case> {
    let model = Model::open(path)?;
    let [port] = model.inputs() else { bail!("{}: a network of one input", path.display()) };
    let sizes = port.sizes.iter().flatten().map(|size| match size {
        Size::Fixed(side) => Ok(*side),
        Size::Open(name) => bail!("{}: the side {name} is open; export the network with fixed sizes", path.display()),
    });
    let shape = sizes.collect::<anyhow::Result<Vec<_>>>()?;
    let output = model.outputs().first().context("a network of no output")?;
    let graph = model.graph(&[&shape], &[&output.name], DType::F32, device::chosen())?.fused();
    Ok(Case::of(Plan::new(&graph, &[&shape], DType::F32)?.on(device::chosen()), input(&shape)?))
}

fn input(shape: &[usize]) -> Result<Tensor> {
    random::tensor(&mut Stream::seeded(7), shape)
}

fn decoder(model: &Weighed, latents: [usize; 4], side: usize) -> anyhow::Result<Case> {
    let network = Vqgan::load(&model.card, &model.checkpoint, DType::F32, device::chosen())?;
    Ok(Case::of(network.decoder(&latents, [side, side])?, input(&latents)?))
}

fn network(model: &Weighed, stack: [usize; 4]) -> anyhow::Result<Case> {
    let plan = match Network::of(&model.card, &model.checkpoint, DType::F32, device::chosen())? {
        Network::Classifier(classifier) => classifier.plan(&stack)?,
        Network::Segmenter(segmenter) => segmenter.plan(&stack)?,
        Network::Embedder(embedder) => embedder.plan(&stack)?,
        Network::Autoencoder(_) => bail!("an autoencoder is measured by its decoder"),
    };
    Ok(Case::of(plan, input(&stack)?))
}

fn convolution(kernel: usize, channels: usize, side: usize) -> anyhow::Result<Case> {
    let weight = input(&[channels, channels, kernel, kernel])?;
    let mut g = Graph::new();
    let x = g.input();
    let padding = [0, kernel / 2, kernel / 2];
    let y = g.conv(x, Conv::new(&weight, Some(&input(&[channels])?))?.padded(padding));
    let shape = [1, channels, side, side];
    let plan = Plan::new(&g.finish(&[y]), &[&shape], DType::F32)?.on(device::chosen());
    Ok(Case::of(plan, input(&shape)?))
}
