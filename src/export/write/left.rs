//! Temporary files that saves left behind when they were killed.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

/// What the names of temporary files begin with.
pub(super) const PREFIX: &str = ".tmp-parallax-";
/// A file that is younger may be one that another program has made and not locked yet.
const YOUNG: Duration = Duration::from_mins(1);

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
