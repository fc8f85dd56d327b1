//! The lung segmenter: U-Net R231 (Hofmanninger et al. 2020, Eur Radiol Exp 4:50), layout of `lungmask/resunet.py`.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::stage::pull_by_graph;
use super::{Card, Error, PullBack, Segmenter, fits, halves, labels};
use crate::nn::conv::{Conv2d, Shape, conv2d};
use crate::nn::norm::batch_norm;
use crate::nn::trail::{AtZero, Mask};
use crate::nn::{device, pool, resize};
use crate::weights::Checkpoint;

/// Trained with residual connections off, but saved with their layers.
const UNUSED: [&str; 3] = ["residual_input_conv.", "residual_batchnorm.", "num_batches_tracked"];
const BATCH_NORM_EPS: f64 = 1e-5; // torch's default

const CONV_3X3: Shape = Shape { kernel: 3, stride: 1, padding: 1 };
const CONV_1X1: Shape = Shape { kernel: 1, stride: 1, padding: 0 };

/// conv, ReLU, norm, twice; the norm comes after the ReLU.
struct Block {
    conv0: Conv2d, // with norm 2
    conv3: Conv2d, // with norm 5
}

/// What the ReLUs of a block let through, and the height and width of its input.
struct Trail {
    masks: [Mask; 2],
    size: [usize; 2],
}

/// The runs recorded from the published network have a ReLU at exactly 0, which that computes a trifle above: it passes.
const AT_ZERO: AtZero = AtZero::All;

impl Block {
    fn new(c_in: usize, c_out: usize, vb: &VarBuilder) -> Result<Self> {
        let vb = vb.pp("block");
        let norm = |i: usize| batch_norm(c_out, BATCH_NORM_EPS, &vb.pp(i));
        Ok(Self {
            conv0: conv2d(c_in, c_out, CONV_3X3, &vb.pp(0))?.normed_last(norm(2)?)?,
            conv3: conv2d(c_out, c_out, CONV_3X3, &vb.pp(3))?.normed_last(norm(5)?)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.conv3.relu(&self.conv0.relu(x, AT_ZERO)?, AT_ZERO)
    }

    fn trail(&self, x: &Tensor) -> Result<(Tensor, Trail)> {
        let (_, _, h, w) = x.dims4()?;
        let (y, first) = self.conv0.trail(x, None, AT_ZERO)?;
        let (y, second) = self.conv3.trail(&y, None, AT_ZERO)?;
        Ok((y, Trail { masks: [first, second], size: [h, w] }))
    }

    fn pull_back(&self, Trail { masks: [first, second], size }: &Trail, gradient: &Tensor) -> Result<Tensor> {
        let pulled = self.conv3.pull_back(&second.pass(gradient)?, *size, None, Some(first))?;
        self.conv0.pull_back(&pulled, *size, None, None)
    }
}

/// 1x1 convolution, bilinear doubling, the bridge's centre beside it, a block. The original doubles first; a pixel of either is the
/// same weighted mean, whose weights add up to 1, and the convolution takes a quarter of the products here.
struct Up {
    conv: Conv2d,
    block: Block,
}

impl Up {
    fn raised(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        resize::bilinear(&x.apply(&self.conv)?, [2 * h, 2 * w])
    }

    /// To the gradient of what was raised to `size`.
    fn pull_back(&self, gradient: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
        let size = [height / 2, width / 2];
        self.conv.pull_back(&resize::bilinear_back(gradient, size)?, size, None, None)
    }
}

pub struct LungUnet {
    /// Channels of the first level.
    width: usize,
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
        let vb = checkpoint.builder(dtype);
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
            up_path.push(Up { conv, block: Block::new(narrow.saturating_mul(2), narrow, &vb.pp("conv_block"))? });
        }
        let classes = checkpoint.shape("last.weight").and_then(|s| s.first().copied()).unwrap_or(3);
        let width = widths.first().map_or(0, |(_, out)| *out);
        let last = conv2d(width, classes, CONV_1X1, &vb.pp("last"))?;
        checkpoint.finish(&UNUSED)?;
        let default = || ["No lung", "Right lung", "Left lung"].map(str::to_owned).to_vec();
        let labels = labels(card, classes, default, checkpoint.path())?;
        Ok(Self { width, down_path, up_path, last, labels, device: device.clone() })
    }
}

impl Segmenter for LungUnet {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Sizes that 16 does not divide come out smaller, as in the original: 56 gives 48.
    fn log_probabilities(&self, stack: &Tensor) -> Result<Tensor> {
        self.check(stack)?;
        let mut bridges = Vec::with_capacity(self.down_path.len());
        let mut x = device::copied(stack, &self.device)?;
        for (level, block) in self.down_path.iter().enumerate() {
            if level > 0 {
                x = pool::avg_pool2d(&x, 2)?;
            }
            x = block.forward(&x)?;
            bridges.push(x.clone());
        }
        bridges.pop(); // the deepest is what goes up
        for up in &self.up_path {
            let raised = up.raised(&x)?;
            if let Some(bridge) = bridges.pop() {
                x = up.block.forward(&beside(&raised, &bridge)?)?;
            }
        }
        self.classes(&x)
    }

    fn trail(&self, stack: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        self.check(stack)?;
        let mut x = device::copied(stack, &self.device)?;
        let (mut down, mut up, mut bridges) = (Vec::new(), Vec::new(), Vec::new());
        for (level, block) in self.down_path.iter().enumerate() {
            if level > 0 {
                x = pool::avg_pool2d(&x, 2)?;
            }
            let (y, trail) = block.trail(&x)?;
            down.push(trail);
            bridges.push(y.clone());
            x = y;
        }
        bridges.pop(); // the deepest is what goes up
        for step in &self.up_path {
            let raised = step.raised(&x)?;
            if let Some(bridge) = bridges.pop() {
                let (y, trail) = step.block.trail(&beside(&raised, &bridge)?)?;
                up.push(trail);
                x = y;
            }
        }
        let last = x;
        let y = self.classes(&last)?;
        Ok((y, Box::new(move |gradient| self.pull_back(&down, &up, &last, gradient))))
    }
}

impl LungUnet {
    /// Refuses what it has no output, or no memory, for.
    fn check(&self, stack: &Tensor) -> Result<()> {
        let (slices, _, h, w) = stack.dims4()?;
        halves([h, w], self.down_path.len())?;
        // What its first block's convolutions give.
        fits([2 * slices, self.width, h, w], [slices, h, w], &self.device)
    }

    /// Log-softmax over the classes, on the CPU.
    fn classes(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::log_softmax(&x.apply(&self.last)?, 1)?.to_device(&Device::Cpu)
    }

    fn pull_back(&self, down: &[Trail], up: &[Trail], last: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let mut gradient = pull_by_graph(|x| self.classes(x), last, gradient)?;
        // From the shallowest level on, as the steps up are gone down.
        let mut of_bridges = Vec::with_capacity(up.len());
        for (step, trail) in self.up_path.iter().zip(up).rev() {
            let both = step.block.pull_back(trail, &gradient)?;
            let channels = both.dim(1)? / 2;
            of_bridges.push(both.narrow(1, channels, channels)?);
            gradient = step.pull_back(&both.narrow(1, 0, channels)?.contiguous()?, trail.size)?;
        }
        for (level, (block, trail)) in self.down_path.iter().zip(down).enumerate().rev() {
            if let Some(of_bridge) = of_bridges.get(level) {
                gradient = (gradient + uncropped(of_bridge, trail.size)?)?;
            }
            gradient = block.pull_back(trail, &gradient)?;
            if level > 0 {
                gradient = pool::avg_pool2d_back(&gradient, 2, down[level - 1].size)?;
            }
        }
        gradient.to_device(&Device::Cpu)
    }
}

/// What came up, and the centre of the bridge, which may be larger.
fn beside(raised: &Tensor, bridge: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = raised.dims4()?;
    Tensor::cat(&[raised, &center_crop(bridge, [h, w])?], 1)
}

/// `lungmask/resunet.py`, `center_crop`: the first row is half the surplus, rounded down.
fn center_crop(x: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    x.narrow(2, (h - height) / 2, height)?.narrow(3, (w - width) / 2, width)?.contiguous()
}

/// The transpose of [`center_crop`]: zeros around.
fn uncropped(x: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let [top, left] = [(height - h) / 2, (width - w) / 2];
    x.contiguous()?.pad_with_zeros(2, top, height - h - top)?.pad_with_zeros(3, left, width - w - left)
}
