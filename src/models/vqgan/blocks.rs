//! The layers of `taming/modules/diffusionmodules/model.py`; field names are the checkpoint's. The decoder's know their way back.

use candle_core::{D, Error, Module, Result, Tensor};
use candle_nn::{VarBuilder, ops};

use super::config::Sizes;
use crate::models::PullBack;
use crate::models::stage::pull_by_graph;
use crate::nn::conv::{Conv2d, Shape, conv2d};
use crate::nn::group_norm::{GroupNorm, Swished, group_norm};
use crate::nn::resize;

const GROUPS: usize = 32;
const EPS: f64 = 1e-6;
const CONV_3X3: Shape = Shape { kernel: 3, stride: 1, padding: 1 };
const CONV_1X1: Shape = Shape { kernel: 1, stride: 1, padding: 0 };

/// A piece that leaves of its pass what its gradient needs.
trait Layer: Module {
    /// What it gives, and the way back.
    fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)>;
}

/// Those that keep height and width.
impl Layer for Conv2d {
    fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let (_, _, h, w) = x.dims4()?;
        Ok((self.forward(x)?, Box::new(move |gradient| self.pull_back(gradient, [h, w], None, None))))
    }
}

fn norm(channels: usize, vb: &VarBuilder) -> Result<GroupNorm> {
    group_norm(GROUPS, channels, EPS, vb)
}

/// norm, swish, conv, twice, beside a skip.
struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    nin_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    fn new(c_in: usize, c_out: usize, vb: &VarBuilder) -> Result<Self> {
        let nin_shortcut =
            if c_in == c_out { None } else { Some(conv2d(c_in, c_out, CONV_1X1, &vb.pp("nin_shortcut"))?) };
        Ok(Self {
            norm1: norm(c_in, &vb.pp("norm1"))?,
            conv1: conv2d(c_in, c_out, CONV_3X3, &vb.pp("conv1"))?,
            norm2: norm(c_out, &vb.pp("norm2"))?,
            conv2: conv2d(c_out, c_out, CONV_3X3, &vb.pp("conv2"))?,
            nin_shortcut,
        })
    }
}

impl ResnetBlock {
    /// What the first convolution makes of `x`.
    fn middle(&self, x: &Tensor) -> Result<Tensor> {
        x.apply(&Swished(&self.norm1))?.apply(&self.conv1)
    }

    /// The block's output, from there.
    fn end(&self, x: &Tensor, middle: &Tensor) -> Result<Tensor> {
        let h = middle.apply(&Swished(&self.norm2))?;
        match &self.nin_shortcut {
            Some(shortcut) => self.conv2.add(&h, &x.apply(shortcut)?),
            None => self.conv2.add(&h, x),
        }
    }

    /// From the gradient of the output to that of `x`.
    fn pull_back(&self, x: &Tensor, middle: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let pulled = self.conv2.pull_back(gradient, [h, w], None, None)?;
        let pulled = Swished(&self.norm2).pull_back(middle, &pulled, None)?;
        let pulled = self.conv1.pull_back(&pulled, [h, w], None, None)?;
        let Some(shortcut) = &self.nin_shortcut else {
            return Swished(&self.norm1).pull_back(x, &pulled, Some(gradient));
        };
        let pulled = Swished(&self.norm1).pull_back(x, &pulled, None)?;
        shortcut.pull_back(gradient, [h, w], Some(&pulled), None)
    }
}

impl Module for ResnetBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.end(x, &self.middle(x)?)
    }
}

impl Layer for ResnetBlock {
    fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let (x, middle) = (x.clone(), self.middle(x)?);
        Ok((self.end(&x, &middle)?, Box::new(move |gradient| self.pull_back(&x, &middle, gradient))))
    }
}

/// One head over all pixels of a slice.
struct AttnBlock {
    norm: GroupNorm,
    q: Conv2d,
    k: Conv2d,
    v: Conv2d,
    proj_out: Conv2d,
}

impl AttnBlock {
    fn new(channels: usize, vb: &VarBuilder) -> Result<Self> {
        let conv = |name: &str| conv2d(channels, channels, CONV_1X1, &vb.pp(name));
        Ok(Self {
            norm: norm(channels, &vb.pp("norm"))?,
            q: conv("q")?,
            k: conv("k")?,
            v: conv("v")?,
            proj_out: conv("proj_out")?,
        })
    }
}

impl Module for AttnBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let normed = x.apply(&self.norm)?;
        let tokens = |conv: &Conv2d| normed.apply(conv)?.reshape((n, c, h * w));
        let (q, k, v) = (tokens(&self.q)?, tokens(&self.k)?, tokens(&self.v)?);
        let weights = (q.transpose(1, 2)?.contiguous()?.matmul(&k)? * (c as f64).powf(-0.5))?; // [n, queries, keys]
        let weights = ops::softmax(&weights, D::Minus1)?;
        let mixed = v.matmul(&weights.transpose(1, 2)?.contiguous()?)?.reshape((n, c, h, w))?;
        self.proj_out.add(&mixed, x)
    }
}

/// Computed again on the way back: it stands where a slice has few tokens.
impl Layer for AttnBlock {
    fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let x = x.clone();
        let y = self.forward(&x)?;
        Ok((y, Box::new(move |gradient| pull_by_graph(|x| self.forward(x), &x, gradient))))
    }
}

struct Mid {
    block_1: ResnetBlock,
    attn_1: AttnBlock,
    block_2: ResnetBlock,
}

impl Mid {
    fn new(channels: usize, vb: &VarBuilder) -> Result<Self> {
        Ok(Self {
            block_1: ResnetBlock::new(channels, channels, &vb.pp("block_1"))?,
            attn_1: AttnBlock::new(channels, &vb.pp("attn_1"))?,
            block_2: ResnetBlock::new(channels, channels, &vb.pp("block_2"))?,
        })
    }
}

impl Mid {
    fn layers(&self) -> [&dyn Layer; 3] {
        [&self.block_1, &self.attn_1, &self.block_2]
    }
}

/// Blocks at one resolution, each with its attention where the level has it.
struct Level {
    block: Vec<ResnetBlock>,
    attn: Vec<AttnBlock>,
}

impl Level {
    fn new(c_in: usize, c_out: usize, blocks: usize, attention: bool, vb: &VarBuilder) -> Result<Self> {
        let (mut block, mut attn) = (Vec::new(), Vec::new());
        for i in 0..blocks {
            block.push(ResnetBlock::new(if i == 0 { c_in } else { c_out }, c_out, &vb.pp("block").pp(i))?);
            if attention {
                attn.push(AttnBlock::new(c_out, &vb.pp("attn").pp(i))?);
            }
        }
        Ok(Self { block, attn })
    }

    fn layers(&self) -> impl Iterator<Item = &dyn Layer> {
        self.block.iter().enumerate().flat_map(|(i, block)| {
            let attn = self.attn.get(i).map(|attn| attn as &dyn Layer);
            [Some(block as &dyn Layer), attn].into_iter().flatten()
        })
    }
}

fn through<'a>(layers: impl IntoIterator<Item = &'a dyn Layer>, x: &Tensor) -> Result<Tensor> {
    layers.into_iter().try_fold(x.clone(), |x, layer| layer.forward(&x))
}

/// norm, swish, conv.
struct Out {
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Out {
    fn new(c_in: usize, c_out: usize, vb: &VarBuilder) -> Result<Self> {
        Ok(Self {
            norm_out: norm(c_in, &vb.pp("norm_out"))?,
            conv_out: conv2d(c_in, c_out, CONV_3X3, &vb.pp("conv_out"))?,
        })
    }
}

impl Module for Out {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply(&Swished(&self.norm_out))?.apply(&self.conv_out)
    }
}

impl Layer for Out {
    fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let (x, (_, _, h, w)) = (x.clone(), x.dims4()?);
        let y = self.forward(&x)?;
        let pull_back = move |gradient: &Tensor| {
            let pulled = self.conv_out.pull_back(gradient, [h, w], None, None)?;
            Swished(&self.norm_out).pull_back(&x, &pulled, None)
        };
        Ok((y, Box::new(pull_back)))
    }
}

pub(super) struct Encoder {
    conv_in: Conv2d,
    /// Each with the way to the next, `downsample.conv`.
    down: Vec<(Level, Option<Conv2d>)>,
    mid: Mid,
    out: Out,
}

impl Encoder {
    pub(super) fn new(sizes: &Sizes, vb: &VarBuilder) -> Result<Self> {
        let mut down = Vec::new();
        let mut c_in = sizes.ch;
        for (i, &width) in sizes.widths.iter().enumerate() {
            let vb = vb.pp("down").pp(i);
            let level = Level::new(c_in, width, sizes.num_res_blocks, sizes.attention[i], &vb)?;
            // Zeros to the right and below make up for the missing padding.
            let halving = Shape { kernel: 3, stride: 2, padding: 0 };
            let halved = || conv2d(width, width, halving, &vb.pp("downsample.conv"));
            down.push((level, (i + 1 < sizes.widths.len()).then(halved).transpose()?));
            c_in = width;
        }
        Ok(Self {
            conv_in: conv2d(sizes.in_channels, sizes.ch, CONV_3X3, &vb.pp("conv_in"))?,
            down,
            mid: Mid::new(c_in, &vb.pp("mid"))?,
            out: Out::new(c_in, sizes.z_channels, vb)?,
        })
    }
}

impl Module for Encoder {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.apply(&self.conv_in)?;
        for (level, conv) in &self.down {
            x = through(level.layers(), &x)?;
            if let Some(conv) = conv {
                x = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.apply(conv)?;
            }
        }
        through(self.mid.layers(), &x)?.apply(&self.out)
    }
}

/// Twice as high and wide, then a convolution.
struct Upsample {
    conv: Conv2d,
}

impl Module for Upsample {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        resize::upsample_nearest(x, 2)?.apply(&self.conv)
    }
}

impl Layer for Upsample {
    fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let (_, _, h, w) = x.dims4()?;
        let pull_back = move |gradient: &Tensor| {
            resize::sum_squares(&self.conv.pull_back(gradient, [2 * h, 2 * w], None, None)?, 2)
        };
        Ok((self.forward(x)?, Box::new(pull_back)))
    }
}

pub(super) struct Decoder {
    conv_in: Conv2d,
    mid: Mid,
    /// Each with the way to the next; the first is full resolution, and runs last.
    up: Vec<(Level, Option<Upsample>)>,
    out: Out,
}

impl Decoder {
    pub(super) fn new(sizes: &Sizes, vb: &VarBuilder) -> Result<Self> {
        let deepest = sizes.widths.last().copied().unwrap_or(sizes.ch);
        let mut up = Vec::new();
        let mut c_in = deepest;
        for (i, &width) in sizes.widths.iter().enumerate().rev() {
            let vb = vb.pp("up").pp(i);
            let level = Level::new(c_in, width, sizes.num_res_blocks + 1, sizes.attention[i], &vb)?;
            let raised = || Ok::<_, Error>(Upsample { conv: conv2d(width, width, CONV_3X3, &vb.pp("upsample.conv"))? });
            up.push((level, (i > 0).then(raised).transpose()?));
            c_in = width;
        }
        up.reverse();
        Ok(Self {
            conv_in: conv2d(sizes.z_channels, deepest, CONV_3X3, &vb.pp("conv_in"))?,
            mid: Mid::new(deepest, &vb.pp("mid"))?,
            up,
            out: Out::new(c_in, sizes.out_ch, vb)?,
        })
    }

    fn layers(&self) -> impl Iterator<Item = &dyn Layer> {
        let levels = self.up.iter().rev().flat_map(|(level, upsample)| {
            level.layers().chain(upsample.as_ref().map(|upsample| upsample as &dyn Layer))
        });
        [&self.conv_in as &dyn Layer]
            .into_iter()
            .chain(self.mid.layers())
            .chain(levels)
            .chain([&self.out as &dyn Layer])
    }

    /// The pass, and the way back from the gradient of its output, `[n, out_ch, height, width]`, to that of `z`, `[n, z_channels, h, w]`.
    pub(super) fn trail(&self, z: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        let (mut x, mut back) = (z.clone(), Vec::new());
        for layer in self.layers() {
            let (y, pull_back) = layer.trail(&x)?;
            back.push(pull_back);
            x = y;
        }
        let pull_back =
            move |gradient: &Tensor| back.iter().rev().try_fold(gradient.clone(), |gradient, layer| layer(&gradient));
        Ok((x, Box::new(pull_back)))
    }
}

impl Module for Decoder {
    fn forward(&self, z: &Tensor) -> Result<Tensor> {
        through(self.layers(), z)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use std::collections::HashMap;

    use super::*;
    use crate::models::needed::shared;
    use crate::weights::Checkpoint;

    /// f32 sums in another order, of the largest activation.
    const TOLERANCE: f32 = 1e-4;

    fn near(goldens: &HashMap<String, Tensor>, name: &str, got: &Tensor) -> Result<()> {
        let wanted = &goldens[&format!("act.{name}")];
        let largest = |t: &Tensor| t.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
        let (gap, size) = (largest(&(got - wanted)?)?, largest(wanted)?);
        assert!(gap <= TOLERANCE * size.max(1.0), "{name}: off by {gap:e} of {size}");
        Ok(())
    }

    /// Every activation that was recorded within the published network, layer by layer.
    #[test]
    fn every_layer_gives_what_the_published_one_gives() -> Result<()> {
        let Some(goldens) = shared("goldens") else { return Ok(()) };
        for name in ["vqgan_small", "vqgan_small_f64"] {
            let g = candle_core::safetensors::load(goldens.join(format!("{name}.safetensors")), &Device::Cpu)?;
            let checkpoint = Checkpoint::open(&goldens.join(format!("models/{name}.ckpt"))).map_err(Error::wrap)?;
            let sizes = Sizes::of(&checkpoint).map_err(Error::wrap)?;
            let vb = checkpoint.builder(DType::F32);
            let (encoder, decoder) =
                (Encoder::new(&sizes, &vb.pp("encoder"))?, Decoder::new(&sizes, &vb.pp("decoder"))?);
            near(&g, "encoder", &g["model_input"].apply(&encoder)?)?;
            let post_quant_conv = conv2d(sizes.embed_dim, sizes.z_channels, CONV_1X1, &vb.pp("post_quant_conv"))?;
            let z = g["z"].apply(&post_quant_conv)?;
            near(&g, "post_quant_conv", &z)?;
            let x = z.apply(&decoder.conv_in)?;
            near(&g, "decoder.conv_in", &x)?;
            let x = x.apply(&decoder.mid.block_1)?;
            near(&g, "decoder.mid.block_1", &x)?;
            near(&g, "decoder.mid.attn_1", &x.apply(&decoder.mid.attn_1)?)?;
            near(&g, "decoder", &z.apply(&decoder)?)?;
            if g.contains_key("act.encoder.conv_in") {
                let ((down, halved), (up, upsample)) = (&encoder.down[0], &decoder.up[1]);
                let x = g["model_input"].apply(&encoder.conv_in)?;
                near(&g, "encoder.conv_in", &x)?;
                let x = x.apply(&down.block[0])?;
                near(&g, "encoder.down.0.block.0", &x)?;
                let padded = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                near(&g, "encoder.down.0.downsample", &padded.apply(halved.as_ref().expect("not the last level"))?)?;
                let mut x = through(decoder.mid.layers(), &z.apply(&decoder.conv_in)?)?;
                for (level, upsample) in decoder.up[2..].iter().rev() {
                    x = through(level.layers(), &x)?.apply(upsample.as_ref().expect("not the first"))?;
                }
                x = through(up.layers(), &x)?.apply(upsample.as_ref().expect("not the first"))?;
                near(&g, "decoder.up.1.upsample", &x)?;
            }
        }
        Ok(())
    }
}
