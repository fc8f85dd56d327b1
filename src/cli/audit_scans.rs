//! `parallax audit --scans`: whether a classifier sees findings in real scans, and each method finds them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::args::AuditArgs;
use super::values::{Seeds, dial};
use super::{Usage, audit, say};
use crate::audit::Setup;
use crate::audit::scans::{self, Asked, Plan, ScansReport, Wanted};
use crate::cohort::{self, Manifest, Row};
use crate::export::report::NOTICE;
use crate::export::write;
use crate::insertion::Lying;
use crate::io::Choice;
use crate::job::Monitor;
use crate::pipeline::BadInput;
use crate::volume::phantom::Finding;

#[derive(Debug, Args)]
pub struct ScansArgs {
    /// Real scans in place of phantoms: a table as `parallax cohort` takes it, a folder, or a pattern in quotes
    #[arg(long, value_name = "TABLE|DIR|PATTERN")]
    pub scans: Option<PathBuf>,
    /// Draw this finding into each scan: nodule, effusion, emphysema or cardiomegaly; may be repeated
    #[arg(long, value_name = "NAME", requires = "scans", conflicts_with = "masks")]
    pub insert: Vec<Finding>,
    /// Take your own masks: the columns mask_NAME of the table, one for each finding, or the column mask for the one that --label names
    #[arg(long, requires = "scans")]
    pub masks: bool,
    /// How much of each finding is drawn; 0 is the scan as it is
    #[arg(long, value_name = "DIALS", value_delimiter = ',', value_parser = dial, default_value = "0,0.25,0.5,0.75,1")]
    pub dials: Vec<f32>,
    /// At which of the dials the methods are asked, a search each [default: the highest]
    #[arg(long, value_name = "DIALS", value_delimiter = ',', value_parser = dial, requires = "insert")]
    pub explain_dials: Vec<f32>,
    /// The classifier's class for a finding, as "nodule=Lung Nodule"; may be repeated [default: of the same name]
    #[arg(long, value_name = "NAME=CLASS", requires = "scans", value_parser = named)]
    pub label: Vec<(String, String)>,
    /// How the patients lie, supine or prone, which says where fluid gathers [default: as the DICOM files say it, else supine]
    #[arg(long, value_name = "HOW", requires = "insert")]
    pub position: Option<Lying>,
    /// One line for each score, and for all that was left out with its reason, as CSV
    #[arg(long, value_name = "FILE", requires = "scans")]
    pub scores: Option<PathBuf>,
}

/// What stands above numbers of findings that were drawn.
const DRAWN_NOTICE: &str = "SYNTHETIC findings, drawn into real scans. Research use only. Not for diagnosis.";
/// Insertions of an audit without --seeds.
const INSERTIONS: Range<u64> = 1..2;
/// Columns of masks begin so.
const OF_MASKS: &str = "mask_";

pub(super) fn run(args: &AuditArgs, manifest: &Path, setup: Setup, search: &str, monitor: &Monitor) -> Result<()> {
    let asked = &args.scans;
    if asked.insert.is_empty() && !asked.masks {
        return Err(Usage(
            "say what is to be found in the scans: --insert NAME draws it, --masks takes your own".to_owned(),
        )
        .into());
    }
    let rows = Manifest::open(manifest).map_err(BadInput::mark)?;
    let scans = scans_of(&rows, manifest, asked)?;
    let findings = findings(&setup, asked, &scans)?;
    let watched = (0..setup.classifier.network.labels().len()).collect();
    let mut dials = asked.dials.clone();
    if let Some(dial) = dials.iter().chain(&asked.explain_dials).find(|dial| !(0.0..=1.0).contains(*dial)) {
        return Err(Usage(format!("the dial is {dial}; choose 0 (none) to 1 (severe)")).into());
    }
    let explained = match asked.explain_dials.as_slice() {
        [] => dials.iter().copied().reduce(f32::max).into_iter().collect(),
        named => named.to_vec(),
    };
    dials.extend(explained.iter().copied());
    dials.sort_by(f32::total_cmp);
    dials.dedup();
    let plan = Plan {
        setup: Setup { watched, ..setup },
        scans,
        findings,
        dials,
        explained,
        seeds: args.seeds.as_ref().map_or(INSERTIONS, |Seeds(seeds)| seeds.clone()),
        lying: asked.position,
    };
    let outcome = scans::run(&plan, monitor)?;
    let report = ScansReport::new(&plan, &outcome, search, if asked.insert.is_empty() { NOTICE } else { DRAWN_NOTICE });
    say(&scans::table(&report));
    if !asked.insert.is_empty() {
        say("SYNTHETIC findings, drawn into the scans.");
    }
    say("Research use only. Not for diagnosis.");
    let scores = asked.scores.as_ref().map(|path| write::save(path, &scans::scores_csv(&outcome), args.overwrite));
    let others = audit::save(args, &report, &report.report, &outcome.audit);
    scores.into_iter().chain([others]).collect()
}

/// The scans of a manifest, with their masks where these are asked for.
fn scans_of(manifest: &Manifest, path: &Path, asked: &ScansArgs) -> Result<Vec<Asked>> {
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    let masks = |row: &Row| -> Result<Vec<(String, PathBuf)>> {
        if !asked.masks {
            return Ok(Vec::new());
        }
        let mut masks = Vec::new();
        for (column, cell) in manifest.columns.iter().zip(&row.further).filter(|(_, cell)| !cell.is_empty()) {
            if let Some(finding) = column.strip_prefix(OF_MASKS) {
                cohort::refuse_network("mask", cell)
                    .with_context(|| format!("line {}, {column}", row.line))
                    .map_err(BadInput::mark)?;
                masks.push((finding.to_owned(), folder.join(cell)));
            }
        }
        if let Some(mask) = &row.mask {
            masks.push((the_one(asked, row)?, mask.clone()));
        }
        Ok(masks)
    };
    let scan = |row: &Row| {
        let choice = Choice { series: row.series.clone(), volume: None };
        Ok(Asked { name: row.id.clone(), scan: row.scan.clone(), choice, masks: masks(row)? })
    };
    manifest.rows.iter().map(scan).collect()
}

/// The finding that the column `mask` of a row is of.
fn the_one(asked: &ScansArgs, row: &Row) -> Result<String> {
    match (asked.label.as_slice(), &row.target) {
        ([(finding, _)], _) => Ok(finding.clone()),
        (_, Some(target)) => Ok(target.clone()),
        _ => Err(Usage(
            "of which finding the column mask is, no one says: name it mask_NAME, or give one --label NAME=CLASS"
                .to_owned(),
        )
        .into()),
    }
}

/// What is to be found, each with its class.
fn findings(setup: &Setup, asked: &ScansArgs, scans: &[Asked]) -> Result<Vec<Wanted>> {
    let mut names: Vec<(String, Option<Finding>)> =
        asked.insert.iter().map(|finding| (finding.name().to_owned(), Some(*finding))).collect();
    names.extend(scans.iter().flat_map(|scan| &scan.masks).map(|(finding, _)| (finding.clone(), None)));
    names.sort_by(|a, b| a.0.cmp(&b.0));
    names.dedup_by(|a, b| a.0 == b.0);
    if names.is_empty() {
        return Err(BadInput::new(anyhow::anyhow!(
            "the table has no mask: give each finding a column mask_NAME with the paths of its masks"
        ))
        .into());
    }
    // A cardiac finding is one of the heart, whatever it is called.
    let is_of = |typed: &str, name: &str| typed == name || typed.parse::<Finding>().is_ok_and(|f| f.name() == name);
    if let Some((typed, _)) = asked.label.iter().find(|(typed, _)| !names.iter().any(|(name, _)| is_of(typed, name))) {
        let known = names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Usage(format!("--label names {typed:?}, which is not asked for; there are {known}")).into());
    }
    let wanted = |(name, drawn): (String, Option<Finding>)| {
        let class = asked.label.iter().find(|(typed, _)| is_of(typed, &name)).map_or(&name, |(_, class)| class);
        let label = setup.label(class)?;
        Ok(Wanted { name, label, drawn })
    };
    names.into_iter().map(wanted).collect()
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, class)) if !name.trim().is_empty() && !class.trim().is_empty() => {
            Ok((name.trim().to_owned(), class.trim().to_owned()))
        }
        _ => Err(format!("{text:?} names no class; want NAME=CLASS")),
    }
}
