//! A second result beside the one that is shown: of the same scan, on the same grid.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;

use super::Model;
use crate::session::document;
use crate::session::view::pair::refusal;

impl Model {
    /// Opens a kept result beside the one that is shown; one that cannot stand beside it is refused in words.
    pub fn compare_with(&mut self, path: PathBuf) {
        let Some(shown) = self.run.ready().cloned() else { return };
        let job = self.worker.spawn("compare", move |monitor| {
            monitor.step("opening", 0, 0)?;
            let beside = document::open_beside(&path, &shown.scan)?;
            match refusal(&shown, &beside) {
                Some(why) => Err(anyhow!("{why}: {}", path.display())),
                None => Ok(beside),
            }
        });
        self.beside.follow(job);
    }

    /// Shows the result before beside the one that is shown.
    pub fn compare_with_other(&mut self) {
        let Some((shown, other)) = self.run.ready().zip(self.aside.clone()) else { return };
        match refusal(shown, &other) {
            Some(why) => self.beside.fail(anyhow!(why)),
            None => self.beside.put(other),
        }
    }

    pub fn stop_comparing(&mut self) {
        self.beside.clear();
    }

    /// Lets go of a second result that the one that is shown now cannot stand beside. Two that have changed places stay both.
    pub(super) fn keep_beside(&mut self) {
        let Some(beside) = self.beside.ready().cloned() else { return };
        let Some(shown) = self.run.ready() else { return self.beside.clear() };
        if Arc::ptr_eq(shown, &beside) {
            match self.aside.clone() {
                Some(other) if refusal(shown, &other).is_none() => self.beside.put(other),
                _ => self.beside.clear(),
            }
        } else if refusal(shown, &beside).is_some() {
            self.beside.clear();
        }
    }
}
