//! `parallax audit --scans`: whether a classifier sees findings in real scans, and each method finds them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::args::AuditArgs;
use super::audit_scans_args::ScansArgs;
use super::values::Seeds;
use super::{Usage, say};
use crate::audit::Setup;
use crate::audit::scans::{self, Asked, Keeps, Outcome, Plan, ScansReport, Wanted};
use crate::cohort::{self, Audited, Manifest, Row};
use crate::export::report::NOTICE;
use crate::export::write;
use crate::io::{Choice, counted};
use crate::job::Monitor;
use crate::pipeline::BadInput;
use crate::volume::phantom::Finding;

/// What stands above numbers of findings that were drawn.
const DRAWN_NOTICE: &str = "SYNTHETIC findings, drawn into real scans. Research use only. Not for diagnosis.";
/// Insertions of an audit without --seeds.
const INSERTIONS: Range<u64> = 1..2;
/// Columns of masks begin so.
const OF_MASKS: &str = "mask_";

/// Asks, and prints the tables; gives what the files are made of.
pub(super) fn run(
    args: &AuditArgs,
    manifest: &Path,
    setup: Setup,
    search: &str,
    monitor: &Monitor,
) -> Result<(ScansReport, Outcome)> {
    let asked = &args.scans;
    if asked.insert.is_empty() && !asked.masks {
        return Err(Usage(
            "say what is to be found in the scans: --insert NAME draws it, --masks takes your own".to_owned(),
        )
        .into());
    }
    let rows = Manifest::open(manifest).map_err(BadInput::mark)?;
    let scans = scans_of(&rows, manifest, asked)?;
    let read = scans.iter().flat_map(|scan| std::iter::once(&scan.scan).chain(scan.masks.iter().map(|(_, mask)| mask)));
    let read: Vec<&Path> = read.map(PathBuf::as_path).chain([manifest]).collect();
    write::check_all(&args.outputs(), &read, args.overwrite)?;
    if rows.rows.iter().any(|row| row.slab.is_some()) {
        say("note: the column slab of the table is for `parallax cohort`; --slices says how many may change here");
    }
    let findings = findings(&setup, asked, &scans)?;
    let watched = (0..setup.classifier.network.labels().len()).collect();
    let mut dials = asked.dials.clone();
    if let Some(dial) = dials.iter().chain(&asked.explain_dials).find(|dial| !(0.0..=1.0).contains(*dial)) {
        return Err(Usage(format!("the dial is {dial}; choose 0 (none) to 1 (severe)")).into());
    }
    if !asked.insert.is_empty() && dials.iter().chain(&asked.explain_dials).all(|dial| *dial == 0.0) {
        return Err(Usage("no dial is above 0, so that nothing would be drawn; name one in --dials".to_owned()).into());
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
    let kept = asked.keep.as_ref().map(|folder| Audited::open(folder, plan.identity())).transpose()?;
    if let Some(kept) = &kept {
        let known = plan.scans.iter().filter(|scan| kept.known(scan).is_some()).count();
        if known > 0 {
            say(&format!("{known} of {} were asked before", counted(plan.scans.len(), "scan")));
        }
    }
    let outcome = scans::run(&plan, kept.as_ref().map(|kept| kept as &dyn Keeps), monitor)?;
    let report = ScansReport::new(&plan, &outcome, search, if asked.insert.is_empty() { NOTICE } else { DRAWN_NOTICE });
    say(&scans::table(&report));
    if !asked.insert.is_empty() {
        say("SYNTHETIC findings, drawn into the scans.");
    }
    say("Research use only. Not for diagnosis.");
    Ok((report, outcome))
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
        let mut names: Vec<&str> = masks.iter().map(|(finding, _)| finding.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let (line, finding) = (row.line, twice[0]);
            return Err(
                BadInput::new(anyhow::anyhow!("line {line} has two masks of {finding}; leave one of them")).into()
            );
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
    let twice =
        |(at, (typed, _)): &(usize, &(String, String))| asked.label[..*at].iter().any(|(other, _)| is_of(other, typed));
    if let Some((_, (typed, _))) = asked.label.iter().enumerate().find(twice) {
        return Err(Usage(format!("--label names {typed:?} twice; give each finding one class")).into());
    }
    let wanted = |(name, drawn): (String, Option<Finding>)| {
        let class = asked.label.iter().find(|(typed, _)| is_of(typed, &name)).map_or(&name, |(_, class)| class);
        let label = setup.label(class)?;
        Ok(Wanted { name, label, drawn })
    };
    names.into_iter().map(wanted).collect()
}
