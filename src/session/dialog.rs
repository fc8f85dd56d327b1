//! A file that is asked for by a dialog: who shows it takes the question, and its answer comes back as an action.

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Error;

use super::action::Wanted;
use super::worker::Worker;
use crate::job::Job;

/// No one closes a dialog this soon: a system that answers so has none to show.
const AT_ONCE: Duration = Duration::from_millis(700);

/// What was chosen, and how long that took.
type Timed = (Option<PathBuf>, Duration);

/// The dialog, one at a time.
#[derive(Default)]
pub struct Dialog {
    /// Asked for, and not shown yet.
    asked: Option<Wanted>,
    /// Shown, and what its answer is for; it comes with how long it took.
    shown: Option<(Wanted, Job<Timed>)>,
    /// What the system showed no dialog for, until someone takes it.
    missing: Option<Wanted>,
}

/// What came of a dialog.
pub enum Answer {
    Chosen(PathBuf),
    /// The person chose nothing.
    Nothing,
    /// The system has no dialog to show.
    NoDialog,
    Failed(Error),
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
        let job = worker.spawn("dialog", move |_| {
            let since = Instant::now();
            Ok((pollster::block_on(answer), since.elapsed()))
        })?;
        self.shown = Some((wanted, job));
        Ok(())
    }

    /// The answer, if there is one, and what it is for.
    pub(super) fn answer(&mut self) -> Option<(Wanted, Answer)> {
        let (wanted, job) = self.shown.as_ref()?;
        let answer = match job.poll()? {
            Ok((Some(path), _)) => Answer::Chosen(path),
            Ok((None, took)) if took < AT_ONCE => Answer::NoDialog,
            Ok((None, _)) => Answer::Nothing,
            Err(error) => Answer::Failed(error),
        };
        let wanted = *wanted;
        self.shown = None;
        if matches!(answer, Answer::NoDialog | Answer::Failed(_)) {
            self.missing = Some(wanted);
        }
        Some((wanted, answer))
    }

    /// What the system showed no dialog for, once: its path can be typed.
    pub fn take_missing(&mut self) -> Option<Wanted> {
        self.missing.take()
    }
}
