//! Networks whose files hold their operations: what a card says of one is held against what the file takes and gives.

mod autoencoder;
mod classifier;
mod embedder;
mod pass;
mod posterior;
mod tiling;
mod volumes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Result as TensorResult};

use serde::Deserialize as _;
use serde::de::DeserializeOwned;

use self::autoencoder::FileAutoencoder;
use super::architecture::Role;
use super::facts::Facts;
use super::{Card, Error, Loaded, Network, Probabilities, Tiles, TrainedOn, check_labels};
use crate::exchange::{Model, Port, Size};
use crate::files;
use crate::graph::{Graph, Value};
use crate::preprocess::{CHANNELS, Fit, Recipe};
use crate::weights;

/// What stands for a side that neither the recipe nor the file says, where only the number of channels matters.
const SOME_SIDE: usize = 64;

/// Loads what a card describes, in f32 or f64.
pub(super) fn load(card: &Card, role: Role, dtype: DType, device: &Device) -> Result<Loaded, Error> {
    let (model, sha256) = open(&card.weights)?;
    let recipe = agreed(card, &model)?;
    match role {
        Role::Classifier | Role::Segmenter => {
            let (classifier, head) = classifier::load(card, role, &recipe, &model, (dtype, device))?;
            Ok(Loaded { network: Network::Classifier(classifier.into()), sha256, recipe, head: Some(head) })
        }
        Role::Embedder => {
            let embedder = embedder::load(card, &recipe, model, (dtype, device))?;
            Ok(Loaded { network: Network::Embedder(embedder.into()), sha256, recipe, head: None })
        }
        Role::Autoencoder => {
            let (decoder, of_decoder) = open(card.file.decoder.as_deref().unwrap_or(&card.weights))?;
            let network = FileAutoencoder::load(card, &recipe, [model, decoder], dtype, device)?;
            let sha256 = files::sha256_of_all(&[sha256, of_decoder]);
            Ok(Loaded { network: Network::Autoencoder(network), sha256, recipe, head: None })
        }
    }
}

/// How scans are prepared for the network of a card.
pub(super) fn recipe(card: &Card) -> Result<Recipe, Error> {
    agreed(card, &Model::open(&card.weights)?)
}

fn open(path: &Path) -> Result<(Arc<Model>, String), Error> {
    let model = Model::open(path)?;
    let hash =
        |path: &Path| files::sha256(path).map_err(|cause| Error::Io { of: "network", cause, path: path.to_owned() });
    let hashes = model.files().iter().map(|path| hash(path)).collect::<Result<Vec<_>, _>>()?;
    let sha256 = if hashes.len() == 1 { hashes[0].clone() } else { files::sha256_of_all(&hashes) };
    Ok((Arc::new(model), sha256))
}

/// What the role of a network can be told from: how many axes its first output has.
pub(super) fn role(path: &Path) -> Result<Role, Error> {
    let model = Model::open(path)?;
    let axes = model.outputs().first().and_then(|port| port.sizes.as_ref()).map(Vec::len);
    let maps = axes.is_some_and(|axes| axes > 3);
    Ok(if maps { Role::Segmenter } else { Role::Classifier })
}

/// Gives what a file says of its network, for people.
pub fn facts(path: &Path) -> Result<Facts, Error> {
    let model = Model::open(path)?;
    let words = |port: &Port| {
        let sizes = port.sizes.as_ref().map_or("of any shape".to_owned(), |sizes| {
            format!("[{}]", sizes.iter().map(side).collect::<Vec<_>>().join(", "))
        });
        format!("{}: {} {sizes}", files::printable(&port.name), port.dtype)
    };
    let fixed = |size: &Size| match size {
        Size::Fixed(side) => Some(*side),
        Size::Open(_) => None,
    };
    let sides = |port: Option<&Port>| -> Vec<Option<usize>> {
        port.and_then(|port| port.sizes.as_ref()).map_or_else(Vec::new, |sizes| sizes.iter().map(fixed).collect())
    };
    let of_output = sides(model.outputs().first());
    let names: Vec<String> = model.outputs().iter().map(|port| port.name.clone()).collect();
    let first = names.first().map_or("", String::as_str);
    let sides_of_input = sides(model.inputs().first());
    let channels_last = comes_last(&sides_of_input);
    let class_axis = if channels_last { of_output.len().saturating_sub(1) } else { 1 };
    let of_classes = model.ending(first).filter(|ending| ending.is_of_classes(of_output.len(), class_axis));
    let activation = of_classes.map(|ending| classifier::scores(ending.activation));
    let refused = model.check(&[first]).err().map(|error| error.to_string());
    Ok(Facts {
        path: path.to_owned(),
        inputs: model.inputs().iter().map(words).collect(),
        outputs: model.outputs().iter().map(words).collect(),
        sides: sides_of_input,
        channels_last,
        activation,
        role: if of_output.len() > 3 { Role::Segmenter } else { Role::Classifier },
        classes: of_output.get(class_axis).copied().flatten(),
        refused: refused.or_else(|| pass::one_sample(&model).err()),
        names,
    })
}

/// Whether the channels of a tensor seem to come last: no network has so many at the second place, and the last side could be them.
fn comes_last(sides: &[Option<usize>]) -> bool {
    match sides {
        [_, second, .., Some(last)] if sides.len() > 3 => {
            second.is_none_or(|second| !CHANNELS.contains(&second)) && CHANNELS.contains(last)
        }
        _ => false,
    }
}

/// What whoever exported a network wrote of it, into the file's metadata or those of the self-check beside it: `labels`, `recipe`
/// and `trained_on_hu` as JSON, `activation` as a card has it.
#[derive(Default)]
pub(super) struct Said {
    pub(super) labels: Option<Vec<String>>,
    pub(super) recipe: Option<Recipe>,
    pub(super) activation: Option<Probabilities>,
    pub(super) trained_on: Option<TrainedOn>,
}

/// Where an export leaves the self-check of a network: beside it.
pub(super) fn self_check(network: &Path) -> PathBuf {
    network.with_extension("check.safetensors")
}

/// What is wrong with a file that recorded the answers of a network.
pub(super) fn of_self_check(error: weights::Error, path: &Path) -> Error {
    let why = match error {
        weights::Error::Io { cause, .. } => cause.to_string(),
        weights::Error::Damaged { what, .. } => format!("it is cut or damaged: {what}"),
        weights::Error::NotACheckpoint { .. } => "it is no safetensors file, or cut near its beginning".to_owned(),
        weights::Error::NoTensors { .. } => "it holds no tensors".to_owned(),
        other @ weights::Error::LeftOver { .. } => other.to_string(),
    };
    Error::SelfCheck { why, path: path.to_owned() }
}

/// Reads what was written of a network.
pub(super) fn said(path: &Path) -> Result<Said, Error> {
    let model = Model::open(path)?;
    let beside = self_check(path);
    let read = || weights::safetensors_metadata(&beside).map_err(|error| of_self_check(error, &beside));
    let of_check = if beside.is_file() { read()? } else { BTreeMap::new() };
    let text = |key: &str| model.metadata().get(key).or_else(|| of_check.get(key));
    let wrong = |key: &str, why: &str| Error::Card {
        what: format!("what was written of the network: \"{key}\": {why}"),
        path: path.to_owned(),
    };
    let labels: Option<Vec<String>> = parsed(text("labels")).map_err(|why| wrong("labels", &why))?;
    let labels = labels.filter(|labels| !labels.is_empty());
    labels.as_deref().map_or(Ok(()), check_labels).map_err(|why| wrong("labels", &why))?;
    let said: Option<serde_json::Map<String, serde_json::Value>> =
        parsed(text("recipe")).map_err(|why| wrong("recipe", &why))?;
    // An export that says nothing of the recipe has none.
    let said = said.filter(|said| !said.is_empty()).map(serde_json::Value::Object);
    let recipe = said.map(Recipe::deserialize).transpose().map_err(|why| wrong("recipe", &why.to_string()))?;
    recipe.as_ref().map_or(Ok(()), Recipe::check).map_err(|why| wrong("recipe", &why))?;
    let activation = text("activation").map(|word| serde_json::Value::String(word.clone()));
    let activation = activation.map(Probabilities::deserialize).transpose();
    let activation = activation.map_err(|why| wrong("activation", &why.to_string()))?;
    let trained_on: Option<TrainedOn> = parsed(text("trained_on_hu")).map_err(|why| wrong("trained_on_hu", &why))?;
    trained_on.map_or(Ok(()), |of| of.check()).map_err(|why| wrong("trained_on_hu", &why))?;
    Ok(Said { labels, recipe, activation, trained_on })
}

fn parsed<T: DeserializeOwned>(text: Option<&String>) -> Result<Option<T>, String> {
    text.map(|text| serde_json::from_str(text).map_err(|error| error.to_string())).transpose()
}

/// Gives the output that a card names, or the file's first.
fn output(card: &Card, model: &Model) -> Result<String, Error> {
    match (&card.file.output, model.outputs()) {
        (Some(output), _) => Ok(output.clone()),
        (None, [first, ..]) => Ok(first.name.clone()),
        (None, []) => Err(Error::Card { what: "the network has no output".to_owned(), path: model.path().to_owned() }),
    }
}

/// Gives a card's recipe as the network's input has it: what the recipe leaves open and the file fixes is the file's.
///
/// # Errors
/// Where the two contradict each other.
fn agreed(card: &Card, model: &Model) -> Result<Recipe, Error> {
    let mut recipe = card.recipe.clone();
    let wrong = |what: String| Error::Card { what, path: model.path().to_owned() };
    let Some(sizes) = model.inputs().first().and_then(|port| port.sizes.as_deref()) else { return Ok(recipe) };
    let axes: Vec<(usize, bool)> = recipe.axes.of_stack().collect();
    if sizes.len() != axes.len() + 2 {
        let (what, letters) = match sizes.len() {
            4 => ("slices", "two letters, as \"PL\""),
            5 => ("volumes", "three letters, as \"RAS\""),
            other => {
                return Err(wrong(format!(
                    "the network takes tensors of {other} axes; Parallax feeds [n, c, h, w] or [n, c, d, h, w]"
                )));
            }
        };
        return Err(wrong(format!(
            "recipe.axes = \"{}\", where the network takes {what}: give it {letters}",
            recipe.axes
        )));
    }
    let channels = recipe.windows.len().max(recipe.channels);
    match recipe.axes.channels_first(sizes)[1] {
        Size::Fixed(fixed) if !CHANNELS.contains(&fixed) => {
            let (shape, axes) = (shape_of(sizes), recipe.axes.before_channels(!recipe.axes.are_before_channels()));
            return Err(wrong(format!(
                "the network takes {shape}, of {fixed} channels where recipe.axes = \"{}\" has them: a C behind the letters says that \
                 they come last, [n, …, channels], and without one they come second, [n, channels, …]; say recipe.axes = \"{axes}\"",
                recipe.axes
            )));
        }
        Size::Fixed(fixed) if fixed != channels => {
            return Err(wrong(format!(
                "the recipe gives {channels} channels, and the network takes {fixed}: set recipe.channels = {fixed} to repeat one, \
                 or as many recipe.windows"
            )));
        }
        _ => {}
    }
    if !card.says_size {
        recipe.size = [0; 3];
    }
    match card.file.tiles {
        // What a file fixes is then the size of a tile.
        Some(_) => drop(tiles(card, &recipe, model)?),
        None => recipe.size = fixed("recipe.size", recipe.size, &recipe, sizes).map_err(wrong)?,
    }
    if recipe.fit != Fit::Crop && recipe.size.contains(&0) {
        return Err(wrong(format!("recipe.size = {:?}; what is resized needs all three sides", recipe.size)));
    }
    Ok(recipe)
}

/// Gives a card's tiles as the encoder's input has them; none where the card has none.
///
/// # Errors
/// Where the two contradict each other.
fn tiles(card: &Card, recipe: &Recipe, model: &Model) -> Result<Option<Tiles>, Error> {
    let sizes = model.inputs().first().and_then(|port| port.sizes.as_deref());
    let (Some(tiles), Some(sizes)) = (card.file.tiles, sizes) else { return Ok(card.file.tiles) };
    match fixed("tiles.size", tiles.size, recipe, sizes) {
        Ok(size) => Ok(Some(Tiles { size, ..tiles })),
        Err(what) => Err(Error::Card { what, path: model.path().to_owned() }),
    }
}

/// Fills the sides that a size towards R, A, S leaves open with those that a network's input `[n, c, …]` fixes.
///
/// # Errors
/// In words that name the key, where the two contradict each other.
fn fixed(key: &str, mut size: [usize; 3], recipe: &Recipe, sizes: &[Size]) -> Result<[usize; 3], String> {
    let ordered = recipe.axes.channels_first(sizes);
    for (of_file, (axis, _)) in ordered.iter().skip(2).zip(recipe.axes.of_stack()) {
        let world = 2 - axis;
        match (of_file, size[world]) {
            (Size::Fixed(fixed), 0) => size[world] = *fixed,
            (Size::Fixed(fixed), said) if said != *fixed => {
                return Err(format!(
                    "{key} = {size:?} has {said} voxels along {}, and the network takes {fixed}: its input is {}; \
                     set {key} so, or export the network with dynamic sizes{}",
                    ["R-L", "A-P", "S-I"][world],
                    shape_of(sizes),
                    last_channels_hint(recipe, sizes),
                ));
            }
            _ => {}
        }
    }
    Ok(size)
}

/// What else may be meant where the last axis of an input has one element and the second has more, or is open.
fn last_channels_hint(recipe: &Recipe, sizes: &[Size]) -> &'static str {
    let one = |size: Option<&Size>| matches!(size, Some(Size::Fixed(1)));
    if one(sizes.last()) && !one(sizes.get(1)) && !recipe.axes.are_before_channels() {
        "; if its channels come last, end `axes` in C"
    } else {
        ""
    }
}

fn side(size: &Size) -> String {
    match size {
        Size::Fixed(size) => size.to_string(),
        Size::Open(name) => files::printable(name).into_owned(),
    }
}

/// "[1, 1, depth, 96, 96]".
fn shape_of(sizes: &[Size]) -> String {
    format!("[{}]", sizes.iter().map(side).collect::<Vec<_>>().join(", "))
}

/// Gives the shape of a tensor `[n, c, …]` as the recipe has it, with some number where a side is open: to learn what the network gives.
fn example(recipe: &Recipe, slices: usize) -> Vec<usize> {
    let channels = recipe.windows.len().max(recipe.channels);
    let samples = if recipe.axes.is_slice() { slices } else { 1 };
    let sides = recipe.axes.of_stack().map(|(axis, _)| match recipe.size[2 - axis] {
        0 => SOME_SIDE,
        side => side,
    });
    [samples, channels].into_iter().chain(sides).collect()
}

/// Takes what a decoder gives to numbers in which 0 and 1 are the ends of the recipe's window.
fn unit(g: &mut Graph, y: Value, recipe: &Recipe) -> Value {
    let [low, high] = recipe.range.map(f64::from);
    if [low, high] == [0.0, 1.0] { y } else { g.affine(y, 1.0 / (high - low), -low / (high - low)) }
}

/// Refuses a decoder that gives another number of channels than the encoder takes; of several alike their mean is taken.
fn same_channels(recipe: &Recipe, found: usize) -> TensorResult<()> {
    let wanted = example(recipe, 1)[1];
    if found != wanted {
        candle_core::bail!(
            "the decoder gives {found} channels, and the encoder takes {wanted}: they are not of one autoencoder, or recipe.channels = \
             {wanted} is wrong"
        );
    }
    Ok(())
}
