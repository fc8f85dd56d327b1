//! `parallax demo`: the built-in scan and networks, in the window, or without one where files are asked for.

use std::sync::Arc;

use anyhow::Result;

use super::args::DemoArgs;
use super::{compute, explain, progress};
use crate::demo;
use crate::export::write;
use crate::session;
use crate::ui::{self, Start};

pub(super) fn run(args: &DemoArgs) -> Result<()> {
    let cards = demo::Cards::find()?;
    let outputs = &args.outputs;
    compute::start(&args.compute)?;
    if let Some(path) = &args.session {
        write::check(path, outputs.overwrite)?;
        return session::demo::write(&cards, path, outputs.overwrite, &progress::monitor()?);
    }
    if outputs.out.is_none() && outputs.dump.is_none() && !outputs.json {
        return ui::run(Start { demo: true, ..Start::default() });
    }
    let set = outputs.check()?;
    let monitor = progress::monitor()?;
    let request = demo::request(&cards, &monitor)?;
    let input = Arc::new(demo::input(request.recipe()?, &monitor)?);
    explain::explain(&input, &request, (outputs, set), &monitor)?;
    Ok(())
}
