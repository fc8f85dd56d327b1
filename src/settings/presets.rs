//! Windows with names, and lists of them as text.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::frame::{PRESETS, Window};

/// Narrowest and widest window, HU.
pub const WIDTH_HU: std::ops::RangeInclusive<f32> = 1.0..=8000.0;
pub const CENTER_HU: std::ops::RangeInclusive<f32> = -4000.0..=8000.0;
/// More than anyone looks through.
pub const MOST_PRESETS: usize = 40;
/// Forty presets with the longest names take a tenth of this.
const MOST_BYTES: usize = 1 << 20;
/// What a preset's button has room for, several times.
const MOST_LETTERS: usize = 100;
/// A window with the name that a person knows it by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    pub name: String,
    #[serde(flatten)]
    pub window: Window,
}

/// The first nine are on the keys 1 to 9.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presets(pub Vec<Preset>);

impl Default for Presets {
    fn default() -> Self {
        Self(PRESETS.into_iter().map(|(name, window)| Preset { name: name.to_owned(), window }).collect())
    }
}

/// Presets from a text, as `Copy as JSON` gives them; an error says what is wrong with it.
pub fn presets_from_json(text: &str) -> anyhow::Result<Presets> {
    ensure!(text.len() <= MOST_BYTES, "a text of {} bytes; a list of presets has {MOST_BYTES} at most", text.len());
    let presets: Presets = serde_json::from_str(text).context(
        "this is no list of presets; one looks like [{\"name\": \"Lung\", \"center_hu\": -600, \"width_hu\": 1500}]",
    )?;
    ensure!(
        (1..=MOST_PRESETS).contains(&presets.0.len()),
        "{} presets; there may be 1 to {MOST_PRESETS}",
        presets.0.len()
    );
    for Preset { name, window } in &presets.0 {
        ensure!(!name.trim().is_empty(), "a preset has no name; give each one");
        let (shown, letters) = (files::printable(name), name.chars().count());
        ensure!(letters <= MOST_LETTERS, "a preset's name has {letters} letters; there may be {MOST_LETTERS} at most");
        ensure!(
            name.chars().all(files::is_plain),
            "the name \"{shown}\" holds a control character or one that turns the direction of a text; leave it out"
        );
        for (what, value, range) in [("centre", window.center_hu, CENTER_HU), ("width", window.width_hu, WIDTH_HU)] {
            let (low, high) = (range.start(), range.end());
            ensure!(range.contains(&value), "{name} has a {what} of {value} HU; it must lie between {low} and {high}");
        }
    }
    Ok(presets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_from_json_as_it_was() {
        let presets = Presets::default();
        let text = serde_json::to_string_pretty(&presets).unwrap();
        assert_eq!(presets_from_json(&text).unwrap(), presets);
        let lung = r#"[{ "name": "Lung", "center_hu": -600, "width_hu": 1500 }]"#;
        assert_eq!(presets_from_json(lung).unwrap().0[0], presets.0[1]);
    }

    #[test]
    fn what_is_no_list_of_presets_is_refused_in_words() {
        let one = |name: &str, center: &str, width: &str| {
            format!(r#"{{ "name": "{name}", "center_hu": {center}, "width_hu": {width} }}"#)
        };
        for (text, why) in [
            ("[{".to_owned(), "no list of presets"),
            ("[]".to_owned(), "0 presets"),
            (format!("[{}]", one(" ", "0", "9")), "no name"),
            (format!("[{}]", one("\\u001b[2J", "0", "9")), "\"\\u001b[2J\" holds a control character"),
            (format!("[{}]", one(&"A".repeat(101), "0", "9")), "101 letters"),
            (format!("[{}]", one("A", "0", "0")), "A has a width of 0 HU"),
            (format!("[{}]", one("A", "1e30", "9")), "A has a centre of"),
        ] {
            let error = format!("{:#}", presets_from_json(&text).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
