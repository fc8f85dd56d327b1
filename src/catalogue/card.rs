//! The model card that is written beside fetched files, so that the program opens them.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::entry::{Entry, Is};
use super::error::Error;
use super::obtained::Obtained;
use crate::files;

/// The text of a card: where the files come from, what they are, and what the catalogue knows of the network. `None` where Parallax
/// cannot run it yet.
pub(super) fn text(entry: &Entry, obtained: &[Obtained], folder: &Path) -> Option<String> {
    let card = entry.card.as_deref()?;
    let mut lines = vec![
        format!("# {}. Research use only.", entry.what),
        format!("# From {}; licence: {}.", entry.page, entry.licence.name),
    ];
    lines.extend(entry.licence.limits.as_ref().map(|limits| format!("# Its limits: {limits}.")));
    lines.push(format!("# Trained on: {}.", entry.fed));
    lines.extend(obtained.iter().map(|file| format!("# SHA-256 {}  {}", file.sha256, file.published.name)));
    for file in obtained {
        let key = match file.published.is {
            Is::Weights => "weights",
            Is::Config => "config",
        };
        // Beside the card by name; in a cache elsewhere by its whole path.
        let path = file.path.strip_prefix(folder).unwrap_or(&file.path);
        lines.push(format!("{key} = {}", toml_text(&path.to_string_lossy())));
    }
    lines.push(card.trim_end().to_owned());
    Some(lines.join("\n") + "\n")
}

/// A text as toml has it between quotes, which is as JSON has it.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes the card, unless one is there: it may have been changed since by hand. Returns its path, and whether it is what would have
/// been written.
pub(super) fn write(text: &str, path: PathBuf) -> Result<(PathBuf, bool), Error> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if path.exists() {
        let same = files::read_text(&path, 1 << 20).is_ok_and(|there| there == text);
        return Ok((path, same));
    }
    let io = |cause| Error::io("cannot write", &path)(cause);
    files::private_folder(folder, true).map_err(io)?;
    // Such a file is this user's alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok((path, true)),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok((path, false)),
        Err(error) => Err(io(error.error)),
    }
}
