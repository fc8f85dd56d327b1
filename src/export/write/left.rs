//! Temporary files that saves leave behind: of those that were killed, and of this process where it ends at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the names of temporary files begin with.
pub(super) const PREFIX: &str = ".tmp-parallax-";
/// A file that is younger may be one that another program has made and not locked yet.
const YOUNG: Duration = Duration::from_mins(1);

/// What this process is writing at this moment, under names that are not its last, and the folders that it made for it. A process that is
/// told to end at once has no other way to know.
static HELD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file or folder that goes if the process is told to end at once, until this is dropped.
#[derive(Debug)]
pub(super) struct Held(PathBuf);

impl Held {
    pub(super) fn new(path: &Path) -> Self {
        held(|all| all.push(path.to_owned()));
        Self(path.to_owned())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        held(|all| {
            if let Some(at) = all.iter().rposition(|path| *path == self.0) {
                all.remove(at);
            }
        });
    }
}

fn held<T>(act: impl FnOnce(&mut Vec<PathBuf>) -> T) -> T {
    act(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Deletes what this process is writing and has not named yet, for a process that ends at once; nothing may be written after. `keeps` says
/// which folders stay: those of which all is made, and which the next export completes. What cannot be deleted stays too.
pub(super) fn abandon(keeps: impl Fn(&Path) -> bool) {
    held(|all| {
        // The latest first: a folder that was made for others is empty once they are gone.
        for path in all.iter().rev().filter(|path| !keeps(path)) {
            let is_staged = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_file() {
                fs::remove_file(path).ok();
            } else if is_staged {
                fs::remove_dir_all(path).ok();
            } else {
                fs::remove_dir(path).ok(); // one that holds a file stays
            }
        }
    });
}

/// Deletes what saves left in a folder that were killed: temporary files of some age that no one holds. What cannot be deleted stays.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    for entry in entries.flatten().filter(is_ours) {
        let path = entry.path();
        if is_left(&path).unwrap_or(false) {
            fs::remove_file(&path).ok();
        }
    }
}

fn is_left(path: &Path) -> std::io::Result<bool> {
    let about = fs::symlink_metadata(path)?;
    let is_old = about.modified()?.elapsed().is_ok_and(|age| age > YOUNG);
    Ok(about.is_file() && is_old && File::open(path)?.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_is_old_and_held_by_no_one_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            file
        };
        let old = Duration::from_mins(5);
        for (name, age) in [(".tmp-parallax-left", old), (".tmp-parallax-young", Duration::ZERO), ("notes", old)] {
            make(name, age);
        }
        let held = make(".tmp-parallax-held", old);
        held.lock().unwrap();
        sweep(folder.path());
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".tmp-parallax-held", ".tmp-parallax-young", "notes"]);
    }
}
