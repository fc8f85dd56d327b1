"""Exports a network with what Parallax wants to know of it: labels, the recipe of its input, and a self-check.

    from export import export
    export(model, torch.zeros(1, 1, 96, 96, 96), "model.onnx", labels=["nodule"], recipe={"axes": "RAS", "spacing_mm": [1.5, 1.5, 1.5]},
           activation="sigmoid")

Writes model.onnx and model.check.safetensors, which holds x, y (the first output), cotangent and gradient = d sum(y cotangent) / d x,
and the labels, the recipe, the activation and what it was trained on, {"mean": ..., "deviation": ...}, in its metadata. `parallax check model.onnx` repeats the check.
"""

import copy
import json
import struct

import torch


def export(model, x, path, labels=(), recipe=None, activation=None, trained_on_hu=None):
    model = model.eval()
    torch.onnx.export(model, (x,), path, dynamo=True, external_data=False)
    # In double precision: in single, a ReLU that stands within rounding of 0 may let through what it should not.
    model, x = copy.deepcopy(model).double(), torch.rand_like(x).double().requires_grad_()
    y = model(x)
    y = y[0] if isinstance(y, (tuple, list)) else y
    cotangent = torch.randn_like(y)
    (gradient,) = torch.autograd.grad((y * cotangent).sum(), x)
    words = {"labels": json.dumps(list(labels)), "recipe": json.dumps(recipe or {})} | ({"activation": activation} if activation else {})
    words |= {"trained_on_hu": json.dumps(trained_on_hu)} if trained_on_hu else {}
    tensors = {"x": x, "y": y, "cotangent": cotangent, "gradient": gradient}
    write(path.removesuffix(".onnx") + ".check.safetensors", tensors, words)


def write(path, tensors, words):
    """A safetensors file, https://github.com/huggingface/safetensors, of f32."""
    header, blocks, at = {"__metadata__": words}, [], 0
    for name, tensor in tensors.items():
        block = bytes(tensor.detach().float().cpu().contiguous().flatten().view(torch.uint8).tolist())
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(block)]}
        blocks, at = [*blocks, block], at + len(block)
    header = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + b"".join(blocks))
