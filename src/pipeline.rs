//! open -> prepare -> predict -> explain: the one path through the program, used by the window and by the command line.

mod adapted;
mod asked;
mod check;
mod chosen;
mod described;
mod fault;
mod input;
mod inserted;
mod inserting;
mod inspect;
mod loading;
mod lungs;
mod methods;
mod network;
mod pace;
mod request;
mod run;
mod seen;
mod stack;
mod toward;

use std::ops::Range;

use anyhow::{Result, anyhow};

pub use self::adapted::{classifier_for, embedder_for, prepared_for};
pub use self::asked::{Asked, ComparedWith, NetworkUsed};
pub use self::chosen::{choice, which};
pub use self::described::Described;
pub use self::fault::{BadInput, in_words};
pub use self::input::{Input, draw, draw_version, open, open_and_show, open_chosen, prepare};
pub use self::inserted::{Inserted, Insertion};
pub use self::inserting::{DrawnInput, chest, insert, insert_again, refused, scan_of};
pub use self::inspect::{Opened, inspect, plans};
pub use self::loading::{Model, load_autoencoder, load_classifier, load_embedder, load_segmenter, recipe};
pub use self::lungs::lungs;
pub use self::methods::{check_method, features, grad_cam, maps, method};
pub use self::network::{Comparison, Cost, SelfCheck, allow_failed_checks, compare, cost, files_of};
pub use self::pace::{Pace, pace};
pub use self::request::{Other, Request, Target};
pub use self::run::{Run, Timing};
pub use self::seen::{Seen, seen};
pub use self::toward::other;
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::vary::{Noisy, Variation};
use crate::latent_shift::{self, Counterfactual, Options};
use crate::models::{Autoencoder, Classifier};
use crate::nn::{denormals, device};
use crate::preprocess::Prepared;
use crate::volume::Volume;

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
