//! A file that is asked for by a dialog: who shows it takes the question, and its answer comes back as an action.

use std::future::Future;
use std::path::PathBuf;

use anyhow::Result;

use super::action::Wanted;
use super::worker::Worker;
use crate::job::Job;

/// The dialog, one at a time.
#[derive(Default)]
pub struct Dialog {
    /// Asked for, and not shown yet.
    asked: Option<Wanted>,
    /// Shown, and what its answer is for.
    shown: Option<(Wanted, Job<Option<PathBuf>>)>,
}

impl Dialog {
    /// Asks for a file, unless a dialog is open already.
    pub(super) fn ask(&mut self, wanted: Wanted) {
        if self.shown.is_none() {
            self.asked = Some(wanted);
        }
    }

    /// What is asked for, once.
    pub fn take(&mut self) -> Option<Wanted> {
        self.asked.take()
    }

    /// Awaits the answer of a dialog on a thread of its own; `None` = no choice was made.
    pub fn wait(
        &mut self,
        wanted: Wanted,
        answer: impl Future<Output = Option<PathBuf>> + Send + 'static,
        worker: &Worker,
    ) -> std::io::Result<()> {
        let job = worker.spawn("dialog", move |_| Ok(pollster::block_on(answer)))?;
        self.shown = Some((wanted, job));
        Ok(())
    }

    /// The answer, if there is one, and what it is for.
    pub(super) fn answer(&mut self) -> Option<(Wanted, Result<Option<PathBuf>>)> {
        let (wanted, job) = self.shown.as_ref()?;
        let answered = (*wanted, job.poll()?);
        self.shown = None;
        Some(answered)
    }
}
