//! One file from a source to the disk: taken up where it stopped, held against its length and SHA-256, then named.

use std::path::Path;
use std::time::{Duration, Instant};

use super::body::{Answer, Opened, Source};
use super::error::{Error, megabytes};
use super::part::{Part, kilobytes, with_end};
use super::place;
use crate::job::Monitor;

/// More than any network of the catalogue has: a bound where no one says how long a file is.
const MOST_BYTES: u64 = 32 << 30;
/// How often a connection that breaks is made again before the next bytes have come.
const TRIES: u32 = 4;
/// A try that brings this much was worth it, and the next ones are counted anew.
const WORTH_BYTES: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(500);
const NAP: Duration = Duration::from_millis(20);

/// What is known of a file before it is fetched.
pub(super) struct Want<'a> {
    pub(super) bytes: Option<u64>,
    /// The SHA-256, or its beginning.
    pub(super) hash: Option<&'a str>,
    /// Who says so.
    pub(super) said_by: &'static str,
}

/// Fetches into `target`, which is not there yet; returns the SHA-256, hex. Whatever happens, no file of that name is other than whole.
pub(super) fn fetch(want: &Want, source: &dyn Source, target: &Path, monitor: &Monitor) -> Result<String, Error> {
    check_room(target, want.bytes, came(target))?;
    let mut part = Part::open(target)?;
    if target.exists() {
        // Another process had the lock a moment ago, and finished.
        part.discard()?;
        return Err(Error::Busy { path: target.to_owned() });
    }
    part.resume(source.address(), want.hash.is_some(), monitor)?;
    let announced = match persist(&mut part, want, source, monitor) {
        Ok(announced) => announced,
        Err(error) => {
            if came(target) == 0 {
                part.discard()?; // nothing came that could be taken up
            }
            return Err(error);
        }
    };
    let found = part.sha256();
    let said = [(want.hash, want.said_by), (announced.as_deref(), "the server")];
    for (said, said_by) in said.into_iter().filter_map(|(said, by)| Some((said?, by))) {
        if !found.starts_with(said) {
            part.discard()?;
            return Err(Error::Hash { found, said: said.to_owned(), said_by, url: source.address().to_owned() });
        }
    }
    part.finish(target)?;
    Ok(found)
}

/// Connects until all of the file has come, as long as that gets on. Returns the SHA-256 that the source says, if it does.
fn persist(part: &mut Part, want: &Want, source: &dyn Source, monitor: &Monitor) -> Result<Option<String>, Error> {
    let (mut furthest, mut tries, mut announced) = (part.length(), 0, None);
    loop {
        let error = match attempt(part, want, source, &mut announced, monitor) {
            Ok(()) => return Ok(announced),
            Err(error @ Error::Broken { .. }) => error,
            Err(error) => return Err(error),
        };
        tries = if part.length() >= furthest.saturating_add(WORTH_BYTES) { 0 } else { tries + 1 };
        furthest = furthest.max(part.length());
        if tries >= TRIES {
            return Err(error);
        }
        pause(monitor)?;
    }
}

/// One connection: from where the part ends to the end of the file, or to where it breaks.
fn attempt(
    part: &mut Part,
    want: &Want,
    source: &dyn Source,
    announced: &mut Option<String>,
    monitor: &Monitor,
) -> Result<(), Error> {
    if want.bytes.is_some_and(|bytes| part.length() > bytes) {
        part.restart()?;
    }
    if part.length() > 0 && want.bytes == Some(part.length()) {
        return Ok(()); // its SHA-256 is still to tell
    }
    let refused = |what: String| Error::Refused { what, url: source.address().to_owned() };
    let opened = match source.open(part.length(), part.validator(), monitor)? {
        Answer::Bytes(opened) => opened,
        Answer::Beyond { total } if total == Some(part.length()) && want.bytes.is_none() => return Ok(()),
        Answer::Beyond { .. } if part.length() > 0 => {
            let what = format!("the file there ends before the {} bytes that came before", part.length());
            part.restart()?;
            return Err(Error::Broken { what, url: source.address().to_owned() });
        }
        Answer::Beyond { .. } => return Err(refused("the server says that the file has no beginning".to_owned())),
    };
    let Opened { start, total, validator, sha256, mut body } = opened;
    if let (Some(said), Some(wanted)) = (total, want.bytes)
        && said != wanted
    {
        return Err(refused(format!("the file there has {said} bytes, where the catalogue says {wanted}")));
    }
    if start == 0 {
        part.restart()?;
    } else if start != part.length() {
        return Err(refused(format!("the server sends bytes from {start} on, where {} was asked for", part.length())));
    }
    let total = want.bytes.or(total);
    check_room(part.path(), total, part.length())?;
    part.remember(source.address(), validator)?;
    *announced = sha256;
    let most = total.unwrap_or(MOST_BYTES);
    while let Some(bytes) = body.next(monitor)? {
        if part.length().saturating_add(bytes.len() as u64) > most {
            part.restart()?;
            return Err(refused(format!(
                "the server sends more than the {most} bytes that the file has; none are kept"
            )));
        }
        part.append(&bytes)?;
        monitor.step("fetching, kB", kilobytes(part.length()), kilobytes(total.unwrap_or(0)))?;
    }
    match total.filter(|total| part.length() < *total) {
        None => Ok(()),
        Some(total) => Err(Error::Broken {
            what: format!("the file ends at {} of its {total} bytes", part.length()),
            url: source.address().to_owned(),
        }),
    }
}

/// How many bytes of a file came before.
pub(super) fn came(target: &Path) -> u64 {
    std::fs::metadata(with_end(target, ".part")).map_or(0, |part| part.len())
}

/// Refuses what the disk cannot hold.
pub(super) fn check_room(path: &Path, total: Option<u64>, there: u64) -> Result<(), Error> {
    let needed = total.unwrap_or(0).saturating_sub(there);
    match place::free_bytes(path) {
        Some(free) if free < needed => {
            Err(Error::Full { needed: megabytes(needed), free: megabytes(free), path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Waits a little before the next try; cancelled at once.
fn pause(monitor: &Monitor) -> Result<(), Error> {
    let until = Instant::now() + PAUSE;
    while Instant::now() < until {
        monitor.check()?;
        std::thread::sleep(NAP);
    }
    Ok(())
}
