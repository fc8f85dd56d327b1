//! The numbers of an ONNX file: raw, typed, or in a file beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use rten_onnx::onnx::{DataLocation, DataType, TensorProto};

use crate::exchange::lower::{Made, Meaning, Operand, beyond, counted, wrong};
use crate::files;

/// Most axes of a tensor of a file.
const MOST_AXES: usize = 16;
/// The bytes that tensors may take of one file beside the network, as often as that is long: some share theirs.
const MOST_SHARING: u64 = 4;

/// The files beside a network that hold its weights.
pub(super) struct Beside {
    folder: PathBuf,
    open: HashMap<String, (File, u64)>,
    /// Bytes that tensors have taken, and bytes that there are.
    taken: u64,
    there: u64,
}

/// Where a tensor's bytes lie in a file beside the network.
struct ExternalBytes {
    location: String,
    offset: u64,
    length: Option<u64>,
}

impl Beside {
    /// Beside the network at `path`.
    pub(super) fn new(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Self { folder: folder.to_owned(), open: HashMap::new(), taken: 0, there: 0 }
    }

    /// The files that were opened, in the order of their names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.open.keys().map(|location| self.folder.join(location)).collect();
        files.sort();
        files
    }

    /// Bytes of all files that were opened.
    pub(super) fn bytes(&self) -> u64 {
        self.there
    }

    /// Opens a file below the folder.
    fn file(&mut self, location: &str) -> Made<&mut (File, u64)> {
        if !self.open.contains_key(location) {
            let name = files::printable(location).into_owned();
            let relative = Path::new(location);
            let below = relative.components().all(|part| matches!(part, Component::Normal(_)));
            if !below || location.is_empty() {
                return wrong(format!(
                    "its weights are said to lie in {name:?}, which is not below the file's own folder"
                ));
            }
            let unreadable = |why: std::io::Error| match why.kind() {
                std::io::ErrorKind::NotFound => format!(
                    "its weights lie in a file of their own, {name:?}, which is not there: copy it from the folder that the network was \
                     exported to into {}, or export the network again as one file (external_data=False)",
                    self.folder.display()
                ),
                _ => format!("its weights lie in {name:?}, which cannot be read: {why}"),
            };
            let whole = self.folder.join(relative).canonicalize().map_err(unreadable)?;
            let folder = self.folder.canonicalize().map_err(unreadable)?;
            if !whole.starts_with(&folder) {
                return wrong(format!(
                    "its weights are said to lie in {name:?}, a link to outside the file's own folder"
                ));
            }
            let file = files::open(&whole).map_err(unreadable)?;
            let length = file.metadata().map_err(unreadable)?.len();
            self.there = self.there.saturating_add(length);
            self.open.insert(location.to_owned(), (file, length));
        }
        self.open.get_mut(location).map_or_else(|| wrong("a file that is not open"), Ok)
    }

    /// Reads so many bytes.
    fn bytes_of(&mut self, place: &ExternalBytes, wanted: u64) -> Made<Vec<u8>> {
        let (_, length) = *self.file(&place.location)?;
        let end = place.offset.checked_add(wanted);
        if place.length.is_some_and(|length| length != wanted) || end.is_none_or(|end| end > length) {
            let name = files::printable(&place.location).into_owned();
            return wrong(format!(
                "a tensor of {wanted} bytes is said to lie at byte {} of {name:?}, {} bytes of {length}",
                place.offset,
                place.length.map_or_else(|| "the rest".to_owned(), |length| length.to_string()),
            ));
        }
        self.taken = self.taken.saturating_add(wanted);
        if self.taken > self.there.saturating_mul(MOST_SHARING) {
            return wrong("its tensors take the same bytes of the files beside it again and again");
        }
        let (file, _) = self.file(&place.location)?;
        let mut bytes = vec![0; usize::try_from(wanted).map_err(|why| why.to_string())?];
        let read = file.seek(SeekFrom::Start(place.offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|why| format!("{:?} cannot be read: {why}", files::printable(&place.location)))?;
        Ok(bytes)
    }
}

fn place_of(tensor: &TensorProto) -> Made<ExternalBytes> {
    let entry = |wanted: &str| {
        tensor
            .external_data
            .iter()
            .find(|entry| entry.key.as_deref() == Some(wanted))
            .and_then(|entry| entry.value.clone())
    };
    let number = |key: &str| -> Made<Option<u64>> {
        match entry(key).map(|text| text.trim().parse::<u64>()) {
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(why)) => wrong(format!("the {key} of its weights in another file: {why}")),
            None => Ok(None),
        }
    };
    match entry("location") {
        Some(location) => {
            Ok(ExternalBytes { location, offset: number("offset")?.unwrap_or(0), length: number("length")? })
        }
        None => wrong("its weights lie in another file, which it does not name"),
    }
}

/// How numbers of a type are called.
pub(super) fn type_name(of: DataType) -> String {
    match of {
        DataType::FLOAT => "float32".to_owned(),
        DataType::DOUBLE => "float64".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// What numbers of a type stand for; none where Parallax does not compute with them.
pub(super) fn kind_of(of: DataType) -> Option<Meaning> {
    match of {
        DataType::FLOAT | DataType::DOUBLE => Some(Meaning::Real),
        DataType::BOOL => Some(Meaning::Truth),
        DataType(2..=7 | 12 | 13) => Some(Meaning::Whole), // of 8 to 64 bits, signed and unsigned
        _ => None,
    }
}

/// Bytes of one number in the raw form.
fn bytes_of(of: DataType) -> Option<u64> {
    match of {
        DataType::BOOL | DataType::INT8 | DataType::UINT8 => Some(1),
        DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16 => Some(2),
        DataType::FLOAT | DataType::INT32 | DataType::UINT32 => Some(4),
        DataType::DOUBLE | DataType::INT64 | DataType::UINT64 => Some(8),
        _ => None,
    }
}

/// A tensor of the file. Half precision is cast to f32, which is exact. Its raw bytes are let go.
pub(super) fn operand(tensor: &TensorProto, beside: &mut Beside) -> Made<Operand> {
    let dtype = tensor.data_type.unwrap_or(DataType(0));
    let Some(width) = bytes_of(dtype) else {
        return beyond(format!("numbers of the type {}", type_name(dtype)));
    };
    let sides = tensor.dims.iter().map(|side| usize::try_from(*side));
    let Ok(shape) = sides.collect::<Result<Vec<_>, _>>() else {
        return wrong(format!("a tensor of the shape {:?}", tensor.dims));
    };
    if shape.len() > MOST_AXES {
        return wrong(format!("a tensor of {} axes; {MOST_AXES} are the most", shape.len()));
    }
    let count = counted(&shape)?;
    let bytes = (count as u64).saturating_mul(width);
    let raw = if tensor.data_location == Some(DataLocation::EXTERNAL) {
        Some(beside.bytes_of(&place_of(tensor)?, bytes)?)
    } else {
        tensor.raw_data.as_ref().map(std::cell::RefCell::take)
    };
    match raw {
        Some(raw) if raw.len() as u64 != bytes => {
            wrong(format!("a tensor {shape:?} of {count} numbers is given {} bytes instead of {bytes}", raw.len()))
        }
        Some(raw) => from_raw(&raw, dtype, &shape),
        None => from_typed(tensor, dtype, &shape),
    }
}

fn each<const N: usize, T>(raw: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|bytes| of(*bytes)).collect()
}

fn real(numbers: Vec<f32>, shape: &[usize]) -> Made<Operand> {
    Ok(Operand::known(Meaning::Real, Tensor::from_vec(numbers, shape, &Device::Cpu)?))
}

fn whole(numbers: Vec<f64>, dtype: DataType, shape: &[usize]) -> Made<Operand> {
    let kind = if dtype == DataType::BOOL { Meaning::Truth } else { Meaning::Whole };
    Ok(Operand::known(kind, Tensor::from_vec(numbers, shape, &Device::Cpu)?))
}

fn from_raw(raw: &[u8], dtype: DataType, shape: &[usize]) -> Made<Operand> {
    match dtype {
        DataType::FLOAT => real(each(raw, f32::from_le_bytes), shape),
        DataType::FLOAT16 => real(each(raw, |bytes| f16::from_le_bytes(bytes).to_f32()), shape),
        DataType::BFLOAT16 => real(each(raw, |bytes| bf16::from_le_bytes(bytes).to_f32()), shape),
        DataType::DOUBLE => {
            let numbers = each(raw, f64::from_le_bytes);
            Ok(Operand::known(Meaning::Real, Tensor::from_vec(numbers, shape, &Device::Cpu)?))
        }
        DataType::INT64 => whole(each(raw, |bytes| i64::from_le_bytes(bytes) as f64), dtype, shape),
        DataType::UINT64 => whole(each(raw, |bytes| u64::from_le_bytes(bytes) as f64), dtype, shape),
        DataType::INT32 => whole(each(raw, |bytes| f64::from(i32::from_le_bytes(bytes))), dtype, shape),
        DataType::UINT32 => whole(each(raw, |bytes| f64::from(u32::from_le_bytes(bytes))), dtype, shape),
        DataType::INT16 => whole(each(raw, |bytes| f64::from(i16::from_le_bytes(bytes))), dtype, shape),
        DataType::UINT16 => whole(each(raw, |bytes| f64::from(u16::from_le_bytes(bytes))), dtype, shape),
        DataType::INT8 => whole(each(raw, |bytes| f64::from(i8::from_le_bytes(bytes))), dtype, shape),
        _ => whole(each(raw, |[byte]: [u8; 1]| f64::from(byte)), dtype, shape),
    }
}

fn from_typed(tensor: &TensorProto, dtype: DataType, shape: &[usize]) -> Made<Operand> {
    let count = counted(shape)?;
    let fits = |given: usize| {
        if given == count { Ok(()) } else { wrong(format!("a tensor {shape:?} of {count} numbers is given {given}")) }
    };
    match dtype {
        DataType::FLOAT => {
            fits(tensor.float_data.len())?;
            real(tensor.float_data.clone(), shape)
        }
        DataType::DOUBLE => {
            fits(tensor.double_data.len())?;
            Ok(Operand::known(Meaning::Real, Tensor::from_vec(tensor.double_data.clone(), shape, &Device::Cpu)?))
        }
        DataType::FLOAT16 | DataType::BFLOAT16 => {
            fits(tensor.int32_data.len())?;
            let half = dtype == DataType::FLOAT16;
            let number = |bits: &i32| {
                let bits = *bits as u16;
                if half { f16::from_bits(bits).to_f32() } else { bf16::from_bits(bits).to_f32() }
            };
            real(tensor.int32_data.iter().map(number).collect(), shape)
        }
        DataType::INT64 => {
            fits(tensor.int64_data.len())?;
            whole(tensor.int64_data.iter().map(|number| *number as f64).collect(), dtype, shape)
        }
        DataType::UINT64 | DataType::UINT32 if count > 0 => beyond("unsigned numbers that are not raw"),
        _ => {
            fits(tensor.int32_data.len())?;
            whole(tensor.int32_data.iter().map(|number| f64::from(*number)).collect(), dtype, shape)
        }
    }
}
