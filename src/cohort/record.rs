//! What each shard leaves of itself: a file of its own, which no other shard writes; and the manifest, which none writes twice.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use super::place::CohortFolder;
use super::shard::Shard;
use super::tally::Tally;
use crate::export::write;
use crate::nn::threads;
use crate::pipeline::BadInput;
use crate::study::Clock;
use crate::{files, machine};

/// Letters of the name of a kept manifest: hex digits of the SHA-256 of its text.
const MARK_LETTERS: usize = 16;
/// A record takes a thousandth of this.
const MOST_BYTES: u64 = 1 << 20;
/// A manifest that is read again may be as long as one that is read first.
const MOST_MANIFEST_BYTES: u64 = 100 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It began. Where its process lives no longer, it was killed.
    Running,
    /// It was told to stop.
    Stopped,
    Ended,
}

/// `shards/2-of-8.json`: the latest run of one shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub shard: usize,
    pub of: usize,
    /// The name of the manifest.
    pub manifest: String,
    pub state: State,
    pub threads: usize,
    /// When the process began, as ISO 8601 writes it.
    pub began: String,
    pub ended: Option<String>,
    /// The most memory that its process held since the last case began.
    pub peak_bytes: Option<u64>,
    pub tally: Tally,
}

/// The record of a shard while it runs.
pub(super) struct Record<'a> {
    place: &'a CohortFolder,
    shown: Shown,
}

impl<'a> Record<'a> {
    pub(super) fn begin(place: &'a CohortFolder, manifest: &Manifest, shard: Shard) -> Result<Self> {
        let shown = Shown {
            shard: shard.number,
            of: shard.of,
            manifest: keep(place, manifest)?,
            state: State::Running,
            threads: threads::number(),
            began: Clock::default().now().text(),
            ended: None,
            peak_bytes: None,
            tally: Tally::default(),
        };
        let record = Self { place, shown };
        record.save()?;
        Ok(record)
    }

    pub(super) fn end(&mut self, state: State, tally: &Tally) -> Result<()> {
        self.shown.state = state;
        self.shown.tally = tally.clone();
        self.shown.ended = Some(Clock::default().now().text());
        self.shown.peak_bytes = machine::peak_bytes();
        self.save()
    }

    fn save(&self) -> Result<()> {
        let path = self.place.shards().join(format!("{}-of-{}.json", self.shown.shard, self.shown.of));
        write::save(&path, &serde_json::to_vec_pretty(&self.shown)?, true)
    }
}

/// Keeps a manifest under the hash of its text, once; gives its name.
fn keep(place: &CohortFolder, manifest: &Manifest) -> Result<String> {
    let text = manifest.csv()?;
    let mut name = hex::encode(Sha256::digest(&text));
    name.truncate(MARK_LETTERS);
    name.push_str(".csv");
    let path = place.manifests().join(&name);
    if !path.exists() {
        let kept = write::save_by(&path, false, |file| Ok(file.write_all(&text)?));
        // Another shard may have been faster: the name says that it wrote the same.
        kept.or_else(|error| if path.exists() { Ok(()) } else { Err(error) })?;
    }
    Ok(name)
}

/// The latest runs of all shards of the newest manifest, by number, with that manifest; those of another division than the newest are left
/// out. A folder that holds no cohort is bad input, and what it lacks is said.
pub(super) fn open(place: &CohortFolder) -> Result<(Vec<Shown>, Manifest)> {
    let read = || {
        place.check()?;
        let shards = shards(place)?;
        let manifest = manifest(place, &shards)?;
        Ok((shards, manifest))
    };
    read().map_err(|error: anyhow::Error| BadInput(error).into())
}

fn shards(place: &CohortFolder) -> Result<Vec<Shown>> {
    let folder = place.shards();
    let mut all = Vec::new();
    let cannot = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(&folder).with_context(cannot)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "json") {
            all.push(shown(&path)?);
        }
    }
    let newest = all.iter().max_by(|a, b| a.began.cmp(&b.began)).cloned();
    if let Some(newest) = newest {
        all.retain(|shard| shard.manifest == newest.manifest && shard.of == newest.of);
    }
    all.sort_by_key(|shard| shard.shard);
    Ok(all)
}

fn shown(path: &Path) -> Result<Shown> {
    let text = files::read_text(path, MOST_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
    let shown = serde_json::from_str(&text);
    shown.map_err(|error| {
        let what = files::of_json(&error);
        anyhow!("the record of a shard {what}; delete it, and run the cohort again: {}", path.display())
    })
}

/// The manifest that the newest run was of.
fn manifest(place: &CohortFolder, shards: &[Shown]) -> Result<Manifest> {
    let root = place.root().display();
    let shard = shards.first();
    let shard = shard.with_context(|| format!("no shard has begun here; run `parallax cohort` first: {root}"))?;
    let name = Path::new(&shard.manifest).file_name().context("the record of a shard names no manifest")?;
    let path = place.manifests().join(name);
    if !path.exists() {
        bail!("the kept manifest is missing; run `parallax cohort` again: {}", path.display());
    }
    let text =
        files::read_text(&path, MOST_MANIFEST_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
    Manifest::read(&text, place.root()).with_context(|| format!("damaged: {}", path.display()))
}
