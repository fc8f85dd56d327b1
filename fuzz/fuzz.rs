//! What the targets have in common: the parsers that the program's own tests feed, here with what LLVM's fuzzer makes.

pub mod codecs;
#[expect(dead_code, reason = "the suite draws its own images")]
#[path = "../tests/suite/encoders.rs"]
mod encoders;
#[path = "../tests/suite/house/mutations/parsers.rs"]
mod parsers;

use std::sync::OnceLock;

use tempfile::TempDir;

/// Feeds bytes to the parser of that name. Its files lie in a folder of this process, in memory where `TMPDIR` says so.
pub fn target(name: &str, bytes: &[u8]) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for files"));
    parsers::feed(name)(folder.path(), bytes);
}
