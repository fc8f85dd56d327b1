//! `parallax audit`: how true explanations are, on phantoms whose truth is known, or on scans.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::args::AuditArgs;
use super::values::Seeds;
use super::{Usage, audit_scans, compute, progress, say};
use crate::audit::phantoms::{self, Plan};
use crate::audit::{self, Audit, Method, Report, Setup};
use crate::demo;
use crate::export::report::NOTICE;
use crate::export::{audit as page, write};
use crate::pipeline;
use crate::volume::phantom::Finding;

/// Those that an audit without --seeds draws.
const PHANTOMS: Range<u64> = 100_000..100_020;

pub(super) fn run(args: &AuditArgs) -> Result<()> {
    let (autoencoder, classifier) = cards(args)?;
    write::check_all(&args.outputs(), &[], args.overwrite)?;
    compute::start(&args.compute)?;
    let monitor = progress::monitor()?;
    let autoencoder = pipeline::load_autoencoder(&autoencoder, &monitor)?;
    let classifier = pipeline::load_classifier(&classifier, &monitor)?;
    let setup = Setup {
        watched: phantoms::watched(classifier.network.labels()),
        autoencoder,
        classifier,
        methods: methods(args),
        curves: args.curves,
        search: args.search.way(),
        max_change: args.max_change,
        slices: args.slices,
        outside: args.outside,
    };
    let search = args.search.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    if let Some(manifest) = &args.scans.scans {
        let (report, outcome) = audit_scans::run(args, manifest, setup, &search, &monitor)?;
        let scores = args.scans.scores.as_ref();
        let scores = scores.map(|path| write::save(path, &audit::scans::scores_csv(&outcome), args.overwrite));
        let page = || page::scans_html(&report, &outcome.audit);
        let others = save(args, &report, &outcome.audit, page);
        return scores.into_iter().chain([others]).collect();
    }
    let mut findings: Vec<Finding> = Finding::ALL.to_vec();
    findings.retain(|finding| args.finding.is_empty() || args.finding.contains(finding));
    let seeds = args.seeds.as_ref().map_or(PHANTOMS, |Seeds(seeds)| seeds.clone());
    let plan = Plan { setup, seeds, version: args.phantom_version, findings };
    let audit = phantoms::run(&plan, &monitor)?;
    let names: Vec<&str> = plan.names().collect();
    let seeds = Some([plan.seeds.start, plan.seeds.end]);
    let phantom_version = Some(plan.version.number());
    let report = Report { seeds, phantom_version, ..Report::new(&plan.setup, &names, &audit, &search, NOTICE) };
    say(&audit::table(&report));
    say("Research use only. Not for diagnosis.");
    save(args, &report, &audit, || page::html(&report, &audit))
}

impl AuditArgs {
    /// The files to write.
    pub(super) fn outputs(&self) -> Vec<&Path> {
        let named = [&self.json, &self.csv, &self.report, &self.scans.scores];
        named.into_iter().flatten().map(PathBuf::as_path).collect()
    }
}

/// Writes what was asked for; `json` is what the JSON file has, `page` the report. One that cannot be written takes no other with it.
fn save(args: &AuditArgs, json: &impl Serialize, audit: &Audit, page: impl FnOnce() -> Result<String>) -> Result<()> {
    let json = args.json.as_ref().map(|path| -> Result<()> {
        write::save(path, serde_json::to_string_pretty(json)?.as_bytes(), args.overwrite)
    });
    let csv = args.csv.as_ref().map(|path| write::save(path, &audit::csv(audit), args.overwrite));
    let page = args.report.as_ref().map(|path| -> Result<()> { write::save(path, page()?.as_bytes(), args.overwrite) });
    [json, csv, page].into_iter().flatten().collect()
}

/// The methods, each once, in the order of the tables.
fn methods(args: &AuditArgs) -> Vec<Method> {
    Method::ALL.into_iter().filter(|method| args.methods.contains(method)).collect()
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
