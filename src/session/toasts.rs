//! What ended out of sight: a line tells of it for a while, with a way to it.

use std::time::{Duration, Instant};

use super::action::Action;
use super::stage::Stage;
use crate::pipeline::in_words;

/// A line stays so long.
const STAYS: Duration = Duration::from_secs(12);
/// Lines at a time; the oldest gives way.
const MOST: usize = 4;

/// A line that tells of an end.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub text: String,
    /// Whether the work failed.
    pub failed: bool,
    /// What shows the outcome.
    pub show: Option<Action>,
    pub until: Instant,
}

/// A piece of work in the background, as it is at this moment.
pub struct Work {
    is_running: bool,
    /// Whether its own place on the screen tells of its end.
    is_seen: bool,
    /// What is told of its end, and whether that is a failure; nothing where it was cancelled.
    told: Option<(String, bool)>,
    show: Option<Action>,
}

impl Work {
    /// `done` says what is told of a good end.
    pub fn of<T: Send + Sync + 'static>(
        stage: &Stage<T>,
        is_seen: bool,
        done: impl FnOnce(&T) -> String,
        show: Option<Action>,
    ) -> Self {
        let told = match (stage.error(), stage.ready()) {
            (Some(error), _) => Some((in_words(error), true)),
            (None, Some(ready)) => Some((done(ready), false)),
            (None, None) => None,
        };
        Self { is_running: stage.running().is_some(), is_seen, told, show }
    }
}

/// The lines that are shown.
#[derive(Default)]
pub struct Toasts {
    pub list: Vec<Toast>,
    /// Whether each piece of work went on when it was looked at last.
    ran: Vec<bool>,
}

impl Toasts {
    /// Looks at all work, always in one order: what has ended out of sight is told.
    pub fn follow(&mut self, all: Vec<Work>, now: Instant) {
        self.list.retain(|toast| now < toast.until);
        let runs: Vec<bool> = all.iter().map(|work| work.is_running).collect();
        for (work, ran) in all.into_iter().zip(std::mem::replace(&mut self.ran, runs)) {
            let ended = ran && !work.is_running && !work.is_seen;
            if let Some((text, failed)) = work.told.filter(|_| ended) {
                self.list.push(Toast { text, failed, show: work.show, until: now + STAYS });
            }
        }
        let too_many = self.list.len().saturating_sub(MOST);
        self.list.drain(..too_many);
    }

    /// Tells what went wrong and has no place of its own.
    pub fn tell(&mut self, text: &str, now: Instant) {
        self.list.push(Toast { text: text.to_owned(), failed: true, show: None, until: now + STAYS });
    }

    /// Tells what happened and has no place of its own, with a way to it.
    pub fn say(&mut self, text: &str, show: Option<Action>, now: Instant) {
        self.list.push(Toast { text: text.to_owned(), failed: false, show, until: now + STAYS });
    }

    pub fn close(&mut self, at: usize) {
        if at < self.list.len() {
            self.list.remove(at);
        }
    }
}
