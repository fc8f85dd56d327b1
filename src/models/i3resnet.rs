//! The phenotype classifier: a ResNet inflated to 3-D (I3ResNet, Blankemeier et al. 2024, "Merlin", arXiv 2406.06512).

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;

use super::architecture::{Architecture, Defaults, Role};
use super::{Card, Classifier, Error, Network, Probabilities, labels, of_volume, phecodes};
use crate::graph::ops::{AtZero, Bias, Conv, Windows, batch_norm, conv3d};
use crate::graph::{Graph, Value};
use crate::weights::Checkpoint;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "i3resnet",
    title: "inflated 3-D ResNet classifier",
    role: Role::Classifier,
    recognises: |has| has("layer1.0.conv1.weight") && has("contrastive_head.weight"),
    defaults: Defaults { side: Some(224), turned: true },
    load,
};

/// Where Merlin's own release keeps this network.
const MERLIN: &str = "encode_image.i3_resnet.";
/// The head that matches text, and counters of training.
const UNUSED: [&str; 2] = ["contrastive_head.", "num_batches_tracked"];
const BATCH_NORM_EPS: f64 = 1e-5; // torch's default

fn load(card: &Card, checkpoint: &Checkpoint, dtype: DType, device: &Device) -> std::result::Result<Network, Error> {
    let merlin = checkpoint.names().any(|name| name.starts_with(MERLIN));
    let checkpoint = if merlin { checkpoint.within(MERLIN) } else { checkpoint.clone() };
    let classes = checkpoint.shape("classifier.weight").and_then(|shape| shape.first()).copied().unwrap_or(1692);
    let graph = build(&checkpoint, classes, &checkpoint.builder(dtype))?;
    checkpoint.finish(&UNUSED)?;
    let numbered = || (0..classes).map(|class| format!("class {class}")).collect();
    let default = || if classes == 1692 { phecodes::names() } else { numbered() };
    let labels = labels(card, classes, default, checkpoint.path())?;
    let graph = of_volume(card, &graph);
    Ok(Network::Classifier(Classifier::new(graph, &card.recipe, labels, Probabilities::Sigmoid, dtype, device).into()))
}

/// `[1, 1, d, h, w]` to logits `[1, classes]`. Widths and depths come from the tensors' shapes.
fn build(checkpoint: &Checkpoint, classes: usize, vb: &VarBuilder) -> Result<Graph> {
    let size = |name: &str, axis: usize| checkpoint.shape(name).and_then(|s| s.get(axis)).copied();
    let mut g = Graph::new();
    let x = g.input();
    let stem = size("conv1.weight", 0).unwrap_or(64);
    // Its three equal input channels are summed to one.
    let weight = vb.pp("conv1").get((stem, 3, 3, 7, 7), "weight")?.sum_keepdim(1)?;
    let x = g.conv(x, Conv::new(&weight, None)?.strided([1, 2, 2]).padded([1, 3, 3]));
    let x = g.batch_norm(x, batch_norm(stem, BATCH_NORM_EPS, &vb.pp("bn1"))?);
    let x = g.relu(x, AtZero::Nothing);
    let mut x = g.max_pool(x, Windows::cubes(3, 2, 1));
    g.name(x, "maxpool");
    let mut c_in = stem;
    for layer in 1.. {
        let name = |block: usize, conv: usize| format!("layer{layer}.{block}.conv{conv}.weight");
        if size(&name(0, 1), 0).is_none() {
            break;
        }
        for block in 0.. {
            let (Some(width), Some(c_out)) = (size(&name(block, 1), 0), size(&name(block, 3), 0)) else { break };
            let stride = if block == 0 && layer > 1 { 2 } else { 1 };
            let skips = checkpoint.shape(&format!("layer{layer}.{block}.downsample.0.weight")).is_none();
            let vb = vb.pp(format!("layer{layer}")).pp(block);
            x = bottleneck(&mut g, x, [c_in, width, c_out], stride, skips, &vb)?;
            c_in = c_out;
        }
        g.name(x, &format!("layer{layer}"));
    }
    let x = g.global_mean(x);
    g.name(x, "avgpool");
    let x = g.reshape(x, &[None, Some(c_in), Some(1), Some(1), Some(1)]);
    let x = g.conv(x, conv3d([c_in, classes], [1; 3], Bias::With, &vb.pp("classifier"))?);
    let x = g.reshape(x, &[None, Some(classes)]);
    Ok(g.finish(&[x]).fused())
}

/// 1x1x1, 3x3x3 with the stride, 1x1x1 to `c_out`, each with its batch norm, beside a skip.
fn bottleneck(
    g: &mut Graph,
    x: Value,
    [c_in, width, c_out]: [usize; 3],
    stride: usize,
    skips: bool,
    vb: &VarBuilder,
) -> Result<Value> {
    let y = conv_norm(g, x, [c_in, width], [1, 1], vb, ["conv1", "bn1"])?;
    let y = g.relu(y, AtZero::Nothing);
    let y = conv_norm(g, y, [width, width], [3, stride], vb, ["conv2", "bn2"])?;
    let y = g.relu(y, AtZero::Nothing);
    // The skip is computed before the sum that it goes into, and after all else: so its gradient comes before that of the first
    // convolution, which adds it in passing.
    let skip =
        if skips { x } else { conv_norm(g, x, [c_in, c_out], [1, stride], vb, ["downsample.0", "downsample.1"])? };
    let y = conv_norm(g, y, [width, c_out], [1, 1], vb, ["conv3", "bn3"])?;
    let y = g.add(y, skip);
    Ok(g.relu(y, AtZero::Nothing))
}

/// A cubic convolution of that kernel and stride, and its batch norm.
fn conv_norm(
    g: &mut Graph,
    x: Value,
    channels: [usize; 2],
    [kernel, stride]: [usize; 2],
    vb: &VarBuilder,
    [conv, norm]: [&str; 2],
) -> Result<Value> {
    let conv = conv3d(channels, [kernel; 3], Bias::Without, &vb.pp(conv))?;
    let y = g.conv(x, conv.strided([stride; 3]).padded([kernel / 2; 3]));
    Ok(g.batch_norm(y, batch_norm(channels[1], BATCH_NORM_EPS, &vb.pp(norm))?))
}
