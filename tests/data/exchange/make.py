"""Writes the small networks of this folder, with what PyTorch computes of them in f64.

classifier.onnx is a small volume classifier by today's exporter, transformer.onnx one of attention by the former exporter, each with
random weights. NAME.safetensors holds x, y, cotangent and gradient. NAME.program.pt2 is a network of those architectures and other
random weights, saved by torch.export.save: the classifier's graph as it was traced, with a batch left open, the transformer's decomposed.
Needs torch, onnx, onnxscript and safetensors. `python make.py programs` writes the programs alone.
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1, stride=2, bias=False)
        self.norm = nn.BatchNorm3d(4)
        self.groups = nn.GroupNorm(2, 4)
        self.pool = nn.MaxPool3d(2)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.conv(x))))
        x = nn.functional.silu(self.groups(x))
        return torch.sigmoid(self.head(x.mean(dim=(2, 3, 4))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, stride=4)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (width // 2) ** -0.5).softmax(-1)
        x = x + (weights @ v).transpose(1, 2).reshape(n, tokens, width)
        return self.head(nn.functional.gelu(x).mean(1))


def settled(model):
    model.eval()
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm3d)):
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
    return model


def record(name, model, x):
    model = model.double()
    x64 = x.double().requires_grad_()
    y = model(x64)
    cotangent = torch.randn(y.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((y * cotangent).sum(), x64)
    tensors = {"x": x, "y": y.detach(), "cotangent": cotangent, "gradient": gradient}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, f"{name}.safetensors")


def write(name, model, shape, **kind):
    model = settled(model)
    x = torch.randn(shape)
    torch.onnx.export(model, (x,), f"{name}.onnx", input_names=["x"], output_names=["y"], external_data=False, **kind)
    record(name, model, x)


def write_program(name, model, shape, open_batch):
    model = settled(model)
    x = torch.randn(shape)
    sizes = ({0: torch.export.Dim("batch", min=1, max=8)},) if open_batch else None
    program = torch.export.export(model, (x,), dynamic_shapes=sizes)
    if not open_batch:
        program = program.run_decompositions({})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of the machine that wrote it
    torch.export.save(program, f"{name}.program.pt2")
    record(f"{name}.program", model, x)


if sys.argv[1:] != ["programs"]:
    torch.manual_seed(2026)
    write("classifier", Classifier(), (1, 1, 8, 8, 8), dynamo=True)
    write("transformer", Transformer(), (1, 1, 8, 8), dynamo=False, opset_version=17)
torch.manual_seed(2027)
write_program("classifier", Classifier(), (2, 1, 8, 8, 8), True)
write_program("transformer", Transformer(), (1, 1, 8, 8), False)
