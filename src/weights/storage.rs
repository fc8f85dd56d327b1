//! Where a tensor's numbers lie in a file, and how they become a tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::header::{MOST_HEADER_BYTES, safetensors_header};
use crate::files;

/// Kinds of numbers in checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl NumberType {
    /// Of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Gives the type that the name of torch's storage class says.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }
}

/// Where the bytes of a storage lie.
#[derive(Debug, Clone)]
pub(super) enum StorageBytes {
    /// So many bytes from an offset of the file.
    File { path: Arc<PathBuf>, offset: u64, length: u64 },
    /// A compressed entry of a zip file.
    Entry { path: Arc<PathBuf>, name: Arc<str>, length: u64 },
}

impl StorageBytes {
    fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } | Self::Entry { length, .. } => *length,
        }
    }

    fn read(&self, from: u64, count: usize) -> Result<Vec<u8>, String> {
        let words = |e: std::io::Error| e.to_string();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(|_full| format!("there is no memory for its {count} bytes"))?;
        match self {
            Self::File { path, offset, .. } => {
                let mut file = files::open(path).map_err(words)?;
                file.seek(SeekFrom::Start(offset.saturating_add(from))).map_err(words)?;
                file.take(count as u64).read_to_end(&mut bytes).map_err(words)?;
            }
            Self::Entry { path, name, .. } => {
                let mut archive =
                    super::entries::archive(files::open(path).map_err(words)?).map_err(|e| e.to_string())?;
                let mut entry = archive.by_name(name).map_err(|e| e.to_string())?;
                std::io::copy(&mut (&mut entry).take(from), &mut std::io::sink()).map_err(words)?;
                entry.take(count as u64).read_to_end(&mut bytes).map_err(words)?;
            }
        }
        if bytes.len() < count {
            return Err(format!("it ends after {} of its {count} bytes", bytes.len()));
        }
        Ok(bytes)
    }
}

/// More axes than any layer's: a 3-D convolution has five.
pub(super) const MAX_AXES: usize = 16;

/// A tensor as the checkpoint describes it: a strided window of a storage. Offset and strides count elements.
#[derive(Debug, Clone)]
pub(super) struct TensorSource {
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) offset: usize,
    pub(super) kind: NumberType,
    pub(super) place: StorageBytes,
}

impl TensorSource {
    /// Checks that the window lies in its storage: everything here comes from the file.
    pub(super) fn new(
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        kind: NumberType,
        place: StorageBytes,
    ) -> Result<Self, String> {
        if shape.len() > MAX_AXES {
            return Err(format!("a tensor of {} axes; no network here has one of more than {MAX_AXES}", shape.len()));
        }
        let reach = |n: &[usize], s: &[usize]| -> Option<usize> {
            if n.contains(&0) {
                return Some(offset);
            }
            n.iter().zip(s).try_fold(offset, |at, (n, s)| at.checked_add((n - 1).checked_mul(*s)?))?.checked_add(1)
        };
        // Strides are products of sizes, even where a size of 0 leaves no numbers: those must fit as well.
        let steps = shape.iter().try_fold(1_usize, |n, d| n.checked_mul((*d).max(1)));
        let numbers = steps.map(|_| shape.iter().product::<usize>());
        let end = reach(&shape, &strides).and_then(|end| end.checked_mul(kind.bytes()));
        let fits = end.is_some_and(|end| end as u64 <= place.length());
        // A stride of 0 would let a small file claim a huge tensor; torch saves none in a state dict.
        let sane =
            numbers.and_then(|n| n.checked_mul(kind.bytes())).is_some_and(|bytes| bytes as u64 <= place.length());
        if shape.len() != strides.len() || !fits || !sane {
            return Err(format!("a tensor of shape {shape:?} does not fit its storage of {} bytes", place.length()));
        }
        Ok(Self { shape, strides, offset, kind, place })
    }

    /// Reads the numbers, each of which must be finite.
    pub(super) fn load(&self) -> Result<Tensor, String> {
        self.loaded(true)
    }

    /// Reads the numbers, whatever they are.
    pub(super) fn load_any(&self) -> Result<Tensor, String> {
        self.loaded(false)
    }

    fn loaded(&self, finite: bool) -> Result<Tensor, String> {
        let size = self.kind.bytes();
        let numbers: usize = self.shape.iter().product();
        let bytes = if numbers == 0 {
            Vec::new() // the window was not measured: its strides may say anything
        } else {
            let reach = self.shape.iter().zip(&self.strides).map(|(n, s)| (n - 1) * s).sum::<usize>() + 1;
            let bytes = self.place.read((self.offset * size) as u64, reach * size)?;
            if self.is_dense() { bytes } else { self.gather(&bytes, numbers) }
        };
        let tensor = |t: candle_core::Result<Tensor>| t.map_err(|e| e.to_string());
        macro_rules! numbers {
            ($raw:ty, $as:ty, $n:literal) => {{
                let values: Vec<$as> =
                    bytes.as_chunks::<$n>().0.iter().map(|b| <$raw>::from_le_bytes(*b) as $as).collect();
                tensor(Tensor::from_vec(values, self.shape.as_slice(), &Device::Cpu))
            }};
        }
        // A layer may swallow what is no number (candle's relu makes NaN 0) and go on with plausible results.
        macro_rules! floats {
            ($kind:ty, $n:literal, $f32:expr) => {{
                let values: Vec<$kind> = bytes.as_chunks::<$n>().0.iter().map(|b| <$kind>::from_le_bytes(*b)).collect();
                if let Some(odd) = values.iter().map($f32).find(|x: &f32| finite && !x.is_finite()) {
                    return Err(format!(
                        "it holds {odd}, where every number must be finite; the file was saved broken, or is damaged"
                    ));
                }
                tensor(Tensor::from_vec(values, self.shape.as_slice(), &Device::Cpu))
            }};
        }
        match self.kind {
            NumberType::F64 => floats!(f64, 8, |x| *x as f32),
            NumberType::F32 => floats!(f32, 4, |x| *x),
            NumberType::F16 => floats!(half::f16, 2, |x| x.to_f32()),
            NumberType::BF16 => floats!(half::bf16, 2, |x| x.to_f32()),
            NumberType::I64 => numbers!(i64, i64, 8),
            NumberType::I32 => numbers!(i32, i64, 4),
            NumberType::I16 => numbers!(i16, i64, 2),
            NumberType::I8 => numbers!(i8, i64, 1),
            NumberType::U8 | NumberType::Bool => tensor(Tensor::from_vec(bytes, self.shape.as_slice(), &Device::Cpu)),
        }
    }

    fn is_dense(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(n, s)| {
            let dense = *n <= 1 || *s == expected;
            expected *= n;
            dense
        })
    }

    /// Copies a strided window into row-major order.
    fn gather(&self, bytes: &[u8], numbers: usize) -> Vec<u8> {
        let size = self.kind.bytes();
        let mut out = Vec::with_capacity(numbers * size);
        for i in 0..numbers {
            let (mut rest, mut at) = (i, 0);
            for (n, s) in self.shape.iter().zip(&self.strides).rev() {
                at += rest % n * s;
                rest /= n;
            }
            out.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        }
        out
    }
}

/// Strides of a dense row-major tensor.
fn dense(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}

pub(super) fn looks_like_safetensors(head: &[u8], length: u64) -> bool {
    head.len() > 8
        && head[8] == b'{'
        && u64::from_le_bytes([head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7]]) < length
}

fn header(file: &mut File, length: u64) -> Result<(safetensors::tensor::Metadata, u64), String> {
    safetensors_header(file, length, MOST_HEADER_BYTES).map_err(|error| error.to_string())
}

/// The words that a safetensors file holds beside its tensors, by key.
pub(super) fn safetensors_words(mut file: File) -> Result<BTreeMap<String, String>, String> {
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let (metadata, _) = header(&mut file, length)?;
    Ok(metadata.metadata().iter().flatten().map(|(key, word)| (key.clone(), word.clone())).collect())
}

pub(super) fn read_safetensors(mut file: File, path: &Path) -> Result<BTreeMap<String, TensorSource>, String> {
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let (metadata, header) = header(&mut file, length)?;
    let path = Arc::new(path.to_owned());
    let data = 8 + header;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        use safetensors::Dtype;
        let kind = match info.dtype {
            Dtype::F64 => NumberType::F64,
            Dtype::F32 => NumberType::F32,
            Dtype::F16 => NumberType::F16,
            Dtype::BF16 => NumberType::BF16,
            Dtype::I64 => NumberType::I64,
            Dtype::I32 => NumberType::I32,
            Dtype::I16 => NumberType::I16,
            Dtype::I8 => NumberType::I8,
            Dtype::U8 => NumberType::U8,
            Dtype::BOOL => NumberType::Bool,
            other => return Err(format!("tensor {name} is of kind {other:?}, which no network here uses")),
        };
        let (from, to) = info.data_offsets;
        if to < from || to as u64 > length - data {
            return Err(format!("tensor {name} lies beyond the end of the file"));
        }
        let place =
            StorageBytes::File { path: Arc::clone(&path), offset: data + from as u64, length: (to - from) as u64 };
        let source = TensorSource::new(info.shape.clone(), dense(&info.shape), 0, kind, place)
            .map_err(|e| format!("{name}: {e}"))?;
        tensors.insert(name, source);
    }
    Ok(tensors)
}
