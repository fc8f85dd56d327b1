#!/usr/bin/env python3
"""The small networks beside this file: random weights, exported as people export theirs.

    pip install torch onnx onnxscript && python make.py

classifier.onnx   [1, 1, D, H, W], sizes open, to three classes by a softmax
slices.onnx       [1, 3, 24, 24], to two logits: a classifier of slices
encoder.onnx      [1, 1, 32, 32] to [1, 8, 8, 8]: mean and log variance of four latents
decoder.onnx      [1, 4, 8, 8] to [1, 1, 32, 32]
segmenter.onnx    [1, 1, D, H, W], sizes open, to maps of two classes
findings.onnx     [1, 1, D, H, W], sizes open, to two findings by a sigmoid each
blocks_encoder.onnx, blocks_decoder.onnx: an autoencoder of volumes [1, 1, 16, 12, 8] to the means of blocks of 2 x 2 x 2 and back
"""
import torch
from torch import nn

torch.manual_seed(20)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(1, 4, 3, 2, 1), nn.Conv3d(4, 6, 3, 2, 1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return torch.softmax(4 * self.fc(x.mean((2, 3, 4))), 1)


slices = nn.Sequential(
    nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
)
encoder = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 8, 3, 2, 1))
decoder = nn.Sequential(nn.ConvTranspose2d(4, 8, 2, 2), nn.SiLU(), nn.ConvTranspose2d(8, 1, 2, 2))
segmenter = nn.Sequential(nn.Conv3d(1, 4, 3, 1, 1), nn.ReLU(), nn.Conv3d(4, 2, 1))
blocks_encoder, blocks_decoder = nn.Conv3d(1, 1, 2, 2, bias=False), nn.ConvTranspose3d(1, 1, 2, 2, bias=False)
nn.init.constant_(blocks_encoder.weight, 1 / 8)
nn.init.constant_(blocks_decoder.weight, 1)
findings = nn.Sequential(nn.Conv3d(1, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2), nn.Sigmoid())

sides = {2: "D", 3: "H", 4: "W"}
for name, network, shape, open_sides in [
    ("classifier", Classifier(), [1, 1, 16, 16, 16], sides),
    ("slices", slices, [1, 3, 24, 24], None),
    ("encoder", encoder, [1, 1, 32, 32], None),
    ("decoder", decoder, [1, 4, 8, 8], None),
    ("segmenter", segmenter, [1, 1, 16, 16, 16], sides),
    ("findings", findings, [1, 1, 16, 16, 16], sides),
    ("blocks_encoder", blocks_encoder, [1, 1, 16, 12, 8], None),
    ("blocks_decoder", blocks_decoder, [1, 1, 8, 6, 4], None),
]:
    axes = {"dynamic_axes": {"image": open_sides}} if open_sides else {}
    network.eval()
    torch.onnx.export(
        network, (torch.zeros(shape),), f"{name}.onnx", input_names=["image"], output_names=["answer"],
        opset_version=17, dynamo=False, **axes,
    )
