//! Classifiers in files, and segmenters, whose classes' shares of a volume are what is scored.

use std::sync::Arc;

use candle_core::{DType, Device, Result as TensorResult};

use super::pass::{Pass, pass};
use super::{example, output};
use crate::exchange::{Activation, Choice, Ending, Model};
use crate::files;
use crate::graph::ops::{Function, Reduction};
use crate::graph::{Graph, Value};
use crate::models::architecture::Role;
use crate::models::roles::Core;
use crate::models::{Card, Classifier, Error, Head, Probabilities};
use crate::preprocess::Recipe;

/// Far more classes than any list of labels names.
const MOST_CLASSES: usize = 1 << 20;

pub(super) fn load(
    card: &Card,
    role: Role,
    recipe: &Recipe,
    model: &Arc<Model>,
    on: (DType, &Device),
) -> Result<(Classifier, Head), Error> {
    let path = model.path().to_owned();
    let wrong = |what: String| Error::Card { what, path: path.clone() };
    let output = output(card, model)?;
    model.check(&[&output])?;
    let axes_of = |value: &str| -> Result<usize, Error> {
        Ok(pass(Arc::clone(model), value, recipe, on)?.output_of(&example(recipe, 1))?.len())
    };
    let class_axis = |axes: usize| if recipe.axes.are_before_channels() && axes > 3 { axes - 1 } else { 1 };
    let choice = model.choice(&output);
    if let Some(choice) = &choice {
        let axes = axes_of(&choice.before)?;
        of_classes(card, &output, choice, choice.is_of_classes(axes, class_axis(axes))).map_err(wrong)?;
    }
    let named = choice.as_ref().map_or(&output, |choice| &choice.before);
    let ending = model.ending(named);
    let axes = ending.as_ref().map_or(Ok(0), |_| axes_of(named))?;
    let as_it_is = ending.as_ref().is_none_or(|ending| ending.is_of_classes(axes, class_axis(axes)));
    // Of which the largest is chosen, these are the answers to one question, unless the card says otherwise.
    let said =
        card.file.activation.or_else(|| choice.as_ref().filter(|_| ending.is_none()).map(|_| Probabilities::Softmax));
    let (activation, value) = head(said, named, ending, as_it_is).map_err(wrong)?;
    let pass = pass(Arc::clone(model), &value, recipe, on)?;
    let shape = pass.output_of(&example(recipe, 1))?;
    let classes = classes(&shape, role, named).map_err(wrong)?;
    pass.differentiable(&example(recipe, 1)).map_err(|error| wrong(error.to_string()))?;
    one_for_each_slice(&pass, recipe, &shape).map_err(wrong)?;
    let labels =
        super::super::labels(card, classes, || (0..classes).map(|class| format!("class {class}")).collect(), &path)?;
    // Shares of a volume are what they are.
    let scores = if role == Role::Segmenter { Probabilities::None } else { activation };
    let core = Core::Tensor(Arc::new(move |input: &[usize]| graph(&pass, role, activation, input)));
    let classifier = Classifier::of(core, recipe, labels, scores, on);
    let head = Head { chosen: choice.is_some(), output, value, activation };
    Ok((if role == Role::Segmenter { classifier.with_regions() } else { classifier }, head))
}

/// Refuses an output that says which number is the largest, but not of the classes'.
fn of_classes(card: &Card, output: &str, choice: &Choice, as_it_is: bool) -> Result<(), String> {
    let (output, before) = (files::printable(output), files::printable(&choice.before));
    if card.file.activation == Some(Probabilities::None) {
        Err(format!(
            "activation = \"none\", where the output \"{output}\" is the number of the largest class (ArgMax), which has no gradient: leave \
             `activation` out to score the numbers before it, or name a value, output = \"{before}\""
        ))
    } else if as_it_is {
        Ok(())
    } else {
        let behind: Vec<&str> = choice.behind.iter().map(String::as_str).collect();
        let how = match behind.as_slice() {
            [] => "not over the classes, its second axis".to_owned(),
            behind => format!("and behind it {}", behind.join(", ")),
        };
        Err(format!(
            "the output \"{output}\" comes from the number of the largest value (ArgMax), {how}: it has no gradient; name the value before \
             it, output = \"{before}\""
        ))
    }
}

/// Refuses a network of slices, some at a time, that has one answer to all of them.
fn one_for_each_slice(pass: &Pass, recipe: &Recipe, of_one: &[usize]) -> Result<(), String> {
    if !recipe.axes.is_slice() || of_one.len() > 1 {
        return Ok(());
    }
    let of_two = pass.output_of(&example(recipe, 2)).map_err(|error| error.to_string())?;
    if of_two.first() == Some(&2) {
        return Ok(());
    }
    Err(format!(
        "the output \"{}\" is {of_two:?} of two slices, where one answer to each is wanted: export the network with a batch of 1",
        files::printable(&pass.output)
    ))
}

/// Says how the numbers become scores, and names the value that they are taken from: before the activation that the file ends in.
fn head(
    said: Option<Probabilities>,
    output: &str,
    ending: Option<Ending>,
    as_it_is: bool,
) -> Result<(Probabilities, String), String> {
    let name = files::printable(output);
    match (said, ending) {
        (Some(Probabilities::None), _) => Ok((Probabilities::None, output.to_owned())),
        (_, Some(ending)) if !as_it_is => Err(behind_activation(&name, &ending)),
        (None, Some(ending)) => Ok((scores(ending.activation), ending.before)),
        (Some(said), Some(ending)) if said == scores(ending.activation) => Ok((said, ending.before)),
        (Some(said), Some(ending)) => Err(format!(
            "activation = \"{}\", where the output \"{name}\" ends in a {} already: leave `activation` out, or name an earlier output",
            said.word(),
            scores(ending.activation).word()
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
    let (is, before) = (scores(ending.activation).word(), files::printable(&ending.before));
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

/// How many classes an output of a shape has.
fn classes(shape: &[usize], role: Role, output: &str) -> Result<usize, String> {
    let output = files::printable(output);
    match (shape, role) {
        ([_, classes, rest @ ..], Role::Classifier)
            if rest.iter().all(|side| *side == 1) && *classes <= MOST_CLASSES =>
        {
            Ok(*classes)
        }
        ([1], Role::Classifier) => Ok(1), // also a single number of one scan
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
