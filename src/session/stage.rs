//! One stage of the work as the window sees it. What is ready stays until something better is: a failed or cancelled
//! attempt loses nothing.

use std::sync::Arc;

use anyhow::Error;

use crate::job::{Cancelled, Job, Monitor};

pub struct Stage<T> {
    ready: Option<Arc<T>>,
    job: Option<Job<Arc<T>>>,
    error: Option<Error>,
}

impl<T> Default for Stage<T> {
    fn default() -> Self {
        Self { ready: None, job: None, error: None }
    }
}

impl<T: Send + Sync + 'static> Stage<T> {
    /// Follows a new attempt; one that still runs is cancelled.
    pub fn follow(&mut self, job: std::io::Result<Job<Arc<T>>>) {
        self.error = None;
        match job {
            Ok(job) => self.job = Some(job),
            Err(error) => self.error = Some(Error::from(error).context("no thread can be started")),
        }
    }

    /// Takes the answer if it is there; true when something new is ready.
    pub fn poll(&mut self) -> bool {
        let Some(answer) = self.job.as_ref().and_then(Job::poll) else { return false };
        self.job = None;
        match answer {
            Ok(value) => {
                self.ready = Some(value);
                return true;
            }
            Err(error) if error.chain().any(<dyn std::error::Error>::is::<Cancelled>) => {}
            Err(error) => self.error = Some(error),
        }
        false
    }

    pub fn ready(&self) -> Option<&Arc<T>> {
        self.ready.as_ref()
    }

    /// Takes away what is ready.
    pub fn take(&mut self) -> Option<Arc<T>> {
        self.ready.take()
    }

    /// The work going on.
    pub fn running(&self) -> Option<&Monitor> {
        self.job.as_ref().map(Job::monitor)
    }

    /// What keeps this stage from being used, in the words for either case.
    pub fn wanting(&self, coming: &'static str, absent: &'static str) -> Option<&'static str> {
        match (&self.job, &self.ready) {
            (Some(_), _) => Some(coming),
            (None, None) => Some(absent),
            (None, Some(_)) => None,
        }
    }

    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    pub fn cancel(&self) {
        if let Some(job) = &self.job {
            job.cancel();
        }
    }

    pub fn fail(&mut self, error: Error) {
        self.error = Some(error);
    }

    pub fn dismiss(&mut self) {
        self.error = None;
    }

    /// What is ready at once, in the place of whatever was or comes.
    pub fn put(&mut self, value: Arc<T>) {
        *self = Self { ready: Some(value), ..Self::default() };
    }

    /// Exchanges what is ready: for what shall not be lost, and not be shown either.
    pub fn swap(&mut self, other: &mut Option<Arc<T>>) {
        std::mem::swap(&mut self.ready, other);
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::Turn;

    fn attempt(stage: &mut Stage<u8>, work: impl FnOnce(&Monitor) -> anyhow::Result<u8> + Send + 'static) -> bool {
        stage.follow(Job::spawn("test", &Turn::default(), || {}, move |monitor| work(monitor).map(Arc::new)));
        while stage.running().is_some() {
            if stage.poll() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    #[test]
    fn a_failed_attempt_keeps_what_was_there_and_says_why() {
        let mut stage = Stage::default();
        assert!(attempt(&mut stage, |_| Ok(1)));
        assert!(!attempt(&mut stage, |_| anyhow::bail!("no such file")));
        assert_eq!(stage.ready().map(|v| **v), Some(1));
        assert!(stage.error().unwrap().to_string().contains("no such file"));
        assert!(attempt(&mut stage, |_| Ok(2)), "and the next one begins afresh");
        assert!(stage.error().is_none());
    }

    #[test]
    fn a_cancelled_attempt_is_no_error() {
        let mut stage = Stage::default();
        attempt(&mut stage, |_| Ok(1));
        assert!(!attempt(&mut stage, |_| Err(Cancelled.into())));
        assert!(stage.error().is_none() && stage.ready().is_some());
    }
}
