//! The window.

use std::ops::Range;
use std::path::PathBuf;

/// What the window is opened with.
#[derive(Debug, Default)]
pub struct Start {
    pub scan: Option<PathBuf>,
    pub autoencoder: Option<PathBuf>,
    pub classifier: Option<PathBuf>,
    pub segmenter: Option<PathBuf>,
    pub target: Option<String>,
    pub slab: Option<Range<usize>>,
}

/// Opens the window.
pub fn run(_start: Start) -> anyhow::Result<()> {
    anyhow::bail!("no window yet")
}
