//! The sizes of a slice autoencoder: read from its tensors, held against its yaml.

use std::path::Path;

use serde::Deserialize;

use crate::files;
use crate::models::Error;
use crate::weights::Checkpoint;

/// No VQGAN has more blocks at one resolution.
const MAX_BLOCKS: usize = 64;
/// Each level halves the slice: the least of 2^16 pixels a side has one left.
const MAX_LEVELS: usize = 16;
/// Published ones have some kilobytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Everything the layers need.
#[derive(Debug)]
pub(super) struct Sizes {
    pub(super) in_channels: usize,
    pub(super) out_ch: usize,
    pub(super) ch: usize,
    /// Channels of each level, full resolution first.
    pub(super) widths: Vec<usize>,
    pub(super) num_res_blocks: usize,
    /// Whether each level has attention.
    pub(super) attention: Vec<bool>,
    pub(super) z_channels: usize,
    pub(super) embed_dim: usize,
    /// Codes of a VQGAN; a KL autoencoder has none.
    pub(super) n_embed: Option<usize>,
}

impl Sizes {
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let size = |name: &str, axis: usize| {
            let found = checkpoint.shape(name).and_then(|shape| shape.get(axis)).copied();
            found.ok_or_else(|| {
                candle_core::Error::Msg(format!(
                    "tensor {name} is missing; this is no slice autoencoder of taming-transformers or latent diffusion: {}",
                    checkpoint.path().display()
                ))
            })
        };
        let width = |level: usize| {
            checkpoint
                .shape(&format!("encoder.down.{level}.block.0.conv2.weight"))
                .and_then(|shape| shape.first().copied())
        };
        let widths: Vec<usize> = (0..MAX_LEVELS).map_while(width).collect();
        let has = |name: String| checkpoint.shape(&name).is_some();
        Ok(Self {
            in_channels: size("encoder.conv_in.weight", 1)?,
            out_ch: size("decoder.conv_out.weight", 0)?,
            ch: size("encoder.conv_in.weight", 0)?,
            num_res_blocks: (0..MAX_BLOCKS)
                .take_while(|i| has(format!("encoder.down.0.block.{i}.conv1.weight")))
                .count(),
            attention: (0..widths.len()).map(|level| has(format!("encoder.down.{level}.attn.0.q.weight"))).collect(),
            widths,
            z_channels: size("post_quant_conv.weight", 0)?,
            embed_dim: size("post_quant_conv.weight", 1)?,
            n_embed: checkpoint.shape("quantize.embedding.weight").and_then(|shape| shape.first()).copied(),
        })
    }

    /// Holds the training's yaml against what the tensors say.
    pub(super) fn check(&self, path: &Path) -> Result<(), Error> {
        let text = files::read_text(path, MAX_CONFIG_BYTES).map_err(|cause| Error::Io {
            of: "config",
            cause,
            path: path.to_owned(),
        })?;
        let yaml: Yaml = serde_saphyr::from_str(&text)
            .map_err(|e| Error::Card { what: format!("its config cannot be read: {e}"), path: path.to_owned() })?;
        let params = yaml.model.params;
        let dd = &params.ddconfig;
        let wrong = |what: String| Error::Card { what, path: path.to_owned() };
        if dd.ch_mult.len() > MAX_LEVELS {
            let (levels, most) = (dd.ch_mult.len(), MAX_LEVELS);
            return Err(wrong(format!(
                "its config says {levels} levels (ch_mult), where a network has at most {most}"
            )));
        }
        let width = |mult: &usize| {
            let beyond = || wrong(format!("its config says ch * ch_mult = {} * {mult}, more than any size", dd.ch));
            mult.checked_mul(dd.ch).ok_or_else(beyond)
        };
        let widths: Vec<usize> = dd.ch_mult.iter().map(width).collect::<Result<_, _>>()?;
        // A level halves the one before it, and there are fewer levels than bits.
        let attention: Vec<bool> =
            (0..widths.len()).map(|level| dd.attn_resolutions.contains(&(dd.resolution >> level))).collect();
        let differs = |field, said: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
            let (said, found) = (format!("{said:?}"), format!("{found:?}"));
            if said == found { Ok(()) } else { Err(Error::Config { field, said, found, path: path.to_owned() }) }
        };
        differs("embed_dim", &params.embed_dim, &self.embed_dim)?;
        if let Some(found) = self.n_embed {
            differs("n_embed", &params.n_embed.unwrap_or(0), &found)?;
        }
        differs("double_z", &dd.double_z, &self.n_embed.is_none())?;
        differs("z_channels", &dd.z_channels, &self.z_channels)?;
        differs("in_channels", &dd.in_channels, &self.in_channels)?;
        differs("out_ch", &dd.out_ch, &self.out_ch)?;
        differs("ch", &dd.ch, &self.ch)?;
        differs("ch * ch_mult", &widths, &self.widths)?;
        differs("num_res_blocks", &dd.num_res_blocks, &self.num_res_blocks)?;
        differs("levels with attention", &attention, &self.attention)
    }
}

/// The part of a `taming-transformers` or `latent-diffusion` yaml that describes the network.
#[derive(Debug, Deserialize)]
struct Yaml {
    model: Model,
}

#[derive(Debug, Deserialize)]
struct Model {
    params: Params,
}

#[derive(Debug, Deserialize)]
struct Params {
    embed_dim: usize,
    n_embed: Option<usize>,
    ddconfig: DdConfig,
}

#[derive(Debug, Deserialize)]
struct DdConfig {
    #[serde(default)]
    double_z: bool,
    z_channels: usize,
    resolution: usize,
    in_channels: usize,
    out_ch: usize,
    ch: usize,
    ch_mult: Vec<usize>,
    num_res_blocks: usize,
    attn_resolutions: Vec<usize>,
}
