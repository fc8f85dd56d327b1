//! The sources that the user named, kept in one file of the data folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::source::Source;
use crate::catalogue::data_folder;
use crate::export::write::{self, make_private_folder};
use crate::files;

const MOST_BYTES: u64 = 1 << 20;
/// Scans of a few hundred slices take a tenth of a gigabyte each.
const CACHE_GB: f64 = 20.0;

/// What the user said of archives. It has a file of its own: the window writes its settings when it closes, and would undo what the
/// command line added meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    #[serde(default)]
    pub sources: Vec<Source>,
    /// How much the cache may hold, in gigabytes; the series that were used longest ago go first.
    #[serde(default = "cache_gb")]
    pub cache_gb: f64,
}

fn cache_gb() -> f64 {
    CACHE_GB
}

impl Default for Sources {
    fn default() -> Self {
        Self { sources: Vec::new(), cache_gb: CACHE_GB }
    }
}

impl Sources {
    /// The source of a name.
    pub fn named(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// How many bytes the cache may hold.
    pub fn cache_bytes(&self) -> u64 {
        (self.cache_gb.max(0.0) * 1e9) as u64
    }
}

/// Where the sources of this user are kept: `pacs.json` in the data folder. `None` where the system names no such folder.
pub fn sources_file() -> Option<PathBuf> {
    Some(data_folder()?.join("pacs.json"))
}

/// Reads the sources; none where there is no file.
pub fn load(path: &Path) -> Result<Sources> {
    if !path.exists() {
        return Ok(Sources::default());
    }
    let read = || -> Result<Sources> {
        let sources: Sources = serde_json::from_str(&files::read_text(path, MOST_BYTES)?)?;
        for (at, source) in sources.sources.iter().enumerate() {
            source.check()?;
            if sources.sources[..at].iter().any(|other| other.name == source.name) {
                bail!("two sources are called {}", source.name);
            }
        }
        Ok(sources)
    };
    read().with_context(|| format!("the sources cannot be read; mend or delete the file: {}", path.display()))
}

/// Writes the sources in the place of those that are there, in one step.
pub fn save(path: &Path, sources: &Sources) -> Result<()> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let text = serde_json::to_vec_pretty(sources).context("the sources cannot be written as JSON")?;
    write::save(path, &text, true).context("the sources cannot be kept")
}
