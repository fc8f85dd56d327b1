//! `parallax check`: whether a network's numbers are those that were recorded of it.

use anyhow::{Result, bail};
use serde_json::json;

use super::args::CheckArgs;
use super::{progress, say, say_json};
use crate::pipeline;

pub(super) fn run(args: &CheckArgs) -> Result<()> {
    let found = pipeline::compare(&args.model, args.against.as_deref(), &progress::monitor()?)?;
    let (output, gradient) = (found.output_relative, found.gradient_relative);
    if args.json {
        let facts = json!({ "output_relative": output, "gradient_relative": gradient, "operations": found.operations });
        say_json(&serde_json::to_string_pretty(&facts)?);
    } else {
        say(&format!("{} operations: output to {output:.1e}, gradient to {gradient:.1e}", found.operations));
    }
    if found.worst() > args.tolerance {
        bail!(
            "the numbers differ by {:.1e} of the largest, beyond the tolerance of {:.1e}",
            found.worst(),
            args.tolerance
        );
    }
    Ok(())
}
