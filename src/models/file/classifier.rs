//! Classifiers in files, and segmenters, whose classes' shares of a volume are what is scored.

use std::sync::Arc;

use candle_core::{DType, Device, Result as TensorResult};

use super::{Pass, example, output, pass};
use crate::exchange::{Activation, Ending, Model};
use crate::files;
use crate::graph::ops::{Function, Reduction};
use crate::graph::{Graph, Value};
use crate::models::registry::Role;
use crate::models::roles::Core;
use crate::models::{Card, Classifier, Error, Probabilities};
use crate::preprocess::Recipe;

/// Far more classes than any list of labels names.
const MOST_CLASSES: usize = 1 << 20;

pub(super) fn load(
    card: &Card,
    role: Role,
    recipe: &Recipe,
    model: Arc<Model>,
    (dtype, device): (DType, &Device),
) -> Result<Classifier, Error> {
    let path = model.path().to_owned();
    let wrong = |what: String| Error::Card { what, path: path.clone() };
    let named = output(card, &model)?;
    model.check(&[&named])?;
    let ending = model.ending(&named);
    let axes = match &ending {
        Some(_) => pass(Arc::clone(&model), &named, dtype, device)?.output_of(&example(recipe, 1))?.len(),
        None => 0,
    };
    let (activation, output) = head(card, &named, ending, axes).map_err(wrong)?;
    let pass = pass(model, &output, dtype, device)?;
    let shape = pass.output_of(&example(recipe, 1))?;
    let classes = classes(&shape, role, &named).map_err(wrong)?;
    let labels =
        super::super::labels(card, classes, || (0..classes).map(|class| format!("class {class}")).collect(), &path)?;
    // Shares of a volume are what they are.
    let scores = if role == Role::Segmenter { Probabilities::None } else { activation };
    let core = Core::Tensor(Arc::new(move |input: &[usize]| graph(&pass, role, activation, input)));
    let classifier = Classifier::of(core, recipe, labels, scores, (dtype, device));
    Ok(if role == Role::Segmenter { classifier.with_regions() } else { classifier })
}

/// Says how the numbers become scores, and names the value that they are taken from: before the activation that the file ends in.
fn head(card: &Card, output: &str, ending: Option<Ending>, axes: usize) -> Result<(Probabilities, String), String> {
    let name = files::printable(output);
    let as_it_is = ending.as_ref().is_none_or(|ending| ending.is_of_classes(axes));
    match (card.file.activation, ending) {
        (Some(Probabilities::None), _) => Ok((Probabilities::None, output.to_owned())),
        (_, Some(ending)) if !as_it_is => Err(behind_activation(&name, &ending)),
        (None, Some(ending)) => Ok((scores(ending.activation), ending.before)),
        (Some(said), Some(ending)) if said == scores(ending.activation) => Ok((said, ending.before)),
        (Some(said), Some(ending)) => Err(format!(
            "activation = \"{}\", where the output \"{name}\" ends in a {} already: leave `activation` out, or name an earlier output",
            word(said),
            word(scores(ending.activation))
        )),
        (Some(said), None) => Ok((said, output.to_owned())),
        (None, None) => Err(format!(
            "the output \"{name}\" ends in no sigmoid or softmax, so the card must say how its numbers become scores: \
             activation = \"sigmoid\" (each class is a question of its own), \"softmax\" (the classes are the answers to one), \
             or \"none\" (the numbers are the scores)"
        )),
    }
}

/// What is wrong with an output whose numbers come from an activation, but not one for each class as they are.
fn behind_activation(output: &str, ending: &Ending) -> String {
    let (is, before) = (word(scores(ending.activation)), files::printable(&ending.before));
    let between: Vec<&str> = ending.alters.iter().chain(&ending.reshapes).map(String::as_str).collect();
    let how = match between.as_slice() {
        [] => format!("a {is} that does not go over the classes, its second axis"),
        between => format!("a {is}, and behind it {}", between.join(", ")),
    };
    format!(
        "the output \"{output}\" comes from {how}: say activation = \"none\" to take its numbers as the scores that they are, or \
         name the value before the {is}, output = \"{before}\""
    )
}

/// What scores an activation makes.
pub(super) fn scores(activation: Activation) -> Probabilities {
    match activation {
        Activation::Sigmoid => Probabilities::Sigmoid,
        Activation::Softmax | Activation::LogSoftmax => Probabilities::Softmax,
    }
}

fn word(activation: Probabilities) -> &'static str {
    match activation {
        Probabilities::Sigmoid => "sigmoid",
        Probabilities::Softmax => "softmax",
        Probabilities::None => "none",
    }
}

/// How many classes an output of a shape has.
fn classes(shape: &[usize], role: Role, output: &str) -> Result<usize, String> {
    let output = files::printable(output);
    match (shape, role) {
        ([_, classes, rest @ ..], Role::Classifier)
            if rest.iter().all(|side| *side == 1) && *classes <= MOST_CLASSES =>
        {
            Ok(*classes)
        }
        ([1], Role::Classifier) => Ok(1),
        ([_, classes, _, _, ..], Role::Segmenter) if *classes <= MOST_CLASSES => Ok(*classes),
        ([_, _, _, _, ..], Role::Classifier) => Err(format!(
            "the output \"{output}\" is a map {shape:?}, not one number for each class; if the network segments, say role = \"segmenter\""
        )),
        (_, Role::Segmenter) => Err(format!(
            "the output \"{output}\" is {shape:?}, not a map for each class; if the network classifies, say role = \"classifier\""
        )),
        _ => Err(format!("the output \"{output}\" is {shape:?}, where a classifier gives [n, classes]")),
    }
}

/// Takes a tensor `[n, c, …]` to logits `[n, classes]`; of a segmenter, to the mean of each class's probability, `[n, classes]`.
fn graph(pass: &Pass, role: Role, activation: Probabilities, input: &[usize]) -> TensorResult<Graph> {
    let network = pass.graph(input)?;
    let mut g = Graph::new();
    let x = g.input();
    let y = g.append(&network, x);
    let y = if role == Role::Segmenter {
        let rank = pass.output_of(input)?.len();
        share(&mut g, y, activation, rank)
    } else {
        g.reshape(y, &[input.first().copied(), None])
    };
    Ok(g.finish(&[y]))
}

/// The mean of each class's probability over all voxels.
fn share(g: &mut Graph, maps: Value, activation: Probabilities, rank: usize) -> Value {
    let probabilities = match activation {
        Probabilities::Softmax => g.softmax(maps, 1),
        Probabilities::Sigmoid => g.function(maps, Function::Sigmoid),
        Probabilities::None => maps,
    };
    g.reduce(Reduction::Mean, probabilities, &(2..rank).collect::<Vec<_>>(), false)
}
