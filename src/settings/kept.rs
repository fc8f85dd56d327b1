//! Settings on the disk: one file, the user's alone, which a newer one replaces whole. It holds paths of scans and models.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Settings;
use crate::export::write::save_private;
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
    save_private(path, &text).with_context(|| format!("the settings cannot be kept in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Preset;

    #[test]
    fn settings_come_back_as_they_were_and_are_their_users_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("settings.json");
        assert_eq!(load(&path).expect("no file is no error"), None);
        let mut settings = Settings { target: Some("nodule".to_owned()), ..Settings::default() };
        settings.presets.0.push(Preset { name: "Own".to_owned(), window: crate::frame::PRESETS[0].1 });
        save(&path, &Settings::default()).expect("written");
        save(&path, &settings).expect("written again");
        assert_eq!(load(&path).expect("settings"), Some(settings));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_and_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("settings.json");
        fs::write(&path, "{\"recent\": [").expect("written");
        let why = format!("{:#}", load(&path).expect_err("it is cut"));
        assert!(why.contains("cannot be read") && why.contains("settings.json.unread"), "{why}");
        assert_eq!(fs::read_to_string(folder.path().join("settings.json.unread")).expect("kept"), "{\"recent\": [");
        assert_eq!(load(&path).expect("as at first"), None);
    }
}
