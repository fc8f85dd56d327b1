//! Torch's file before 1.6: five pickles (magic number, protocol, machine, object, storage keys), then each storage as
//! its length, i64, and its numbers. Source: `torch/serialization.py`, `_legacy_save`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::pickle::{self, Pickle, Value};
use super::state_dict::StorageName;
use super::storage::{StorageBytes, TensorSource};

/// The pickle of 0x1950a86a20f9469cfc6c: PROTO 2, LONG1 of 10 bytes, the number, STOP.
const MAGIC: [u8; 15] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// The pickles are read into memory up to here; the storages that follow are not.
const MAX_PICKLE_BYTES: u64 = 1 << 28;

pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

pub(super) fn read(mut file: File, path: &Path) -> Result<BTreeMap<String, TensorSource>, String> {
    let words = |e: std::io::Error| e.to_string();
    let length = file.metadata().map_err(words)?.len();
    let mut bytes = Vec::new();
    (&mut file).take(MAX_PICKLE_BYTES).read_to_end(&mut bytes).map_err(words)?;
    let mut at = MAGIC.len();
    for _ in ["protocol", "machine"] {
        at += pickle::read(&bytes[at..])?.length;
    }
    let object = pickle::read(&bytes[at..])?;
    at += object.length;
    let keys = pickle::read(&bytes[at..])?;
    let mut at = (at + keys.length) as u64;
    drop(bytes);

    let names = storages(&object);
    let path = Arc::new(path.to_owned());
    let mut places = HashMap::new();
    for key in list(&keys)? {
        let name: &StorageName = names.get(&key).ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
        file.seek(SeekFrom::Start(at)).map_err(words)?;
        let mut count = [0; 8];
        file.read_exact(&mut count).map_err(|_short| "it ends in the middle of its storages".to_owned())?;
        let count = u64::from_le_bytes(count);
        if count != name.numel as u64 {
            return Err(format!("storage {key} says {count} numbers, its tensor {}", name.numel));
        }
        at += 8;
        let left = length.saturating_sub(at);
        let size = count.checked_mul(name.kind.bytes() as u64).filter(|size| *size <= left);
        let size = size.ok_or("it ends in the middle of its storages")?;
        places.insert(key, StorageBytes::File { path: Arc::clone(&path), offset: at, length: size });
        at += size;
    }
    object.tensors(|storage| {
        places.get(&storage.key).cloned().ok_or_else(|| format!("storage {} is missing from the file", storage.key))
    })
}

/// Every storage that the object names, by key.
fn storages(object: &Pickle) -> HashMap<String, StorageName> {
    (0..object.values.len()).filter_map(|id| object.storage_name(id)).map(|name| (name.key.clone(), name)).collect()
}

fn list(keys: &Pickle) -> Result<Vec<String>, String> {
    let Value::List(items) = &keys.values[keys.root] else {
        return Err("its list of storages is no list".to_owned());
    };
    items
        .iter()
        .map(|item| match &keys.values[*item] {
            Value::Str(key) => Ok(key.clone()),
            _ => Err("a storage key that is no text".to_owned()),
        })
        .collect()
}
