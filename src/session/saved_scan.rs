//! The scan of a session: where it lies, what was drawn into it, and how it is opened again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::arriving::Arriving;
use super::open_scan::OpenScan;
use crate::demo;
use crate::io::Choice;
use crate::job::Monitor;
use crate::pipeline::{self, Inserted};
use crate::preprocess::Recipe;

#[derive(Debug, Serialize, Deserialize)]
pub struct SavedScan {
    /// `None` for the demo's, which is drawn again.
    pub path: Option<PathBuf>,
    /// Which of the volumes of the path; none in files of before there was a choice.
    #[serde(default)]
    pub choice: Choice,
    /// Of the voxels that the networks saw: with what was drawn into them.
    pub sha256: String,
    pub recipe: Recipe,
    /// What was drawn into it, and is drawn again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inserted: Option<SavedInserted>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SavedInserted {
    #[serde(flatten)]
    pub inserted: Inserted,
    /// Whether the mask of the finding was what methods were held against.
    pub masked: bool,
}

/// A scan of a session, opened again.
pub(super) struct Reopened {
    pub(super) scan: Arc<OpenScan>,
    /// Why it is not the one that was saved, in words.
    pub(super) trouble: Option<String>,
}

impl SavedScan {
    /// Opens it, and draws into it again. What cannot be had again is said, and the scan shown as it was opened.
    ///
    /// # Errors
    /// Where it cannot be opened, or the work is cancelled.
    pub(super) fn open(&self, monitor: &Monitor) -> Result<Reopened> {
        let scan = Arc::new(match &self.path {
            Some(path) => {
                let arriving = Arriving::new(Some(path.clone()), self.choice.clone(), None);
                OpenScan::open(path.clone(), &arriving, &self.recipe, monitor)?
            }
            None => OpenScan::drawn(demo::input(&self.recipe, monitor)?),
        });
        let Some(SavedInserted { inserted, .. }) = &self.inserted else {
            let is_same = scan.input.sha256() == self.sha256;
            return Ok(Reopened { trouble: (!is_same).then(|| self.other("")), scan });
        };
        let drawn = inserted.asked.words();
        if scan.input.sha256() != inserted.scan_sha256 {
            return Ok(Reopened { trouble: Some(self.other(&format!(" and without the {drawn}"))), scan });
        }
        let again = || {
            let original = pipeline::scan_of(&scan.input)?;
            let chest = pipeline::chest(original, inserted.asked.position, monitor)?;
            OpenScan::with_finding(&scan, &chest, inserted.asked, monitor)
        };
        match again() {
            Ok(again) if again.input.sha256() == self.sha256 => Ok(Reopened { scan: Arc::new(again), trouble: None }),
            Ok(_) => {
                let trouble = format!(
                    "the {drawn}, is drawn otherwise now than when the session was saved: the scan is shown without it, and without the result: {}",
                    self.name()
                );
                Ok(Reopened { scan, trouble: Some(trouble) })
            }
            Err(error) => {
                monitor.check()?;
                let why = pipeline::in_words(&error);
                let trouble = format!(
                    "the {drawn}, cannot be drawn again: {why}. The scan is shown without it, and without the result: {}",
                    self.name()
                );
                Ok(Reopened { scan, trouble: Some(trouble) })
            }
        }
    }

    fn other(&self, without: &str) -> String {
        format!(
            "the scan is not the one that the session was saved with: its voxels have another SHA-256; it is shown without the result{without}: {}",
            self.name()
        )
    }

    fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "the demo's phantom".to_owned(), |path| path.display().to_string())
    }
}
