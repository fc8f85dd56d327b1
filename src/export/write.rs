//! The one place that writes: temporary files in the same folder, on the disk, then renamed, so that nothing is ever half-written. Each is
//! this user's alone: what is made of a scan tells of a patient.

mod left;
mod set;

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::files;

pub use self::set::Set;

/// What is written passes so many bytes at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Takes away what is being written and has no name yet, for a process that was told to end at once.
pub fn abandon() {
    left::abandon(set::is_made);
}

/// A file that is written, in which one can go back.
pub trait Seekable: Write + Seek {}

impl<T: Write + Seek> Seekable for T {}

/// Refuses early what `save` would refuse late: a name that is taken, and a folder that is not there or takes no files.
pub fn check(path: &Path, overwrite: bool) -> Result<()> {
    check_new(path, overwrite)?;
    temporary(folder_of(path))?;
    Ok(())
}

/// Refuses early what `save_all` would refuse late, two files of one name, and one that would replace what is read.
pub fn check_all(outputs: &[&Path], inputs: &[&Path], overwrite: bool) -> Result<()> {
    for (at, path) in outputs.iter().enumerate() {
        check(path, overwrite)?;
        let is_this = |other: &&&Path| is_same(path, other);
        if outputs[..at].iter().any(|other| is_this(&other)) {
            bail!("two results would be written to one file; give each a name of its own: {}", path.display());
        }
        if inputs.iter().any(|input| is_this(&input)) {
            bail!("the result would replace what it is made of; choose another name: {}", path.display());
        }
    }
    Ok(())
}

/// Whether two names are of one file, there or not yet.
fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        path.canonicalize().ok().or_else(|| Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?)))
    };
    a == b || whole(a).is_some_and(|a| Some(a) == whole(b))
}

/// Writes all of several files, or none of them: no disk is full for the second alone.
pub fn save_all(files: &[(&Path, &[u8])], overwrite: bool) -> Result<()> {
    files.iter().try_for_each(|(path, _)| check_new(path, overwrite))?;
    let filled =
        files.iter().map(|(path, bytes)| fill(path, temporary(folder_of(path))?, |file| Ok(file.write_all(bytes)?)));
    let filled: Vec<Filled> = filled.collect::<Result<_>>()?;
    filled.into_iter().try_for_each(|file| file.name(overwrite))
}

/// Refuses to replace what was not told to be replaced.
pub fn check_new(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.exists() {
        bail!("the file exists; choose another name, or allow overwriting: {}", path.display());
    }
    Ok(())
}

/// Writes all of `bytes`, or nothing.
pub fn save(path: &Path, bytes: &[u8], overwrite: bool) -> Result<()> {
    save_by(path, overwrite, |file| Ok(file.write_all(bytes)?))
}

/// Writes all that `content` writes, or nothing.
pub fn save_by(path: &Path, overwrite: bool, content: impl FnOnce(&mut dyn Seekable) -> Result<()>) -> Result<()> {
    check_new(path, overwrite)?;
    fill(path, temporary(folder_of(path))?, content)?.name(overwrite)
}

/// A file that is whole, on the disk, and has not its name yet.
struct Filled<'a> {
    path: &'a Path,
    file: NamedTempFile,
    _held: left::Held,
}

impl Filled<'_> {
    fn name(self, overwrite: bool) -> Result<()> {
        let Self { path, file, _held } = self;
        let kept = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
        kept.map_err(|error| error.error).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }
}

fn fill(path: &Path, file: NamedTempFile, content: impl FnOnce(&mut dyn Seekable) -> Result<()>) -> Result<Filled<'_>> {
    let cannot = || format!("cannot write {}", path.display());
    let held = left::Held::new(file.path());
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
    content(&mut buffered).with_context(cannot)?;
    let file = buffered.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    Ok(Filled { path, file, _held: held })
}

/// Makes a folder that no other user may look into, and those above it.
pub fn make_private_folder(folder: &Path) -> Result<()> {
    files::private_folder(folder, true).with_context(|| format!("cannot make the folder {}", folder.display()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file that no other program sweeps away while it is held, and no other user may read, nor under its last name. What killed
/// saves have left in the folder goes.
fn temporary(folder: &Path) -> Result<NamedTempFile> {
    if !folder.is_dir() {
        bail!("there is no such folder; make it, or choose another: {}", folder.display());
    }
    left::sweep(folder);
    let file = tempfile::Builder::new().prefix(left::PREFIX).tempfile_in(folder);
    let file = file.map_err(plain).with_context(|| format!("cannot write into {}", folder.display()))?;
    file.as_file().lock().ok(); // a file system without locks has no sweep either
    Ok(file)
}

/// An error of a temporary file without the name that no one has ever seen.
fn plain(error: std::io::Error) -> std::io::Error {
    let named = error.to_string().contains(" at path ");
    let kind = std::io::Error::from(error.kind());
    if named && error.kind() != std::io::ErrorKind::Other { kind } else { error }
}

/// Puts the names of a folder on the disk, where the system can: a file that is renamed is then found under its new name after a
/// loss of power.
pub fn sync_folder(folder: &Path) {
    // Windows opens no folder, and some file systems sync none: the files themselves are on the disk.
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
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
        assert!(save_by(&path, true, |_| bail!("no more")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"third", "what fails replaces nothing");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn of_two_files_none_is_written_where_one_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a.txt", "none/b.txt"].map(|name| folder.path().join(name));
        assert!(save_all(&[(&first, b"one"), (&second, b"two")], false).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let second = folder.path().join("b.txt");
        save_all(&[(&first, b"one"), (&second, b"two")], false).unwrap();
        assert_eq!(std::fs::read(&second).unwrap(), b"two");
    }

    #[test]
    fn names_of_one_file_and_of_an_input_are_refused_however_they_are_spelt() {
        let folder = tempfile::tempdir().unwrap();
        let scan = folder.path().join("scan.nii.gz");
        std::fs::write(&scan, b"a scan").unwrap();
        let [new, same] = ["new.nii.gz", "./new.nii.gz"].map(|name| folder.path().join(name));
        let error = check_all(&[&new, &same], &[], true).unwrap_err().to_string();
        assert!(error.contains("one file"), "{error}");
        let error = check_all(&[&folder.path().join(".").join("scan.nii.gz")], &[&scan], true).unwrap_err().to_string();
        assert!(error.contains("made of"), "{error}");
        check_all(&[&new], &[&scan], false).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_it() {
        let error = save(Path::new("/no/such/folder/a.txt"), b"x", false).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/folder"));
    }
}
