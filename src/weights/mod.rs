//! Reads checkpoints: torch zip files, torch legacy files, safetensors. Their format is told by their bytes, never by their names.
//!
//! A pickle is read as data: nothing in it is ever executed.

mod entries;
mod header;
mod legacy;
mod package;
mod pickle;
mod state_dict;
mod storage;
mod vector;
mod zipped;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;
use storage::TensorSource;

pub use self::header::{HeaderError, safetensors_header};
pub use self::package::{Layout, Package, Stored};
pub use self::storage::NumberType;
pub use self::vector::{is_npy, vector};
use crate::files;

/// What can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the file: {cause}: {}", path.display())]
    Io { cause: std::io::Error, path: PathBuf },
    #[error("not a checkpoint: neither a torch file nor safetensors; choose a .pt, .pth, .ckpt or .safetensors file: {}", path.display())]
    NotACheckpoint { path: PathBuf },
    #[error("the checkpoint is damaged: {what}; get it again: {}", path.display())]
    Damaged { what: String, path: PathBuf },
    #[error(
        "the checkpoint holds no tensors by name, as TorchScript and networks that were saved whole do not, which Python alone can open: \
         export the network there with assets/export.py, to .onnx or .pt2; or save its state_dict where Parallax knows its architecture: {}",
        path.display()
    )]
    NoTensors { path: PathBuf },
    #[error("tensor {name}, shape {shape:?}, belongs to no layer of this network ({others} more like it); this checkpoint is of another network: {}", path.display())]
    LeftOver { name: String, shape: Vec<usize>, others: usize, path: PathBuf },
}

/// The words that a safetensors file holds beside its tensors, by key.
pub fn safetensors_metadata(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let file = files::open(path).map_err(|cause| Error::Io { cause, path: path.to_owned() })?;
    storage::safetensors_words(file).map_err(|what| Error::Damaged { what, path: path.to_owned() })
}

/// Named tensors in a file. Their numbers are read when asked for.
#[derive(Clone)]
pub struct Checkpoint {
    path: PathBuf,
    format: &'static str,
    sha256: String,
    tensors: Arc<BTreeMap<String, TensorSource>>,
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl Checkpoint {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |cause| Error::Io { cause, path: path.to_owned() };
        let mut file = files::open(path).map_err(io)?;
        let mut head = [0; 16];
        let length = file.metadata().map_err(io)?.len();
        let read = file.read(&mut head).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let damaged = |what: String| Error::Damaged { what, path: path.to_owned() };
        let (format, tensors) = if head.starts_with(b"PK\x03\x04") {
            ("torch zip", zipped::read(file, path).map_err(damaged)?)
        } else if legacy::looks_like(&head[..read]) {
            ("torch legacy", legacy::read(file, path).map_err(damaged)?)
        } else if storage::looks_like_safetensors(&head[..read], length) {
            ("safetensors", storage::read_safetensors(file, path).map_err(damaged)?)
        } else {
            return Err(Error::NotACheckpoint { path: path.to_owned() });
        };
        if tensors.is_empty() {
            return Err(Error::NoTensors { path: path.to_owned() });
        }
        let sha256 = files::sha256(path).map_err(io)?;
        Ok(Self { path: path.to_owned(), format, sha256, tensors: Arc::new(tensors), used: Arc::default() })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SHA-256 of the file, hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The kind of file and its size, for people.
    pub fn describe(&self) -> String {
        format!("{}, {} tensors, {} numbers", self.format, self.tensors.len(), self.numbers())
    }

    /// How many numbers the tensors hold, all together.
    pub fn numbers(&self) -> usize {
        self.tensors.values().fold(0, |sum, tensor| sum.saturating_add(tensor.shape.iter().product::<usize>()))
    }

    /// The tensors under a prefix, without it.
    #[must_use]
    pub fn within(&self, prefix: &str) -> Self {
        let inside =
            self.tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t.clone())));
        Self { tensors: Arc::new(inside.collect()), used: Arc::default(), ..self.clone() }
    }

    /// Gives tensors to layers by name, on the CPU, and remembers which.
    pub fn builder(&self, dtype: DType) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, Device::Cpu)
    }

    /// Ends the building of a network: an error names a tensor that no layer read. `ignored` are parts of names.
    pub fn finish(&self, ignored: &[&str]) -> Result<(), Error> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ignored = |name: &str| ignored.iter().any(|part| name.contains(part));
        let mut left = self.tensors.iter().filter(|(name, _)| !used.contains(*name) && !is_ignored(name));
        match left.next() {
            None => Ok(()),
            Some((name, tensor)) => Err(Error::LeftOver {
                name: name.clone(),
                shape: tensor.shape.clone(),
                others: left.count(),
                path: self.path.clone(),
            }),
        }
    }
}

impl SimpleBackend for Checkpoint {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let found = self.shape(name).map(<[usize]>::to_vec);
        match found {
            Some(found) if found == shape.dims() => self.get_unchecked(name, dtype, device),
            Some(found) => candle_core::bail!(
                "tensor {name} has shape {found:?}, expected {:?}; this checkpoint is of another network: {}",
                shape.dims(),
                self.path.display()
            ),
            None => candle_core::bail!(
                "tensor {name} is missing, expected with shape {:?}; this checkpoint is of another network, or incomplete: {}",
                shape.dims(),
                self.path.display()
            ),
        }
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let Some(source) = self.tensors.get(name) else {
            candle_core::bail!("tensor {name} is missing: {}", self.path.display());
        };
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        let tensor = source
            .load()
            .map_err(|what| candle_core::Error::Msg(format!("tensor {name}: {what}: {}", self.path.display())))?;
        tensor.to_dtype(dtype)?.to_device(device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}
