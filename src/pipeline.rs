//! open -> prepare -> predict -> explain: the one path through the program, used by the window and by the command line.

mod adapted;
mod check;
mod chosen;
mod described;
mod fault;
mod inspect;
mod lungs;
mod methods;
mod network;
mod pace;
mod seen;
mod toward;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, anyhow};
use glam::{DAffine3, DMat3, DVec3};

pub use self::adapted::{classifier_for, prepared_for};
pub use self::chosen::{choice, which};
pub use self::described::Described;
pub use self::fault::{BadInput, in_words};
pub use self::inspect::{Opened, inspect, plans};
pub use self::lungs::lungs;
pub use self::methods::method;
pub use self::network::{Comparison, Cost, SelfCheck, allow_failed_checks, compare, cost, files_of};
pub use self::pace::{Pace, pace};
pub use self::seen::{Seen, seen};
pub use self::toward::{Other, embedder_for, other};
use crate::io::{self, Among, Arrival, Choice, Note, Scan, Weight};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::saliency::{self, Saliency};
use crate::latent_shift::vary::{Noisy, Variation};
use crate::latent_shift::{self, Counterfactual, Options};
use crate::models::{
    self, Autoencoder, Card, Classifier, Draft, Embedder, Facts, Head, Loaded, Network, Segmenter, TrainedOn,
};
use crate::nn::{denormals, device};
use crate::preprocess::{self, Prepared, Recipe};
use crate::volume::phantom::{self, Dials, Phantom};
use crate::volume::{Grid, Volume};
use crate::weights::Checkpoint;

/// What goes into the networks: a scan with its preparation, or a stack from a file, which skips it.
#[derive(Debug, Clone)]
pub struct Input {
    pub scan: Option<Arc<Scan>>,
    pub prepared: Prepared,
    sha256: OnceLock<String>,
}

impl Input {
    fn new(scan: Option<Arc<Scan>>, prepared: Prepared) -> Self {
        Self { scan, prepared, sha256: OnceLock::new() }
    }

    /// The scan's own volume in HU; a bare stack in the HU that its recipe gives it.
    pub fn display_volume(&self) -> Volume {
        if let Some(scan) = &self.scan {
            scan.volume.clone()
        } else {
            let [slope, offset] = self.prepared.recipe.hu_from_unit();
            let hu: Vec<f32> = self.prepared.volume.voxels.iter().map(|x| slope * x + offset).collect();
            Volume::from_f32(self.prepared.volume.grid, hu)
        }
    }

    /// All that a person should know of the input, the weightiest first: what the reader found, and what preparation did. The
    /// window and every command say these.
    pub fn notes(&self) -> Vec<Note> {
        self.scan.as_ref().map_or_else(check::of_stack, |scan| check::of_scan(scan, &self.prepared))
    }

    /// What opens this input again where its path holds more than one volume.
    pub fn choice(&self) -> Choice {
        self.scan.as_deref().map(choice).unwrap_or_default()
    }

    /// All notes that are more than facts, for files.
    pub fn warnings(&self) -> Vec<String> {
        self.notes().into_iter().filter(|note| note.weight < Weight::Fact).map(|note| note.text).collect()
    }

    /// SHA-256 of the voxels, hex. The first call computes it, as long as [`Scan::sha256`] does.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| match &self.scan {
            Some(scan) => scan.sha256(),
            None => io::voxels_sha256(&self.prepared.volume.voxels),
        })
    }
}

/// A network with where it came from.
pub struct Model<T: ?Sized> {
    pub network: Arc<T>,
    /// File name of the card or checkpoint, for people.
    pub name: String,
    /// SHA-256 of the checkpoint file, hex.
    pub sha256: String,
    /// How scans are prepared for it.
    pub recipe: Recipe,
    /// The intensities that it was trained on, where its card says them.
    pub trained_on: Option<TrainedOn>,
    pub self_check: SelfCheck,
    /// Where its scores come from, where its file says.
    pub head: Option<Head>,
}

impl<T: ?Sized> Model<T> {
    /// What a person should know of the network: what its self-check came to, and where its scores come from.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let of_head = self.head.as_ref().and_then(Head::note);
        [self.self_check.words(), of_head].into_iter().flatten().map(|words| format!("{}: {words}", self.name))
    }
}

/// What gives the score.
#[derive(Clone)]
pub enum Target {
    /// Weighted sum of class probabilities: `(label index, weight)`, plus `offset`.
    Classes { classifier: Arc<Model<Classifier>>, terms: Vec<(usize, f64)>, offset: f64 },
    /// 1 - mean of the segmenter's p/(1+p) over its first channel.
    LungSize { segmenter: Arc<Model<Segmenter>> },
    /// The cosine between the embeddings of this scan and of another one.
    Toward { embedder: Arc<Model<Embedder>>, other: Arc<Other> },
}

impl Target {
    /// What is scored, in words.
    pub fn name(&self) -> String {
        match self {
            Self::LungSize { .. } => "lung size".to_owned(),
            Self::Toward { other, .. } if other.stored => "cosine similarity to a stored embedding".to_owned(),
            Self::Toward { .. } => "cosine similarity to another scan".to_owned(),
            Self::Classes { classifier, terms, offset } => {
                let labels = classifier.network.labels();
                let term = |&(i, weight): &(usize, f64)| match weight {
                    1.0 => labels[i].clone(),
                    _ => format!("{weight} * {}", labels[i]),
                };
                let offset = (*offset != 0.0).then(|| offset.to_string());
                terms.iter().map(term).chain(offset).collect::<Vec<_>>().join(" + ")
            }
        }
    }

    /// The network behind the score: its name and the SHA-256 of its checkpoint.
    pub fn scored_by(&self) -> (&str, &str) {
        match self {
            Self::LungSize { segmenter } => (&segmenter.name, &segmenter.sha256),
            Self::Toward { embedder, .. } => (&embedder.name, &embedder.sha256),
            Self::Classes { classifier, .. } => (&classifier.name, &classifier.sha256),
        }
    }
}

/// Everything `explain` is told.
#[derive(Clone)]
pub struct Request {
    pub autoencoder: Arc<Model<dyn Autoencoder>>,
    pub target: Target,
    /// Slices that may change; `None` = all.
    pub slab: Option<Range<usize>>,
    pub options: Options,
}

/// Opens a scan and prepares it by a recipe; or a `.safetensors` stack, which is taken as it is.
pub fn open(path: &Path, recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    open_chosen(path, &Choice::default(), recipe, monitor)
}

/// Opens and prepares the chosen one of the volumes that a path holds.
pub fn open_chosen(path: &Path, choice: &Choice, recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    open_and_show(path, choice, recipe, monitor, &|_| {})
}

/// Opens and prepares a scan; `show` is given what the path holds and a few slices while the others are still being read.
pub fn open_and_show(
    path: &Path,
    choice: &Choice,
    recipe: &Recipe,
    monitor: &Monitor,
    show: &dyn Fn(Arrival),
) -> Result<Input> {
    if is_stack(path) {
        chosen::refuse(choice, "a stack of slices", path)?;
        return stack(path, recipe).map_err(BadInput::mark);
    }
    let scan = io::open_and_show(path, choice, monitor, show).map_err(BadInput::mark)?;
    prepare(&Arc::new(scan), recipe, monitor)
}

/// Prepares an open scan for other networks.
pub fn prepare(scan: &Arc<Scan>, recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    let prepared = preprocess::prepare(&scan.volume, recipe, monitor).map_err(|error| match error {
        preprocess::Error::Cancelled(cancelled) => cancelled.into(),
        why => {
            BadInput::mark(anyhow!("the scan cannot be prepared for the networks: {why}: {}", scan.source.display()))
        }
    })?;
    Ok(Input::new(Some(Arc::clone(scan)), prepared))
}

/// Draws a phantom, which is a scan like any other, and prepares it.
pub fn draw(seed: u64, dials: Dials, recipe: &Recipe, monitor: &Monitor) -> Result<(Phantom, Input)> {
    let phantom = phantom::phantom(seed, dials, monitor).map_err(|error| match error {
        phantom::Error::Cancelled(cancelled) => cancelled.into(),
        phantom::Error::Dial(dial) => BadInput::mark(dial),
    })?;
    let scan = Scan {
        volume: phantom.volume.clone(),
        source: format!("phantom {seed}").into(),
        format: format!("drawn by Parallax, seed {seed}"),
        geometry: io::Geometry::Sform,
        notes: vec![Note::caution("SYNTHETIC: a drawn phantom, no patient")],
        window_hu: None,
        study: None,
        among: Among::default(),
    };
    let input = prepare(&Arc::new(scan), recipe, monitor)?;
    Ok((phantom, input))
}

fn is_stack(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("safetensors"))
}

/// The key "stack" of a safetensors file, `[slices, 1, height, width]` in `0..=1`. It says nothing of where it lies:
/// it is taken to be axial, in display order, with the recipe's spacing.
fn stack(path: &Path, recipe: &Recipe) -> Result<Input> {
    let checkpoint = Checkpoint::open(path)?;
    let found = checkpoint.shape("stack").map(<[usize]>::to_vec);
    let Some(&[slices, 1, height, width]) = found.as_deref().filter(|shape| !shape.contains(&0)) else {
        let found = found.map_or("no such key".to_owned(), |shape| format!("{shape:?}"));
        return Err(anyhow!(
            "the stack must be [slices, 1, height, width] under the key \"stack\"; found {found}: {}",
            path.display()
        ));
    };
    let vb = checkpoint.builder(candle_core::DType::F32);
    let voxels: Vec<f32> = vb.get((slices, 1, height, width), "stack")?.flatten_all()?.to_vec1()?;
    if let Some(odd) = voxels.iter().find(|x| !(0.0..=1.0).contains(*x)) {
        return Err(anyhow!("the stack holds {odd}, outside 0..=1; scale it first: {}", path.display()));
    }
    let recipe = Recipe { size: [width, height, 0], ..recipe.clone() };
    let [right, front, up] = recipe.spacing_mm.map(|mm| if mm == 0.0 { 1.0 } else { mm });
    // Columns towards the patient's left, rows towards the back, slices towards the head.
    let axes = DMat3::from_diagonal(DVec3::new(-right, -front, up));
    let shape = [width, height, slices];
    let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(axes, -(axes * middle)) };
    let volume = Volume::from_f32(grid, voxels);
    Ok(Input::new(None, Prepared { volume, recipe, oriented: grid, spaced: grid, filled: shape }))
}

/// Whether a file's name is that of a model card or a checkpoint. A `.safetensors` file may be a stack: it is none here.
pub fn is_model(path: &Path) -> bool {
    let extensions = ["toml", "ckpt", "pt", "pth", "onnx", "pt2"];
    path.extension().is_some_and(|ext| extensions.iter().any(|known| ext.eq_ignore_ascii_case(known)))
}

/// What a model's path turned out to be.
pub enum Told {
    /// A network of that kind, which can be loaded.
    Kind(models::Kind),
    /// A network that nothing says how to feed: it needs a card.
    WithoutCard(Box<Facts>),
}

/// Which kind of network a card, a checkpoint or a file holds.
pub fn tell(path: &Path) -> Result<Told> {
    let error = match Card::open(path) {
        Ok(card) => return Ok(Told::Kind(card.kind)),
        Err(error) => error,
    };
    if models::is_file_of_operations(path)
        && !Draft::place(path).exists()
        && let Ok(facts) = models::facts(path)
    {
        return Ok(Told::WithoutCard(Box::new(facts)));
    }
    Err(BadInput::mark(error))
}

/// How scans are prepared for the network of a card.
pub fn recipe(card: &Path) -> Result<Recipe> {
    models::recipe(&Card::open(card).map_err(BadInput::mark)?).map_err(BadInput::mark)
}

pub fn load_autoencoder(card: &Path, monitor: &Monitor) -> Result<Arc<Model<dyn Autoencoder>>> {
    match load(card, "an autoencoder", monitor)? {
        (Network::Autoencoder(network), model) => Ok(model.with(network)),
        (other, _) => Err(wrong(card, &other, "an autoencoder")),
    }
}

/// Loads a classifier, or a segmenter, whose classes' shares of the volume are scored as classes are.
pub fn load_classifier(card: &Path, monitor: &Monitor) -> Result<Arc<Model<Classifier>>> {
    match load(card, "a classifier", monitor)? {
        (Network::Classifier(network), model) => Ok(model.with(network)),
        (Network::Segmenter(network), model) => {
            let shares = network.shares(&model.recipe);
            Ok(model.with(Arc::new(shares)))
        }
        (other, _) => Err(wrong(card, &other, "a classifier")),
    }
}

/// Loads a segmenter of lungs, whose lung size is scored.
pub fn load_segmenter(card: &Path, monitor: &Monitor) -> Result<Arc<Model<Segmenter>>> {
    let kind = Card::open(card).map(|card| card.kind);
    if kind.is_ok_and(|kind| kind == models::Kind::File(models::Role::Segmenter)) {
        return Err(BadInput(anyhow!(
            "a segmenter in a file has no lung size: the share of the volume that one of its classes has is scored, as a class of a \
             classifier is; name it by --target, or load it as the classifier: {}",
            card.display()
        ))
        .into());
    }
    match load(card, "a segmenter", monitor)? {
        (Network::Segmenter(network), model) => Ok(model.with(network)),
        (other, _) => Err(wrong(card, &other, "a segmenter")),
    }
}

/// Loads a network whose output is the embedding of a scan.
pub fn load_embedder(card: &Path, monitor: &Monitor) -> Result<Arc<Model<Embedder>>> {
    match load(card, "an embedder", monitor)? {
        (Network::Embedder(network), model) => Ok(model.with(network)),
        (other, _) => Err(wrong(card, &other, "an embedder")),
    }
}

/// A network's name, hash and recipe, before its kind is known.
struct Origin {
    name: String,
    sha256: String,
    recipe: Recipe,
    trained_on: Option<TrainedOn>,
    self_check: SelfCheck,
    head: Option<Head>,
}

impl Origin {
    fn with<T: ?Sized>(self, network: Arc<T>) -> Arc<Model<T>> {
        let Self { name, sha256, recipe, trained_on, self_check, head } = self;
        Arc::new(Model { network, name, sha256, recipe, trained_on, self_check, head })
    }
}

fn load(path: &Path, wanted: &str, monitor: &Monitor) -> Result<(Network, Origin)> {
    monitor.step("loading the networks", 0, 0)?;
    let _flushed = denormals::flushed();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let card = Card::open(path).with_context(|| format!("{name} was to be {wanted}")).map_err(BadInput::mark)?;
    let Loaded { network, sha256, recipe, head } = Network::load(&card, device::chosen()).map_err(BadInput::mark)?;
    monitor.check()?;
    let self_check = network::self_check(&card, &sha256, monitor)?;
    Ok((network, Origin { name, sha256, recipe, trained_on: card.trained_on, self_check, head }))
}

fn wrong(card: &Path, network: &Network, wanted: &str) -> anyhow::Error {
    BadInput(anyhow!("this is {}, and {wanted} is wanted here: {}", network.describe(), card.display())).into()
}

/// `(label, score)` by label index, of the scan as the classifier's own recipe prepares it.
pub fn predict(input: &Input, classifier: &Model<Classifier>, monitor: &Monitor) -> Result<Vec<(String, f64)>> {
    input.check()?;
    monitor.step("scoring the scan", 0, 0)?;
    let other = input.scan.as_ref().filter(|_| input.prepared.recipe != classifier.recipe);
    let own = other.map(|_| prepared_for(input, &classifier.recipe, monitor)).transpose()?;
    let own = own.map(|prepared| Input::new(input.scan.clone(), prepared));
    let input = own.as_ref().unwrap_or(input);
    let classifier = classifier_for(classifier, input, monitor)?;
    let scores = probabilities(&input.prepared.volume, &classifier, monitor)?;
    Ok(classifier.labels().iter().cloned().zip(scores).collect())
}

/// Every label's score, by index, for a volume on the grid that the classifier is fed with.
pub fn probabilities(volume: &Volume, classifier: &Classifier, monitor: &Monitor) -> Result<Vec<f64>> {
    let _flushed = denormals::flushed();
    let stack = adapted::stack_of(volume)?;
    let logits = classifier
        .plan(stack.dims())?
        .forward(&[stack], &|_, _| monitor.check())
        .map_err(|error| told(error.into()))?;
    let scores: Vec<f32> = classifier.probabilities().of(&logits[0])?.flatten_all()?.to_vec1()?;
    if !scores.iter().all(|score| score.is_finite()) {
        return Err(BadInput::mark(latent_shift::Error::NotFinite("a score".to_owned())));
    }
    Ok(scores.into_iter().map(f64::from).collect())
}

/// What a run begins from where the slices `encoded` go through the autoencoder, in decoded units.
pub fn reconstruct(
    input: &Input,
    autoencoder: &dyn Autoencoder,
    encoded: Range<usize>,
    monitor: &Monitor,
) -> Result<Volume> {
    let _flushed = denormals::flushed();
    latent_shift::reconstruct(&input.prepared.volume, autoencoder, encoded, monitor).map_err(told)
}

/// What saliency methods say of these labels, in their order.
pub fn saliency(
    input: &Input,
    classifier: &Model<Classifier>,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Vec<Saliency>> {
    let _flushed = denormals::flushed();
    input.check()?;
    let Prepared { volume, recipe, .. } = &input.prepared;
    let classifier = classifier_for(classifier, input, monitor)?;
    saliency::saliency(volume, recipe.hu_from_unit(), &classifier, labels, monitor).map_err(told)
}

/// The whole run. A run cancelled after its first steps gives `Ok` with `complete == false` and what there is.
pub fn explain(input: &Input, request: &Request, monitor: &Monitor) -> Result<Counterfactual> {
    let _flushed = denormals::flushed();
    let prepared = &input.prepared;
    if input.scan.is_some() && prepared.recipe != *request.recipe()? {
        return Err(BadInput(anyhow!(
            "the scan was prepared for other networks than {}; prepare it again",
            request.autoencoder.name
        ))
        .into());
    }
    input.check()?;
    let scan_as_predicted = request.target.of_scan_as_predicted(input, monitor)?;
    let result = latent_shift::explain(
        &prepared.volume,
        prepared.recipe.hu_from_unit(),
        &*request.autoencoder.network,
        &*request.target.objective(input, monitor)?,
        request.slab.clone(),
        &request.options,
        monitor,
    );
    Ok(Counterfactual { scan_as_predicted, ..result.map_err(told)? })
}

/// A run once more from a perturbed start, to its counterfactual alone; `of` is its result. Nothing where it finds none.
pub fn repeat(
    input: &Input,
    request: &Request,
    of: &Counterfactual,
    variation: &Variation,
    monitor: &Monitor,
) -> Result<Option<Counterfactual>> {
    let _flushed = denormals::flushed();
    let end = of.steps[of.chosen].lambda;
    let range = request.options.range.map(|_| [end; 2]);
    let options = Options { steps: 1, both: false, range, ..request.options.clone() };
    let Prepared { volume, recipe, .. } = &input.prepared;
    let autoencoder = Noisy::new(&*request.autoencoder.network, variation.seed);
    let objective = request.target.objective(input, monitor)?;
    let slab = Some(variation.slab.clone());
    match latent_shift::explain(volume, recipe.hu_from_unit(), &autoencoder, &*objective, slab, &options, monitor) {
        Ok(again) if again.complete => Ok(Some(again)),
        Ok(_) => Err(Cancelled.into()),
        Err(latent_shift::Error::NoGradient | latent_shift::Error::NotFinite(_)) => Ok(None),
        Err(error) => Err(told(error)),
    }
}

/// An error of the method for people: all but a tensor's lie in what was given.
fn told(error: latent_shift::Error) -> anyhow::Error {
    match error {
        latent_shift::Error::Cancelled(cancelled) => cancelled.into(),
        latent_shift::Error::Tensor(full) if device::out_of_memory(&full) => anyhow!(
            "{} has too little free memory for these networks; close what else uses it, or compute on the CPU (--device cpu): {full}",
            device::name()
        ),
        latent_shift::Error::Tensor(_) => error.into(),
        _ => BadInput::mark(error),
    }
}
