//! A question to a source on a thread of its own, which is asked again once its password is known.

use std::sync::Arc;

use anyhow::{Error, Result};

use super::act::Act;
use super::passwords::{Passwords, known};
use crate::job::Monitor;
use crate::pacs::{Secret, Source};
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// What was asked last, and what came of it.
pub struct Question<T> {
    stage: Stage<T>,
    /// The source that was asked, and the act that asks it again.
    asked: Option<(Source, Act)>,
}

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self { stage: Stage::default(), asked: None }
    }
}

impl<T: Send + Sync + 'static> Question<T> {
    /// Asks; `again` is what a person did, and is done again once a password that lacks is there.
    pub fn ask(
        &mut self,
        (worker, passwords): (&Worker, &Passwords),
        source: &Source,
        again: Act,
        work: impl FnOnce(&Source, Option<&Secret>, &Monitor) -> Result<T> + Send + 'static,
    ) {
        self.asked = Some((source.clone(), again));
        let (source, typed) = (source.clone(), passwords.of(source));
        self.stage.follow(worker.spawn("archive", move |monitor| {
            monitor.step("looking for the password", 0, 0)?;
            let secret = known(&source, typed)?;
            Ok(Arc::new(work(&source, secret.as_ref(), monitor)?))
        }));
    }

    /// Takes the answer if it is there; true when something new is ready.
    pub fn poll(&mut self, passwords: &mut Passwords, worker: &Worker) -> bool {
        let ran = self.stage.running().is_some();
        let is_new = self.stage.poll();
        if ran
            && self.stage.running().is_none()
            && let Some((source, again)) = &self.asked
        {
            // What was ready before says nothing of a question that was cancelled since.
            if is_new || self.stage.error().is_some() {
                passwords.hear(source, &mut self.stage, again, worker);
            }
        }
        is_new
    }

    pub fn ready(&self) -> Option<&Arc<T>> {
        self.stage.ready()
    }

    pub fn take(&mut self) -> Option<Arc<T>> {
        self.stage.take()
    }

    pub fn running(&self) -> Option<&Monitor> {
        self.stage.running()
    }

    pub fn error(&self) -> Option<&Error> {
        self.stage.error()
    }

    pub fn cancel(&self) {
        self.stage.cancel();
    }

    pub fn dismiss(&mut self) {
        self.stage.dismiss();
    }

    pub fn clear(&mut self) {
        self.stage.clear();
    }

    /// The source that was asked last.
    pub fn source(&self) -> Option<&Source> {
        self.asked.as_ref().map(|(source, _)| source)
    }
}
