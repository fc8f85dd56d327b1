#!/usr/bin/env python3
"""Networks that end, or begin, as those of other programs do; sizes open unless said otherwise.

    pip install torch onnx && python ends.py

written.onnx, written.pt2    [1, 1, 12, 12, 12] to activations that are written out, one output for each way (NAMES)
argmax.onnx, argmax.pt2      [1, 1, D, H, W] to the number of the largest of three classes, of each voxel; in the .onnx, an output "step" too:
                             whether a class is likely
batch.onnx                   [2, 1, 12, 12, 12], of that size alone, to two logits
single.onnx                  [1, 1, 12, 12, 12] to one number without axes
single_slices.onnx           [n, 1, 12, 12] to the mean of all slices' answers, one number
last.onnx                    [1, D, H, W, 1] to the logits of three classes: channels last; output "maps": [1, D, H, W, 3], behind a softmax
last_encoder.onnx, last_decoder.onnx: an autoencoder of slices [1, 16, 16, 1] to [1, 8, 8, 4] and back
"""
import torch
from torch import nn

torch.manual_seed(5)
NAMES = ["softmax", "softmax_less_maximum", "log_softmax", "log_softmax_less_maximum", "log_of_softmax", "minus_logsumexp", "sigmoid",
         "share", "over_samples"]


class Written(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv3d(1, 4, 3, 2, 1), nn.Linear(4, 3)

    def forward(self, x):
        z = self.linear(torch.relu(self.conv(x)).mean((2, 3, 4)))
        e = torch.exp(z)
        less = z - z.max(1, keepdim=True)[0]
        shifted = torch.exp(less)
        return (
            e / e.sum(1, keepdim=True),
            shifted / shifted.sum(1, keepdim=True),
            z - torch.log(e.sum(1, keepdim=True)),
            less - torch.log(shifted.sum(1, keepdim=True)),
            torch.log(torch.softmax(z, 1)),
            z - torch.logsumexp(z, 1, keepdim=True),
            1 / (1 + torch.exp(-z)),
            z / z.sum(1, keepdim=True),
            e / e.sum(0, keepdim=True),
        )


class Argmax(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.conv, self.step = nn.Conv3d(1, 3, 3, 1, 1), step

    def forward(self, x):
        y = torch.softmax(5 * self.conv(x), 1)
        largest = y.argmax(1, keepdim=True).float()
        return (largest, (y > 0.5).float()) if self.step else largest


class Single(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 3, 2, 1)

    def forward(self, x):
        return torch.tanh(self.conv(x)).mean()


class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.maps = nn.Conv3d(1, 4, 3, 2, 1), nn.Conv3d(1, 3, 3, 1, 1)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        x = x.permute(0, 4, 1, 2, 3)
        logits = self.linear(torch.relu(self.conv(x)).mean((2, 3, 4)))
        return logits, torch.softmax(3 * self.maps(x).permute(0, 2, 3, 4, 1), -1)


class LastOf(nn.Module):
    """A convolution of slices whose channels come last."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def onnx(network, shape, name, outputs, open_sides=None):
    torch.onnx.export(
        network.eval(), (torch.zeros(shape),), f"{name}.onnx", input_names=["image"], output_names=outputs, opset_version=17, dynamo=False,
        **({"dynamic_axes": {"image": open_sides}} if open_sides else {}),
    )


written = Written().eval()
onnx(written, [1, 1, 12, 12, 12], "written", NAMES)
torch.export.save(torch.export.export(written, (torch.zeros(1, 1, 12, 12, 12),)), "written.pt2")
argmax = Argmax(True).eval()
onnx(argmax, [1, 1, 12, 12, 12], "argmax", ["answer", "step"], {2: "D", 3: "H", 4: "W"})
argmax.step = False
torch.export.save(torch.export.export(argmax, (torch.zeros(1, 1, 12, 12, 12),)), "argmax.pt2")
logits = nn.Sequential(nn.Conv3d(1, 2, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
onnx(logits, [2, 1, 12, 12, 12], "batch", ["answer"])
onnx(Single(), [1, 1, 12, 12, 12], "single", ["answer"])
slices = Single()
slices.conv = nn.Conv2d(1, 2, 3, 2, 1)
onnx(slices, [2, 1, 12, 12], "single_slices", ["answer"], {0: "slices"})
onnx(Last(), [1, 12, 12, 12, 1], "last", ["answer", "maps"], {1: "D", 2: "H", 3: "W"})
onnx(LastOf(nn.Conv2d(1, 4, 2, 2)), [1, 16, 16, 1], "last_encoder", ["answer"])
onnx(LastOf(nn.ConvTranspose2d(4, 1, 2, 2)), [1, 8, 8, 4], "last_decoder", ["answer"])
