//! Zip archives of scans: entries are read where they lie, and nothing is unpacked to disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;
use zip::result::ZipError;

use super::disk::{read_exact_at, regular};

/// How a zip archive begins: with an entry, or with its end where it has none.
const MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// Deflate cannot shrink more than this.
const MOST_INFLATION: u64 = 1032;

/// Whether bytes are the beginning of a zip archive.
pub(super) fn sniff(head: &[u8]) -> bool {
    MAGIC.iter().any(|magic| head.starts_with(magic))
}

/// An archive whose list of entries was read.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    entries: Vec<Entry>,
    /// Shares the list of entries with its clones: each reader has its own place in the file.
    zip: ZipArchive<Shared>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    bytes: u64,
    is_file: bool,
}

impl Archive {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = regular(path)?;
        let length = file.metadata()?.len();
        let mut zip = ZipArchive::new(Shared { file: Arc::new(file), length, at: 0 }).map_err(plain)?;
        let mut entries = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(plain)?;
            if entry.encrypted() {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "the archive has a password; unpack it first"));
            }
            if entry.size() > entry.compressed_size().saturating_mul(MOST_INFLATION) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("an entry claims {} bytes of {} packed ones", entry.size(), entry.compressed_size()),
                ));
            }
            let name = entry.name().map_err(plain)?.into_owned();
            entries.push(Entry { name, bytes: entry.size(), is_file: entry.is_file() });
        }
        Ok(Self { path: path.to_owned(), entries, zip })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many entries there are, folders included.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The entry's path within the archive.
    pub(super) fn name(&self, index: usize) -> &str {
        self.entries.get(index).map_or("", |entry| &entry.name)
    }

    /// How many bytes the entry has, unpacked.
    pub(super) fn len(&self, index: usize) -> u64 {
        self.entries.get(index).map_or(0, |entry| entry.bytes)
    }

    /// The entries that are files, by the order of their names; not what a Mac adds to each.
    pub(super) fn files(&self) -> Vec<usize> {
        let of_a_mac = |name: &str| name.starts_with("__MACOSX/") || name.contains("/__MACOSX/");
        let is_file = |index: &usize| self.entries[*index].is_file && !of_a_mac(&self.entries[*index].name);
        let mut files: Vec<usize> = (0..self.entries.len()).filter(is_file).collect();
        files.sort_by(|a, b| self.entries[*a].name.cmp(&self.entries[*b].name));
        files
    }

    /// The first `count` bytes of an entry, or all where there are fewer; those are checked against its checksum.
    pub(super) fn read(&self, index: usize, count: u64) -> io::Result<Vec<u8>> {
        let mut zip = self.zip.clone();
        let entry = zip.by_index(index).map_err(plain)?;
        let claimed = self.len(index);
        let mut bytes = Vec::new();
        let room = usize::try_from(claimed.min(count)).ok().filter(|room| bytes.try_reserve_exact(*room).is_ok());
        room.ok_or_else(|| io::Error::new(io::ErrorKind::OutOfMemory, format!("no memory for {claimed} bytes")))?;
        // One byte more than claimed tells an entry that is longer.
        entry.take(count.min(claimed.saturating_add(1))).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > claimed || count >= claimed && (bytes.len() as u64) < claimed {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry has not the size that the archive says"));
        }
        Ok(bytes)
    }
}

fn plain(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

/// A file that several readers share, each with its own place.
#[derive(Debug, Clone)]
struct Shared {
    file: Arc<File>,
    length: u64,
    at: u64,
}

impl Read for Shared {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_exact_at(&self.file, &mut bytes[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
