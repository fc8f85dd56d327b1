//! The lung segmenter: U-Net R231 (Hofmanninger et al. 2020, Eur Radiol Exp 4:50), layout of `lungmask/resunet.py`.

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::{Card, Error, Segmenter, labels};
use crate::nn::conv::{Conv2d, Shape, conv2d};
use crate::nn::norm::{BatchNorm, batch_norm};
use crate::nn::{pool, resize};
use crate::weights::Checkpoint;

/// Trained with residual connections off, but saved with their layers.
const UNUSED: [&str; 3] = ["residual_input_conv.", "residual_batchnorm.", "num_batches_tracked"];
const BATCH_NORM_EPS: f64 = 1e-5; // torch's default

const CONV_3X3: Shape = Shape { kernel: 3, stride: 1, padding: 1 };
const CONV_1X1: Shape = Shape { kernel: 1, stride: 1, padding: 0 };

/// conv, ReLU, norm, twice; the norm comes after the ReLU.
struct Block {
    conv0: Conv2d,
    norm2: BatchNorm,
    conv3: Conv2d,
    norm5: BatchNorm,
}

impl Block {
    fn new(c_in: usize, c_out: usize, vb: &VarBuilder) -> Result<Self> {
        let vb = vb.pp("block");
        Ok(Self {
            conv0: conv2d(c_in, c_out, CONV_3X3, &vb.pp(0))?,
            norm2: batch_norm(c_out, BATCH_NORM_EPS, &vb.pp(2))?,
            conv3: conv2d(c_out, c_out, CONV_3X3, &vb.pp(3))?,
            norm5: batch_norm(c_out, BATCH_NORM_EPS, &vb.pp(5))?,
        })
    }
}

impl Module for Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // candle's ReLU has a gradient of 1 at exactly 0, where one within the convolution has 0. Both are subgradients; the runs
        // recorded from the published network have such a 0, which it computes a trifle above.
        x.apply(&self.conv0)?.relu()?.apply(&self.norm2)?.apply(&self.conv3)?.relu()?.apply(&self.norm5)
    }
}

/// Bilinear doubling, 1x1 convolution, the bridge's centre beside it, a block.
struct Up {
    conv: Conv2d,
    block: Block,
}

pub struct LungUnet {
    down_path: Vec<Block>,
    up_path: Vec<Up>,
    last: Conv2d,
    labels: Vec<String>,
    device: Device,
}

impl LungUnet {
    /// Depth and widths come from the tensors' shapes.
    pub fn load(
        card: &Card,
        checkpoint: &Checkpoint,
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Self, Error> {
        let vb = checkpoint.builder(dtype, device);
        let width = |level: usize| match checkpoint.shape(&format!("down_path.{level}.block.0.weight")) {
            Some([out, c_in, ..]) => Some((*c_in, *out)),
            _ => None,
        };
        let widths: Vec<_> = (0..).map_while(width).collect();
        let mut down_path = Vec::new();
        for (level, (c_in, c_out)) in widths.iter().enumerate() {
            down_path.push(Block::new(*c_in, *c_out, &vb.pp("down_path").pp(level))?);
        }
        let mut up_path = Vec::new();
        for (i, pair) in widths.windows(2).rev().enumerate() {
            let ((_, narrow), (_, wide)) = (pair[0], pair[1]);
            let vb = vb.pp("up_path").pp(i);
            let conv = conv2d(wide, narrow, CONV_1X1, &vb.pp("up").pp(1))?;
            up_path.push(Up { conv, block: Block::new(2 * narrow, narrow, &vb.pp("conv_block"))? });
        }
        let classes = checkpoint.shape("last.weight").and_then(|s| s.first().copied()).unwrap_or(3);
        let last = conv2d(widths.first().map_or(0, |(_, out)| *out), classes, CONV_1X1, &vb.pp("last"))?;
        checkpoint.finish(&UNUSED)?;
        let default = || ["No lung", "Right lung", "Left lung"].map(str::to_owned).to_vec();
        let labels = labels(card, classes, default, checkpoint.path())?;
        Ok(Self { down_path, up_path, last, labels, device: device.clone() })
    }
}

impl Segmenter for LungUnet {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Sizes that 16 does not divide come out smaller, as in the original: 56 gives 48.
    fn log_probabilities(&self, stack: &Tensor) -> Result<Tensor> {
        let mut bridges = Vec::with_capacity(self.down_path.len());
        let mut x = stack.to_device(&self.device)?;
        for (level, block) in self.down_path.iter().enumerate() {
            if level > 0 {
                x = pool::avg_pool2d(&x, 2)?;
            }
            x = block.forward(&x)?;
            bridges.push(x.clone());
        }
        bridges.pop(); // the deepest is what goes up
        for up in &self.up_path {
            let (_, _, h, w) = x.dims4()?;
            let raised = resize::bilinear(&x, [2 * h, 2 * w])?.apply(&up.conv)?;
            if let Some(bridge) = bridges.pop() {
                x = Tensor::cat(&[&raised, &center_crop(&bridge, [2 * h, 2 * w])?], 1)?.apply(&up.block)?;
            }
        }
        candle_nn::ops::log_softmax(&x.apply(&self.last)?, 1)?.to_device(&Device::Cpu)
    }
}

/// `lungmask/resunet.py`, `center_crop`: the first row is half the surplus, rounded down.
fn center_crop(x: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    x.narrow(2, (h - height) / 2, height)?.narrow(3, (w - width) / 2, width)?.contiguous()
}
