//! Says whether networks suit a scan, before anything is computed: which part of the body they see, how its intensities lie, how much of
//! the input resampling makes up, how long a run takes, and how much memory. Where it is asked for, the scan is also sent through the
//! autoencoder, to see whether it is kept.
//!
//! [`fit`] gives the numbers, [`words`] their sentences. The window and `parallax fit` say the same.

mod cost;
mod coverage;
mod intensities;
mod kept;
mod sampling;
pub mod words;

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

pub use self::cost::{Basis, Cost, Pass, RunCost};
pub use self::coverage::{Coverage, Cut};
pub use self::intensities::{Clipped, Intensities, Training};
pub use self::kept::{Kept, Moved, kept};
pub use self::sampling::Sampling;
use crate::job::Monitor;
use crate::latent_shift::{self, Options};
use crate::models::{Autoencoder, Classifier, Embedder, Segmenter, TrainedOn};
use crate::pipeline::{self, BadInput, Input, Model};
use crate::preprocess::Recipe;

/// The networks that are to fit a scan, and what a run would be told.
#[derive(Clone)]
pub struct Asked {
    pub autoencoder: Option<Arc<Model<dyn Autoencoder>>>,
    pub classifier: Option<Arc<Model<Classifier>>>,
    pub segmenter: Option<Arc<Model<Segmenter>>>,
    pub embedder: Option<Arc<Model<Embedder>>>,
    /// The slices that may change; `None` for all.
    pub slab: Option<Range<usize>>,
    pub options: Options,
}

impl Asked {
    /// How the scan is to be prepared: for the autoencoder if there is one, else for what gives the score.
    pub fn recipe(&self) -> Recipe {
        let of_autoencoder = self.autoencoder.as_ref().map(|model| &model.recipe);
        let of_classifier = self.classifier.as_ref().map(|model| &model.recipe);
        let of_segmenter = self.segmenter.as_ref().map(|model| &model.recipe);
        let of_embedder = self.embedder.as_ref().map(|model| &model.recipe);
        of_autoencoder.or(of_classifier).or(of_segmenter).or(of_embedder).cloned().unwrap_or_default()
    }
}

/// All that is known of networks and a scan without running the networks through.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// One for each way in which the networks have scans prepared; empty for a stack that does not say where it lies.
    pub networks: Vec<OfNetwork>,
    pub cost: Cost,
}

/// What networks of one recipe are given of a scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfNetwork {
    /// The names of these networks' cards.
    pub names: Vec<String>,
    pub coverage: Coverage,
    /// How the body's intensities lie; `None` where the networks see no body.
    pub intensities: Option<Intensities>,
    pub sampling: Sampling,
}

/// What of a network decides how it is fed.
struct Fed {
    names: Vec<String>,
    recipe: Recipe,
    trained_on: Option<TrainedOn>,
}

/// Finds out what fits. The input is prepared by [`Asked::recipe`].
///
/// # Errors
/// Where the scan cannot be prepared for one of the networks, an operation fails, or the monitor stops the work.
pub fn fit(input: &Input, asked: &Asked, monitor: &Monitor) -> Result<Fit> {
    let slices = input.prepared.volume.grid.shape[2];
    if let Some(slab) = asked.slab.clone().filter(|slab| slab.start >= slab.end || slab.end > slices) {
        return Err(BadInput::new(latent_shift::Error::Slab { slab, slices }).into());
    }
    let mut networks = Vec::new();
    if let Some(scan) = &input.scan {
        monitor.step("finding the body", 0, 0)?;
        let body = coverage::Body::of(&scan.volume);
        for Fed { names, recipe, trained_on } in fed(asked) {
            monitor.check()?;
            let other = (recipe != input.prepared.recipe).then(|| pipeline::prepared_for(input, &recipe, monitor));
            let other = other.transpose()?;
            let prepared = other.as_ref().unwrap_or(&input.prepared);
            let (coverage, seen) = coverage::coverage(&body, prepared);
            networks.push(OfNetwork {
                names,
                coverage,
                intensities: intensities::intensities(&body, &seen, &recipe, trained_on),
                sampling: sampling::sampling(&scan.volume.grid, prepared),
            });
        }
    }
    Ok(Fit { networks, cost: cost::cost(input, asked, monitor)? })
}

/// How long a repetition of a run from a perturbed start takes, from and to, by passes of its networks that are timed; `None` where none
/// can be.
///
/// # Errors
/// Where an operation fails, or the monitor stops the work.
pub fn repeat_secs(input: &Input, asked: &Asked, monitor: &Monitor) -> Result<Option<[f64; 2]>> {
    let run = cost::cost(input, asked, monitor)?.run;
    Ok(run.filter(|run| run.gradients > 0).map(|run| run.repeat_secs))
}

/// The networks in groups: those that are fed alike stand together.
fn fed(asked: &Asked) -> Vec<Fed> {
    let autoencoder = asked.autoencoder.as_ref().map(|model| (&model.name, &model.recipe, model.trained_on));
    let classifier = asked.classifier.as_ref().map(|model| (&model.name, &model.recipe, model.trained_on));
    let segmenter = asked.segmenter.as_ref().map(|model| (&model.name, &model.recipe, model.trained_on));
    let embedder = asked.embedder.as_ref().map(|model| (&model.name, &model.recipe, model.trained_on));
    let mut all: Vec<Fed> = Vec::new();
    for (name, recipe, trained_on) in [autoencoder, classifier, segmenter, embedder].into_iter().flatten() {
        match all.iter_mut().find(|fed| fed.recipe == *recipe && fed.trained_on == trained_on) {
            Some(fed) => fed.names.push(name.clone()),
            None => all.push(Fed { names: vec![name.clone()], recipe: recipe.clone(), trained_on }),
        }
    }
    all
}
