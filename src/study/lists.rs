//! The results that a study shows: the sessions of a folder, of a table, or of a list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::case::Case;
use crate::files::{self, is_plain};

/// What a session's file ends in.
const SESSION: &str = "parallax";
/// The column of a table that names the sessions.
const COLUMN: &str = "session";
/// More than any reader reads.
const MOST_CASES: usize = 10_000;
/// Ten thousand paths of a thousand letters.
const MOST_TABLE_BYTES: u64 = 16 << 20;

/// The sessions of a folder or a table.
pub(super) fn cases_at(path: &Path) -> Result<Vec<Case>> {
    if path.is_dir() { in_folder(path) } else { in_table(path) }
}

/// The sessions that lie in a folder, by name.
fn in_folder(folder: &Path) -> Result<Vec<Case>> {
    let cannot = || format!("cannot look into the folder {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case(SESSION)) {
            names.extend(path.file_name().map(PathBuf::from));
        }
    }
    ensure!(
        !names.is_empty(),
        "the folder holds no result; save sessions (.{SESSION}) into it, or choose another: {}",
        folder.display()
    );
    names.sort();
    listed(folder, names)
}

/// The sessions that a table names, row by row; paths are relative to the table.
fn in_table(path: &Path) -> Result<Vec<Case>> {
    let text = files::read_text(path, MOST_TABLE_BYTES)
        .with_context(|| format!("cannot read the table of results {}", path.display()))?;
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let column = table.headers()?.iter().position(|name| name.trim() == COLUMN);
    let at = column.with_context(|| {
        format!("the table of results has no column {COLUMN:?}; name it in its first line: {}", path.display())
    })?;
    let mut names = Vec::new();
    for row in table.records() {
        let row = row.with_context(|| format!("the table of results is damaged: {}", path.display()))?;
        let name = row.get(at).unwrap_or_default().trim();
        ensure!(!name.is_empty(), "the table of results has an empty {COLUMN} in row {}", names.len() + 1);
        names.push(PathBuf::from(name));
    }
    ensure!(!names.is_empty(), "the table of results has no row; name a session in each: {}", path.display());
    listed(path.parent().unwrap_or(Path::new("")), names)
}

/// Each of the paths as a case, which is known by its path as it is written.
pub(super) fn listed(folder: &Path, paths: Vec<PathBuf>) -> Result<Vec<Case>> {
    ensure!((1..=MOST_CASES).contains(&paths.len()), "cases: {} results, where 1 to {MOST_CASES} may be", paths.len());
    let mut seen = BTreeSet::new();
    let mut cases = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        ensure!(name.chars().all(is_plain), "cases: {name:?} has letters that no one sees; rename the file");
        ensure!(seen.insert(name.clone()), "cases: {name:?} is named twice; name each result once");
        cases.push(Case { name, session: folder.join(path) });
    }
    Ok(cases)
}
