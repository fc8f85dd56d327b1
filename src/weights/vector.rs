//! One vector of numbers in a file: NumPy's .npy, or a tensor of a safetensors file.
//!
//! Source of the first: numpy.lib.format, "A Simple File Format for NumPy Arrays", versions 1.0 to 3.0.

use std::io::Read;
use std::path::Path;

use candle_core::DType;
use half::f16;

use super::{Checkpoint, Error};
use crate::files;

/// A header of one array takes a hundredth of this.
const MOST_HEADER_BYTES: usize = 64 << 10;
/// Far more than the numbers of any embedding.
const MOST_BYTES: u64 = 1 << 30;
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Reads a vector: the array of a `.npy` file, or of a safetensors file the tensor "embedding", else its only one. Axes count for nothing:
/// the numbers are taken in their order.
///
/// # Errors
/// Where it is none, or holds what is no finite number.
pub fn vector(path: &Path) -> Result<Vec<f64>, Error> {
    let damaged = |what: String| Error::Damaged { what, path: path.to_owned() };
    let numbers = if is_npy(path) { npy(path)? } else { of_tensor(path)? };
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(odd) => Err(damaged(format!("it holds {odd}, where every number must be finite"))),
        None if numbers.is_empty() => Err(damaged("it holds no numbers".to_owned())),
        None => Ok(numbers),
    }
}

/// Whether a file's name is that of a NumPy array.
pub fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("npy"))
}

fn of_tensor(path: &Path) -> Result<Vec<f64>, Error> {
    let checkpoint = Checkpoint::open(path)?;
    let damaged = |what: String| Error::Damaged { what, path: path.to_owned() };
    let mut names = checkpoint.names();
    let name = match (checkpoint.shape("embedding"), names.next(), names.next()) {
        (Some(_), ..) => "embedding",
        (None, Some(only), None) => only,
        _ => return Err(damaged("it holds several tensors, and none is called \"embedding\"".to_owned())),
    };
    let shape = checkpoint.shape(name).unwrap_or_default().to_vec();
    let numbers = checkpoint.builder(DType::F64).get(shape, name).and_then(|numbers| numbers.flatten_all()?.to_vec1());
    numbers.map_err(|error| damaged(error.to_string()))
}

fn npy(path: &Path) -> Result<Vec<f64>, Error> {
    let io = |cause| Error::Io { cause, path: path.to_owned() };
    let damaged = |what: &str| Error::Damaged { what: what.to_owned(), path: path.to_owned() };
    let file = files::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() > MOST_BYTES {
        return Err(damaged("it is too large for an embedding"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(io)?;
    parsed(&bytes).map_err(|what| damaged(&what))
}

/// The numbers of an array, from the bytes of its file.
fn parsed(bytes: &[u8]) -> Result<Vec<f64>, String> {
    let cut = || "the file is cut".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is no array of NumPy")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest)),
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
        other => return Err(format!("it is of version {other} of NumPy's format, and 1 to 3 are known")),
    }
    .ok_or_else(cut)?;
    if length > MOST_HEADER_BYTES {
        return Err(format!("its header has {length} bytes, where one of an array has a hundred"));
    }
    let (header, numbers) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_not_text| "its header is no text")?;
    let shape = shape(header).ok_or("its header says no shape")?;
    let count = shape.iter().try_fold(1_usize, |n, side| n.checked_mul(*side)).ok_or("its shape is too large")?;
    if header.contains("'fortran_order': True") && shape.iter().filter(|side| **side > 1).count() > 1 {
        return Err("its axes run the other way (fortran_order): save numpy.ascontiguousarray of it".to_owned());
    }
    let kind = text(header, "descr").ok_or("its header says no kind of numbers")?;
    let (over, numbers) = match kind {
        "<f8" => all(numbers, f64::from_le_bytes),
        "<f4" => all(numbers, |bytes| f32::from_le_bytes(bytes).into()),
        "<f2" => all(numbers, |bytes| f16::from_le_bytes(bytes).into()),
        ">f8" => all(numbers, f64::from_be_bytes),
        ">f4" => all(numbers, |bytes| f32::from_be_bytes(bytes).into()),
        other => {
            return Err(format!("its numbers are {:?}: save it as float32 or float64", files::printable(other)));
        }
    };
    if over > 0 || numbers.len() != count {
        return Err(format!("it holds {} numbers, where its shape {shape:?} has {count}", numbers.len()));
    }
    Ok(numbers)
}

/// Numbers of N bytes each, and how many bytes are left over.
fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> (usize, Vec<f64>) {
    let (whole, rest) = bytes.as_chunks::<N>();
    (rest.len(), whole.iter().map(|bytes| number(*bytes)).collect())
}

/// The text of a field of the header, a dictionary as Python writes it.
fn text<'a>(header: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{field}'"))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('\'')?;
    Some(rest.split_once('\'')?.0)
}

/// The tuple of the field "shape".
fn shape(header: &str) -> Option<Vec<usize>> {
    let (_, rest) = header.split_once("'shape'")?;
    let inside = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('(')?.split_once(')')?.0;
    inside.split(',').map(str::trim).filter(|side| !side.is_empty()).map(|side| side.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, numbers: &[u8]) -> Vec<u8> {
        [MAGIC.as_slice(), &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), numbers].concat()
    }

    fn header(kind: &str, order: &str, shape: &str) -> String {
        format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
    }

    #[test]
    fn arrays_of_each_kind_are_the_numbers_that_were_saved() {
        let of = |kind: &str, bytes: &[u8]| parsed(&file(&header(kind, "False", "(1, 2)"), bytes)).expect(kind);
        assert_eq!(of("<f4", &[1.5_f32, -2.0].map(f32::to_le_bytes).concat()), [1.5, -2.0]);
        assert_eq!(of("<f8", &[1.5_f64, -2.0].map(f64::to_le_bytes).concat()), [1.5, -2.0]);
        assert_eq!(of(">f4", &[1.5_f32, -2.0].map(f32::to_be_bytes).concat()), [1.5, -2.0]);
        assert_eq!(of("<f2", &[f16::from_f32(1.5), f16::from_f32(-2.0)].map(f16::to_le_bytes).concat()), [1.5, -2.0]);
        let numbers = [0_u8; 8];
        assert!(parsed(&file(&header("<f4", "True", "(2,)"), &numbers)).is_ok(), "one axis has one order");
    }

    #[test]
    fn what_is_no_array_of_numbers_is_an_error() {
        let whole = file(&header("<f4", "False", "(2,)"), &[0; 8]);
        for end in 0..whole.len() {
            assert!(parsed(&whole[..end]).is_err(), "cut after {end} bytes");
        }
        for (header, bytes) in [
            (header("<f4", "False", "(3,)"), 8),
            (header("<f4", "False", "(2, 18446744073709551615)"), 8),
            (header("<f4", "True", "(2, 2)"), 16),
            (header("|O", "False", "(1,)"), 8),
            (header("<c8", "False", "(1,)"), 8),
            ("{}".to_owned(), 8),
        ] {
            assert!(parsed(&file(&header, &vec![0; bytes])).is_err(), "{header}");
        }
    }
}
