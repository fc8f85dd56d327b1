//! The phenotype classifier: a ResNet inflated to 3-D (I3ResNet, Blankemeier et al. 2024, "Merlin", arXiv 2406.06512).

use candle_core::{DType, Device, Module, Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::stage::pull_by_graph;
use super::vqgan::turn;
use super::{Card, Classifier, Error, PullBack, Stage, fits, labels, phecodes};
use crate::nn::conv::{Bias, Conv3d, conv3d};
use crate::nn::norm::batch_norm;
use crate::nn::trail::{AtZero, Mask};
use crate::nn::{device, pool, resize};
use crate::weights::Checkpoint;

/// Where Merlin's own release keeps this network.
const MERLIN: &str = "encode_image.i3_resnet.";
/// The head that matches text, and counters of training.
const UNUSED: [&str; 2] = ["contrastive_head.", "num_batches_tracked"];
const BATCH_NORM_EPS: f64 = 1e-5; // torch's default
/// Blocks per stage: how long a cancelled run goes on.
const BLOCKS_PER_STAGE: usize = 4;

/// 1x1x1, 3x3x3 with the stride, 1x1x1 to four times the width, each with its batch norm.
struct Bottleneck {
    conv1: Conv3d,
    conv2: Conv3d,
    conv3: Conv3d,
    downsample: Option<Conv3d>,
}

impl Bottleneck {
    fn new(c_in: usize, width: usize, c_out: usize, stride: usize, skips: bool, vb: &VarBuilder) -> Result<Self> {
        let conv = |[c_in, c_out]: [usize; 2], k, stride, name: &str, norm: &str| {
            let conv = conv3d([c_in, c_out], [k; 3], [stride; 3], [k / 2; 3], Bias::Without, &vb.pp(name))?;
            conv.normed(batch_norm(c_out, BATCH_NORM_EPS, &vb.pp(norm))?)
        };
        let down = || conv([c_in, c_out], 1, stride, "downsample.0", "downsample.1");
        Ok(Self {
            conv1: conv([c_in, width], 1, 1, "conv1", "bn1")?,
            conv2: conv([width, width], 3, stride, "conv2", "bn2")?,
            conv3: conv([width, c_out], 1, 1, "conv3", "bn3")?,
            downsample: if skips { None } else { Some(down()?) },
        })
    }
}

impl Module for Bottleneck {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let skip = match &self.downsample {
            Some(conv) => x.apply(conv)?,
            None => x.clone(),
        };
        let y = self.conv2.relu(&self.conv1.relu(x, AtZero::Nothing)?, AtZero::Nothing)?;
        self.conv3.add_relu(&y, &skip, AtZero::Nothing)
    }
}

/// What the three ReLUs of a block let through, and the depth, height and width of its input.
struct Trail {
    masks: [Mask; 3],
    size: [usize; 3],
}

impl Bottleneck {
    fn trail(&self, x: &Tensor) -> Result<(Tensor, Trail)> {
        let (_, _, d, h, w) = x.dims5()?;
        let skip = match &self.downsample {
            Some(conv) => x.apply(conv)?,
            None => x.clone(),
        };
        let (y, first) = self.conv1.trail(x, None, AtZero::Nothing)?;
        let (y, second) = self.conv2.trail(&y, None, AtZero::Nothing)?;
        let (y, third) = self.conv3.trail(&y, Some(&skip), AtZero::Nothing)?;
        Ok((y, Trail { masks: [first, second, third], size: [d, h, w] }))
    }

    /// From the gradient of the outputs, once past the last ReLU, to that of the inputs, past the ReLU of the block before.
    fn pull_back(&self, trail: &Trail, gradient: &Tensor, before: Option<&Mask>) -> Result<Tensor> {
        let Trail { masks: [first, second, _], size } = trail;
        let (_, _, d, h, w) = gradient.dims5()?;
        let pulled = self.conv3.pull_back(gradient, [d, h, w], None, Some(second))?;
        let pulled = self.conv2.pull_back(&pulled, *size, None, Some(first))?;
        let skip = match &self.downsample {
            Some(conv) => &conv.pull_back(gradient, *size, None, None)?,
            None => gradient,
        };
        self.conv1.pull_back(&pulled, *size, Some(skip), before)
    }
}

/// Blocks in a row, and the way back through them.
fn trail<'a>(blocks: &'a [Bottleneck], x: &Tensor) -> Result<(Tensor, PullBack<'a>)> {
    let (mut x, mut trails) = (x.clone(), Vec::with_capacity(blocks.len()));
    for block in blocks {
        let (y, trail) = block.trail(&x)?;
        trails.push(trail);
        x = y;
    }
    let pull_back = move |gradient: &Tensor| {
        let third = |i: usize| trails.get(i).map(|trail: &Trail| &trail.masks[2]);
        let last = blocks.len().wrapping_sub(1);
        let mut gradient = third(last).map_or_else(|| Ok(gradient.clone()), |mask| mask.pass(gradient))?;
        for (i, block) in blocks.iter().enumerate().rev() {
            gradient = block.pull_back(&trails[i], &gradient, third(i.wrapping_sub(1)))?;
        }
        Ok(gradient)
    };
    Ok((x, Box::new(pull_back)))
}

pub struct I3ResNet {
    side: Option<usize>,
    turned: bool,
    /// Channels of the first convolution.
    stem: usize,
    conv1: Conv3d, // its three equal input channels summed to one, and its batch norm
    blocks: Vec<Bottleneck>,
    classifier: Conv3d,
    labels: Vec<String>,
    device: Device,
}

impl I3ResNet {
    /// Widths and depths come from the tensors' shapes.
    pub fn load(
        card: &Card,
        checkpoint: &Checkpoint,
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Self, Error> {
        let merlin = checkpoint.names().any(|name| name.starts_with(MERLIN));
        let checkpoint = if merlin { checkpoint.within(MERLIN) } else { checkpoint.clone() };
        let vb = checkpoint.builder(dtype);
        let size = |name: &str, axis: usize| checkpoint.shape(name).and_then(|s| s.get(axis)).copied();
        let stem = size("conv1.weight", 0).unwrap_or(64);
        let weight = vb.pp("conv1").get((stem, 3, 3, 7, 7), "weight")?;
        let conv1 = Conv3d::from_tensors(&weight.sum_keepdim(1)?, None, [1, 2, 2], [1, 3, 3])?;
        let conv1 = conv1.normed(batch_norm(stem, BATCH_NORM_EPS, &vb.pp("bn1"))?)?;

        let mut blocks = Vec::new();
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
                blocks.push(Bottleneck::new(c_in, width, c_out, stride, skips, &vb)?);
                c_in = c_out;
            }
        }
        let classes = size("classifier.weight", 0).unwrap_or(1692);
        let classifier = conv3d([c_in, classes], [1; 3], [1; 3], [0; 3], Bias::With, &vb.pp("classifier"))?;
        checkpoint.finish(&UNUSED)?;
        let numbered = || (0..classes).map(|i| format!("class {i}")).collect();
        let default = || if classes == 1692 { phecodes::names() } else { numbered() };
        let labels = labels(card, classes, default, checkpoint.path())?;
        let device = device.clone();
        Ok(Self { side: card.side, turned: card.turned, stem, conv1, blocks, classifier, labels, device })
    }

    /// `[slices, 1, h, w]` to the stem's output `[1, c, d, h, w]`.
    fn stem(&self, stack: &Tensor) -> Result<Tensor> {
        pool::max_pool3d(&self.conv1.relu(&self.volume(stack)?, AtZero::Nothing)?, 3, 2, 1)
    }

    /// The stem, and the way back to the stack.
    fn stem_trail(&self, stack: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let volume = self.volume(stack)?;
        let (_, _, d, h, w) = volume.dims5()?;
        let (y, mask) = self.conv1.trail(&volume, None, AtZero::Nothing)?;
        drop(volume);
        let (y, maxima) = pool::max_pool3d_trail(&y, 3, 2, 1)?;
        let stack = stack.detach();
        let pull_back = move |gradient: &Tensor| {
            let pulled = maxima.pull_back(gradient, Some(&mask))?;
            let pulled = self.conv1.pull_back(&pulled, [d, h, w], None, None)?;
            pull_by_graph(|stack| self.volume(stack), &stack, &pulled)
        };
        Ok((y, Box::new(pull_back)))
    }

    /// `[slices, 1, h, w]` as the network was fed, `[1, 1, d, h, w]`.
    fn volume(&self, stack: &Tensor) -> Result<Tensor> {
        let (slices, channels, h, w) = stack.dims4()?;
        if channels != 1 || slices == 0 {
            bail!("the classifier takes a stack [slices, 1, height, width], found {:?}", stack.dims());
        }
        let [height, width] = self.side.map_or([h, w], |side| [side; 2]);
        // What its first convolution gives.
        let halved = [self.stem, slices, height.div_ceil(2), width.div_ceil(2)];
        fits(halved, [slices, height, width], &self.device)?;
        let mut x = device::copied(stack, &self.device)?;
        if self.turned {
            x = turn(&x)?;
        }
        if let Some(side) = self.side {
            x = resize::bilinear(&x, [side, side])?;
        }
        x.transpose(0, 1)?.unsqueeze(0)
    }

    fn head(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c) = (x.dim(0)?, x.dim(1)?);
        pool::global_avg_pool(x)?
            .reshape((n, c, 1, 1, 1))?
            .apply(&self.classifier)?
            .flatten_from(1)?
            .to_device(&Device::Cpu)
    }
}

impl Classifier for I3ResNet {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn stages(&self) -> Vec<Stage<'_>> {
        let blocks = self.blocks.chunks(BLOCKS_PER_STAGE).map(|blocks| {
            let forward = move |x: &Tensor| blocks.iter().try_fold(x.clone(), |x, block| block.forward(&x));
            Stage::with_trail(forward, move |x| trail(blocks, x))
        });
        let stem = Stage::with_trail(|stack| self.stem(stack), |stack| self.stem_trail(stack));
        let head = Stage::of(|x| self.head(x));
        [stem].into_iter().chain(blocks).chain([head]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::needed::shared;

    /// f32 sums in another order, of the largest activation.
    const TOLERANCE: f32 = 1e-4;

    /// Every activation that was recorded within the published network, layer by layer.
    #[test]
    fn every_layer_gives_what_the_published_one_gives() -> Result<()> {
        let Some(goldens) = shared("goldens") else { return Ok(()) };
        let g = candle_core::safetensors::load(goldens.join("phecode_small.safetensors"), &Device::Cpu)?;
        let card = Card::open(&goldens.join("models/phecode_small.toml")).map_err(candle_core::Error::wrap)?;
        let checkpoint = Checkpoint::open(&card.weights).map_err(candle_core::Error::wrap)?;
        let network = I3ResNet::load(&Card { side: Some(64), ..card }, &checkpoint, DType::F32, &Device::Cpu)
            .map_err(candle_core::Error::wrap)?;
        let near = |name: &str, got: &Tensor| -> Result<()> {
            let largest = |t: &Tensor| t.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
            let (gap, size) = (largest(&(got - &g[name])?)?, largest(&g[name])?);
            assert!(gap <= TOLERANCE * size.max(1.0), "{name}: off by {gap:e} of {size}");
            Ok(())
        };
        let stack = g["volume"].permute((4, 1, 2, 3, 0))?.squeeze(4)?.contiguous()?;
        let mut x = network.stem(&stack)?;
        near("act.maxpool", &x)?;
        // One, two, one and one blocks.
        for (block, layer) in network.blocks.iter().zip([Some(1), None, Some(2), Some(3), Some(4)]) {
            x = block.forward(&x)?;
            if let Some(layer) = layer {
                near(&format!("act.layer{layer}"), &x)?;
            }
        }
        near("act.avgpool", &pool::global_avg_pool(&x)?.reshape(g["act.avgpool"].dims())?)?;
        // The head that matches text is no part of the classifier; it tells all the same whether what it is fed is right. It
        // was recorded without the turn, as the logits were.
        let untouched = I3ResNet { side: None, turned: false, ..network };
        let x = untouched.blocks.iter().try_fold(untouched.stem(&stack)?, |x, block| block.forward(&x))?;
        let pooled = pool::global_avg_pool(&x)?.unsqueeze(2)?.unsqueeze(3)?.unsqueeze(4)?;
        let vb = checkpoint.builder(DType::F32).pp("contrastive_head");
        let (width, size) = (pooled.dim(1)?, g["model_only_contrastive"].dim(1)?);
        let head = conv3d([width, size], [1; 3], [1; 3], [0; 3], Bias::With, &vb)?;
        near("model_only_contrastive", &pooled.apply(&head)?.flatten_from(1)?)
    }
}
