//! Work on threads of its own, which wakes whoever shows what comes of it.

use std::sync::Arc;

use crate::job::{Job, Monitor, Turn};

/// Starts work. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Worker {
    /// Runs, and what is computed by the same networks, go one after another.
    turn: Turn,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Worker {
    /// `wake` is called on a worker's thread whenever something has come of the work.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { turn: Turn::default(), wake: Arc::new(wake) }
    }

    /// Starts work beside all other.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Monitor) -> anyhow::Result<T> + Send + 'static,
    ) -> std::io::Result<Job<T>> {
        self.start(name, &Turn::default(), work)
    }

    /// Starts work that waits until no other of its kind goes on.
    pub fn spawn_in_turn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Monitor) -> anyhow::Result<T> + Send + 'static,
    ) -> std::io::Result<Job<T>> {
        self.start(name, &self.turn, work)
    }

    fn start<T: Send + 'static>(
        &self,
        name: &'static str,
        turn: &Turn,
        work: impl FnOnce(&Monitor) -> anyhow::Result<T> + Send + 'static,
    ) -> std::io::Result<Job<T>> {
        let wake = Arc::clone(&self.wake);
        Job::spawn(name, turn, move || wake(), work)
    }
}
