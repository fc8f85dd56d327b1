//! What tests need from outside the project: its absence is a failure in CI, and a word that is seen elsewhere.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Whether this runs in CI, where no test may pass without testing: `.ci/run` sets it, as most services do.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|said| !["", "0", "false"].contains(&said.as_str()))
}

/// Passes on what was found. Where it is missing: `None` with a word on a developer's machine, a failure in CI.
pub(crate) fn needed<T>(found: Option<T>, what: &str) -> Option<T> {
    assert!(found.is_some() || !is_ci(), "{what} is missing, without which this tests nothing; CI must have it");
    if found.is_none() {
        // Not by eprintln, whose words a test that passes keeps to itself. A closed pipe leaves no one to tell.
        writeln!(std::io::stderr(), "NOT TESTED: {what} is missing").ok();
    }
    found
}

/// A file or folder of `../shared`, which holds pixels of real scans and the larger goldens.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    needed(Some(path).filter(|path| path.exists()), &format!("../shared/{name}"))
}
