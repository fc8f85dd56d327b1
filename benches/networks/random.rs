//! Checkpoints of the published networks' sizes, with weights from a fixed seed.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Result, Tensor};
use parallax::random::Stream;

/// Uniform in -1..1: the same numbers everywhere.
pub(crate) fn tensor(stream: &mut Stream, shape: &[usize]) -> Result<Tensor> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.within(-1.0, 1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Tensors by name, half precision to spare the disk.
pub(crate) struct Weights {
    tensors: HashMap<String, Tensor>,
    stream: Stream,
}

impl Weights {
    /// Writes them beside a card of a network of that kind, for slices of `side` x `side`; both go with the folder.
    pub(crate) fn card(self, kind: &str, side: Option<usize>) -> anyhow::Result<(tempfile::TempDir, PathBuf)> {
        let folder = tempfile::tempdir()?;
        candle_core::safetensors::save(&self.tensors, folder.path().join("weights.safetensors"))?;
        let card = folder.path().join("card.toml");
        let side = side.map_or(String::new(), |side| format!("side = {side}\n"));
        std::fs::write(&card, format!("kind = {kind:?}\nweights = \"weights.safetensors\"\n{side}"))?;
        Ok((folder, card))
    }

    fn tensor(&mut self, name: &str, shape: &[usize], center: f64, spread: f64) -> Result<()> {
        let values = tensor(&mut self.stream, shape)?.affine(spread, center)?.to_dtype(DType::F16)?;
        self.tensors.insert(name.to_owned(), values);
        Ok(())
    }

    /// A kernel that keeps the variance (He et al. 2015, for uniform weights).
    fn kernel(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        let fan_in: usize = shape[1..].iter().product();
        self.tensor(&format!("{name}.weight"), shape, 0.0, (3.0 / fan_in as f64).sqrt())
    }

    fn conv(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        self.kernel(name, shape)?;
        self.tensor(&format!("{name}.bias"), &shape[..1], 0.0, 0.1)
    }

    fn norm(&mut self, name: &str, channels: usize) -> Result<()> {
        self.tensor(&format!("{name}.weight"), &[channels], 1.0, 0.1)?;
        self.tensor(&format!("{name}.bias"), &[channels], 0.0, 0.1)
    }

    fn batch_norm(&mut self, name: &str, channels: usize) -> Result<()> {
        self.norm(name, channels)?;
        self.tensor(&format!("{name}.running_mean"), &[channels], 0.0, 0.1)?;
        self.tensor(&format!("{name}.running_var"), &[channels], 1.0, 0.1)
    }
}

/// The published VQGANs: 128 channels, times `mult` by level; two blocks at each; attention at 16 x 16 of 256 x 256 pixels.
pub(crate) fn vqgan(mult: &[usize]) -> Result<Weights> {
    let mut w = Weights { tensors: HashMap::new(), stream: Stream::seeded(1) };
    let (ch, z, codes) = (128, 256, 1024);
    let widths: Vec<usize> = mult.iter().map(|m| m * ch).collect();
    let deepest = widths[widths.len() - 1];
    w.conv("encoder.conv_in", &[ch, 1, 3, 3])?;
    let mut c_in = ch;
    for (level, &width) in widths.iter().enumerate() {
        let name = format!("encoder.down.{level}");
        vqgan_level(&mut w, &name, [c_in, width], 2, 256 >> level == 16)?;
        if level + 1 < widths.len() {
            w.conv(&format!("{name}.downsample.conv"), &[width, width, 3, 3])?;
        }
        c_in = width;
    }
    for (level, &width) in widths.iter().enumerate().rev() {
        let name = format!("decoder.up.{level}");
        vqgan_level(&mut w, &name, [c_in, width], 3, 256 >> level == 16)?;
        if level > 0 {
            w.conv(&format!("{name}.upsample.conv"), &[width, width, 3, 3])?;
        }
        c_in = width;
    }
    for (side, out, last, of) in [("encoder", deepest, z, deepest), ("decoder", ch, 1, deepest)] {
        res_block(&mut w, &format!("{side}.mid.block_1"), [of, of])?;
        attention(&mut w, &format!("{side}.mid.attn_1"), of)?;
        res_block(&mut w, &format!("{side}.mid.block_2"), [of, of])?;
        w.norm(&format!("{side}.norm_out"), out)?;
        w.conv(&format!("{side}.conv_out"), &[last, out, 3, 3])?;
    }
    w.conv("decoder.conv_in", &[deepest, z, 3, 3])?;
    w.conv("quant_conv", &[z, z, 1, 1])?;
    w.conv("post_quant_conv", &[z, z, 1, 1])?;
    w.tensor("quantize.embedding.weight", &[codes, z], 0.0, 1.0)?;
    Ok(w)
}

fn vqgan_level(w: &mut Weights, name: &str, [c_in, c_out]: [usize; 2], blocks: usize, attends: bool) -> Result<()> {
    for i in 0..blocks {
        res_block(w, &format!("{name}.block.{i}"), [if i == 0 { c_in } else { c_out }, c_out])?;
        if attends {
            attention(w, &format!("{name}.attn.{i}"), c_out)?;
        }
    }
    Ok(())
}

fn res_block(w: &mut Weights, name: &str, [c_in, c_out]: [usize; 2]) -> Result<()> {
    for (i, c_in) in [(1, c_in), (2, c_out)] {
        w.norm(&format!("{name}.norm{i}"), c_in)?;
        w.conv(&format!("{name}.conv{i}"), &[c_out, c_in, 3, 3])?;
    }
    if c_in != c_out {
        w.conv(&format!("{name}.nin_shortcut"), &[c_out, c_in, 1, 1])?;
    }
    Ok(())
}

fn attention(w: &mut Weights, name: &str, channels: usize) -> Result<()> {
    w.norm(&format!("{name}.norm"), channels)?;
    for part in ["q", "k", "v", "proj_out"] {
        w.conv(&format!("{name}.{part}"), &[channels, channels, 1, 1])?;
    }
    Ok(())
}

/// The inflated ResNet-152 with the published number of classes.
pub(crate) fn i3resnet() -> Result<Weights> {
    let mut w = Weights { tensors: HashMap::new(), stream: Stream::seeded(2) };
    w.kernel("conv1", &[64, 3, 3, 7, 7])?;
    w.batch_norm("bn1", 64)?;
    let mut c_in = 64;
    for (layer, width, blocks) in [(1, 64, 3), (2, 128, 8), (3, 256, 36), (4, 512, 3)] {
        let c_out = 4 * width;
        for block in 0..blocks {
            let name = format!("layer{layer}.{block}");
            for (i, c_out, c_in, k) in [(1, width, c_in, 1), (2, width, width, 3), (3, c_out, width, 1)] {
                w.kernel(&format!("{name}.conv{i}"), &[c_out, c_in, k, k, k])?;
                w.batch_norm(&format!("{name}.bn{i}"), c_out)?;
            }
            // A block adds a little to its skip: else the sums of fifty grow beyond all numbers.
            w.tensor(&format!("{name}.bn3.weight"), &[c_out], 0.0, 0.3)?;
            if block == 0 {
                w.kernel(&format!("{name}.downsample.0"), &[c_out, c_in, 1, 1, 1])?;
                w.batch_norm(&format!("{name}.downsample.1"), c_out)?;
            }
            c_in = c_out;
        }
    }
    w.conv("classifier", &[1692, c_in, 1, 1, 1])?;
    Ok(w)
}

/// R231: five levels, 64 channels at the first, twice as many at each next.
pub(crate) fn unet() -> Result<Weights> {
    let mut w = Weights { tensors: HashMap::new(), stream: Stream::seeded(3) };
    let widths: Vec<usize> = (0..5).map(|level| 64 << level).collect();
    let mut c_in = 1;
    for (level, &width) in widths.iter().enumerate() {
        unet_block(&mut w, &format!("down_path.{level}"), [c_in, width])?;
        c_in = width;
    }
    for (i, pair) in widths.windows(2).rev().enumerate() {
        let (narrow, wide) = (pair[0], pair[1]);
        w.conv(&format!("up_path.{i}.up.1"), &[narrow, wide, 1, 1])?;
        unet_block(&mut w, &format!("up_path.{i}.conv_block"), [2 * narrow, narrow])?;
    }
    w.conv("last", &[3, widths[0], 1, 1])?;
    Ok(w)
}

fn unet_block(w: &mut Weights, name: &str, [c_in, c_out]: [usize; 2]) -> Result<()> {
    for (conv, norm, c_in) in [(0, 2, c_in), (3, 5, c_out)] {
        w.conv(&format!("{name}.block.{conv}"), &[c_out, c_in, 3, 3])?;
        w.batch_norm(&format!("{name}.block.{norm}"), c_out)?;
    }
    Ok(())
}

/// MONAI's DenseNet-121 in 3-D with two classes.
pub(crate) fn densenet121() -> Result<Weights> {
    let mut w = Weights { tensors: HashMap::new(), stream: Stream::seeded(4) };
    let growth = 32;
    w.kernel("features.conv0", &[64, 1, 7, 7, 7])?;
    w.batch_norm("features.norm0", 64)?;
    let mut channels = 64;
    for (block, layers) in [(1, 6), (2, 12), (3, 24), (4, 16)] {
        for layer in 1..=layers {
            let name = format!("features.denseblock{block}.denselayer{layer}.layers");
            w.batch_norm(&format!("{name}.norm1"), channels)?;
            w.kernel(&format!("{name}.conv1"), &[4 * growth, channels, 1, 1, 1])?;
            w.batch_norm(&format!("{name}.norm2"), 4 * growth)?;
            w.kernel(&format!("{name}.conv2"), &[growth, 4 * growth, 3, 3, 3])?;
            channels += growth;
        }
        if block < 4 {
            w.batch_norm(&format!("features.transition{block}.norm"), channels)?;
            w.kernel(&format!("features.transition{block}.conv"), &[channels / 2, channels, 1, 1, 1])?;
            channels /= 2;
        }
    }
    w.batch_norm("features.norm5", channels)?;
    w.kernel("class_layers.out", &[2, channels])?;
    w.tensor("class_layers.out.bias", &[2], 0.0, 0.1)?;
    Ok(w)
}
