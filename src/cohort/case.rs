//! What is kept of one case beside its `result.json`: of which scan it is, what was asked, and what a merge needs.

use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::aligned::{LaidBy, Shares};
use super::manifest::Row;
use crate::files;
use crate::pipeline::{Asked, NetworkUsed, Request};

/// The files of a case beside what is exported.
pub const CASE: &str = "case.json";
pub const ERROR: &str = "error.json";
pub const ALIGNED: &str = "aligned.safetensors";
/// The name of the session of a case, which the window opens. A case is whole without one.
pub fn session_of(id: &str) -> String {
    format!("{id}.parallax")
}

pub(super) const FORMAT: &str = "parallax case";
pub(super) const VERSION: u32 = 1;
/// A record of thousands of steps and of every class takes a hundredth of this.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// `case.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub(super) format: String,
    pub(super) version: u32,
    pub id: String,
    /// All that the case was asked but its scan: see [`asked`].
    pub asked: Value,
    pub scan: ScanKept,
    pub mask: Option<Stamp>,
    pub laid_by: LaidBy,
    pub shares: Option<Shares>,
    /// The time from the beginning of reading the scan to the last file, seconds.
    pub secs: f64,
    /// The most memory that the process held meanwhile.
    pub peak_bytes: Option<u64>,
    /// When the case was finished, as ISO 8601 writes it.
    pub finished: String,
}

/// The scan of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanKept {
    /// The hash of the scan's voxels, hex, as `result.json` has it.
    pub sha256: String,
    pub stamp: Stamp,
}

/// What tells without reading that files are still the same: where they lie, how large they are, and when they were written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// SHA-256 of the path: paths may name patients.
    path: String,
    files: usize,
    bytes: u64,
    /// Milliseconds since the beginning of 1970.
    newest_ms: u64,
}

impl Stamp {
    /// Gives the size and the time of a file, or those of all files of a folder together.
    pub fn of(path: &Path) -> Result<Self> {
        let name = hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes()));
        let mut stamp = Self { path: name, files: 0, bytes: 0, newest_ms: 0 };
        stamp.add(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(stamp)
    }

    fn add(&mut self, path: &Path) -> std::io::Result<()> {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                // Links within a folder may lead round in circles.
                if !entry.file_type()?.is_symlink() {
                    self.add(&entry.path())?;
                }
            }
            return Ok(());
        }
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.files += 1;
        self.bytes += metadata.len();
        self.newest_ms = self.newest_ms.max(since.as_millis() as u64);
        Ok(())
    }
}

impl Kept {
    pub fn new(row: &Row, asked: Value, scan: ScanKept, mask: Option<Stamp>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: row.id.clone(),
            asked,
            scan,
            mask,
            laid_by: LaidBy::Body,
            shares: None,
            secs: 0.0,
            peak_bytes: None,
            finished: String::new(),
        }
    }

    pub fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).context("the case cannot be written as JSON")
    }
}

/// `error.json`: why a case failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why the case failed, in one line.
    pub reason: String,
    /// The error and its causes, the outermost first.
    pub chain: Vec<String>,
    /// When the case failed, as ISO 8601 writes it.
    pub when: String,
}

impl Failure {
    /// Reads the failure of a case from its folder; `None` where the folder holds none.
    pub fn open(folder: &Path) -> Option<Self> {
        let text = files::read_text(&folder.join(ERROR), MOST_BYTES).ok()?;
        let damaged = || Self { reason: "error.json is damaged".to_owned(), chain: Vec::new(), when: String::new() };
        Some(serde_json::from_str(&text).unwrap_or_else(|_| damaged()))
    }
}

/// All that a case is asked but its scan, as what tells two runs apart: networks by their hashes and recipes, target, slices, options, and
/// `more`, such as which files are wanted. Names of files do not count.
pub fn asked(request: &Request, row: &Row, more: &Value) -> Result<Value> {
    let Asked { autoencoder, scored_by, options, labels, terms, offset, activation, toward, .. } = Asked::of(request);
    let network = |of: &NetworkUsed| json!({ "sha256": of.sha256, "recipe": of.recipe });
    let terms: Vec<Value> = terms.iter().map(|(label, weight)| json!([labels.get(*label), weight])).collect();
    let slab = request.slab.as_ref().map(|slab| [slab.start, slab.end]);
    let asked = json!({
        "autoencoder": network(&autoencoder),
        "scored_by": network(&scored_by),
        "terms": terms,
        "offset": offset,
        "activation": activation,
        "toward": toward.map(|toward| toward.sha256),
        "options": options,
        "slab": slab,
        "series": row.series,
        "more": more,
    });
    // As it is read back: numbers may lose nothing on the way.
    serde_json::from_str(&asked.to_string()).context("what is asked cannot be written as JSON")
}
