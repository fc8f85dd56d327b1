//! What an audit of scans has asked already: a folder with a file for each scan, so that an audit that was stopped goes on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::case::Stamp;
use super::standing::differences;
use crate::audit::scans::{Asked, Keeps, Outcome};
use crate::export::write;
use crate::files;
use crate::pipeline::BadInput;

/// What every scan of the folder was asked.
const PLAN: &str = "audit.json";
const FORMAT: &str = "parallax audit of scans";
/// Bumped when a kept file changes its meaning.
const VERSION: u32 = 1;
/// Thousands of cases with their curves and features take a hundredth of this.
const MOST_BYTES: u64 = 1 << 30;

/// A folder that keeps what an audit has found, scan by scan.
pub struct Audited {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    format: String,
    version: u32,
    asked: Value,
}

/// What was found of one scan, as long as its files are those of then. As TOML: JSON has no word for what is not a number.
#[derive(Serialize, Deserialize)]
struct Found {
    scan: Stamp,
    masks: Vec<Stamp>,
    outcome: Outcome,
}

impl Audited {
    /// Takes a folder, which is made where it is missing; `asked` is all that the numbers rest on but the scans.
    ///
    /// # Errors
    /// Where the folder keeps an audit that was asked something else, with what differs, or cannot be written.
    pub fn open(folder: &Path, asked: Value) -> Result<Self> {
        write::make_private_folder(folder)?;
        let path = folder.join(PLAN);
        let plan = Plan { format: FORMAT.to_owned(), version: VERSION, asked };
        if !path.exists() {
            let is_empty = std::fs::read_dir(folder)?.next().is_none();
            if !is_empty {
                return Err(refused(folder, "it holds other files, and no audit of scans"));
            }
            write::save(&path, &serde_json::to_vec_pretty(&plan)?, false)?;
            return Ok(Self { folder: folder.to_owned() });
        }
        let text = files::read_text(&path, MOST_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        let before: Plan = serde_json::from_str(&text)
            .map_err(|_damaged| refused(folder, &format!("its {PLAN} is damaged or of another program")))?;
        if (before.format.as_str(), before.version) != (FORMAT, VERSION) {
            return Err(refused(folder, "another version of Parallax wrote it"));
        }
        if before.asked != plan.asked {
            let differs = differences(&before.asked, &plan.asked);
            return Err(refused(folder, &format!("its scans were asked something else: {differs}")));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Ids of scans are safe names.
    fn path(&self, asked: &Asked) -> PathBuf {
        self.folder.join(format!("{}.toml", asked.name))
    }
}

fn refused(folder: &Path, why: &str) -> anyhow::Error {
    let remedy = "ask the same again, or name another folder by --keep";
    BadInput(anyhow!("what was kept cannot be gone on from: {why}; {remedy}: {}", folder.display())).into()
}

/// The files of a scan as they are now.
fn stamps(asked: &Asked) -> Result<(Stamp, Vec<Stamp>)> {
    Ok((Stamp::of(&asked.scan)?, asked.masks.iter().map(|(_, path)| Stamp::of(path)).collect::<Result<_>>()?))
}

impl Keeps for Audited {
    fn known(&self, asked: &Asked) -> Option<Outcome> {
        // What is missing, cut, or of files that have changed since is asked again.
        let text = files::read_text(&self.path(asked), MOST_BYTES).ok()?;
        let Found { scan, masks, outcome } = toml::from_str(&text).ok()?;
        (stamps(asked).ok()? == (scan, masks)).then_some(outcome)
    }

    fn keep(&self, asked: &Asked, outcome: &Outcome) -> Result<()> {
        let (scan, masks) = stamps(asked)?;
        let found = Found { scan, masks, outcome: outcome.clone() };
        let text = toml::to_string(&found).context("what was found of a scan cannot be kept")?;
        write::save(&self.path(asked), text.as_bytes(), true)
    }
}
