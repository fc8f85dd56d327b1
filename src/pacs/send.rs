//! Objects sent to a source, each with its answer, each with a line in the log.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::secret::Secret;
use super::source::Source;
use super::{choose, log};
use crate::io::Named;
use crate::job::Monitor;

/// A file, and what came of sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub path: PathBuf,
    /// SOP Instance UID.
    pub uid: String,
    pub answer: Answer,
}

/// Sends files, and all DICOM files within folders, as they are. An error means that nothing was sent, or that the connection was
/// never there; a source that refuses or goes away in the middle is told per file.
pub fn send(
    source: &Source,
    secret: Option<&Secret>,
    paths: &[PathBuf],
    monitor: &Monitor,
) -> Result<Vec<Sent>, Error> {
    let log = log::sent_log()
        .ok_or_else(|| Error::asked("this system names no folder for data, in which the log of what is sent lies"))?;
    send_and_tell(source, secret, paths, (&log, &mut |_| {}), monitor)
}

/// Sends as [`send`] does, with the log at a path; `tell` hears each answer as it comes.
pub fn send_and_tell(
    source: &Source,
    secret: Option<&Secret>,
    paths: &[PathBuf],
    (log, tell): (&Path, &mut dyn FnMut(&Sent)),
    monitor: &Monitor,
) -> Result<Vec<Sent>, Error> {
    source.check()?;
    let objects = collect(paths, monitor)?;
    let total = objects.len();
    let mut answers: Vec<Option<Answer>> = vec![None; total];
    let mut done = 0;
    monitor.step("sending objects", 0, total)?;
    let sent = choose::archive(source, secret)?.send(&objects, monitor, &mut |at, answer| {
        let Some((object, place)) = objects.get(at).zip(answers.get_mut(at)) else { return Ok(()) };
        log::add(log, source, object, &answer)?;
        tell(&Sent { path: object.path.clone(), uid: object.named.uid.clone(), answer: answer.clone() });
        *place = Some(answer);
        done += 1;
        Ok(monitor.step("sending objects", done, total)?)
    });
    let why = match sent {
        Ok(()) => "the source said nothing of it".to_owned(),
        Err(error) if done == 0 => return Err(error),
        Err(error) => error.to_string(),
    };
    let sent = objects.into_iter().zip(answers).map(|(object, answer)| {
        let answer = answer.unwrap_or_else(|| Answer::NotSent(why.clone()));
        Sent { path: object.path, uid: object.named.uid, answer }
    });
    Ok(sent.collect())
}

/// Reads the names of all that is to be sent. A file that is named must be DICOM; within folders others are passed over.
fn collect(paths: &[PathBuf], monitor: &Monitor) -> Result<Vec<Outgoing>, Error> {
    let mut objects = Vec::new();
    for path in paths {
        if path.is_dir() {
            within(path, &mut objects, monitor)?;
        } else {
            let named = Named::of(path).map_err(|error| Error::asked(format!("only DICOM files are sent: {error}")))?;
            objects.push(outgoing(path, named)?);
        }
    }
    if objects.is_empty() {
        return Err(Error::asked("there is no DICOM file to send"));
    }
    Ok(objects)
}

fn outgoing(path: &Path, named: Named) -> Result<Outgoing, Error> {
    let bytes = std::fs::metadata(path).map_err(Error::io("cannot read", path))?.len();
    Ok(Outgoing { path: path.to_owned(), named, bytes })
}

/// All DICOM files of a folder and those within, in the order of their names. Links to folders are not followed.
fn within(folder: &Path, objects: &mut Vec<Outgoing>, monitor: &Monitor) -> Result<(), Error> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(Error::io("cannot read the folder", &folder))?;
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            monitor.check()?;
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if let Ok(named) = Named::of(&entry.path()) {
                objects.push(outgoing(&entry.path(), named)?);
            }
        }
    }
    Ok(())
}
