//! Zip files of several parts, as PyTorch saves exported programs: texts, raw numbers, and state dicts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Tensor;
use zip::CompressionMethod;

use super::entries::{self, MAX_INFLATION};
use super::storage::{NumberType, StorageBytes, TensorSource};
use super::zipped;
use crate::files;

/// Texts of packages shrink by about 20 when they are compressed; one that shrinks by more than this is a bomb.
const MAX_TEXT_INFLATION: u64 = 64;

/// A zip file whose entries are known, and read when asked for.
pub struct Package {
    path: Arc<PathBuf>,
    entries: BTreeMap<String, Entry>,
}

/// Where an entry's bytes lie.
struct Entry {
    offset: u64,
    packed: u64,
    size: u64,
    is_stored: bool,
}

/// How the numbers of a tensor lie among raw ones. Offset and strides count numbers.
#[derive(Debug, Clone)]
pub struct Layout {
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
    pub kind: NumberType,
}

/// A tensor of a package, whose numbers are read when asked for.
#[derive(Debug, Clone)]
pub struct Stored(TensorSource);

impl Stored {
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// Reads the numbers, on the CPU: f16, bf16, f32 and f64 as they are, whole numbers as i64, bytes and booleans as u8. Numbers that
    /// are not finite are an error unless they are allowed.
    ///
    /// # Errors
    /// In words, where the file no longer holds them.
    pub fn load(&self, finite: bool) -> Result<Tensor, String> {
        if finite { self.0.load() } else { self.0.load_any() }
    }
}

impl Package {
    /// Reads the list of entries.
    ///
    /// # Errors
    /// In words, where the file is no zip file, or where its entries overlap, share a name, or lie beyond its end.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = files::open(path).map_err(|e| e.to_string())?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let mut archive = entries::archive(file).map_err(|why| {
            format!("it is cut or damaged: the list of entries that ends a zip file is not behind its {length} bytes ({why}); copy or save it again")
        })?;
        let mut entries = BTreeMap::new();
        let mut ranges = Vec::with_capacity(archive.len());
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(|e| e.to_string())?;
            let name = entry.name().map_err(|e| e.to_string())?.into_owned();
            let (size, packed) = (entry.size(), entry.compressed_size());
            let is_stored = entry.compression() == CompressionMethod::Stored;
            let start = entry.data_start().ok_or_else(|| format!("its entry {name} has no beginning"))?;
            let end = start.checked_add(packed).filter(|end| *end <= length);
            let end = end.ok_or_else(|| format!("its entry {name} lies beyond the end of the file"))?;
            if size > packed.saturating_mul(if is_stored { 1 } else { MAX_INFLATION }) {
                return Err(format!("its entry {name} claims {size} bytes in {packed}"));
            }
            ranges.push((entry.header_start(), end));
            if entries.insert(name.clone(), Entry { offset: start, packed, size, is_stored }).is_some() {
                return Err(format!("it has two entries {name}"));
            }
        }
        ranges.sort_unstable();
        if let Some(pair) = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            return Err(format!("two of its entries overlap, at byte {}", pair[1].0));
        }
        Ok(Self { path: Arc::new(path.to_owned()), entries })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn entry(&self, name: &str) -> Result<&Entry, String> {
        self.entries.get(name).ok_or_else(|| format!("its entry {name} is missing"))
    }

    /// Reads an entry as text of so many bytes at most.
    ///
    /// # Errors
    /// In words, where it is no such text.
    pub fn text(&self, name: &str, most_bytes: u64) -> Result<String, String> {
        let entry = self.entry(name)?;
        if entry.size > most_bytes || entry.size > entry.packed.saturating_mul(MAX_TEXT_INFLATION) {
            return Err(format!("its entry {name} claims {} bytes of text in {}", entry.size, entry.packed));
        }
        let mut archive =
            entries::archive(files::open(&self.path).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        let read = entries::entry(&mut archive, name).map_err(|e| e.to_string())?;
        let mut text = String::new();
        // One byte more than there are: behind the last one stands the checksum.
        read.take(entry.size.saturating_add(1))
            .read_to_string(&mut text)
            .map_err(|why| entries::damaged(name, &why))?;
        Ok(text)
    }

    /// Reads entries to their ends, where their checksums stand.
    ///
    /// # Errors
    /// In words, where the bytes of one are not those that were written.
    pub fn verify<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let mut archive =
            entries::archive(files::open(&self.path).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        names.into_iter().try_for_each(|name| entries::verify(&mut archive, name))
    }

    /// Finds a tensor among the raw numbers of an entry.
    ///
    /// # Errors
    /// In words, where it does not lie within the entry.
    pub fn tensor(&self, name: &str, layout: Layout) -> Result<Stored, String> {
        let Entry { offset, size, is_stored, .. } = *self.entry(name)?;
        let path = Arc::clone(&self.path);
        let place = if is_stored {
            StorageBytes::File { path, offset, length: size }
        } else {
            StorageBytes::Entry { path, name: name.into(), length: size }
        };
        let Layout { shape, strides, offset, kind } = layout;
        TensorSource::new(shape, strides, offset, kind, place).map(Stored)
    }

    /// Finds the tensors of an entry that is a file of `torch.save`.
    ///
    /// # Errors
    /// In words, where it is none.
    pub fn state_dict(&self, name: &str) -> Result<BTreeMap<String, Stored>, String> {
        let Entry { offset, size, is_stored, .. } = *self.entry(name)?;
        if !is_stored {
            return Err(format!("its entry {name} is compressed; save the program again by torch.export.save"));
        }
        let file = files::open(&self.path).map_err(|e| e.to_string())?;
        let window = Window::new(file, offset, size).map_err(|e| e.to_string())?;
        let tensors = zipped::read_within(window, offset, size, &self.path)?;
        Ok(tensors.into_iter().map(|(name, tensor)| (name, Stored(tensor))).collect())
    }
}

/// A part of a file, as if it were a file of its own.
struct Window {
    file: File,
    start: u64,
    length: u64,
    at: u64,
}

impl Window {
    fn new(mut file: File, start: u64, length: u64) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { file, start, length, at: 0 })
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = (&mut self.file).take(left).read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let outside = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "a place before the file's beginning");
        let at = at.and_then(|at| Some((at, self.start.checked_add(at)?))).ok_or_else(outside)?;
        self.file.seek(SeekFrom::Start(at.1))?;
        self.at = at.0;
        Ok(at.0)
    }
}
