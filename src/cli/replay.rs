//! `parallax explain --replay`: a recorded run once more, held against its record.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::args::ExplainArgs;
use super::{compute, explain, pacs, progress, say};
use crate::export::record::Record;
use crate::models::Classifier;
use crate::pipeline::{self, Asked, BadInput, Model, Request};

pub(super) fn run(args: &ExplainArgs, path: &Path) -> Result<()> {
    let record = Record::open(path).map_err(BadInput)?;
    let options = record.options().map_err(BadInput)?;
    compute::start(&args.compute)?;
    args.outputs.refuse_at_once()?;
    let monitor = progress::monitor()?;
    // Another classifier has other labels: that it is another one is said below.
    let terms = |classifier: &Model<Classifier>| {
        if !record.is_scored_by(&classifier.sha256) {
            return Ok(Vec::new());
        }
        Ok(record.terms(classifier.network.labels()).map_err(BadInput)?)
    };
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&args.asked.autoencoder, &monitor)?,
        target: explain::target(&args.asked, record.offset, terms, &monitor)?,
        slab: Some(record.slab()),
        options,
    };
    let set = args.outputs.check()?;
    let choice = args.choice.or(record.choice());
    let scan = pacs::scan(&args.scan, &monitor)?;
    let opened = pipeline::open_chosen(&scan, &choice, request.recipe()?, &monitor)?;
    let input = Arc::new(match record.inserted() {
        Some(inserted) => pipeline::insert_again(&opened, inserted, request.recipe()?, &monitor)?.input,
        None => opened,
    });
    record.check(input.sha256(), &Asked::of(&request)).map_err(BadInput)?;
    let report = explain::explain(&input, &request, (&args.outputs, set), &monitor)?;
    let differences = record.differences(&report);
    if !differences.is_empty() {
        bail!(
            "the run gives other numbers than its record: the networks' files and recipes are the same, so something else of a card, an \
             option of the machine or the program's version is not. {}",
            differences.join("; ")
        );
    }
    if !args.outputs.json {
        say("the same scores and lambdas as recorded");
    }
    Ok(())
}
