//! Tensors in a safetensors file: stacks for other programs, and the dump of a whole run.

use std::collections::HashMap;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::latent_shift::Counterfactual;
use crate::volume::Volume;

/// One tensor: its bytes, little-endian, and their shape.
pub(super) struct Array {
    dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl Array {
    /// The kind as safetensors spells it.
    pub(super) fn kind(&self) -> &'static str {
        match self.dtype {
            Dtype::F64 => "F64",
            Dtype::U8 => "U8",
            _ => "F32",
        }
    }
}

pub(super) fn f32s(shape: &[usize], values: impl Iterator<Item = f32>) -> Array {
    Array { dtype: Dtype::F32, shape: shape.to_vec(), bytes: values.flat_map(f32::to_le_bytes).collect() }
}

pub(super) fn bytes(shape: &[usize], values: &[u8]) -> Array {
    Array { dtype: Dtype::U8, shape: shape.to_vec(), bytes: values.to_vec() }
}

pub(super) fn f64s(shape: &[usize], values: impl Iterator<Item = f64>) -> Array {
    Array { dtype: Dtype::F64, shape: shape.to_vec(), bytes: values.flat_map(f64::to_le_bytes).collect() }
}

/// With words in its metadata, and the notice beside them.
pub(super) fn file(arrays: &[(&str, Array)], words: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut views = Vec::with_capacity(arrays.len());
    for (name, array) in arrays {
        views.push((*name, TensorView::new(array.dtype, array.shape.clone(), &array.bytes)?));
    }
    let words = words.iter().copied().chain([("notice", super::report::NOTICE)]);
    let words: HashMap<_, _> = words.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
    serialize(views, Some(words)).context("the tensors cannot be written")
}

/// A stack `[slices, 1, height, width]`, f32, under the key "stack".
pub fn stack_bytes(stack: &Volume) -> Result<Vec<u8>> {
    file(&[("stack", volume(stack))], &[])
}

/// A phantom as the networks see it: "stack" as above, "masks" u8 of the same shape, "dials" f32.
pub fn phantom_bytes(stack: &Volume, masks: &[u8], dials: &[f32]) -> Result<Vec<u8>> {
    let [width, height, slices] = stack.grid.shape;
    let masks = bytes(&[slices, 1, height, width], masks);
    let dials = f32s(&[dials.len()], dials.iter().copied());
    file(&[("stack", volume(stack)), ("masks", masks), ("dials", dials)], &[])
}

/// The numbers of a tensor that is written as they come.
enum Numbers<'a> {
    F64(Vec<f64>),
    F32(Box<dyn Iterator<Item = f32> + 'a>),
}

impl Numbers<'_> {
    /// The kind as safetensors spells it, and the bytes of a number.
    fn kind(&self) -> (&'static str, usize) {
        match self {
            Self::F64(_) => ("F64", size_of::<f64>()),
            Self::F32(_) => ("F32", size_of::<f32>()),
        }
    }

    /// Writes them; gives how many there were.
    fn write(self, out: &mut dyn Write) -> std::io::Result<usize> {
        let mut count = 0;
        match self {
            Self::F64(numbers) => {
                for number in numbers {
                    count += 1;
                    out.write_all(&number.to_le_bytes())?;
                }
            }
            Self::F32(numbers) => {
                for number in numbers {
                    count += 1;
                    out.write_all(&number.to_le_bytes())?;
                }
            }
        }
        Ok(count)
    }
}

/// `stack latents gradient reconstruction lambdas scores frames heatmap walk`, decoded units. Images are f32, numbers f64;
/// frames `[steps, slices, 1, height, width]`, walk `[trials, 3]` = lambda, score, sum of |change|. Latents and gradient are of every
/// slice, or of the slab's alone where the others stay as scanned. One frame is in memory at a time.
pub fn dump(result: &Counterfactual, out: &mut dyn Write) -> Result<()> {
    let ([width, height, slices], steps) = (result.grid.shape, result.steps.len());
    let frames = (0..steps).flat_map(|i| result.frame(i).voxels.iter().collect::<Vec<_>>());
    let walk = result.walk.iter().flat_map(|t| [t.lambda, t.score, t.change]).collect();
    let whole = vec![slices, 1, height, width];
    let volume = |name, volume: &'_ Volume| (name, whole.clone(), Numbers::F32(Box::new(owned(volume))));
    let latents = |name, numbers: &Vec<f32>| {
        (name, result.latent_shape.to_vec(), Numbers::F32(Box::new(numbers.clone().into_iter())))
    };
    // Those of 8 bytes first: each tensor begins where its numbers may.
    streamed(
        vec![
            ("lambdas", vec![steps], Numbers::F64(result.steps.iter().map(|step| step.lambda).collect())),
            ("scores", vec![steps], Numbers::F64(result.steps.iter().map(|step| step.score).collect())),
            ("walk", vec![result.walk.len(), 3], Numbers::F64(walk)),
            volume("stack", &result.stack),
            latents("latents", &result.latents),
            latents("gradient", &result.gradient),
            volume("reconstruction", &result.reconstruction),
            ("frames", vec![steps, slices, 1, height, width], Numbers::F32(Box::new(frames))),
            volume("heatmap", &result.heatmap),
        ],
        out,
    )
}

/// The numbers of a volume, which is shared and not copied.
fn owned(volume: &Volume) -> impl Iterator<Item = f32> + 'static {
    let voxels = volume.voxels.clone();
    (0..voxels.len()).map(move |at| voxels.at(at))
}

/// A safetensors file, written as its numbers come. Source: the format's own description, github.com/huggingface/safetensors.
fn streamed(tensors: Vec<(&'static str, Vec<usize>, Numbers)>, out: &mut dyn Write) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), serde_json::json!({"notice": super::report::NOTICE}));
    let mut end = 0_usize;
    for (name, shape, numbers) in &tensors {
        let (dtype, bytes) = numbers.kind();
        let begin = end;
        end = shape.iter().fold(bytes, |bytes, side| bytes.saturating_mul(*side)).saturating_add(begin);
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]});
        header.insert((*name).to_owned(), entry);
    }
    let mut header = serde_json::to_vec(&header).context("the header of the tensors cannot be written")?;
    // Spaces up to a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (name, shape, numbers) in tensors {
        let (wanted, written) = (shape.iter().product::<usize>(), numbers.write(out)?);
        ensure!(written == wanted, "the tensor {name} has {written} numbers, where {wanted} were announced");
    }
    Ok(())
}

pub(super) fn volume(volume: &Volume) -> Array {
    let [width, height, slices] = volume.grid.shape;
    f32s(&[slices, 1, height, width], volume.voxels.iter())
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    fn streams(count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let numbers = (0..count).map(|n| n as f32);
        streamed(
            vec![
                ("a", vec![2], Numbers::F64(vec![1.0, -2.0])),
                ("b", vec![3, 2], Numbers::F32(Box::new(numbers))),
                ("none", vec![0, 3], Numbers::F64(Vec::new())),
            ],
            &mut bytes,
        )?;
        Ok(bytes)
    }

    #[test]
    fn what_is_streamed_is_a_file_of_safetensors() {
        let bytes = streams(6).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let b = tensors.tensor("b").unwrap();
        assert_eq!((b.shape(), b.dtype()), (&[3, 2][..], Dtype::F32));
        let numbers: Vec<f32> = b.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!(numbers, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(tensors.tensor("a").unwrap().data(), [1.0_f64.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat());
        assert_eq!(tensors.tensor("none").unwrap().shape(), [0, 3]);
        assert!(streams(5).is_err(), "what was announced is written, or nothing is");
    }
}
