//! What is kept of one case beside its `result.json`: of which scan it is, what was asked, and what a merge needs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::aligned::{LaidBy, Shares};
use super::manifest::Row;
use super::place::Place;
use crate::export::REPORT;
use crate::files;
use crate::pipeline::{Asked, NetworkUsed, Request};

/// The files of a case beside what is exported.
pub const CASE: &str = "case.json";
pub const ERROR: &str = "error.json";
pub const ALIGNED: &str = "aligned.safetensors";
const FORMAT: &str = "parallax case";
const VERSION: u32 = 1;
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

    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(CASE);
        let text = files::read_text(&path, MOST_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        let kept: Self = serde_json::from_str(&text).with_context(|| format!("damaged: {}", path.display()))?;
        if (kept.format.as_str(), kept.version) != (FORMAT, VERSION) {
            bail!(
                "its format is {:?} {}, and {FORMAT:?} {VERSION} is wanted: {}",
                kept.format,
                kept.version,
                path.display()
            );
        }
        Ok(kept)
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

/// How far a case has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The case has neither a result nor a failure.
    Missing,
    Done,
    Failed(Failure),
    /// It is of another scan, or was asked something else, in words.
    Differs(String),
}

/// Whether there is all that a case that is done has.
pub(super) fn is_whole(folder: &Path) -> bool {
    [CASE, REPORT, ALIGNED].iter().all(|name| folder.join(name).is_file())
}

/// How far a case has come, by what it would be asked now. `scan_sha256` reads the scan, which is asked for only where its files are not
/// those of then.
pub(super) fn standing(
    place: &Place,
    row: &Row,
    asked: &Value,
    scan_sha256: impl FnOnce() -> Result<String>,
) -> Result<Standing> {
    let folder = place.case(&row.id);
    if let Some(failure) = Failure::open(&folder) {
        return Ok(Standing::Failed(failure));
    }
    if !is_whole(&folder) {
        return Ok(Standing::Missing);
    }
    let kept = Kept::open(&folder)?;
    if let Err(why) = of_result(&kept, &folder) {
        return Ok(Standing::Differs(why.to_string()));
    }
    if kept.asked != *asked {
        return Ok(Standing::Differs(differences(&kept.asked, asked)));
    }
    if row.mask.as_deref().map(Stamp::of).transpose()? != kept.mask {
        return Ok(Standing::Differs("the mask is another".to_owned()));
    }
    let is_same = Stamp::of(&row.scan)? == kept.scan.stamp || scan_sha256()? == kept.scan.sha256;
    Ok(if is_same { Standing::Done } else { Standing::Differs("the scan's voxels are others".to_owned()) })
}

/// Refuses a `result.json` of another scan or of other networks than `case.json` tells.
fn of_result(kept: &Kept, folder: &Path) -> Result<()> {
    let path = folder.join(REPORT);
    let text = files::read_text(&path, MOST_BYTES)?;
    let result: Value = serde_json::from_str(&text).map_err(|why| anyhow!("result.json is damaged: {why}"))?;
    let pairs = [
        ("scan", &result["input"]["sha256"], &json!(kept.scan.sha256)),
        ("autoencoder", &result["autoencoder"]["sha256"], &kept.asked["autoencoder"]["sha256"]),
        ("network that gives the score", &result["scored_by"]["sha256"], &kept.asked["scored_by"]["sha256"]),
    ];
    match pairs.iter().find(|(_, found, told)| found != told) {
        Some((what, ..)) => bail!("its result.json is of another {what} than its case.json"),
        None => Ok(()),
    }
}

/// The names of what differs between two things that were asked, with both values where they are short.
fn differences(then: &Value, now: &Value) -> String {
    let mut told = Vec::new();
    differ(then, now, "", &mut told);
    told.join(", ")
}

/// A longer value is not told.
const SHORT: usize = 40;

fn differ(then: &Value, now: &Value, name: &str, told: &mut Vec<String>) {
    if then == now {
        return;
    }
    if let (Some(a), Some(b)) = (then.as_object(), now.as_object()) {
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            differ(&then[key], &now[key], &name, told);
        }
        return;
    }
    let [was, is] = [then, now].map(Value::to_string);
    let short = was.len() <= SHORT && is.len() <= SHORT;
    told.push(if short { format!("{name} was {was}, is {is}") } else { format!("{name} is another") });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let then = json!({ "slab": [0, 3], "options": { "steps": 10, "drop": 0.8 }, "autoencoder": "a".repeat(64) });
        let now = json!({ "slab": [0, 4], "options": { "steps": 10, "drop": 0.5 }, "autoencoder": "b".repeat(64) });
        let said = differences(&then, &now);
        assert_eq!(said, "autoencoder is another, options.drop was 0.8, is 0.5, slab was [0,3], is [0,4]");
        assert_eq!(differences(&now, &now), "");
    }
}
