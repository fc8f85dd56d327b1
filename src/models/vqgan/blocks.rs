//! The blocks of `taming/modules/diffusionmodules/model.py`, with the checkpoint's names.

use candle_core::Result;
use candle_nn::VarBuilder;

use super::config::Sizes;
use crate::graph::ops::{Bias, Conv, conv2d, group_norm};
use crate::graph::{Graph, Value};

const GROUPS: usize = 32;
const EPS: f64 = 1e-6;

/// Keeps height and width.
fn conv_3x3(channels: [usize; 2], vb: &VarBuilder) -> Result<Conv> {
    Ok(conv2d(channels, 3, Bias::With, vb)?.padded([0, 1, 1]))
}

pub(super) fn conv_1x1(channels: [usize; 2], vb: &VarBuilder) -> Result<Conv> {
    conv2d(channels, 1, Bias::With, vb)
}

/// norm, swish, conv
fn norm_conv(g: &mut Graph, x: Value, channels: [usize; 2], vb: &VarBuilder, [norm, conv]: [&str; 2]) -> Result<Value> {
    let x = g.group_norm(x, group_norm(GROUPS, channels[0], EPS, &vb.pp(norm))?);
    let x = g.swish(x);
    Ok(g.conv(x, conv_3x3(channels, &vb.pp(conv))?))
}

/// norm, swish, conv, twice, beside a skip.
fn resnet_block(g: &mut Graph, x: Value, [c_in, c_out]: [usize; 2], vb: &VarBuilder) -> Result<Value> {
    let skip = if c_in == c_out { x } else { g.conv(x, conv_1x1([c_in, c_out], &vb.pp("nin_shortcut"))?) };
    let y = norm_conv(g, x, [c_in, c_out], vb, ["norm1", "conv1"])?;
    let y = norm_conv(g, y, [c_out, c_out], vb, ["norm2", "conv2"])?;
    let y = g.add(y, skip);
    g.name(y, &vb.prefix());
    Ok(y)
}

/// One head over all pixels of a slice.
fn attn_block(g: &mut Graph, x: Value, channels: usize, vb: &VarBuilder) -> Result<Value> {
    let normed = g.group_norm(x, group_norm(GROUPS, channels, EPS, &vb.pp("norm"))?);
    let mut of = |name: &str| Ok(g.conv(normed, conv_1x1([channels; 2], &vb.pp(name))?));
    let tokens: [Result<Value>; 3] = ["q", "k", "v"].map(&mut of);
    let [q, k, v] = tokens;
    let mixed = g.attention([q?, k?, v?]);
    let y = g.conv(mixed, conv_1x1([channels; 2], &vb.pp("proj_out"))?);
    let y = g.add(y, x);
    g.name(y, &vb.prefix());
    Ok(y)
}

fn mid(g: &mut Graph, x: Value, channels: usize, vb: &VarBuilder) -> Result<Value> {
    let x = resnet_block(g, x, [channels; 2], &vb.pp("block_1"))?;
    let x = attn_block(g, x, channels, &vb.pp("attn_1"))?;
    resnet_block(g, x, [channels; 2], &vb.pp("block_2"))
}

/// So many blocks at one resolution, each with its attention where the level has it.
fn level(
    g: &mut Graph,
    mut x: Value,
    [c_in, c_out]: [usize; 2],
    blocks: usize,
    attention: bool,
    vb: &VarBuilder,
) -> Result<Value> {
    for i in 0..blocks {
        x = resnet_block(g, x, [if i == 0 { c_in } else { c_out }, c_out], &vb.pp("block").pp(i))?;
        if attention {
            x = attn_block(g, x, c_out, &vb.pp("attn").pp(i))?;
        }
    }
    Ok(x)
}

/// `[n, in_channels, h, w]` to `[n, c_out, h', w']`.
pub(super) fn encoder(g: &mut Graph, x: Value, sizes: &Sizes, c_out: usize, vb: &VarBuilder) -> Result<Value> {
    let mut x = g.conv(x, conv_3x3([sizes.in_channels, sizes.ch], &vb.pp("conv_in"))?);
    g.name(x, &vb.pp("conv_in").prefix());
    let mut c_in = sizes.ch;
    for (i, &width) in sizes.widths.iter().enumerate() {
        let vb = vb.pp("down").pp(i);
        x = level(g, x, [c_in, width], sizes.num_res_blocks, sizes.attention[i], &vb)?;
        if i + 1 < sizes.widths.len() {
            // Zeros to the right and below stand for the missing padding.
            x = g.pad(x, &[[0; 2], [0; 2], [0, 1], [0, 1]]);
            let halving = conv2d([width; 2], 3, Bias::With, &vb.pp("downsample.conv"))?;
            x = g.conv(x, halving.strided([1, 2, 2]));
            g.name(x, &vb.pp("downsample").prefix());
        }
        c_in = width;
    }
    x = mid(g, x, c_in, &vb.pp("mid"))?;
    x = norm_conv(g, x, [c_in, c_out], vb, ["norm_out", "conv_out"])?;
    g.name(x, &vb.prefix());
    Ok(x)
}

/// `[n, z_channels, h, w]` to `[n, out_ch, height, width]`.
pub(super) fn decoder(g: &mut Graph, z: Value, sizes: &Sizes, vb: &VarBuilder) -> Result<Value> {
    let mut c_in = sizes.widths.last().copied().unwrap_or(sizes.ch);
    let mut x = g.conv(z, conv_3x3([sizes.z_channels, c_in], &vb.pp("conv_in"))?);
    g.name(x, &vb.pp("conv_in").prefix());
    x = mid(g, x, c_in, &vb.pp("mid"))?;
    for (i, &width) in sizes.widths.iter().enumerate().rev() {
        let vb = vb.pp("up").pp(i);
        x = level(g, x, [c_in, width], sizes.num_res_blocks + 1, sizes.attention[i], &vb)?;
        if i > 0 {
            x = g.nearest(x, 2);
            x = g.conv(x, conv_3x3([width; 2], &vb.pp("upsample.conv"))?);
            g.name(x, &vb.pp("upsample").prefix());
        }
        c_in = width;
    }
    x = norm_conv(g, x, [c_in, sizes.out_ch], vb, ["norm_out", "conv_out"])?;
    g.name(x, &vb.prefix());
    Ok(x)
}
