//! Tensors in a safetensors file: stacks for other programs, and the dump of a whole run.

use std::collections::HashMap;

use anyhow::{Context, Result};
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::latent_shift::Counterfactual;
use crate::volume::Volume;

/// One tensor: its bytes, little-endian, and their shape.
pub(super) struct Array {
    dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn f32s(shape: &[usize], values: impl Iterator<Item = f32>) -> Array {
    Array { dtype: Dtype::F32, shape: shape.to_vec(), bytes: values.flat_map(f32::to_le_bytes).collect() }
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
    let masks = Array { dtype: Dtype::U8, shape: vec![slices, 1, height, width], bytes: masks.to_vec() };
    let dials = f32s(&[dials.len()], dials.iter().copied());
    file(&[("stack", volume(stack)), ("masks", masks), ("dials", dials)], &[])
}

/// `stack latents gradient reconstruction lambdas scores frames heatmap walk`, decoded units. Images are f32, numbers f64;
/// frames `[steps, slices, 1, height, width]`, walk `[trials, 3]` = lambda, score, sum of |change|. Latents and gradient are of every
/// slice, or of the slab's alone where the others stay as scanned.
pub fn dump_bytes(result: &Counterfactual) -> Result<Vec<u8>> {
    let [width, height, slices] = result.grid.shape;
    let steps = result.steps.len();
    let frames = (0..steps).flat_map(|i| result.frame(i).voxels.iter().collect::<Vec<_>>());
    let walk = result.walk.iter().flat_map(|t| [t.lambda, t.score, t.change]);
    let arrays = [
        ("stack", volume(&result.stack)),
        ("latents", f32s(&result.latent_shape, result.latents.iter().copied())),
        ("gradient", f32s(&result.latent_shape, result.gradient.iter().copied())),
        ("reconstruction", volume(&result.reconstruction)),
        ("lambdas", f64s(&[steps], result.steps.iter().map(|s| s.lambda))),
        ("scores", f64s(&[steps], result.steps.iter().map(|s| s.score))),
        ("frames", f32s(&[steps, slices, 1, height, width], frames)),
        ("heatmap", volume(&result.heatmap)),
        ("walk", f64s(&[result.walk.len(), 3], walk)),
    ];
    file(&arrays, &[])
}

pub(super) fn volume(volume: &Volume) -> Array {
    let [width, height, slices] = volume.grid.shape;
    f32s(&[slices, 1, height, width], volume.voxels.iter())
}
