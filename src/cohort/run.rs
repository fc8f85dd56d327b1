//! One process's part of a cohort: what is done is passed by, what is missing is computed, and what fails stops nothing.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::aligned::aligned;
use super::case::{ALIGNED, CASE, ERROR, Failure, Kept, ScanKept, Stamp};
use super::manifest::{Manifest, Row};
use super::place::{Claim, CohortFolder};
use super::record::{Record, State};
use super::shard::Shard;
use super::sound::{self, Unsound};
use super::standing::{Standing, standing};
use super::tally::Tally;
use crate::export::write;
use crate::job::{Cancelled, Monitor, quietly};
use crate::latent_shift::Counterfactual;
use crate::machine;
use crate::pipeline;
use crate::study::Clock;

/// What explains a case: the networks, loaded once, and what is written of each run.
pub trait Explains {
    /// All that the case is asked but its scan: see [`super::asked`].
    fn asked(&self, row: &Row) -> Result<Value>;
    /// SHA-256 of the voxels of its scan.
    fn scan_sha256(&self, row: &Row, monitor: &Monitor) -> Result<String>;
    /// Explains the case into a folder; gives the SHA-256 of the voxels of its scan, and the run.
    fn explain(&self, row: &Row, folder: &Path, monitor: &Monitor) -> Result<(String, Counterfactual)>;
}

/// A part of a cohort to be computed.
pub struct Part<'a> {
    pub place: &'a CohortFolder,
    pub manifest: &'a Manifest,
    pub shard: Shard,
    /// Whether cases are computed again that are of other scans, or were asked something else.
    pub overwrite: bool,
    /// Whether scans are read to tell whether they are the same, whatever their files' sizes and times say.
    pub verify: bool,
}

/// What became of one case.
enum Fate {
    Passed,
    /// Computed now; what was wrong with its files before, where they were damaged.
    Done(Option<String>),
    Failed(String),
    Differs(String),
    Elsewhere,
}

/// Computes the cases of a part that are not done; `tell` hears a line of each. Cancelling drops the case that is being computed.
pub fn run(part: &Part, explains: &dyn Explains, tell: &dyn Fn(&str), monitor: &Monitor) -> Result<Tally> {
    let swept = part.place.sweep().with_context(|| format!("cannot sweep {}", part.place.cases().display()))?;
    if swept > 0 {
        tell(&format!("swept what {swept} broken {} left", if swept == 1 { "run" } else { "runs" }));
    }
    let mut record = Record::begin(part.place, part.manifest, part.shard)?;
    let mut tally = Tally::default();
    let rows: Vec<&Row> = ours(part).collect();
    for (at, row) in rows.iter().enumerate() {
        let fate = case(part, row, explains, monitor);
        let fate = match fate {
            Err(error) if error.downcast_ref::<Cancelled>().is_some() || monitor.check().is_err() => {
                record.end(State::Stopped, &tally)?;
                return Err(Cancelled.into());
            }
            fate => fate.with_context(|| format!("case {}", row.id))?,
        };
        let line = match &fate {
            Fate::Passed => None,
            Fate::Done(None) => Some("done".to_owned()),
            Fate::Done(Some(why)) => Some(format!("it was damaged ({why}), and is done again")),
            Fate::Failed(why) => Some(format!("failed: {why}")),
            Fate::Differs(why) => Some(format!(
                "left as it is, since it is the case of another run: {why}; compute it again by --overwrite, or choose another --out"
            )),
            Fate::Elsewhere => Some("another process is computing it".to_owned()),
        };
        if let Some(line) = line {
            tell(&format!("{}/{} {}: {line}", at + 1, rows.len(), row.id));
        }
        *match fate {
            Fate::Passed => &mut tally.passed,
            Fate::Done(_) => &mut tally.done,
            Fate::Failed(_) => &mut tally.failed,
            Fate::Differs(_) => &mut tally.differing,
            Fate::Elsewhere => &mut tally.elsewhere,
        } += 1;
    }
    record.end(State::Ended, &tally)?;
    Ok(tally)
}

/// The cases of a part.
fn ours<'a>(part: &'a Part) -> impl Iterator<Item = &'a Row> {
    let rows = part.manifest.rows.iter().enumerate();
    rows.filter(|(at, _)| part.shard.has(*at)).map(|(_, row)| row)
}

fn case(part: &Part, row: &Row, explains: &dyn Explains, monitor: &Monitor) -> Result<Fate> {
    monitor.check()?;
    let asked = explains.asked(row)?;
    let read = || explains.scan_sha256(row, monitor);
    let is_done = |standing: &Standing| matches!(standing, Standing::Done);
    let before = look(part, row, &asked, read)?;
    if let Standing::Differs(why) = &before
        && !part.overwrite
    {
        return Ok(Fate::Differs(why.clone()));
    }
    if is_done(&before) {
        return Ok(Fate::Passed);
    }
    let Some(claim) = part.place.claim(&row.id)? else { return Ok(Fate::Elsewhere) };
    // Another process may have finished it since.
    if matches!(before, Standing::Missing | Standing::Damaged(_)) && is_done(&look(part, row, &asked, read)?) {
        return Ok(Fate::Passed);
    }
    match quietly(|| explained(row, asked, &claim, explains, monitor)) {
        Ok(Ok(())) => {
            monitor.check()?;
            claim.keep()?;
            Ok(Fate::Done(if let Standing::Damaged(why) = before { Some(why) } else { None }))
        }
        Ok(Err(error)) if error.downcast_ref::<Cancelled>().is_some() => Err(error),
        Ok(Err(error)) => fail(part, row, claim, &error),
        Err(panicked) => fail(part, row, claim, &anyhow!("it stopped unexpectedly: {panicked}; please report this")),
    }
}

fn look(part: &Part, row: &Row, asked: &Value, read: impl Fn() -> Result<String>) -> Result<Standing> {
    let found = match standing(part.place, row, asked, &read) {
        // What cannot be read is another scan than that of then; where nothing is done yet, computing it will tell.
        Err(error) if error.downcast_ref::<Cancelled>().is_none() => {
            return Ok(Standing::Differs(pipeline::in_words(&error)));
        }
        found => found?,
    };
    if found == Standing::Done && part.verify {
        let sha256 = read()?;
        let kept = sound::read(&part.place.case(&row.id)).ok().flatten();
        if kept.is_none_or(|of| of.kept.scan.sha256 != sha256) {
            return Ok(Standing::Differs("the scan's voxels are others".to_owned()));
        }
    }
    Ok(found)
}

/// Makes all files of a case in the folder of its claim.
fn explained(row: &Row, asked: Value, claim: &Claim, explains: &dyn Explains, monitor: &Monitor) -> Result<()> {
    let began = Instant::now();
    machine::forget_peak();
    let folder = claim.folder();
    // Before it is read: what is written meanwhile makes it another.
    let stamp = Stamp::of(&row.scan)?;
    let mask = row.mask.as_deref().map(Stamp::of).transpose()?;
    let (sha256, result) = explains.explain(row, &folder, monitor)?;
    let (aligned, laid_by, shares) = aligned(&result, &monitor.quiet())?;
    write::save(&folder.join(ALIGNED), &aligned.bytes()?, true)?;
    let kept = Kept {
        laid_by,
        shares,
        secs: began.elapsed().as_secs_f64(),
        peak_bytes: machine::peak_bytes(),
        finished: Clock::default().now().text(),
        ..Kept::new(row, asked, ScanKept { sha256, stamp }, mask)
    };
    write::save(&folder.join(CASE), &kept.json()?, true)
}

/// Leaves why a case failed in place of the case. A case that was done before stays.
fn fail(part: &Part, row: &Row, claim: Claim, error: &anyhow::Error) -> Result<Fate> {
    let reason = pipeline::in_words(error);
    if matches!(sound::read(&part.place.case(&row.id)), Ok(None) | Err(Unsound::Damaged(_))) {
        let chain = error.chain().map(ToString::to_string).collect();
        let failure = Failure { reason: reason.clone(), chain, when: Clock::default().now().text() };
        let folder = claim.folder();
        // What was made until then tells of nothing.
        std::fs::remove_dir_all(&folder)?;
        write::make_private_folder(&folder)?;
        write::save(&folder.join(ERROR), &serde_json::to_vec_pretty(&failure)?, true)?;
        claim.keep()?;
    }
    Ok(Fate::Failed(reason))
}
