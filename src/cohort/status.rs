//! How far a cohort has come: done, failed, being computed, missing; of each shard too.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::case::Failure;
use super::place::CohortFolder;
use super::record::{self, Shown, State};
use super::shard::Shard;
use super::sound;

/// `cohort status --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub cases: usize,
    pub done: usize,
    pub failed: Vec<Failed>,
    /// Files of these are lost, cut or of another run; the next run computes them again.
    pub damaged: Vec<Damaged>,
    /// Being computed by living processes.
    pub computing: Vec<String>,
    pub missing: Vec<String>,
    pub shards: Vec<ShardStatus>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failed {
    pub id: String,
    pub reason: String,
    pub when: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Damaged {
    pub id: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardStatus {
    pub shard: String,
    pub cases: usize,
    pub done: usize,
    pub failed: usize,
    pub damaged: usize,
    pub computing: usize,
    pub missing: usize,
    /// The last process of the shard; `None` where none has begun.
    pub latest: Option<Shown>,
}

/// The status tells as many failed and as many missing cases in words as this.
const MOST_TOLD: usize = 20;

pub fn status(place: &CohortFolder) -> Result<Status> {
    let (shards, manifest) = record::open(place)?;
    let of = shards.first().map_or(1, |shard| shard.of).max(1);
    let mut status = Status {
        cases: manifest.rows.len(),
        done: 0,
        failed: vec![],
        damaged: vec![],
        computing: vec![],
        missing: vec![],
        shards: vec![],
    };
    for number in 1..=of {
        let latest = shards.iter().find(|shown| shown.shard == number).cloned();
        let shard = Shard { number, of }.to_string();
        status.shards.push(ShardStatus {
            shard,
            cases: 0,
            done: 0,
            failed: 0,
            damaged: 0,
            computing: 0,
            missing: 0,
            latest,
        });
    }
    for (at, row) in manifest.rows.iter().enumerate() {
        let shard = &mut status.shards[at % of];
        let folder = place.case(&row.id);
        shard.cases += 1;
        if place.is_claimed(&row.id) {
            shard.computing += 1;
            status.computing.push(row.id.clone());
        } else if let Some(Failure { reason, when, .. }) = Failure::open(&folder) {
            shard.failed += 1;
            status.failed.push(Failed { id: row.id.clone(), reason, when });
        } else {
            match sound::read(&folder) {
                Ok(Some(_)) => {
                    shard.done += 1;
                    status.done += 1;
                }
                Ok(None) => {
                    shard.missing += 1;
                    status.missing.push(row.id.clone());
                }
                Err(unsound) => {
                    shard.damaged += 1;
                    status.damaged.push(Damaged { id: row.id.clone(), reason: unsound.words() });
                }
            }
        }
    }
    Ok(status)
}

impl Status {
    /// For people.
    pub fn words(&self) -> String {
        let mut words = format!(
            "{} of {} done, {} failed, {} damaged, {} being computed, {} missing",
            self.done,
            self.cases,
            self.failed.len(),
            self.damaged.len(),
            self.computing.len(),
            self.missing.len()
        );
        for shard in &self.shards {
            let ShardStatus { shard, cases, done, failed, damaged, computing, missing, latest } = shard;
            let state = latest.as_ref().map_or("has not begun", |shown| match shown.state {
                State::Running if *computing > 0 => "is running",
                State::Running => "began, and has not ended",
                State::Stopped => "was stopped",
                State::Ended => "has ended",
            });
            // A String takes all.
            write!(words, "\nshard {shard} {state}: {done} of {cases} done, {failed} failed, {missing} missing").ok();
            if *damaged > 0 {
                write!(words, ", {damaged} damaged").ok(); // as above
            }
        }
        for Failed { id, reason, .. } in self.failed.iter().take(MOST_TOLD) {
            write!(words, "\nfailed: {id}: {reason}").ok();
        }
        for Damaged { id, reason } in self.damaged.iter().take(MOST_TOLD) {
            write!(words, "\ndamaged: {id}: {reason}; run the cohort again").ok();
        }
        for id in self.missing.iter().take(MOST_TOLD) {
            write!(words, "\nmissing: {id}").ok();
        }
        let lengths = [self.failed.len(), self.damaged.len(), self.missing.len()];
        let untold: usize = lengths.iter().map(|length| length.saturating_sub(MOST_TOLD)).sum();
        if untold > 0 {
            write!(words, "\nand {untold} more; --json has them all").ok();
        }
        words
    }
}
