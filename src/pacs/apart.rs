//! Talks with a server on a thread of their own: whoever waits for one can leave at once, and leaves one that stands still.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::error::Error;
use super::pace::patience;
use super::source::Source;
use crate::job::{self, Cancelled, Monitor};
use crate::reach::GLANCE;

/// Events that may wait for whoever hears them.
const WAITING: usize = 8;

/// What the talking thread hands over.
enum Said<E, T> {
    Event(E),
    /// It goes on, though there is nothing to hear yet.
    Alive,
    Done(Result<T, Error>),
}

type HangUp = Box<dyn FnOnce() + Send>;

/// How the connection is cut from outside.
enum Line {
    Open(Vec<HangUp>),
    Cut,
}

/// The talking thread's way out.
pub(super) struct Out<E, T> {
    sender: SyncSender<Said<E, T>>,
    line: Arc<Mutex<Line>>,
}

impl<E, T> Clone for Out<E, T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), line: Arc::clone(&self.line) }
    }
}

/// What cuts the connections of a talk, from any thread.
#[derive(Clone)]
pub(super) struct Cutter(Arc<Mutex<Line>>);

impl Cutter {
    /// Says how a connection is cut; it is at once where no one listens any more.
    pub(super) fn cuts(&self, hang_up: impl FnOnce() + Send + 'static) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *line {
            Line::Open(all) => all.push(Box::new(hang_up)),
            Line::Cut => hang_up(),
        }
    }

    fn cut(&self) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Line::Cut);
        if let Line::Open(all) = before {
            for hang_up in all {
                hang_up();
            }
        }
    }
}

impl<E, T> Out<E, T> {
    /// Hands an event over. An error means that no one listens: the talk is over.
    pub(super) fn say(&self, event: E) -> Result<(), Error> {
        self.sender.send(Said::Event(event)).map_err(|_gone| Cancelled.into())
    }

    /// Says that the talk goes on.
    pub(super) fn alive(&self) -> Result<(), Error> {
        self.sender.send(Said::Alive).map_err(|_gone| Cancelled.into())
    }

    pub(super) fn cutter(&self) -> Cutter {
        Cutter(Arc::clone(&self.line))
    }
}

/// Runs `talk` on a thread of its own and gives each event to `hear`, here. Ends at once when the monitor is cancelled or `hear` fails,
/// and when nothing is heard of the archive for too long.
pub(super) fn talk<E: Send + 'static, T: Send + 'static>(
    source: &Source,
    monitor: &Monitor,
    talk: impl FnOnce(&Out<E, T>) -> Result<T, Error> + Send + 'static,
    mut hear: impl FnMut(E) -> Result<(), Error>,
) -> Result<T, Error> {
    let patience = patience();
    let (sender, receiver) = sync_channel(WAITING);
    let line = Arc::new(Mutex::new(Line::Open(Vec::new())));
    let (out, cutter) = (Out { sender, line: Arc::clone(&line) }, Cutter(line));
    let strange = Error::broken("the archive sends what no one can read", source);
    let talks = move || {
        let done = job::quietly(|| talk(&out)).unwrap_or(Err(strange));
        out.sender.send(Said::Done(done)).ok(); // no one listens
    };
    job::apart("pacs", talks).map_err(|cause| Error::refused(format!("cannot start a thread: {cause}"), source))?;
    let mut heard = Instant::now();
    let answer = loop {
        if let Err(cancelled) = monitor.check() {
            break Err(cancelled.into());
        }
        match receiver.recv_timeout(GLANCE) {
            Ok(Said::Event(event)) => {
                if let Err(error) = hear(event) {
                    break Err(error);
                }
                heard = Instant::now();
            }
            Ok(Said::Alive) => heard = Instant::now(),
            Ok(Said::Done(done)) => break done,
            Err(RecvTimeoutError::Timeout) if heard.elapsed() < patience => {}
            Err(RecvTimeoutError::Timeout) => {
                let secs = patience.as_secs();
                break Err(Error::broken(format!("the archive does not get on for {secs} s"), source));
            }
            Err(RecvTimeoutError::Disconnected) => {
                break Err(Error::broken("the talk with the archive stopped unexpectedly", source));
            }
        }
    };
    // What ended well has ended its connections, or keeps them for the next question.
    if answer.is_err() {
        cutter.cut();
    }
    answer
}
