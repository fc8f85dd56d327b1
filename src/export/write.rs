//! The one place that writes: a temporary file in the same folder, then a rename, so that nothing is ever half-written.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::File;

/// Refuses early what `save` would refuse late.
pub fn check(path: &Path, overwrite: bool) -> Result<()> {
    check_new(path, overwrite)?;
    let folder = folder_of(path);
    if !folder.is_dir() {
        bail!("there is no such folder; make it, or choose another: {}", folder.display());
    }
    Ok(())
}

/// Folders that were made for files to come. Those that are still empty when it is dropped are deleted: work that failed leaves no trace.
#[must_use]
#[derive(Debug)]
pub struct Made(Vec<PathBuf>);

impl Made {
    fn folder(folder: &Path) -> Result<Self> {
        let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = Self(folder.ancestors().take_while(is_new).map(Path::to_owned).collect());
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The innermost first. One that holds a file cannot be deleted, and stays.
        for folder in &self.0 {
            std::fs::remove_dir(folder).ok();
        }
    }
}

/// Makes the folder for files of these names, and refuses early to replace any that may not go. A name that ends in `/` is a
/// folder of files, which is to be new: what no file of this run replaces would make two runs one series. The folder stays while what is
/// given back is kept, and from then on if there is a file in it.
pub fn check_all<'a>(
    folder: &Path,
    mut names: impl Iterator<Item = &'a str>,
    may_go: impl Fn(&str) -> bool,
) -> Result<Made> {
    let made = Made::folder(folder)?;
    names.try_for_each(|name| {
        let path = folder.join(name);
        if path.is_dir() {
            bail!(
                "the folder exists, and files of another run would stay in it; delete it, or choose another: {}",
                path.display()
            );
        }
        check_new(&path, may_go(name))
    })?;
    Ok(made)
}

/// Refuses to replace what was not told to be replaced.
fn check_new(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.exists() {
        bail!("the file exists; choose another name, or allow overwriting: {}", path.display());
    }
    Ok(())
}

/// Writes files into a folder that is there, over those alone whose names may go; the folders in it that they name are made.
pub fn save_all(folder: &Path, files: &[File], may_go: impl Fn(&str) -> bool) -> Result<()> {
    for file in files {
        let path = folder.join(&file.name);
        let inside = folder_of(&path);
        std::fs::create_dir_all(inside).with_context(|| format!("cannot make the folder {}", inside.display()))?;
        save(&path, &file.bytes, may_go(&file.name))?;
    }
    Ok(())
}

/// Writes all of `bytes`, or nothing.
pub fn save(path: &Path, bytes: &[u8], overwrite: bool) -> Result<()> {
    check(path, overwrite)?;
    let folder = folder_of(path);
    let mut file = new_file(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
    let kept = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|e| e.error).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Writes all of `bytes`, or nothing, into a file that no other user may read. What was there before goes.
pub fn save_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    let cannot = || format!("cannot write {}", path.display());
    // Temporary files are this user's alone, and stay so under their last name.
    let mut file = tempfile::Builder::new().prefix(".tmp-parallax-").tempfile_in(folder).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}

/// Makes a folder that no other user may look into, and those above it.
pub fn make_private_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file that, once renamed, has the permissions of any new file.
fn new_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        save(&path, b"first", false).unwrap();
        assert!(save(&path, b"second", false).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        save(&path, b"third", true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn folders_that_were_made_for_files_go_when_none_came() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        let made = check_all(&inner, ["x.txt"].into_iter(), |_| false).unwrap();
        assert!(inner.is_dir(), "others may write into it meanwhile");
        drop(made);
        assert!(!folder.path().join("a").exists() && folder.path().exists());
        let made = check_all(&inner, ["x.txt"].into_iter(), |_| false).unwrap();
        save(&inner.join("x.txt"), b"x", false).unwrap();
        drop(made);
        assert!(inner.join("x.txt").exists());
        drop(check_all(folder.path(), ["y.txt"].into_iter(), |_| false).unwrap());
        assert!(folder.path().exists(), "it was there before");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_it() {
        let error = save(Path::new("/no/such/folder/a.txt"), b"x", false).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/folder"));
    }
}
