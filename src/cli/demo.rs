//! `parallax demo`: the built-in scan and networks, in the window, or without one where files are asked for.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::args::OutputArgs;
use super::compute::{self, ComputeArgs};
use super::{explain, progress};
use crate::demo;
use crate::export::write;
use crate::session;
use crate::ui::{self, Start};

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub outputs: OutputArgs,
    /// Compute the demo and write it as the session that the window shows at once, with its pixels rounded to about one HU
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "dump", "json"])]
    pub session: Option<PathBuf>,
}

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
    let input = demo::input(request.recipe()?, &monitor)?;
    explain::explain(&input, &request, (outputs, set), &monitor)?;
    Ok(())
}
