//! Work off the UI thread: a named thread, its latest progress, a flag that stops it, one answer.

mod panics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::panics::{Panicked, quietly};

/// The work was told to stop. Not a failure: stages turn it into `Empty`, never into a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// How far a phase has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub phase: &'static str,
    pub done: usize,
    /// 0 where the end is not known, as in a search.
    pub total: usize,
    pub started: Instant,
}

impl Progress {
    /// Share done, `0..=1`; `None` where the end is not known.
    pub fn fraction(&self) -> Option<f32> {
        (self.total > 0).then(|| self.done as f32 / self.total as f32)
    }

    /// Time left in this phase at its pace so far.
    pub fn left(&self) -> Option<Duration> {
        let (done, total) = (self.done, self.total);
        (done > 0 && total >= done).then(|| self.started.elapsed().mul_f64((total - done) as f64 / done as f64))
    }
}

/// A time as people say it.
pub fn duration(secs: f64) -> String {
    match secs {
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0) / 60.0),
    }
}

/// A point of the curve that grows while a search runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    pub lambda: f64,
    pub score: f64,
}

/// Pixels of a slab as they were at a lambda, decoded units.
#[derive(Debug, Clone)]
pub struct Sketch {
    pub lambda: f64,
    pub score: f64,
    pub pixels: Arc<[f32]>,
}

/// What a search has drawn: lambda 0, and the latest lambda.
#[derive(Debug, Clone, Default)]
pub struct Sketches {
    pub zero: Option<Sketch>,
    pub latest: Option<Sketch>,
}

type Listener = Box<dyn Fn(&Progress) + Send + Sync>;

struct Shared {
    cancelled: Arc<AtomicBool>,
    progress: Mutex<Option<Progress>>,
    curve: Mutex<Vec<CurvePoint>>,
    sketches: Mutex<Sketches>,
    /// Each phase with its beginning, in order.
    phases: Mutex<Vec<(&'static str, Instant)>>,
    listener: Listener,
}

/// The worker's side of a job. Cloning gives another handle to the same job.
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

impl Default for Monitor {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl Monitor {
    /// `listener` hears every report: it wakes the window, or draws a bar.
    pub fn new(listener: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self::sharing(Arc::default(), listener)
    }

    /// A monitor that no one hears, cancelled with this one: for a part of work whose own phases are too many to show.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self::sharing(Arc::clone(&self.0.cancelled), |_| {})
    }

    fn sharing(cancelled: Arc<AtomicBool>, listener: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            cancelled,
            progress: Mutex::new(None),
            curve: Mutex::new(Vec::new()),
            sketches: Mutex::default(),
            phases: Mutex::new(Vec::new()),
            listener: Box::new(listener),
        }))
    }

    /// Reports progress. Every call is also a cancellation point: `?` stops the work.
    pub fn step(&self, phase: &'static str, done: usize, total: usize) -> Result<(), Cancelled> {
        let progress = {
            let mut latest = lock(&self.0.progress);
            let started = match &*latest {
                Some(p) if p.phase == phase && p.done <= done => p.started,
                _ => Instant::now(),
            };
            *latest.insert(Progress { phase, done, total, started })
        };
        {
            let mut phases = lock(&self.0.phases);
            if phases.last().is_none_or(|(last, _)| *last != phase) {
                phases.push((phase, Instant::now()));
            }
        }
        (self.0.listener)(&progress);
        self.check()
    }

    /// Each phase so far with the seconds it took, the last one up to now.
    pub fn phase_secs(&self) -> Vec<(&'static str, f64)> {
        let phases = lock(&self.0.phases);
        let ends = phases.iter().skip(1).map(|(_, at)| *at).chain([Instant::now()]);
        phases.iter().zip(ends).map(|((phase, began), end)| (*phase, (end - *began).as_secs_f64())).collect()
    }

    /// A cancellation point with nothing to report.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.0.cancelled.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }

    /// Adds a point to the live curve.
    pub fn plot(&self, lambda: f64, score: f64) {
        lock(&self.0.curve).push(CurvePoint { lambda, score });
    }

    /// Hands over the pixels of the step that was plotted last: only lambda 0 and the latest are kept.
    pub fn sketch(&self, sketch: Sketch) {
        let mut sketches = lock(&self.0.sketches);
        if sketch.lambda == 0.0 {
            sketches.zero = Some(sketch.clone());
        }
        sketches.latest = Some(sketch);
    }

    pub fn sketches(&self) -> Sketches {
        lock(&self.0.sketches).clone()
    }

    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn progress(&self) -> Option<Progress> {
        *lock(&self.0.progress)
    }

    pub fn curve(&self) -> Vec<CurvePoint> {
        lock(&self.0.curve).clone()
    }
}

/// The latest of what a worker hands over while it works. Cloning gives another handle to the same.
pub struct Latest<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Latest<T> {
    pub fn put(&self, value: T) {
        *lock(&self.0) = Some(Arc::new(value));
    }

    pub fn get(&self) -> Option<Arc<T>> {
        lock(&self.0).clone()
    }
}

/// Lets one job compute at a time, so that two searches never hold memory at once.
/// Only workers lock it: a job started while a cancelled one finishes its last chunk waits there.
#[derive(Clone, Default)]
pub struct Turn(Arc<Mutex<()>>);

/// A piece of work on its own thread. Dropping it cancels the work.
pub struct Job<T> {
    monitor: Monitor,
    answer: Receiver<anyhow::Result<T>>,
}

impl<T: Send + 'static> Job<T> {
    /// Runs `work` on a thread called `name`; `wake` is called at each report and at the end, from that thread.
    pub fn spawn(
        name: &'static str,
        turn: &Turn,
        wake: impl Fn() + Clone + Send + Sync + 'static,
        work: impl FnOnce(&Monitor) -> anyhow::Result<T> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, answer) = sync_channel(1);
        let on_progress = wake.clone();
        let monitor = Monitor::new(move |_| on_progress());
        let (worker, turn) = (monitor.clone(), turn.clone());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let guard = lock(&turn.0);
            let answer = worker.check().map_err(anyhow::Error::from).and_then(|()| {
                quietly(|| work(&worker)).unwrap_or_else(|panicked| {
                    Err(anyhow::anyhow!("{name} stopped unexpectedly: {panicked}; please report this"))
                })
            });
            drop(guard);
            sender.send(answer).ok(); // the job was dropped: no one is waiting
            wake();
        })?;
        Ok(Self { monitor, answer })
    }

    /// The answer, once, when it is there.
    pub fn poll(&self) -> Option<anyhow::Result<T>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(anyhow::anyhow!("the worker ended without an answer"))),
        }
    }
}

impl<T> Job<T> {
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub fn cancel(&self) {
        self.monitor.cancel();
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Starts work on a thread that no one waits for: it talks to something that may not answer, and ends by itself.
pub fn apart(name: &'static str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// A worker that panicked while holding one of these locks left a plain value behind: it is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<T: Send + 'static>(job: &Job<T>) -> anyhow::Result<T> {
        loop {
            if let Some(answer) = job.poll() {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_cancelled_job_answers_cancelled() {
        let job = Job::<()>::spawn(
            "test",
            &Turn::default(),
            || {},
            |monitor| {
                loop {
                    monitor.step("waiting", 0, 0)?;
                    std::thread::sleep(Duration::from_millis(1));
                }
            },
        )
        .unwrap();
        job.cancel();
        assert!(wait(&job).unwrap_err().is::<Cancelled>());
    }

    #[test]
    fn a_quiet_monitor_is_cancelled_with_its_own_and_says_nothing() {
        let loud = Monitor::new(|progress| assert_eq!(progress.phase, "loud"));
        let quiet = loud.quiet();
        assert!(quiet.step("quiet", 0, 1).is_ok() && loud.progress().is_none());
        loud.cancel();
        assert_eq!(quiet.step("quiet", 0, 1), Err(Cancelled));
    }

    #[test]
    fn a_panic_on_the_worker_is_an_error_with_its_message() {
        let job = Job::<()>::spawn("test", &Turn::default(), || {}, |_| panic!("a bad thing")).unwrap();
        assert!(wait(&job).unwrap_err().to_string().contains("a bad thing"));
    }

    #[test]
    fn jobs_that_share_a_turn_run_one_after_the_other() {
        let turn = Turn::default();
        let running = Arc::new(AtomicBool::new(false));
        let jobs: Vec<_> = (0..4)
            .map(|_| {
                let running = running.clone();
                Job::spawn(
                    "test",
                    &turn,
                    || {},
                    move |_| {
                        let alone = !running.swap(true, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        running.store(false, Ordering::SeqCst);
                        Ok(alone)
                    },
                )
                .unwrap()
            })
            .collect();
        assert!(jobs.iter().all(|job| wait(job).unwrap()));
    }
}
