//! What the user chose, kept between runs. File names stay on this machine; nothing of a scan is kept but its path.

mod hangings;
pub mod kept;
mod own_keys;
mod presets;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::hangings::{Hanging, Hangings, MOST_HANGINGS};
pub use self::own_keys::OwnKeys;
pub use self::presets::{CENTER_HU, MOST_PRESETS, Preset, Presets, WIDTH_HU, presets_from_json};
use crate::export::{Kind, Style};
use crate::latent_shift::Options;

/// Repetitions of a run that the window offers, at most.
pub const MOST_REPEATS: usize = 20;
/// Scans that are remembered.
const RECENT: usize = 8;

/// Which network gives the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ScoredBy {
    #[default]
    Classifier,
    /// Lung size, by a segmenter.
    Segmenter,
    /// How alike the scan is to another one, by an embedder.
    Embedder,
}

/// What the buttons of the mouse do on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mouse {
    /// As in a PACS: left drag changes the window, right drag zooms.
    #[default]
    Pacs,
    /// As in research viewers: left drag moves where the planes cross, right drag changes the window.
    Research,
}

/// How bright the panels are. Pictures are the same in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Panels {
    #[default]
    Dark,
    Light,
}

/// The panel at one side of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Side {
    pub open: bool,
    pub width_points: f32,
    /// Whether it is open in a narrow window; `None` = while there is something to do in it.
    #[serde(default)]
    pub open_where_narrow: Option<bool>,
}

impl Default for Side {
    fn default() -> Self {
        Self { open: true, width_points: 280.0, open_where_narrow: None }
    }
}

impl Side {
    /// Whether it is shown. `narrow` is nothing in a window that has room for both panels, and else whether this one is needed.
    pub fn is_shown(self, narrow: Option<bool>) -> bool {
        match narrow {
            Some(needed) => self.open_where_narrow.unwrap_or(self.open && needed),
            None => self.open,
        }
    }

    /// Shown, or put away, in a window that has room for both panels.
    #[must_use]
    pub fn turned(self, open: bool) -> Self {
        Self { open, ..self }
    }

    /// Shown, or put away, in a narrow window.
    #[must_use]
    pub fn turned_where_narrow(self, open: bool) -> Self {
        Self { open_where_narrow: Some(open), ..self }
    }
}

/// The panels at both sides of the pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sides {
    /// Scan, models and options.
    pub steps: Side,
    /// What came of the run.
    pub result: Side,
}

/// What the window exports, where to, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportChoices {
    pub kinds: Vec<Kind>,
    pub folder: PathBuf,
    pub style: Style,
    /// Pictures are of the slice and in the window that are shown, in place of the slice that changed most.
    pub as_shown: bool,
}

impl Default for ExportChoices {
    /// Into the home folder, never beside a scan unasked.
    fn default() -> Self {
        let folder = std::env::home_dir().unwrap_or_default().join("parallax-export");
        Self { kinds: Kind::DEFAULT.to_vec(), folder, style: Style::default(), as_shown: false }
    }
}

/// Where published networks come from and go to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fetching {
    /// A folder or the address of a mirror; empty: from where each was published.
    pub from: String,
    /// Empty: this user's data folder.
    pub into: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Scans opened, the latest first.
    pub recent: Vec<PathBuf>,
    /// Model cards or checkpoints.
    pub autoencoder: Option<PathBuf>,
    pub classifier: Option<PathBuf>,
    pub segmenter: Option<PathBuf>,
    pub embedder: Option<PathBuf>,
    /// The scan, or the stored embedding, that a scan is compared with.
    pub toward: Option<PathBuf>,
    pub scored_by: ScoredBy,
    /// Class of the classifier, by name: numbers change from model to model.
    pub target: Option<String>,
    pub options: Options,
    /// How often a run is repeated from perturbed starts, 0 to [`MOST_REPEATS`].
    pub repeats: usize,
    pub mouse: Mouse,
    pub panels: Panels,
    pub sides: Sides,
    /// Whether it stands above the pictures whose scan they show.
    pub patient_shown: bool,
    pub presets: Presets,
    pub hangings: Hangings,
    /// Keys in the place of the usual ones.
    pub keys: OwnKeys,
    pub export: ExportChoices,
    pub fetching: Fetching,
    /// Whether every finished run stays in the user's data folder until newer ones take its place.
    pub keep_results: bool,
    /// The result that is on the screen, or was when the program ended: a session file.
    pub shown_result: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            recent: Vec::new(),
            autoencoder: None,
            classifier: None,
            segmenter: None,
            embedder: None,
            toward: None,
            scored_by: ScoredBy::default(),
            target: None,
            options: Options::default(),
            repeats: 0,
            mouse: Mouse::default(),
            panels: Panels::default(),
            sides: Sides::default(),
            patient_shown: false,
            presets: Presets::default(),
            hangings: Hangings::default(),
            keys: OwnKeys::default(),
            export: ExportChoices::default(),
            fetching: Fetching::default(),
            keep_results: true,
            shown_result: None,
        }
    }
}

impl Settings {
    /// Puts a scan first among the recent ones.
    pub fn remember(&mut self, scan: &Path) {
        let scan = absolute(scan);
        self.recent.retain(|path| *path != scan);
        self.recent.insert(0, scan);
        self.recent.truncate(RECENT);
    }
}

/// The next run may start in another folder.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) // an empty path, which opens nothing either way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_scan_comes_first_and_each_once() {
        let mut settings = Settings::default();
        for name in ["a", "b", "a"] {
            settings.remember(Path::new(name));
        }
        assert_eq!(settings.recent, ["a", "b"].map(|name| absolute(Path::new(name))));
        for i in 0..20 {
            settings.remember(Path::new(&i.to_string()));
        }
        assert_eq!(settings.recent.len(), RECENT);
    }

    #[test]
    fn settings_of_another_version_are_read_as_far_as_they_go() {
        let old = r#"{ "recent": ["a.nii"], "unknown": 3, "options": { "steps": 7 } }"#;
        let settings: Settings = serde_json::from_str(old).unwrap();
        assert_eq!(settings.options.steps, 7);
        assert_eq!(settings.options.drop, Options::default().drop);
    }
}
