#!/usr/bin/env python3
"""What PyTorch computes with the published backbone of Astra and a drawn head, on a real scan (torch 2.15.0, CPU, f64).

    parallax models get astra-backbone --into DIR
    parallax prepare thorax_contrast_1.5mm.nii.gz --card card.toml --out stack.safetensors
    python3 make.py DIR/astra_backbone.pt stack.safetensors

The scan is `../shared/data/nifti/thorax_contrast_1.5mm.nii.gz` (TotalSegmentator's repository, Apache-2.0); `card.toml` is beside this
script. `golden.safetensors` holds `logits` [8], stored as f32. The script prints how far PyTorch's own f32 is from them.

The network is the inflated ResNet-152 of Merlin (Blankemeier et al. 2024, arXiv 2406.06512), whose tensors have these names. It is fed
anti-transposed slices, `[1, 3, slices, h, w]`, three equal channels. The head is no one's: eight projections of the 2048 features whose
weights are drawn by a formula that any language computes to the bit (`drawn`).
"""
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

CLASSES, FEATURES = 8, 2048


def drawn(n):
    """n numbers in -1..1: i times Knuth's 2654435761, modulo 2^32, as a share of it."""
    hashed = (torch.arange(1, n + 1, dtype=torch.int64) * 2654435761) % 2**32
    return hashed.double() / 2**31 - 1


class Bottleneck(nn.Module):
    def __init__(self, c_in, width, stride, skips):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(c_in, width, 1, bias=False), nn.BatchNorm3d(width)
        self.conv2, self.bn2 = nn.Conv3d(width, width, 3, stride, 1, bias=False), nn.BatchNorm3d(width)
        self.conv3, self.bn3 = nn.Conv3d(width, 4 * width, 1, bias=False), nn.BatchNorm3d(4 * width)
        self.downsample = None
        if not skips:
            self.downsample = nn.Sequential(nn.Conv3d(c_in, 4 * width, 1, stride, bias=False), nn.BatchNorm3d(4 * width))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return F.relu(self.bn3(self.conv3(h)) + (x if self.downsample is None else self.downsample(x)))


class I3ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(64)
        c = 64
        for i, (width, blocks) in enumerate(zip((64, 128, 256, 512), (3, 8, 36, 3))):
            layer = []
            for j in range(blocks):
                layer.append(Bottleneck(c, width, 2 if i and j == 0 else 1, j > 0))
                c = 4 * width
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3, 4))


@torch.no_grad()
def main(backbone, stack):
    state = torch.load(backbone, map_location="cpu", weights_only=True)
    net = I3ResNet().eval()
    missing, unexpected = net.load_state_dict({k: v.float() for k, v in state["state_dict"].items()}, strict=False)
    print("missing", missing, "unexpected", unexpected)
    assert not missing
    weight = drawn(CLASSES * FEATURES).reshape(CLASSES, FEATURES).float()
    bias = drawn(CLASSES).float()
    x = load_file(stack)["stack"]  # [slices, 1, h, w]
    x = x.transpose(2, 3).flip((2, 3))  # out[i, j] = x[n-1-j, n-1-i]
    x = x.permute(1, 0, 2, 3)[None].expand(-1, 3, -1, -1, -1)
    single = net(x) @ weight.T + bias
    net.double()
    logits = net(x.double()) @ weight.double().T + bias.double()
    print(logits, "f32 is off by", ((single - logits).abs().max() / logits.abs().max()).item())
    here = os.path.dirname(os.path.abspath(__file__))
    save_file({"logits": logits[0].float().contiguous()}, os.path.join(here, "golden.safetensors"))


main(*sys.argv[1:])
