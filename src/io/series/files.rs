//! The files that a path stands for: those of a folder and of the folders in it, of a zip archive, of a DICOMDIR.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_dictionary_std::tags;

use crate::io::archive::{self, Archive};
use crate::io::dicom::header;
use crate::io::source::Source;
use crate::io::{Error, Note, counted};
use crate::job::Monitor;

/// Links may lead anywhere: no folder of scans is nested deeper.
const DEEPEST: usize = 64;
/// What a DICOMDIR's records may call the files they list.
const MOST_PARTS: usize = 16;

/// Files to look into, in the order of their names, and what was wrong on the way.
#[derive(Debug, Default)]
pub(in crate::io) struct Files {
    pub(in crate::io) sources: Vec<Source>,
    pub(in crate::io) notes: Vec<Note>,
}

impl Files {
    /// The files of a folder, its links and the folders in it. A folder that is reached twice is entered once.
    pub(in crate::io) fn of_folder(folder: &Path, monitor: &Monitor) -> Result<Self, Error> {
        let mut walk = Walk::default();
        let mut folders = vec![(folder.to_owned(), 0)];
        while let Some((next, depth)) = folders.pop() {
            monitor.check()?;
            let entries = match std::fs::read_dir(&next) {
                Ok(entries) => entries,
                Err(source) if next == folder => return Err(Error::Io { source, path: next }),
                Err(_) => {
                    walk.closed += 1;
                    continue;
                }
            };
            for entry in entries {
                let Ok(entry) = entry else {
                    walk.closed += 1;
                    break; // what is left of this folder
                };
                let path = entry.path();
                // Links are followed: some collections are made of nothing else.
                let Ok(about) = std::fs::metadata(&path) else { continue };
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                if about.is_dir() && depth < DEEPEST && walk.is_new(&path, is_link, folder) {
                    folders.push((path, depth + 1));
                } else if about.is_file() && walk.is_new(&path, is_link, folder) {
                    walk.files.push(path);
                }
            }
        }
        walk.files.sort();
        let mut notes = Vec::new();
        if walk.closed > 0 {
            let closed = counted(walk.closed, "folder");
            notes.push(Note::serious(format!("{closed} inside could not be read: slices may be missing")));
        }
        Ok(Self { sources: walk.files.into_iter().map(Source::File).collect(), notes })
    }

    /// The entries of a zip archive.
    pub(in crate::io) fn of_archive(path: &Path) -> Result<Self, Error> {
        let archive = Archive::open(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::InvalidData => Error::Damaged { what: source.to_string(), path: path.to_owned() },
            _ => Error::Io { source, path: path.to_owned() },
        })?;
        let archive = Arc::new(archive);
        let sources = archive.files().into_iter().map(|index| Source::Entry(Arc::clone(&archive), index)).collect();
        Ok(Self { sources, notes: Vec::new() })
    }

    /// The files that a DICOMDIR lists; where none of them is there, those of its folder: disks are copied without their order.
    pub(in crate::io) fn of_directory(directory: &Source, monitor: &Monitor) -> Result<Self, Error> {
        let listed = header::read(directory).map_err(|refused| refused.at(directory.path()))?;
        let (mut sources, mut missing) = (Vec::new(), 0);
        for record in listed.data.items(tags::DIRECTORY_RECORD_SEQUENCE) {
            let Some(name) = record.text(tags::REFERENCED_FILE_ID) else { continue };
            let parts: Vec<&str> = name.split(['\\', '/']).map(str::trim).filter(|part| !part.is_empty()).collect();
            let leads_out = parts.len() > MOST_PARTS || parts.contains(&"..");
            match (!leads_out).then(|| below(directory, &parts)).flatten() {
                Some(source) => sources.push(source),
                None => missing += 1,
            }
        }
        if let (true, Some(folder)) = (sources.is_empty(), directory.path().parent()) {
            let mut files = Self::of_folder(folder, monitor)?;
            files.notes.push(Note::caution(format!(
                "the DICOMDIR lists {}, and none is there: the files of its folder were taken",
                counted(missing, "file")
            )));
            return Ok(files);
        }
        let what =
            format!("not there, but listed by the DICOMDIR: {}; slices may be missing", counted(missing, "file"));
        Ok(Self { sources, notes: (missing > 0).then(|| Note::serious(what)).into_iter().collect() })
    }
}

/// Whether the file begins as a zip archive.
pub(in crate::io) fn is_archive(source: &Source) -> bool {
    matches!(source, Source::File(_)) && source.head(4).is_ok_and(|head| archive::sniff(&head))
}

/// A file below the folder of `directory`, whatever the case of its letters: disks were written in capitals.
fn below(directory: &Source, parts: &[&str]) -> Option<Source> {
    let (name, folders) = parts.split_last()?;
    let Source::File(path) = directory else {
        return directory.beside(&parts.join("/"));
    };
    let mut folder: PathBuf = path.parent()?.to_owned();
    for part in folders {
        folder = child(&folder, part)?;
    }
    child(&folder, name).filter(|path| path.is_file()).map(Source::File)
}

fn child(folder: &Path, name: &str) -> Option<PathBuf> {
    let exact = folder.join(name);
    if exact.exists() {
        return Some(exact);
    }
    let entries = std::fs::read_dir(folder).ok()?; // a folder that cannot be read shows no file
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.find(|path| path.file_name().is_some_and(|there| there.to_string_lossy().eq_ignore_ascii_case(name)))
}

#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    /// Folders that could not be read.
    closed: usize,
    /// What links lead to, and folders, by their true paths.
    seen: HashSet<PathBuf>,
}

impl Walk {
    /// Whether a path leads to what was not reached before. Only links and folders are remembered: a file that is none has one name.
    fn is_new(&mut self, path: &Path, is_link: bool, root: &Path) -> bool {
        if self.seen.is_empty() {
            self.seen.extend(root.canonicalize());
        }
        if !is_link && path.is_file() {
            return true;
        }
        path.canonicalize().is_ok_and(|true_path| self.seen.insert(true_path))
    }
}
