//! The folder of a cohort: where each case lies, who computes it, and how it comes to its name only when it is whole.
//!
//! `cases/ID/` holds a case that is done or failed. `cases/.parallax-case-ID/` is there while a process computes it: a lock in it is held,
//! so that others pass it by, and what a dead process left is swept.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::export::write::{make_private_folder, sync_folder};
use crate::files;

/// What the names of folders begin with in which cases are computed.
const PREFIX: &str = ".parallax-case-";
/// Held by who computes the case.
const LOCK: &str = "lock";
/// The case that is made, and the one that gives way to it.
const MADE: &str = "case";
const REPLACED: &str = "replaced";
/// Another process may sweep a folder between its making and its locking, so often in a row at most.
const MOST_TRIES: usize = 20;

/// The folder that `--out` names.
#[derive(Debug, Clone)]
pub struct CohortFolder {
    root: PathBuf,
}

impl CohortFolder {
    /// The folder as it is.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Makes the folder, for this user alone, where it is missing.
    pub fn make(root: &Path) -> Result<Self> {
        let place = Self::at(root);
        for folder in [place.cases(), place.shards(), place.manifests()] {
            make_private_folder(&folder)?;
        }
        // A folder that takes no files is found now, and not after hours.
        tempfile::tempfile_in(place.cases()).with_context(|| format!("cannot write into {}", root.display()))?;
        Ok(place)
    }

    /// Refuses a folder that holds no cohort, and says what it lacks.
    pub(super) fn check(&self) -> Result<()> {
        let root = self.root.display();
        if !self.root.exists() {
            bail!("there is no such folder; name the one that --out named: {root}");
        }
        if !self.root.is_dir() {
            bail!("a cohort is a folder, and this is a file; name the folder that --out named: {root}");
        }
        let lacks = [self.cases(), self.shards(), self.manifests()].into_iter().find(|folder| !folder.is_dir());
        let Some(lacks) = lacks else { return Ok(()) };
        let lacks = lacks.file_name().unwrap_or_default().display();
        let holds = |folder: &&Path| Self::at(folder).shards().is_dir();
        match std::path::absolute(&self.root)?.ancestors().skip(1).take(2).find(holds) {
            Some(cohort) => bail!("this lies within the cohort of {}; name that folder: {root}", cohort.display()),
            None => {
                bail!("no cohort lies here: it has no folder \"{lacks}\"; name the folder that --out named: {root}")
            }
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn cases(&self) -> PathBuf {
        self.root.join("cases")
    }

    /// Where a case lies that is done or has failed.
    pub fn case(&self, id: &str) -> PathBuf {
        self.cases().join(id)
    }

    pub(super) fn shards(&self) -> PathBuf {
        self.root.join("shards")
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    fn claimed(&self, id: &str) -> PathBuf {
        self.cases().join(format!("{PREFIX}{id}"))
    }

    /// Takes a case, so that no other process computes it meanwhile; `None` where another one has it.
    pub fn claim(&self, id: &str) -> Result<Option<Claim>> {
        let (folder, into) = (self.claimed(id), self.case(id));
        for _ in 0..MOST_TRIES {
            let is_ours = match files::private_folder(&folder, false) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot make the folder {}", folder.display()));
                }
            };
            let path = folder.join(LOCK);
            let lock = match File::options().create(true).append(true).open(&path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == ErrorKind::NotFound => continue, // swept meanwhile
                Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
            };
            match files::lock(&lock) {
                Ok(()) if is_same(&lock, &path) => {}
                Ok(()) => continue,
                // A file system without locks: only who made the folder may compute in it.
                Err(TryLockError::Error(_)) if is_ours => {}
                Err(_) => return Ok(None),
            }
            let claim = Claim { _lock: lock, folder, into };
            claim.settle()?;
            files::private_folder(&claim.folder(), false)
                .with_context(|| format!("cannot make the folder {}", claim.folder().display()))?;
            return Ok(Some(claim));
        }
        bail!("another process takes this case and leaves it again and again: {}", folder.display());
    }

    /// Deletes what dead processes left, and completes what they had begun to rename; gives how many there were.
    pub fn sweep(&self) -> Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(self.cases())? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            if let Some(claim) = self.claim(id)? {
                swept += 1;
                drop(claim);
            }
        }
        Ok(swept)
    }

    /// Whether a living process computes the case.
    pub fn is_claimed(&self, id: &str) -> bool {
        let lock = File::options().append(true).open(self.claimed(id).join(LOCK));
        lock.is_ok_and(|lock| files::lock(&lock).is_err())
    }
}

/// A case that this process alone computes. Dropping it deletes what has not been kept.
#[must_use]
#[derive(Debug)]
pub struct Claim {
    _lock: File,
    folder: PathBuf,
    into: PathBuf,
}

impl Claim {
    /// Where the files of the case are made.
    pub fn folder(&self) -> PathBuf {
        self.folder.join(MADE)
    }

    /// Gives the case its name. All its files are to be whole by now. What had that name goes.
    pub fn keep(self) -> Result<()> {
        let made = self.folder();
        sync_folder(&made);
        let replaced = self.folder.join(REPLACED);
        let cannot = || format!("cannot write {}", self.into.display());
        match fs::rename(&self.into, &replaced) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(cannot),
            Ok(()) | Err(_) => {}
        }
        fs::rename(&made, &self.into).with_context(cannot)?;
        sync_folder(self.into.parent().unwrap_or(Path::new("")));
        Ok(())
    }

    /// Completes what a dead process was about to rename, and deletes the rest of what it left.
    fn settle(&self) -> Result<()> {
        let (made, replaced) = (self.folder(), self.folder.join(REPLACED));
        if replaced.exists() && !self.into.exists() {
            // What is replaced goes only when all of the new is made.
            let whole = if made.exists() { &made } else { &replaced };
            fs::rename(whole, &self.into).with_context(|| format!("cannot write {}", self.into.display()))?;
        }
        for left in [made, replaced] {
            match fs::remove_dir_all(&left) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot delete {}", left.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok(); // what stays is swept by the next run
    }
}

/// Whether an open file is still the one of that name: another process may have deleted it before it was locked.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let of = |metadata: std::io::Result<fs::Metadata>| metadata.ok().map(|of| (of.dev(), of.ino()));
    of(file.metadata()).is_some_and(|ours| of(fs::metadata(path)) == Some(ours))
}

/// Whether an open file is still the one of that name: files that are open are not deleted here.
#[cfg(not(unix))]
fn is_same(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, CohortFolder) {
        let folder = tempfile::tempdir().unwrap();
        let place = CohortFolder::make(folder.path()).unwrap();
        (folder, place)
    }

    /// Leaves a claim as a killed process does: the folder stays, and the lock is let go.
    fn killed(claim: Claim) {
        let Claim { _lock: lock, .. } = &claim;
        lock.unlock().unwrap();
        std::mem::forget(claim);
    }

    #[test]
    fn a_case_is_computed_by_one_process_and_has_its_name_when_it_is_whole() {
        let (_folder, place) = place();
        let claim = place.claim("a").unwrap().unwrap();
        assert!(place.claim("a").unwrap().is_none() && place.is_claimed("a"));
        assert_eq!(place.sweep().unwrap(), 0, "it is alive");
        fs::write(claim.folder().join("x"), b"1").unwrap();
        assert!(!place.case("a").exists());
        claim.keep().unwrap();
        assert_eq!(fs::read(place.case("a").join("x")).unwrap(), b"1");
        let again = place.claim("a").unwrap().unwrap();
        fs::write(again.folder().join("y"), b"2").unwrap();
        again.keep().unwrap();
        assert!(place.case("a").join("y").exists() && !place.case("a").join("x").exists(), "not two runs in one");
        drop(place.claim("b").unwrap());
        let names: Vec<_> = fs::read_dir(place.cases()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a"], "no temporary folder is left");
    }

    #[test]
    fn what_a_dead_process_left_is_swept_or_completed() {
        let (_folder, place) = place();
        let half = place.claim("half").unwrap().unwrap();
        fs::write(half.folder().join("x"), b"1").unwrap();
        killed(half);
        let renamed = place.claim("renamed").unwrap().unwrap();
        fs::write(renamed.folder().join("x"), b"new").unwrap();
        fs::create_dir(renamed.folder.join(REPLACED)).unwrap();
        killed(renamed);
        assert_eq!(place.sweep().unwrap(), 2);
        assert!(!place.case("half").exists());
        assert_eq!(fs::read(place.case("renamed").join("x")).unwrap(), b"new");
        assert_eq!(fs::read_dir(place.cases()).unwrap().count(), 1);
    }
}
