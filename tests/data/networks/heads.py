#!/usr/bin/env python3
"""heads.onnx and heads.pt2: [1, 1, 12, 12, 12] to one output for each way in which numbers come from an activation.
decoder_rgb.onnx: [1, 4, 8, 8] to [1, 3, 32, 32].

    pip install torch onnx && python heads.py
"""
import torch
from torch import nn

NAMES = ["squeezed", "flat", "sliced", "both", "clipped", "scaled", "batch", "gated", "plain"]


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.one, self.three = nn.Conv3d(1, 4, 3, 2, 1), nn.Linear(4, 1), nn.Linear(4, 3)

    def forward(self, x):
        x = torch.relu(self.conv(x)).mean((2, 3, 4))
        one, three = self.one(x), self.three(x)
        p = torch.sigmoid(one)
        return (
            torch.sigmoid(one).squeeze(-1),
            torch.sigmoid(three).reshape(1, 3, 1, 1, 1),
            torch.softmax(three, 1)[:, 1:2],
            torch.cat([1 - p, p], 1),
            torch.sigmoid(three).clamp(0.01, 0.99),
            torch.sigmoid(three) * 100,
            torch.softmax(three, 0),
            three * torch.sigmoid(one),
            three,
        )


torch.manual_seed(3)
network, x = Heads().eval(), torch.zeros(1, 1, 12, 12, 12)
torch.onnx.export(network, (x,), "heads.onnx", input_names=["image"], output_names=NAMES, opset_version=17, dynamo=False)
torch.export.save(torch.export.export(network, (x,)), "heads.pt2")
torch.onnx.export(nn.ConvTranspose2d(4, 3, 4, 4), (torch.zeros(1, 4, 8, 8),), "decoder_rgb.onnx", opset_version=17, dynamo=False)
