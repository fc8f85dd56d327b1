//! The lung segmenter: U-Net R231 (Hofmanninger et al. 2020, Eur Radiol Exp 4:50), layout of `lungmask/resunet.py`.

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;

use super::architecture::{Architecture, Defaults, Role};
use super::{Card, Error, Network, Segmenter, labels};
use crate::graph::ops::{AtZero, Bias, CenterCrop, Size, Windows, batch_norm, conv2d};
use crate::graph::{Graph, Value};
use crate::weights::Checkpoint;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "lung-unet",
    title: "lung U-Net segmenter",
    role: Role::Segmenter,
    recognises: |has| has("down_path.0.block.0.weight"),
    defaults: Defaults { side: None, turned: false },
    load,
};

/// Trained with residual connections off, but saved with their layers.
const UNUSED: [&str; 3] = ["residual_input_conv.", "residual_batchnorm.", "num_batches_tracked"];
const BATCH_NORM_EPS: f64 = 1e-5; // torch's default

/// The runs recorded from the published network have a ReLU at exactly 0, which that computes a trifle above: it passes.
const AT_ZERO: AtZero = AtZero::All;

fn load(card: &Card, checkpoint: &Checkpoint, dtype: DType, device: &Device) -> std::result::Result<Network, Error> {
    let width = |level: usize| match checkpoint.shape(&format!("down_path.{level}.block.0.weight")) {
        Some([out, c_in, ..]) => Some((*c_in, *out)),
        _ => None,
    };
    let widths: Vec<_> = (0..).map_while(width).collect();
    let classes = checkpoint.shape("last.weight").and_then(|s| s.first().copied()).unwrap_or(3);
    let graph = build(&widths, classes, &checkpoint.builder(dtype))?;
    checkpoint.finish(&UNUSED)?;
    let default = || ["No lung", "Right lung", "Left lung"].map(str::to_owned).to_vec();
    let labels = labels(card, classes, default, checkpoint.path())?;
    Ok(Network::Segmenter(Segmenter::new(graph, labels, widths.len(), dtype, device).into()))
}

/// `[slices, 1, h, w]` to log-softmax `[slices, classes, h', w']`. `widths` are the channels before and after the first convolution
/// of each level. Sizes that the levels do not divide come out smaller, as in the original: 56 gives 48.
fn build(widths: &[(usize, usize)], classes: usize, vb: &VarBuilder) -> Result<Graph> {
    let mut g = Graph::new();
    let mut x = g.input();
    let mut bridges = Vec::new();
    for (level, (c_in, c_out)) in widths.iter().enumerate() {
        if level > 0 {
            x = g.average_pool(x, Windows::squares(2, 2, 0));
        }
        x = block(&mut g, x, [*c_in, *c_out], &vb.pp("down_path").pp(level))?;
        bridges.push(x);
    }
    bridges.pop(); // the deepest is what goes up
    for (i, pair) in widths.windows(2).rev().enumerate() {
        let ((_, narrow), (_, wide)) = (pair[0], pair[1]);
        let vb = vb.pp("up_path").pp(i);
        // The original doubles first; a pixel of either is the same weighted mean, whose weights add up to 1, and the convolution
        // takes a quarter of the products here.
        x = g.conv(x, conv2d([wide, narrow], 1, Bias::With, &vb.pp("up").pp(1))?);
        x = g.resize(x, Size::Times(2), false);
        if let Some(bridge) = bridges.pop() {
            let bridge = g.apply(CenterCrop, &[bridge, x]);
            x = g.concat(&[x, bridge], 1);
            x = block(&mut g, x, [narrow.saturating_mul(2), narrow], &vb.pp("conv_block"))?;
        }
    }
    let width = widths.first().map_or(0, |(_, out)| *out);
    x = g.conv(x, conv2d([width, classes], 1, Bias::With, &vb.pp("last"))?);
    let x = g.log_softmax(x, 1);
    Ok(g.finish(&[x]).fused())
}

/// conv, ReLU, norm, twice; the norm comes after the ReLU.
fn block(g: &mut Graph, mut x: Value, [c_in, c_out]: [usize; 2], vb: &VarBuilder) -> Result<Value> {
    let vb = vb.pp("block");
    for (at, channels) in [(0, [c_in, c_out]), (3, [c_out, c_out])] {
        x = g.conv(x, conv2d(channels, 3, Bias::With, &vb.pp(at))?.padded([0, 1, 1]));
        x = g.relu(x, AT_ZERO);
        x = g.batch_norm(x, batch_norm(c_out, BATCH_NORM_EPS, &vb.pp(at + 2))?);
    }
    Ok(x)
}
