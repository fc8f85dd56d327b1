//! Every kind of network, tiny, with weights from a fixed seed: the whole program runs on them in a second.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{Device, Tensor};

use crate::support::Random;

/// Pixels of a slice's side that the autoencoder and the classifier work at.
pub(crate) const SIDE: usize = 32;
pub(crate) const LABELS: [&str; 5] =
    ["Pneumonia", "Pleurisy; pleural effusion", "Fracture", "Cardiomegaly", "Emphysema"];

/// Cards of tiny networks in a folder of their own.
pub(crate) struct TinyModels {
    pub(crate) folder: tempfile::TempDir,
}

impl TinyModels {
    pub(crate) fn new() -> Self {
        Self::with(LABELS, &i3resnet(), "")
    }

    /// With these labels, and as sure of each as this logit makes it, more or less; for coarse scans, which cost less.
    pub(crate) fn sure(labels: [&str; LABELS.len()], logit: f32) -> Self {
        let mut weights = i3resnet();
        weights.tensor("classifier.bias", &[LABELS.len()], logit, 0.0);
        Self::with(labels, &weights, "[recipe]\nspacing_mm = [3.5, 3.5, 6.0]\nside = 96")
    }

    fn with(labels: [&str; LABELS.len()], classifier: &Weights, recipe: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let labels = labels.map(|label| format!("{label:?}")).join(", ");
        write(folder.path(), "autoencoder", "vqgan", &format!("side = {SIDE}\nturned = true\n{recipe}"), &vqgan());
        write(
            folder.path(),
            "classifier",
            "i3resnet",
            &format!("side = {SIDE}\nlabels = [{labels}]\n{recipe}"),
            classifier,
        );
        write(folder.path(), "segmenter", "lung-unet", recipe, &unet());
        Self { folder }
    }

    /// "autoencoder", "classifier" or "segmenter".
    pub(crate) fn card(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.toml"))
    }

    /// `parallax explain` of a scan by the autoencoder and the classifier, to be given what else it needs.
    pub(crate) fn explain(&self, scan: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
        command.arg("explain").arg(scan);
        command.arg("--autoencoder").arg(self.card("autoencoder")).arg("--classifier").arg(self.card("classifier"));
        command
    }

    /// A stack of a bright ball in grey, as a file.
    pub(crate) fn stack(&self, slices: usize) -> PathBuf {
        let path = self.folder.path().join(format!("stack_{slices}.safetensors"));
        let middle = (SIDE as f32 - 1.0) / 2.0;
        let voxel = |at: usize| {
            let [x, y, z] = [at % SIDE, at / SIDE % SIDE, at / SIDE / SIDE].map(|v| v as f32);
            let away = [(x - middle) / 9.0, (y - middle) / 7.0, (z - slices as f32 / 2.0) / 4.0];
            0.3 + 0.5 * (-away.iter().map(|d| d * d).sum::<f32>()).exp()
        };
        let voxels: Vec<f32> = (0..slices * SIDE * SIDE).map(voxel).collect();
        let stack = Tensor::from_vec(voxels, (slices, 1, SIDE, SIDE), &Device::Cpu).expect("a stack");
        candle_core::safetensors::save(&[("stack", stack)].into(), &path).expect("written");
        path
    }
}

fn write(folder: &Path, name: &str, kind: &str, lines: &str, weights: &Weights) {
    let file = format!("{name}.safetensors");
    candle_core::safetensors::save(&weights.tensors, folder.join(&file)).expect("written");
    let turned = if lines.contains("turned") { "" } else { "turned = false\n" };
    let card = format!("kind = {kind:?}\nweights = {file:?}\n{turned}{lines}\n");
    std::fs::write(folder.join(format!("{name}.toml")), card).expect("written");
}

/// Tensors by name, drawn at random from a seed.
struct Weights {
    tensors: HashMap<String, Tensor>,
    random: Random,
}

impl Weights {
    fn new(seed: u64) -> Self {
        Self { tensors: HashMap::new(), random: Random::new(seed) }
    }

    /// Uniform in -1..1.
    fn uniform(&mut self) -> f32 {
        (self.random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn tensor(&mut self, name: &str, shape: &[usize], center: f32, spread: f32) {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| center + spread * self.uniform()).collect();
        self.tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"));
    }

    /// A kernel that keeps the variance (He et al. 2015, for uniform weights), and perhaps a bias.
    fn conv(&mut self, name: &str, shape: &[usize], bias: bool) {
        let fan_in: usize = shape[1..].iter().product();
        self.tensor(&format!("{name}.weight"), shape, 0.0, (3.0 / fan_in as f32).sqrt());
        if bias {
            self.tensor(&format!("{name}.bias"), &shape[..1], 0.0, 0.1);
        }
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.tensor(&format!("{name}.weight"), &[channels], 1.0, 0.1);
        self.tensor(&format!("{name}.bias"), &[channels], 0.0, 0.1);
    }

    fn batch_norm(&mut self, name: &str, channels: usize) {
        self.norm(name, channels);
        self.tensor(&format!("{name}.running_mean"), &[channels], 0.0, 0.1);
        self.tensor(&format!("{name}.running_var"), &[channels], 1.0, 0.1);
    }

    fn res_block(&mut self, name: &str, channels: usize) {
        for i in [1, 2] {
            self.norm(&format!("{name}.norm{i}"), channels);
            self.conv(&format!("{name}.conv{i}"), &[channels, channels, 3, 3], true);
        }
    }

    fn mid(&mut self, name: &str, channels: usize) {
        self.res_block(&format!("{name}.block_1"), channels);
        self.norm(&format!("{name}.attn_1.norm"), channels);
        for part in ["q", "k", "v", "proj_out"] {
            self.conv(&format!("{name}.attn_1.{part}"), &[channels, channels, 1, 1], true);
        }
        self.res_block(&format!("{name}.block_2"), channels);
    }
}

/// Two levels of 32 channels: the fewest that 32 groups allow.
fn vqgan() -> Weights {
    let mut w = Weights::new(1);
    let (ch, z, codes) = (32, 4, 16);
    w.conv("encoder.conv_in", &[ch, 1, 3, 3], true);
    w.conv("decoder.conv_in", &[ch, z, 3, 3], true);
    for level in [0, 1] {
        w.res_block(&format!("encoder.down.{level}.block.0"), ch);
        for block in [0, 1] {
            w.res_block(&format!("decoder.up.{level}.block.{block}"), ch);
        }
    }
    w.conv("encoder.down.0.downsample.conv", &[ch, ch, 3, 3], true);
    w.conv("decoder.up.1.upsample.conv", &[ch, ch, 3, 3], true);
    for side in ["encoder", "decoder"] {
        w.mid(&format!("{side}.mid"), ch);
        w.norm(&format!("{side}.norm_out"), ch);
    }
    w.conv("encoder.conv_out", &[z, ch, 3, 3], true);
    w.conv("decoder.conv_out", &[1, ch, 3, 3], true);
    w.conv("quant_conv", &[z, z, 1, 1], true);
    w.conv("post_quant_conv", &[z, z, 1, 1], true);
    w.tensor("quantize.embedding.weight", &[codes, z], 0.0, 1.0);
    w
}

/// One bottleneck in each of two layers.
fn i3resnet() -> Weights {
    let mut w = Weights::new(2);
    let (stem, wide) = (8, 16);
    w.conv("conv1", &[stem, 3, 3, 7, 7], false);
    w.batch_norm("bn1", stem);
    for (layer, c_in) in [(1, stem), (2, wide)] {
        let name = format!("layer{layer}.0");
        w.conv(&format!("{name}.conv1"), &[stem, c_in, 1, 1, 1], false);
        w.conv(&format!("{name}.conv2"), &[stem, stem, 3, 3, 3], false);
        w.conv(&format!("{name}.conv3"), &[wide, stem, 1, 1, 1], false);
        for (i, channels) in [(1, stem), (2, stem), (3, wide)] {
            w.batch_norm(&format!("{name}.bn{i}"), channels);
        }
        w.conv(&format!("{name}.downsample.0"), &[wide, c_in, 1, 1, 1], false);
        w.batch_norm(&format!("{name}.downsample.1"), wide);
    }
    w.conv("classifier", &[LABELS.len(), wide, 1, 1, 1], true);
    w
}

/// Two levels.
fn unet() -> Weights {
    let mut w = Weights::new(3);
    let block = |w: &mut Weights, name: &str, c_in: usize, c_out: usize| {
        for (conv, norm, c_in) in [(0, 2, c_in), (3, 5, c_out)] {
            w.conv(&format!("{name}.block.{conv}"), &[c_out, c_in, 3, 3], true);
            w.batch_norm(&format!("{name}.block.{norm}"), c_out);
        }
    };
    block(&mut w, "down_path.0", 1, 4);
    block(&mut w, "down_path.1", 4, 8);
    w.conv("up_path.0.up.1", &[4, 8, 1, 1], true);
    block(&mut w, "up_path.0.conv_block", 8, 4);
    w.conv("last", &[3, 4, 1, 1], true);
    w
}
