//! Settings on the disk: one file, the user's alone, which a newer one replaces whole. It holds paths of scans and models.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Settings;
use crate::export::write;
use crate::files;

/// Recents, presets and paths of any length that people have take a thousandth of this.
const MOST_BYTES: u64 = 16 << 20;

/// Reads settings; nothing where there is no file.
///
/// # Errors
/// Where the file cannot be read, or holds no settings. It is then set aside beside itself, so that newer settings do not end it.
pub fn load(path: &Path) -> Result<Option<Settings>> {
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> Result<Settings> { Ok(serde_json::from_str(&files::read_text(path, MOST_BYTES)?)?) };
    let settings = read().or_else(|why| {
        let aside = path.with_extension("json.unread");
        let kept = fs::rename(path, &aside).map_or_else(
            |e| format!("; it cannot be set aside: {e}"),
            |()| format!("; it is kept as {}", aside.display()),
        );
        Err(why)
            .with_context(|| format!("the settings in {} cannot be read, and are as at first{kept}", path.display()))
    })?;
    Ok(Some(settings))
}

/// Writes settings in the place of those that are there, in one step: what is killed in the middle leaves the old ones.
pub fn save(path: &Path, settings: &Settings) -> Result<()> {
    let text = serde_json::to_vec_pretty(settings).context("the settings cannot be written as JSON")?;
    write::save(path, &text, true).with_context(|| format!("the settings cannot be kept in {}", path.display()))
}
