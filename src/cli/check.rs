//! `parallax check`: whether a network's numbers are those that were recorded of it.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::args::CheckArgs;
use super::{Usage, progress, say, say_json};
use crate::pipeline::{self, Comparison};

pub(super) fn run(args: &CheckArgs) -> Result<()> {
    let files = pipeline::files_of(&args.model)?;
    if let (Some(_), [_, _, ..]) = (&args.against, files.as_slice()) {
        let listed: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let why = "--against is of one network, and the card names several; check them one by one";
        bail!(Usage(format!("{why}: {}", listed.join(", "))));
    }
    let monitor = progress::monitor()?;
    let found: Vec<Comparison> =
        files.iter().map(|file| pipeline::compare(file, args.against.as_deref(), &monitor)).collect::<Result<_>>()?;
    let name = |at: usize| files[at].file_name().unwrap_or_default().display().to_string();
    if args.json {
        say_json(&serde_json::to_string_pretty(&facts(&found, &name))?);
    } else {
        for (at, of) in found.iter().enumerate() {
            let file = if found.len() > 1 { format!("{}: ", name(at)) } else { String::new() };
            let (output, gradient) = (of.output_relative, of.gradient_relative);
            say(&format!("{file}{} operations: output to {output:.1e}, gradient to {gradient:.1e}", of.operations));
        }
    }
    let worst = found.iter().map(Comparison::worst).fold(0.0, f64::max);
    if worst > args.tolerance {
        bail!("the numbers differ by {worst:.1e} of the largest, beyond the tolerance of {:.1e}", args.tolerance);
    }
    Ok(())
}

/// Of one network; of several the worst, and each by its file.
fn facts(found: &[Comparison], name: &dyn Fn(usize) -> String) -> Value {
    let of = |output: f64, gradient: f64, operations: usize| json!({ "output_relative": output, "gradient_relative": gradient, "operations": operations });
    let worst = |of: fn(&Comparison) -> f64| found.iter().map(of).fold(0.0, f64::max);
    let mut facts = of(worst(|of| of.gaps()[0]), worst(|of| of.gaps()[1]), found.iter().map(|of| of.operations).sum());
    if found.len() > 1 {
        let each = found.iter().enumerate().map(|(at, one)| {
            let mut row = of(one.output_relative, one.gradient_relative, one.operations);
            row["file"] = json!(name(at));
            row
        });
        facts["files"] = each.collect();
    }
    facts
}
