//! `parallax audit`: how true explanations are, on phantoms whose truth is known.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::args::AuditArgs;
use super::{Usage, compute, progress, say};
use crate::audit::{self, Plan, Report};
use crate::demo;
use crate::export::report::NOTICE;
use crate::export::write;
use crate::pipeline;
use crate::volume::phantom::Finding;

pub(super) fn run(args: &AuditArgs) -> Result<()> {
    let (autoencoder, classifier) = cards(args)?;
    for path in [&args.json, &args.csv].into_iter().flatten() {
        write::check(path, args.overwrite)?;
    }
    compute::start(&args.compute)?;
    let monitor = progress::monitor()?;
    let mut findings: Vec<Finding> = Finding::ALL.to_vec();
    findings.retain(|finding| args.finding.is_empty() || args.finding.contains(finding));
    let plan = Plan {
        autoencoder: pipeline::load_autoencoder(&autoencoder, &monitor)?,
        classifier: pipeline::load_classifier(&classifier, &monitor)?,
        seeds: args.seeds.0.clone(),
        version: args.phantom_version,
        findings,
        search: args.search.way(),
        max_change: args.max_change,
        slices: args.slices,
        outside: args.outside,
    };
    let audit = audit::run(&plan, &monitor)?;
    let search = args.search.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let report = Report::new(&plan, &audit, &search, NOTICE);
    say(&audit::table(&report));
    say("Research use only. Not for diagnosis.");
    let json = args.json.as_ref().map(|path| -> Result<()> {
        write::save(path, serde_json::to_string_pretty(&report)?.as_bytes(), args.overwrite)
    });
    // One that cannot be written takes no other with it.
    let csv = args.csv.as_ref().map(|path| write::save(path, audit::csv(&audit).as_bytes(), args.overwrite));
    [json, csv].into_iter().flatten().collect()
}

/// The networks to audit: both named, or those that come with the program.
fn cards(args: &AuditArgs) -> Result<(PathBuf, PathBuf)> {
    match (&args.autoencoder, &args.classifier) {
        (Some(autoencoder), Some(classifier)) => Ok((autoencoder.clone(), classifier.clone())),
        (None, None) => demo::Cards::find().map(|cards| (cards.autoencoder, cards.classifier)),
        (None, Some(_)) => bail!(Usage("name both networks, or neither: --autoencoder CARD is missing".to_owned())),
        (Some(_), None) => bail!(Usage("name both networks, or neither: --classifier CARD is missing".to_owned())),
    }
}
