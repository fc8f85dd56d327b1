//! Torch's file since 1.6: a zip of one pickle, `data.pkl`, and one entry `data/KEY` per storage.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use zip::CompressionMethod;
use zip::result::ZipError;

use super::entries::{MAX_INFLATION, archive, damaged, entry, verify};
use super::pickle;
use super::storage::{StorageBytes, TensorSource};

/// Pickles of real checkpoints are a few megabytes; optimiser states make them a few tens.
const MAX_PICKLE_BYTES: u64 = 1 << 28;

pub(super) fn read(file: File, path: &Path) -> Result<BTreeMap<String, TensorSource>, String> {
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    read_within(file, 0, length, path)
}

/// Reads a zip file that begins at `start` of the file at `path` and is `length` bytes long. The entries that hold its tensors are compared
/// with their checksums: a weight of which a bit has changed is still a number. Within another file, whose own checksum covers them, its
/// entries are stored and not compared again.
pub(super) fn read_within(
    zip: impl Read + Seek,
    start: u64,
    length: u64,
    path: &Path,
) -> Result<BTreeMap<String, TensorSource>, String> {
    let words = |e: ZipError| e.to_string();
    let mut archive = archive(zip).map_err(words)?;
    let path = Arc::new(path.to_owned());
    let mut places = HashMap::new();
    let mut main = None;
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(words)?;
        let name = entry.name().map_err(words)?.into_owned();
        let (size, packed) = (entry.size(), entry.compressed_size());
        let most = if entry.compression() == CompressionMethod::Stored { 1 } else { MAX_INFLATION };
        let possible = packed <= length && size <= packed.saturating_mul(most);
        let bomb = || format!("its entry {name} claims {size} bytes in {packed}");
        if name == "data.pkl" || name.ends_with("/data.pkl") {
            if !possible || size > MAX_PICKLE_BYTES {
                return Err(bomb());
            }
            main = Some(name);
        } else if let Some((_, key)) = name.rsplit_once("data/") {
            if !possible {
                return Err(bomb());
            }
            let place = match (entry.compression(), entry.data_start()) {
                (CompressionMethod::Stored, Some(offset)) => {
                    let inside = offset.checked_add(size).filter(|end| *end <= length).and(offset.checked_add(start));
                    let offset = inside.ok_or_else(|| format!("its entry {name} lies beyond its end"))?;
                    StorageBytes::File { path: Arc::clone(&path), offset, length: size }
                }
                _ if start > 0 => return Err(format!("its entry {name} is compressed within another file")),
                _ => StorageBytes::Entry { path: Arc::clone(&path), name: name.as_str().into(), length: size },
            };
            places.insert(key.to_owned(), (name, place));
        }
    }
    let main = main.ok_or("it holds no data.pkl, so it is a zip file but not torch's")?;
    let root = main.trim_end_matches("data.pkl").to_owned();
    if let Ok(mut order) = entry(&mut archive, &format!("{root}byteorder")) {
        let mut text = String::new();
        order.by_ref().take(16).read_to_string(&mut text).map_err(|e| e.to_string())?;
        if text.trim() == "big" {
            return Err("its numbers are big-endian; save it again on a little-endian machine".to_owned());
        }
    }
    let mut bytes = Vec::new();
    let pickle = entry(&mut archive, &main).map_err(words)?;
    pickle.take(MAX_PICKLE_BYTES).read_to_end(&mut bytes).map_err(|why| damaged(&main, &why))?;
    let mut used = BTreeSet::new();
    let tensors = pickle::read(&bytes)?.tensors(|storage| {
        let found = places.get(&storage.key);
        let (name, place) = found.ok_or_else(|| format!("storage {} is missing from the file", storage.key))?;
        used.insert(name);
        Ok(place.clone())
    })?;
    if start == 0 {
        used.into_iter().try_for_each(|name| verify(&mut archive, name))?;
    }
    Ok(tensors)
}
