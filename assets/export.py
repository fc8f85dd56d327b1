"""Exports a network with what Parallax wants to know of it: labels, the recipe of its input, and a self-check.

    from export import export
    export(model, torch.zeros(1, 1, 96, 96, 96), "model.onnx", labels=["nodule"], recipe={"axes": "RAS", "spacing_mm": [1.5, 1.5, 1.5]},
           activation="sigmoid")

Writes model.onnx, or model.pt2 where the path ends so, which needs PyTorch alone (ONNX: its packages onnx and onnxscript too). Beside it
model.check.safetensors holds x, y (the first output), cotangent and gradient = d sum(y cotangent) / d x, and in its metadata the labels, the
recipe, the activation, what it was trained on, {"mean": ..., "deviation": ...}, and the SHA-256 of the network's file; an ONNX file says all but the last in its own metadata_props as well.
`parallax check model.onnx` repeats the check.
"""

import copy
import hashlib
import json
import os
import struct

import torch


def export(model, x, path, labels=(), recipe=None, activation=None, trained_on_hu=None):
    model, path = model.eval(), os.fspath(path)
    words = {"labels": json.dumps(list(labels)), "recipe": json.dumps(recipe or {})} | ({"activation": activation} if activation else {})
    words |= {"trained_on_hu": json.dumps(trained_on_hu)} if trained_on_hu else {}
    if path.endswith(".pt2"):
        torch.export.save(torch.export.export(model, (x,)), path)
    else:
        program = torch.onnx.export(model, (x,), dynamo=True)
        program.model.metadata_props.update(words)
        program.save(path, external_data=False)
    with open(path, "rb") as file:
        words["sha256"] = hashlib.sha256(file.read()).hexdigest()
    # In double precision: in single, a ReLU that stands within rounding of 0 may let through what it should not.
    model, x = copy.deepcopy(model).double(), torch.rand_like(x).double().requires_grad_()
    y = model(x)
    y = y[0] if isinstance(y, (tuple, list)) else y
    cotangent = torch.randn_like(y)
    (gradient,) = torch.autograd.grad((y * cotangent).sum(), x)
    tensors = {"x": x, "y": y, "cotangent": cotangent, "gradient": gradient}
    write(os.path.splitext(path)[0] + ".check.safetensors", tensors, words)


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
