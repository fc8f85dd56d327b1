//! `parallax demo`: the built-in scan and networks, in the window, or without one where files are asked for.

use anyhow::Result;

use super::args::DemoArgs;
use super::{compute, explain, progress};
use crate::demo;
use crate::models::label_index;
use crate::pipeline::{self, BadInput, Request, Target};
use crate::ui::{self, Start};

pub(super) fn run(args: &DemoArgs) -> Result<()> {
    let cards = demo::Cards::find()?;
    let outputs = &args.outputs;
    compute::start(&args.compute)?;
    if outputs.out.is_none() && outputs.dump.is_none() && !outputs.json {
        return ui::run(Start { demo: true, ..Start::default() });
    }
    let set = outputs.check()?;
    let monitor = progress::monitor()?;
    let classifier = pipeline::load_classifier(&cards.classifier, &monitor)?;
    let effusion = label_index(classifier.network.labels(), demo::TARGET).map_err(BadInput::new)?;
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&cards.autoencoder, &monitor)?,
        target: Target::Classes { classifier, terms: vec![(effusion, 1.0)], offset: 0.0 },
        slab: None,
        options: demo::options(),
    };
    let input = demo::input(request.recipe()?, &monitor)?;
    explain::explain(&input, &request, (outputs, set), &monitor)?;
    Ok(())
}
