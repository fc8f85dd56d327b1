//! Sessions as version 1 wrote them: whole volumes as floats, latents and gradient beside them.

use std::collections::HashMap;

use parallax::latent_shift::Counterfactual;
use parallax::volume::Volume;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Serialize;
use sha2::{Digest, Sha256};

type Array = (&'static str, Dtype, Vec<usize>, Vec<u8>);

pub(crate) fn bytes_of_version_1(document: &impl Serialize, result: Option<&Counterfactual>) -> Vec<u8> {
    let document = serde_json::to_string(document).expect("JSON");
    let arrays = result.map(arrays).unwrap_or_default();
    let mut hasher = Sha256::new_with_prefix(&document);
    for (name, _, shape, bytes) in &arrays {
        hasher.update(format!("{name} {shape:?}"));
        hasher.update(bytes);
    }
    let sha256 = hex::encode(hasher.finalize());
    let words = [("format", "parallax session"), ("version", "1"), ("document", &*document), ("sha256", &*sha256)];
    let words: HashMap<_, _> = words.into_iter().map(|(key, word)| (key.to_owned(), word.to_owned())).collect();
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &arrays {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor")));
    }
    serialize(views, Some(words)).expect("bytes")
}

fn arrays(result: &Counterfactual) -> Vec<Array> {
    let f32s = |name, shape: &[usize], values: &mut dyn Iterator<Item = f32>| -> Array {
        (name, Dtype::F32, shape.to_vec(), values.flat_map(f32::to_le_bytes).collect())
    };
    let f64s = |name, shape: &[usize], values: &mut dyn Iterator<Item = f64>| -> Array {
        (name, Dtype::F64, shape.to_vec(), values.flat_map(f64::to_le_bytes).collect())
    };
    let ([width, height, slices], count) = (result.grid.shape, result.steps.len());
    let (labels, scores, whole) = (result.scan_logits.len(), result.scores, [slices, 1, height, width]);
    let volume = |name, volume: &Volume| f32s(name, &whole, &mut volume.voxels.iter());
    let steps = || result.steps.iter();
    vec![
        f32s("steps", &[count, result.slab.len(), height, width], &mut steps().flat_map(|s| s.slab.iter().copied())),
        volume("reconstruction", &result.reconstruction),
        volume("heatmap", &result.heatmap),
        f32s("hu_from_decoded", &[2], &mut result.hu_from_decoded.into_iter()),
        f32s("latents", &result.latent_shape, &mut result.latents.iter().copied()),
        f32s("gradient", &result.latent_shape, &mut result.gradient.iter().copied()),
        f32s("logits", &[count, labels], &mut steps().flat_map(|s| s.logits.iter().copied())),
        f32s("scan_logits", &[labels], &mut result.scan_logits.iter().copied()),
        f32s("reconstruction_logits", &[labels], &mut result.reconstruction_logits.iter().copied()),
        f64s("lambdas", &[count], &mut steps().map(|s| s.lambda)),
        f64s("step_scores", &[count], &mut steps().map(|s| s.score)),
        f64s("scores", &[3], &mut [scores.scan, scores.reconstruction, scores.counterfactual].into_iter()),
        f64s("calibration", &[2], &mut result.calibration.into_iter()),
        f64s("latents_moved", &[1], &mut [result.latents_moved].into_iter()),
        f64s("walk", &[result.walk.len(), 3], &mut result.walk.iter().flat_map(|t| [t.lambda, t.score, t.change])),
    ]
}
