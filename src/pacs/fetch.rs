//! A series, fetched from its source: only what is not here yet, and never called whole where it is not.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::error::Error;
use super::query::Wanted;
use super::secret::Secret;
use super::shelf::Shelf;
use super::source::Source;
use super::{cache, choose};
use crate::io::counted;
use crate::io::study::is_uid;
use crate::job::Monitor;

/// Where a series goes.
#[derive(Debug, Clone)]
pub enum Where {
    /// Into the cache, which holds so many bytes at most.
    Cache { most_bytes: u64 },
    /// Into folders named by the UIDs of study and series, within this one.
    Folder(PathBuf),
}

/// A series that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub folder: PathBuf,
    /// The number of instances of the whole series.
    pub instances: usize,
    /// The number of instances that came now; the others were here.
    pub came: usize,
    pub came_bytes: u64,
    /// What to know of it, in words.
    pub notes: Vec<String>,
}

/// Fetches a series. What came stays where the source breaks off, and is not fetched again.
pub fn fetch(
    source: &Source,
    secret: Option<&Secret>,
    (study_uid, series_uid): (&str, &str),
    to: &Where,
    monitor: &Monitor,
) -> Result<Fetched, Error> {
    source.check()?;
    for uid in [study_uid, series_uid] {
        if !is_uid(uid) {
            return Err(Error::asked("a UID has digits and dots, 64 at most"));
        }
    }
    let folder = match to {
        Where::Cache { .. } => cache::folder_of(source, study_uid, series_uid)?,
        Where::Folder(folder) => folder.join(study_uid).join(series_uid),
    };
    monitor.step("asking what the series holds", 0, 0)?;
    let archive = choose::archive(source, secret)?;
    let listed = archive.instances(study_uid, series_uid, monitor)?;
    if listed.is_empty() {
        return Err(Error::refused("the source has no such series, or no instance of it", source));
    }
    let mut shelf = Shelf::open(&folder, study_uid, series_uid)?;
    shelf.expect(listed.iter().map(|instance| instance.uid.clone()));
    let total = listed.len();
    let missing = shelf.missing();
    let mut done = Ok(());
    if !missing.is_empty() {
        let wanted = Wanted { study_uid: study_uid.to_owned(), series_uid: series_uid.to_owned(), listed, missing };
        done = bring(source, archive.as_ref(), wanted, &mut shelf, monitor);
    }
    shelf.record()?; // also where nothing came: it was used now
    done?;
    if let Where::Cache { most_bytes } = to {
        cache::trim(*most_bytes, &folder)?;
    }
    let notes = notes(&shelf);
    Ok(Fetched { folder, instances: total, came: shelf.came, came_bytes: shelf.came_bytes, notes })
}

/// Asks for what is missing, and once more for what did not come.
fn bring(
    source: &Source,
    archive: &dyn Archive,
    mut wanted: Wanted,
    shelf: &mut Shelf,
    monitor: &Monitor,
) -> Result<(), Error> {
    let total = wanted.listed.len();
    for _ in 0..2 {
        monitor.step("fetching instances", shelf.count(), total)?;
        let before = shelf.count();
        let done = archive.fetch(&wanted, monitor, &mut |arrival| {
            if shelf.take(arrival)? {
                monitor.step("fetching instances", shelf.count(), total)?;
            }
            Ok(monitor.check()?)
        });
        wanted.missing = shelf.missing();
        match done {
            _ if wanted.missing.is_empty() => return Ok(()),
            Err(Error::Broken { what, at }) => {
                let what =
                    format!("{what}; {} of {total} instances came and are kept, run it again to go on", shelf.count());
                return Err(Error::Broken { what, at });
            }
            Err(error) => return Err(error),
            Ok(()) if shelf.count() == before => break,
            Ok(()) => {}
        }
    }
    let (here, folder) = (shelf.count(), shelf.folder());
    Err(Error::refused(half(here, total, folder), source))
}

fn half(here: usize, total: usize, folder: &Path) -> String {
    format!(
        "the source lists {} of the series and gives {here}; a scan with gaps is none, so it is not opened by itself; what came is in {}",
        counted(total, "instance"),
        folder.display()
    )
}

fn notes(shelf: &Shelf) -> Vec<String> {
    let mut notes = Vec::new();
    if shelf.twice > 0 {
        notes.push(format!("{} came more than once; the first of each is kept", counted(shelf.twice, "instance")));
    }
    if shelf.foreign > 0 {
        let what = counted(shelf.foreign, "object");
        notes.push(format!("{what} came that the source does not list for this series, and are not kept"));
    }
    notes
}
