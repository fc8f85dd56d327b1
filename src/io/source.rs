//! Where a scan's bytes come from: a file, or an entry of a zip archive.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use super::disk::{read_exact_at, regular};

/// Bytes that can be read again and again. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Source {
    File(PathBuf),
    /// An entry of an archive, by its index there.
    Entry(Arc<Archive>, usize),
}

impl Source {
    /// The file on disk, for messages: the archive's where this is an entry of one.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Entry(archive, _) => archive.path(),
        }
    }

    /// The name without its folders, for messages on screen. Never for a `Note`: names of files name patients.
    pub(super) fn name(&self) -> String {
        let name = match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Self::Entry(archive, index) => archive.name(*index).rsplit(['/', '\\']).next().map(str::to_owned),
        };
        name.unwrap_or_default()
    }

    /// How many bytes there are; of an entry, unpacked.
    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(path) => Ok(regular(path)?.metadata()?.len()),
            Self::Entry(archive, index) => Ok(archive.len(*index)),
        }
    }

    /// The first `count` bytes, or all where there are fewer.
    pub(super) fn head(&self, count: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) => {
                let file = regular(path)?;
                let mut bytes = Vec::with_capacity(count.min(file.metadata()?.len()) as usize);
                file.take(count).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            Self::Entry(archive, index) => archive.read(*index, count),
        }
    }

    /// All bytes, one after the other.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::File(path) => Ok(Box::new(regular(path)?)),
            Self::Entry(archive, index) => Ok(Box::new(Cursor::new(archive.read(*index, u64::MAX)?))),
        }
    }

    /// Bytes at any place. An entry is unpacked into memory once, here.
    pub(super) fn load(&self) -> io::Result<Loaded> {
        match self {
            Self::File(path) => Ok(Loaded::File(Arc::new(regular(path)?))),
            Self::Entry(archive, index) => Ok(Loaded::Memory(archive.read(*index, u64::MAX)?.into())),
        }
    }

    /// A file beside this one, by its name alone, whatever the case of its letters; none where there is no such file.
    pub(super) fn beside(&self, name: &str) -> Option<Self> {
        match self {
            Self::File(path) => {
                let exact = path.with_file_name(name);
                if exact.is_file() {
                    return Some(Self::File(exact));
                }
                let entries = std::fs::read_dir(exact.parent()?).ok()?; // a folder that cannot be read shows no file
                let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                let found = paths.find(|path| {
                    path.file_name().is_some_and(|there| there.to_string_lossy().eq_ignore_ascii_case(name))
                })?;
                found.is_file().then_some(Self::File(found))
            }
            Self::Entry(archive, index) => {
                let here = archive.name(*index);
                let folder = &here[..here.rfind('/').map_or(0, |slash| slash + 1)];
                let wanted = format!("{folder}{name}");
                let found = (0..archive.count()).find(|other| archive.name(*other).eq_ignore_ascii_case(&wanted))?;
                Some(Self::Entry(Arc::clone(archive), found))
            }
        }
    }
}

/// The name of a file beside a header as the header says it, by its name alone; the error says what is wrong with it. A header from
/// elsewhere must not read this machine's other folders.
pub(super) fn name_beside(said: &str) -> Result<String, String> {
    let name = said.strip_prefix("./").or_else(|| said.strip_prefix(".\\")).unwrap_or(said);
    let elsewhere = name.is_empty() || name == ".." || name.contains(['/', '\\', ':', '\0']);
    let shown: String = said.chars().filter(|letter| !letter.is_control()).take(120).collect();
    if elsewhere {
        return Err(format!("{shown}, which is no file beside the header; lay it there and name it alone"));
    }
    Ok(name.to_owned())
}

/// Bytes that are at hand.
#[derive(Debug, Clone)]
pub(super) enum Loaded {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

impl Loaded {
    /// Fills `bytes` with those from `at` on; an error where there are fewer.
    pub(super) fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => read_exact_at(file, bytes, at),
            Self::Memory(all) => {
                let start = usize::try_from(at).ok();
                let there = start.and_then(|start| all.get(start..start.checked_add(bytes.len())?));
                bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}
