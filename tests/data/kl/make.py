#!/usr/bin/env python3
"""Writes a small KL autoencoder in the layout of latent diffusion, and what diffusers computes with it (torch 2.15.0, diffusers 0.42.1, CPU).

    python3 make.py

`small.safetensors` has the names of `ldm.models.autoencoder.AutoencoderKL`, weights f16. `golden.safetensors` holds `x` [2, 1, 24, 16] in
0..1, the encoder's `mean` and `deviation`, `decoded` = (decoder(mean) + 1) / 2, `pull` of the same shape, and `gradient`, that of
sum(pull * decoded) with respect to the latents. The computation is f64, and the stored numbers are f32.
"""
import os

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
# Names of parts, diffusers' and latent diffusion's. Levels of the decoder count from the other end.
PARTS = [
    ("resnets.", "block."), ("conv_shortcut", "nin_shortcut"), ("downsamplers.0.conv", "downsample.conv"),
    ("upsamplers.0.conv", "upsample.conv"), ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
    ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"), ("mid_block.attentions.0.to_", "mid.attn_1."),
    ("mid_block.block.0", "mid.block_1"), ("mid_block.block.1", "mid.block_2"), ("conv_norm_out", "norm_out"),
]  # fmt: skip
LEVELS = 2


def name_of(name):
    for ours, theirs in PARTS:
        name = name.replace(ours, theirs)
    for level in range(LEVELS):
        name = name.replace(f"down_blocks.{level}", f"down.{level}").replace(f"up_blocks.{level}", f"up.{LEVELS - 1 - level}")
    return name


def value_of(name, value):
    """A product over channels is a convolution there."""
    return value[:, :, None, None] if value.ndim == 2 and ".attn_1." in name else value


torch.manual_seed(1)
net = AutoencoderKL(
    in_channels=1, out_channels=1, down_block_types=("DownEncoderBlock2D",) * LEVELS, up_block_types=("UpDecoderBlock2D",) * LEVELS,
    block_out_channels=(32, 64), layers_per_block=1, latent_channels=4, norm_num_groups=32, sample_size=24,
)  # fmt: skip
with torch.no_grad():
    for name, value in net.named_parameters():
        if "norm" in name:
            value.copy_(torch.rand_like(value) * 0.8 + 0.6 if name.endswith("weight") else 0.3 * torch.randn_like(value))
        value.copy_(value.half())
state = {name_of(name): value for name, value in net.state_dict().items()}
state = {name: value_of(name, value).half().contiguous() for name, value in state.items()}
save_file(state, "small.safetensors")

net.double().eval()
x = torch.rand(2, 1, 24, 16, dtype=torch.float64).mul(1024).round() / 1024
with torch.no_grad():
    posterior = net.encode(2 * x - 1).latent_dist
latents = posterior.mean.clone().requires_grad_(True)
decoded = (net.decode(latents).sample + 1) / 2
pull = torch.rand_like(decoded).mul(1024).round() / 1024
(gradient,) = torch.autograd.grad((pull * decoded).sum(), latents)
golden = {"x": x, "mean": posterior.mean, "deviation": posterior.std, "decoded": decoded.detach(), "pull": pull, "gradient": gradient}
save_file({name: value.float().contiguous() for name, value in golden.items()}, "golden.safetensors")
print({name: (tuple(v.shape), float(v.abs().max())) for name, v in golden.items()})
