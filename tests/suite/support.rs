//! Where test data lies.

use std::path::{Path, PathBuf};

/// A file of `tests/data`, always there.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A file of `../shared`, which holds pixels of real scans and the larger goldens. Where it is missing: `None` with a word
/// on a developer's machine, a failure in CI, so that no test passes there without testing.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no ../shared/{name}");
    eprintln!("no ../shared");
    None
}
