//! The diabetes classifier: a DenseNet-121 in 3-D (Huang et al. 2017, arXiv 1608.06993), layout of MONAI's
//! `monai/networks/nets/densenet.py`. Also the example of how to add a network: this file says all that is particular to one.

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;

use super::architecture::{Architecture, Defaults, Role};
use super::{Card, Classifier, Error, Network, Probabilities, labels, of_volume};
use crate::graph::ops::{AtZero, Conv, Windows, batch_norm};
use crate::graph::{Graph, Value};
use crate::weights::Checkpoint;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "densenet",
    title: "3-D DenseNet classifier",
    role: Role::Classifier,
    recognises: |has| has("features.denseblock1.denselayer1.layers.conv1.weight"),
    defaults: Defaults { side: None, turned: true },
    load,
};

/// Where lightning keeps a network's own tensors.
const PREFIXES: [&str; 3] = ["model.", "state_dict.", "module."];
const FIRST: &str = "features.conv0.weight";
const UNUSED: [&str; 1] = ["num_batches_tracked"];
const BATCH_NORM_EPS: f64 = 1e-5; // torch's default
const HU: f64 = 1024.0;

fn load(card: &Card, checkpoint: &Checkpoint, dtype: DType, device: &Device) -> std::result::Result<Network, Error> {
    let prefix = PREFIXES.into_iter().find(|prefix| checkpoint.shape(&format!("{prefix}{FIRST}")).is_some());
    let checkpoint = prefix.map_or_else(|| checkpoint.clone(), |prefix| checkpoint.within(prefix));
    let graph = build(&checkpoint, &checkpoint.builder(dtype))?;
    let classes = checkpoint.shape("class_layers.out.weight").and_then(|shape| shape.first()).copied().unwrap_or(2);
    checkpoint.finish(&UNUSED)?;
    let numbered = || (0..classes).map(|class| format!("class {class}")).collect();
    let default = || if classes == 1 { vec!["Diabetes within five years".to_owned()] } else { numbered() };
    let labels = labels(card, classes, default, checkpoint.path())?;
    // Trained on HU / 1024 (`infer.ipynb` of ct-counterfactuals, `classifiers/diabetes_prediction_5yr`).
    let [slope, offset] = card.recipe.hu_from_unit().map(|hu| f64::from(hu) / HU);
    let mut g = Graph::new();
    let x = g.input();
    let x = g.affine(x, slope, offset);
    let logits = g.append(&graph, x);
    let graph = of_volume(card, &g.finish(&[logits]));
    // One logit is a question of its own; the answers of several add up to 1.
    let probabilities = if classes > 1 { Probabilities::Softmax } else { Probabilities::Sigmoid };
    Ok(Network::Classifier(Classifier::new(graph, &card.recipe, labels, probabilities, dtype, device).into()))
}

/// `[1, 1, d, h, w]` to logits `[1, classes]`. Widths and depths come from the tensors' shapes.
///
/// The network was trained on volumes in the order of a RAS+ file, left to right, back to front, up. Here slices come first, so the
/// axes of its kernels change places instead of the volume's.
fn build(checkpoint: &Checkpoint, vb: &VarBuilder) -> Result<Graph> {
    let size = |name: &str, axis: usize| checkpoint.shape(name).and_then(|shape| shape.get(axis)).copied();
    let mut g = Graph::new();
    let x = g.input();
    let features = vb.pp("features");
    let mut channels = size(FIRST, 0).unwrap_or(64);
    let in_channels = size(FIRST, 1).unwrap_or(1);
    let stem = cubic([in_channels, channels], 7, &features.pp("conv0"))?;
    let mut x = g.conv(x, stem.strided([2; 3]).padded([3; 3]));
    x = norm_relu(&mut g, x, channels, &features.pp("norm0"))?;
    x = g.max_pool(x, Windows::cubes(3, 2, 1));
    g.name(x, "features.pool0");
    for block in 1.. {
        let conv = |layer: usize, conv: usize| {
            format!("features.denseblock{block}.denselayer{layer}.layers.conv{conv}.weight")
        };
        let mut layers = vec![x];
        let within = features.pp(format!("denseblock{block}"));
        for layer in 1.. {
            let (Some(width), Some(growth)) = (size(&conv(layer, 1), 0), size(&conv(layer, 2), 0)) else { break };
            let vb = within.pp(format!("denselayer{layer}.layers"));
            let all = g.concat(&layers, 1);
            let y = norm_relu(&mut g, all, channels, &vb.pp("norm1"))?;
            let y = g.conv(y, cubic([channels, width], 1, &vb.pp("conv1"))?);
            let y = norm_relu(&mut g, y, width, &vb.pp("norm2"))?;
            layers.push(g.conv(y, cubic([width, growth], 3, &vb.pp("conv2"))?.padded([1; 3])));
            channels += growth;
        }
        if layers.len() == 1 {
            break;
        }
        x = g.concat(&layers, 1);
        g.name(x, &format!("features.denseblock{block}"));
        let transition = format!("features.transition{block}.conv.weight");
        if let Some(out) = size(&transition, 0) {
            let vb = features.pp(format!("transition{block}"));
            let y = norm_relu(&mut g, x, channels, &vb.pp("norm"))?;
            let y = g.conv(y, cubic([channels, out], 1, &vb.pp("conv"))?);
            x = g.average_pool(y, Windows::cubes(2, 2, 0));
            g.name(x, &format!("features.transition{block}"));
            channels = out;
        }
    }
    let x = norm_relu(&mut g, x, channels, &features.pp("norm5"))?;
    let x = g.global_mean(x);
    let classes = size("class_layers.out.weight", 0).unwrap_or(2);
    let logits = g.linear(x, [channels, classes], &vb.pp("class_layers.out"))?;
    Ok(g.finish(&[logits]).fused())
}

/// A convolution without bias, `[out, in, k, k, k]`, whose last axis becomes the first of the volume.
fn cubic([c_in, c_out]: [usize; 2], k: usize, vb: &VarBuilder) -> Result<Conv> {
    Conv::new(&vb.get((c_out, c_in, k, k, k), "weight")?.permute((0, 1, 4, 2, 3))?.contiguous()?, None)
}

fn norm_relu(g: &mut Graph, x: Value, channels: usize, vb: &VarBuilder) -> Result<Value> {
    let x = g.batch_norm(x, batch_norm(channels, BATCH_NORM_EPS, vb)?);
    Ok(g.relu(x, AtZero::Nothing))
}
