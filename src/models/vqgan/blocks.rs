//! The layers of `taming/modules/diffusionmodules/model.py`; field names are the checkpoint's.

use candle_core::{D, Module, Result, Tensor};
use candle_nn::{VarBuilder, ops};

use super::config::Sizes;
use crate::nn::conv::{Conv2d, Shape, conv2d};
use crate::nn::group_norm::{GroupNorm, Swished, group_norm};
use crate::nn::resize;

const GROUPS: usize = 32;
const EPS: f64 = 1e-6;
const CONV_3X3: Shape = Shape { kernel: 3, stride: 1, padding: 1 };
const CONV_1X1: Shape = Shape { kernel: 1, stride: 1, padding: 0 };

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

impl Module for ResnetBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let h = x.apply(&Swished(&self.norm1))?.apply(&self.conv1)?;
        let h = h.apply(&Swished(&self.norm2))?;
        match &self.nin_shortcut {
            Some(shortcut) => self.conv2.add(&h, &x.apply(shortcut)?),
            None => self.conv2.add(&h, x),
        }
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

impl Module for Mid {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply(&self.block_1)?.apply(&self.attn_1)?.apply(&self.block_2)
    }
}

/// Blocks at one resolution, each with its attention where the level has it.
struct Level {
    block: Vec<ResnetBlock>,
    attn: Vec<AttnBlock>,
    /// To the next level: `downsample.conv` or `upsample.conv`.
    conv: Option<Conv2d>,
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
        Ok(Self { block, attn, conv: None })
    }

    fn blocks(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, block) in self.block.iter().enumerate() {
            x = x.apply(block)?;
            if let Some(attn) = self.attn.get(i) {
                x = x.apply(attn)?;
            }
        }
        Ok(x)
    }
}

pub(super) struct Encoder {
    conv_in: Conv2d,
    down: Vec<Level>,
    mid: Mid,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn new(sizes: &Sizes, vb: &VarBuilder) -> Result<Self> {
        let mut down = Vec::new();
        let mut c_in = sizes.ch;
        for (i, &width) in sizes.widths.iter().enumerate() {
            let vb = vb.pp("down").pp(i);
            let mut level = Level::new(c_in, width, sizes.num_res_blocks, sizes.attention[i], &vb)?;
            if i + 1 < sizes.widths.len() {
                // Zeros to the right and below make up for the missing padding.
                let halving = Shape { kernel: 3, stride: 2, padding: 0 };
                level.conv = Some(conv2d(width, width, halving, &vb.pp("downsample.conv"))?);
            }
            down.push(level);
            c_in = width;
        }
        Ok(Self {
            conv_in: conv2d(sizes.in_channels, sizes.ch, CONV_3X3, &vb.pp("conv_in"))?,
            down,
            mid: Mid::new(c_in, &vb.pp("mid"))?,
            norm_out: norm(c_in, &vb.pp("norm_out"))?,
            conv_out: conv2d(c_in, sizes.z_channels, CONV_3X3, &vb.pp("conv_out"))?,
        })
    }
}

impl Module for Encoder {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.apply(&self.conv_in)?;
        for level in &self.down {
            x = level.blocks(&x)?;
            if let Some(conv) = &level.conv {
                x = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.apply(conv)?;
            }
        }
        x.apply(&self.mid)?.apply(&Swished(&self.norm_out))?.apply(&self.conv_out)
    }
}

pub(super) struct Decoder {
    conv_in: Conv2d,
    mid: Mid,
    /// By level: the first is full resolution, and runs last.
    up: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn new(sizes: &Sizes, vb: &VarBuilder) -> Result<Self> {
        let deepest = sizes.widths.last().copied().unwrap_or(sizes.ch);
        let mut up = Vec::new();
        let mut c_in = deepest;
        for (i, &width) in sizes.widths.iter().enumerate().rev() {
            let vb = vb.pp("up").pp(i);
            let mut level = Level::new(c_in, width, sizes.num_res_blocks + 1, sizes.attention[i], &vb)?;
            if i > 0 {
                level.conv = Some(conv2d(width, width, CONV_3X3, &vb.pp("upsample.conv"))?);
            }
            up.push(level);
            c_in = width;
        }
        up.reverse();
        Ok(Self {
            conv_in: conv2d(sizes.z_channels, deepest, CONV_3X3, &vb.pp("conv_in"))?,
            mid: Mid::new(deepest, &vb.pp("mid"))?,
            up,
            norm_out: norm(c_in, &vb.pp("norm_out"))?,
            conv_out: conv2d(c_in, sizes.out_ch, CONV_3X3, &vb.pp("conv_out"))?,
        })
    }
}

impl Module for Decoder {
    fn forward(&self, z: &Tensor) -> Result<Tensor> {
        let mut x = z.apply(&self.conv_in)?.apply(&self.mid)?;
        for level in self.up.iter().rev() {
            x = level.blocks(&x)?;
            if let Some(conv) = &level.conv {
                x = resize::upsample_nearest(&x, 2)?.apply(conv)?;
            }
        }
        x.apply(&Swished(&self.norm_out))?.apply(&self.conv_out)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use candle_core::{DType, Device};

    use super::*;
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
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/goldens");
        if !goldens.exists() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no ../shared");
            eprintln!("no ../shared");
            return Ok(());
        }
        for name in ["vqgan_small", "vqgan_small_f64"] {
            let g = candle_core::safetensors::load(goldens.join(format!("{name}.safetensors")), &Device::Cpu)?;
            let checkpoint =
                Checkpoint::open(&goldens.join(format!("models/{name}.ckpt"))).map_err(candle_core::Error::wrap)?;
            let sizes = Sizes::of(&checkpoint).map_err(candle_core::Error::wrap)?;
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
                let (down, up) = (&encoder.down[0], &decoder.up[1]);
                let x = g["model_input"].apply(&encoder.conv_in)?;
                near(&g, "encoder.conv_in", &x)?;
                let x = x.apply(&down.block[0])?;
                near(&g, "encoder.down.0.block.0", &x)?;
                let halved = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                near(&g, "encoder.down.0.downsample", &halved.apply(down.conv.as_ref().expect("not the last level"))?)?;
                let mut x = z.apply(&decoder.conv_in)?.apply(&decoder.mid)?;
                for level in decoder.up[2..].iter().rev() {
                    x = resize::upsample_nearest(&level.blocks(&x)?, 2)?
                        .apply(level.conv.as_ref().expect("not the first"))?;
                }
                x = resize::upsample_nearest(&up.blocks(&x)?, 2)?.apply(up.conv.as_ref().expect("not the first"))?;
                near(&g, "decoder.up.1.upsample", &x)?;
            }
        }
        Ok(())
    }
}
