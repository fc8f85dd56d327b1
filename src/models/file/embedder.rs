//! Networks in files whose output is the embedding of a scan: those of foundation models without a head.

use std::sync::Arc;

use candle_core::{DType, Device, Result as TensorResult, bail};

use super::pass::{Pass, pass};
use super::{example, output};
use crate::exchange::Model;
use crate::graph::Graph;
use crate::models::roles::Core;
use crate::models::{Card, Embedder, Error};
use crate::preprocess::Recipe;

pub(super) fn load(
    card: &Card,
    recipe: &Recipe,
    model: Arc<Model>,
    (dtype, device): (DType, &Device),
) -> Result<Embedder, Error> {
    let path = model.path().to_owned();
    let named = output(card, &model)?;
    model.check(&[&named])?;
    let pass = pass(model, &named, recipe, (dtype, device))?;
    graph(&pass, &example(recipe, 1))
        .and_then(|_| pass.differentiable(&example(recipe, 1)))
        .map_err(|error| Error::Card { what: error.to_string(), path })?;
    let core = Core::Tensor(Arc::new(move |input: &[usize]| graph(&pass, input)));
    Ok(Embedder::of(core, recipe, dtype, device))
}

/// Takes a tensor `[n, c, …]` to embeddings `[n, numbers]`: whatever stands behind the first axis of the output is one vector.
fn graph(pass: &Pass, input: &[usize]) -> TensorResult<Graph> {
    let shape = pass.output_of(input)?;
    let samples = input.first().copied().unwrap_or(1);
    let numbers: usize = shape.iter().product();
    let of_samples = shape.first() == Some(&samples) || samples == 1;
    if numbers == 0 || !of_samples {
        bail!(
            "the output \"{}\" is {shape:?}, where an embedder gives [n, numbers] of {samples} samples",
            crate::files::printable(&pass.output)
        );
    }
    let mut g = Graph::new();
    let x = g.input();
    let y = g.append(&pass.graph(input)?, x);
    let y = g.reshape(y, &[Some(samples), Some(numbers / samples)]);
    Ok(g.finish(&[y]))
}
