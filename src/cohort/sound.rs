//! Whether the files of a case are all there, can be read, and tell of one run.

use std::path::Path;

use serde::Deserialize;

use super::aligned::Aligned;
use super::case::{ALIGNED, CASE, FORMAT, Kept, MOST_BYTES, VERSION};
use super::numbers::Numbers;
use crate::export::REPORT;
use crate::files;

/// What is kept of a case whose files are sound.
pub(super) struct Sound {
    pub(super) kept: Kept,
    pub(super) numbers: Numbers,
}

/// Why a case that lies there is not taken as done, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsound {
    /// A file is lost, cut or of another run: computing the case again is all that helps.
    Damaged(String),
    /// Another version of Parallax wrote it, which may read it.
    OtherVersion(String),
}

impl Unsound {
    pub(super) fn words(self) -> String {
        match self {
            Self::Damaged(why) | Self::OtherVersion(why) => why,
        }
    }
}

/// What every version of `case.json` begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// Reads what is kept of the case in a folder; `None` where there is no such folder. Of the change in the common frame no more is read than
/// says whether it is whole.
pub(super) fn read(folder: &Path) -> Result<Option<Sound>, Unsound> {
    if !folder.exists() {
        return Ok(None);
    }
    let case = text(folder, CASE)?;
    let head: Head = json(CASE, &case)?;
    if (head.format.as_str(), head.version) != (FORMAT, VERSION) {
        return Err(Unsound::OtherVersion(format!(
            "its {CASE} is \"{} {}\", and this Parallax reads \"{FORMAT} {VERSION}\"",
            files::printable(&head.format),
            head.version
        )));
    }
    let kept: Kept = json(CASE, &case)?;
    let numbers: Numbers = json(REPORT, &text(folder, REPORT)?)?;
    of_one_run(&kept, &numbers)?;
    Aligned::check(&folder.join(ALIGNED)).map_err(|why| Unsound::Damaged(format!("its {ALIGNED} {why}")))?;
    Ok(Some(Sound { kept, numbers }))
}

fn text(folder: &Path, name: &str) -> Result<String, Unsound> {
    files::read_text(&folder.join(name), MOST_BYTES).map_err(|error| {
        Unsound::Damaged(match error.kind() {
            std::io::ErrorKind::NotFound => format!("its {name} is missing"),
            _ => format!("its {name} cannot be read: {error}"),
        })
    })
}

fn json<'t, T: Deserialize<'t>>(name: &str, text: &'t str) -> Result<T, Unsound> {
    serde_json::from_str(text).map_err(|error| {
        let what = if ends_at(text, &error) { "ends in the middle".to_owned() } else { files::of_json(&error) };
        Unsound::Damaged(format!("its {name} {what}"))
    })
}

/// Whether all of a text up to its end was understood: a number that is cut is wrong where it ends.
fn ends_at(text: &str, error: &serde_json::Error) -> bool {
    let (lines, last) = (text.lines().count(), text.lines().last().map_or(0, str::len));
    !error.is_data() && error.line() >= lines && error.column() >= last
}

/// Refuses a `result.json` of another scan or of other networks than `case.json` tells.
fn of_one_run(kept: &Kept, numbers: &Numbers) -> Result<(), Unsound> {
    let hash = |network: &str| kept.asked[network]["sha256"].as_str();
    let pairs = [
        ("scan", numbers.input.sha256.as_str(), Some(kept.scan.sha256.as_str())),
        ("autoencoder", &numbers.autoencoder.sha256, hash("autoencoder")),
        ("network that gives the score", &numbers.scored_by.sha256, hash("scored_by")),
    ];
    match pairs.iter().find(|(_, found, told)| Some(*found) != *told) {
        Some((what, ..)) => Err(Unsound::Damaged(format!("its {REPORT} is of another {what} than its {CASE}"))),
        None => Ok(()),
    }
}
