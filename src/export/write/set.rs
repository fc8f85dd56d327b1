//! The files of one export: made one after the other in a folder of their own beside where they go, renamed together, the report last.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::{TempDir, TempPath};

use super::left::Held;
use super::{check_new, folder_of, make_private_folder, plain, sync_folder};
use crate::export::{self, REPORT};
use crate::files;

/// What the names of such folders begin with.
const PREFIX: &str = ".parallax-export-";
/// Held by who writes into it.
const LOCK: &str = "lock";
/// Another set may sweep a folder between its making and its locking, so often in a row at most.
const MOST_TRIES: usize = 20;
/// Says that all files are there, and which may replace others.
const READY: &str = "ready";
/// Where the files lie in it, and the report that gives way to a new one.
const FILES: &str = "files";
const REPLACED: &str = "replaced";
/// A list of thousands of slices takes a hundredth of this.
const MAX_BYTES: u64 = 16 << 20;

/// Folders that were made for files to come. Those that are still empty when it is dropped are deleted: work that failed leaves no trace.
#[derive(Debug)]
struct Made {
    /// The innermost first.
    folders: Vec<PathBuf>,
    _held: Vec<Held>,
}

impl Made {
    fn folder(folder: &Path) -> Result<Self> {
        let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let folders: Vec<PathBuf> = folder.ancestors().take_while(is_new).map(Path::to_owned).collect();
        let held = folders.iter().rev().map(|folder| Held::new(folder)).collect();
        let made = Self { folders, _held: held };
        make_private_folder(folder)?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // One that holds a file cannot be deleted, and stays.
        for folder in &self.folders {
            fs::remove_dir(folder).ok();
        }
    }
}

/// A file that is made, and whether it may replace another.
#[derive(Debug, Serialize, Deserialize)]
struct Staged {
    name: String,
    may_go: bool,
}

/// The files of one export on their way into a folder. They lie in a folder of their own within it until all are made, so that no two
/// runs are mixed and each is in memory alone while it is made. What was killed before they were all made leaves nothing that looks
/// finished; what was killed while they were renamed is completed by the next set that is opened there. Dropping it takes all away.
#[must_use]
#[derive(Debug)]
pub struct Set {
    folder: PathBuf,
    // In this order: the lock is let go, the folder within goes, then what was made around it, if nothing else came.
    _lock: File,
    staging: TempDir,
    _held: Held,
    _made: Made,
    staged: Vec<Staged>,
    /// Names that may be replaced.
    may_go: Vec<String>,
}

impl Set {
    /// Makes the folder for files of these names, and refuses early what could not be written later: a folder that takes no files, and names
    /// that are taken and may not go. A name that ends in `/` is a folder of files, which is to be new: what no file of this run replaces
    /// would make two runs one series. What earlier sets left there is completed if all of it was made, and deleted otherwise.
    pub fn open<'a>(
        folder: &Path,
        names: impl Iterator<Item = &'a str>,
        may_go: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let made = Made::folder(folder)?;
        let (staging, lock) = stage(folder)?;
        let held = Held::new(staging.path());
        let completed = sweep(folder, staging.path());
        let names: Vec<&str> = names.collect();
        let check = |name: &&str| check_name(folder, name, may_go(name));
        match names.iter().try_for_each(check) {
            Err(error) if completed > 0 => {
                return Err(error.context(format!("an export that was cut has been completed in {}", folder.display())));
            }
            checked => checked?,
        }
        let may_go = names.into_iter().filter(|name| may_go(name)).map(str::to_owned).collect();
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
            staging,
            _held: held,
            _made: made,
            staged: Vec::new(),
            may_go,
        })
    }

    /// Makes a file of the set, and puts it on the disk; not yet under its name.
    pub fn put(&mut self, file: &export::File) -> Result<()> {
        let path = self.staging.path().join(FILES).join(&file.name);
        make_private_folder(folder_of(&path))?;
        write_synced(&path, &file.bytes)
            .with_context(|| format!("cannot write {}", self.folder.join(&file.name).display()))?;
        let may_go = self.may_go.contains(&file.name);
        self.staged.push(Staged { name: file.name.clone(), may_go });
        Ok(())
    }

    /// Gives all files their names, the report last; gives these names.
    pub fn finish(mut self) -> Result<Vec<String>> {
        // Stable: the others stay in their order.
        self.staged.sort_by_key(|staged| staged.name == REPORT);
        let ready = serde_json::to_vec(&self.staged).context("the list of files cannot be written")?;
        write_synced(&self.staging.path().join(READY), &ready)
            .with_context(|| format!("cannot write into {}", self.folder.display()))?;
        sync_folder(self.staging.path());
        for staged in &self.staged {
            let path = self.folder.join(&staged.name);
            rename(self.staging.path(), &self.folder, staged)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        sync_folder(&self.folder);
        Ok(self.staged.drain(..).map(|staged| staged.name).collect())
    }
}

/// Makes the folder of a set, and holds its lock. Another set that is opened there may sweep it before it is locked: then it is made again.
fn stage(folder: &Path) -> Result<(TempDir, File)> {
    let cannot = || format!("cannot write into {}", folder.display());
    for _ in 0..MOST_TRIES {
        let staging = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder).map_err(plain).with_context(cannot)?;
        let path = staging.path().join(LOCK);
        let lock = match File::create(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(cannot),
        };
        // Where a file system knows no locks, no other set sweeps it either.
        lock.lock().ok();
        if path.exists() {
            return Ok((staging, lock));
        }
    }
    bail!("another program sweeps what is made here again and again: {}", folder.display());
}

fn check_name(folder: &Path, name: &str, may_go: bool) -> Result<()> {
    let path = folder.join(name);
    if path.is_dir() {
        bail!(
            "the folder exists, and files of another run would stay in it; delete it, or choose another: {}",
            path.display()
        );
    }
    check_new(&path, may_go)
}

/// Writes a file that no other user may read: most of what is exported shows a patient.
fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a staged file its name. Before the first of a set that replaces another, the other's report goes: a set without a report is
/// not finished.
fn rename(staging: &Path, folder: &Path, staged: &Staged) -> Result<()> {
    let (report, replaced) = (folder.join(REPORT), staging.join(REPLACED));
    if staged.may_go && !replaced.exists() && report.exists() {
        fs::rename(&report, &replaced)?;
    }
    let path = folder.join(&staged.name);
    make_private_folder(folder_of(&path))?;
    let from = staging.join(FILES).join(&staged.name);
    if staged.may_go {
        fs::rename(from, path)?;
    } else {
        TempPath::try_from_path(from)?.persist_noclobber(path).map_err(|error| error.error)?;
    }
    Ok(())
}

/// Whether a folder holds a set of which all is made: what is renamed of it now is completed by the next set.
pub(super) fn is_made(staging: &Path) -> bool {
    staging.join(READY).exists()
}

/// Completes or deletes what sets that were killed left in a folder; gives how many were completed. What cannot be read or deleted stays.
fn sweep(folder: &Path, ours: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let is_left = |path: &PathBuf| {
        let is_named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        is_named && path != ours && path.is_dir()
    };
    let left = entries.flatten().map(|entry| entry.path()).filter(is_left);
    left.filter(|staging| complete(staging, folder)).count()
}

/// Completes what one set left, if all of it was made and some is not renamed; deletes the rest. A set whose lock is held is alive.
fn complete(staging: &Path, folder: &Path) -> bool {
    let Ok(lock) = File::open(staging.join(LOCK)) else {
        // Killed before it was locked, when nothing is in it yet; or while it was deleted, the lock first. A folder of which the lock has
        // come meanwhile is another's.
        if fs::remove_dir(staging).is_err() && !staging.join(LOCK).exists() {
            fs::remove_dir_all(staging).ok();
        }
        return false;
    };
    if files::lock(&lock).is_err() {
        return false;
    }
    let ready = files::read_text(&staging.join(READY), MAX_BYTES).ok();
    let staged: Option<Vec<Staged>> = ready.and_then(|text| serde_json::from_str(&text).ok());
    let is_there = |staged: &Staged| is_plain(&staged.name) && staging.join(FILES).join(&staged.name).is_file();
    let left: Vec<Staged> = staged.unwrap_or_default().into_iter().filter(is_there).collect();
    let is_complete = left.iter().all(|staged| rename(staging, folder, staged).is_ok());
    if is_complete {
        fs::remove_dir_all(staging).ok(); // what stays is tried again
    }
    is_complete && !left.is_empty()
}

/// Whether a name that was read leads nowhere else.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> export::File {
        export::File { name: name.to_owned(), bytes: name.as_bytes().to_vec() }
    }

    /// Names in a folder, sorted.
    fn listed(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    const NAMES: [&str; 3] = ["a/b.txt", "c.txt", REPORT];

    fn made(folder: &Path, may_go: bool) -> Set {
        let mut set = Set::open(folder, NAMES.into_iter(), |_| may_go).unwrap();
        for name in &NAMES {
            set.put(&file(name)).unwrap();
        }
        set
    }

    /// As if it had been killed: its folder stays, its lock is let go.
    fn killed(set: Set, at: &Path) {
        let Set { staging, _made: made, .. } = set;
        assert!(staging.keep().starts_with(at));
        std::mem::forget(made);
    }

    #[test]
    fn nothing_has_its_name_before_all_is_made_and_the_report_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let set = made(folder.path(), false);
        assert!(listed(folder.path()).iter().all(|name| name.starts_with(PREFIX)));
        assert_eq!(set.finish().unwrap(), NAMES);
        assert_eq!(listed(folder.path()), ["a", "c.txt", REPORT]);
        assert_eq!(fs::read(folder.path().join("a/b.txt")).unwrap(), b"a/b.txt");
        let error = Set::open(folder.path(), NAMES.into_iter(), |_| false).unwrap_err();
        assert!(format!("{error:#}").contains("the file exists"), "{error:#}");
        assert_eq!(listed(folder.path()).len(), 3, "no trace of what was refused");
    }

    #[test]
    fn folders_that_were_made_for_files_go_when_none_came() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        let set = made(&inner, false);
        assert!(inner.is_dir(), "others may write into it meanwhile");
        drop(set);
        assert!(!folder.path().join("a").exists() && folder.path().exists());
        made(&inner, false).finish().unwrap();
        assert!(inner.join(REPORT).exists());
    }

    #[test]
    fn a_set_that_was_killed_before_all_was_made_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        killed(made(folder.path(), false), folder.path());
        assert_eq!(listed(folder.path()).len(), 1);
        // Before it was locked, too, and while it was deleted.
        fs::create_dir(folder.path().join(format!("{PREFIX}x"))).unwrap();
        fs::create_dir_all(folder.path().join(format!("{PREFIX}y/{FILES}"))).unwrap();
        fs::write(folder.path().join(format!("{PREFIX}y/{READY}")), "[]").unwrap();
        let other = Set::open(folder.path(), NAMES.into_iter(), |_| false).unwrap();
        assert_eq!(listed(folder.path()).len(), 1, "that of the other alone");
        // One that is alive is left alone.
        let third = Set::open(folder.path(), NAMES.into_iter(), |_| false).unwrap();
        assert_eq!(listed(folder.path()).len(), 2);
        drop((other, third));
        assert!(listed(folder.path()).is_empty());
    }

    #[test]
    fn a_set_that_was_killed_while_it_was_renamed_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let mut set = made(folder.path(), false);
        set.staged.sort_by_key(|staged| staged.name == REPORT);
        fs::write(set.staging.path().join(READY), serde_json::to_vec(&set.staged).unwrap()).unwrap();
        rename(set.staging.path(), folder.path(), &set.staged[0]).unwrap();
        killed(set, folder.path());
        assert!(!folder.path().join(REPORT).exists(), "it does not look finished");
        let error = Set::open(folder.path(), NAMES.into_iter(), |_| false).unwrap_err();
        assert!(format!("{error:#}").contains("has been completed"), "{error:#}");
        assert_eq!(listed(folder.path()), ["a", "c.txt", REPORT]);
        assert_eq!(fs::read(folder.path().join(REPORT)).unwrap(), REPORT.as_bytes());
    }

    #[test]
    fn a_report_goes_before_what_it_tells_of_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path(), false).finish().unwrap();
        let set = made(folder.path(), true);
        rename(set.staging.path(), folder.path(), &set.staged[0]).unwrap();
        assert!(!folder.path().join(REPORT).exists(), "pictures of two runs have no report");
        drop(set);
        made(folder.path(), true).finish().unwrap();
        assert!(folder.path().join(REPORT).exists());
    }

    #[test]
    fn a_list_that_was_read_leads_nowhere_else() {
        for (name, plain) in [("a/b.txt", true), ("../a", false), ("/etc/a", false), ("a/../../b", false)] {
            assert_eq!(is_plain(name), plain, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_exported_is_the_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        made(&out, false).finish().unwrap();
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        for (path, wanted) in [("new", 0o700), ("new/out", 0o700), ("new/out/a", 0o700), ("new/out/a/b.txt", 0o600)] {
            assert_eq!(mode(path), wanted, "{path}");
        }
        assert_eq!(mode("new/out/result.json"), 0o600);
        // A file that others could read is replaced by one that they cannot.
        fs::set_permissions(out.join("c.txt"), fs::Permissions::from_mode(0o644)).unwrap();
        made(&out, true).finish().unwrap();
        assert_eq!(mode("new/out/c.txt"), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_takes_no_files_is_refused_before_anything_is_computed() {
        let error = Set::open(Path::new("/proc"), NAMES.into_iter(), |_| false).unwrap_err();
        assert!(format!("{error:#}").contains("cannot write into /proc"), "{error:#}");
    }
}
