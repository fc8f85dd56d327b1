#!/usr/bin/env python3
"""Writes what the audit's measures are proved against (torch 2.15.0, numpy 2.4.6, CPU, f64).

    python3 make.py

`grad_cam.safetensors` holds a tiny network, conv 3x3x3, ReLU, conv 3x3x3 of stride 2, ReLU, flat, linear, with its `stack` [1, 1, D, H, W], its
`logits` and, for each class C, `map.C`: Grad-CAM++ (Chattopadhay et al. 2018, arXiv 1710.11063) with Y = exp(logit), its second and third
derivatives taken by autograd, not by the paper's powers of the first, and the map resized by `interpolate(mode="trilinear")`. The map
is divided by exp(logit), which is one factor for all of it.

`frechet.json` holds pairs of sets of vectors and their squared Frechet distance, with tr (S1 S2)^1/2 as the sum of the roots of the eigenvalues
of S1 S2: fewer vectors than numbers, more, and of unlike counts.
"""
import json
import os

import numpy as np
import torch
from safetensors.torch import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def grad_cam():
    torch.manual_seed(7)
    shape = (5, 6, 8)
    stack = torch.rand(1, 1, *shape, dtype=torch.float64)
    w1, b1 = torch.randn(3, 1, 3, 3, 3, dtype=torch.float64) * 0.4, torch.randn(3, dtype=torch.float64) * 0.1
    w2, b2 = torch.randn(4, 3, 3, 3, 3, dtype=torch.float64) * 0.3, torch.randn(4, dtype=torch.float64) * 0.1
    head, bias = torch.randn(2, 4 * 3 * 3 * 4, dtype=torch.float64) * 0.2, torch.randn(2, dtype=torch.float64) * 0.1
    out = {"stack": stack, "w1": w1, "b1": b1, "w2": w2, "b2": b2, "head": head, "bias": bias}
    conv = torch.nn.functional.conv3d
    # As f32 numbers, which is what the file holds.
    out = {name: tensor.float() for name, tensor in out.items()}
    stack, w1, b1, w2, b2, head, bias = (out[name].double() for name in out)
    features = torch.relu(conv(torch.relu(conv(stack, w1, b1, padding=1)), w2, b2, stride=2, padding=1)).detach()

    def logits(a):
        return a.flatten(1) @ head.T + bias

    out["logits"] = logits(features).float()
    for label in range(2):
        a = features.clone().requires_grad_(True)
        score = logits(a)[0, label]
        first = torch.autograd.grad(score.exp(), a, create_graph=True)[0]
        second, third = torch.zeros_like(a), torch.zeros_like(a)
        flat = first.flatten()
        for i in range(flat.numel()):
            along = torch.autograd.grad(flat[i], a, create_graph=True)[0].flatten()[i]
            second.view(-1)[i] = along.detach()
            third.view(-1)[i] = torch.autograd.grad(along, a, retain_graph=True)[0].flatten()[i].detach()
        first = first.detach()
        below = 2 * second + (features.sum(dim=(2, 3, 4), keepdim=True) * third)
        alpha = torch.where(second != 0, second / below, torch.zeros_like(second))
        weights = (alpha * torch.relu(first)).sum(dim=(2, 3, 4), keepdim=True)
        cam = torch.relu((weights * features).sum(dim=1, keepdim=True))
        cam = torch.nn.functional.interpolate(cam, size=shape, mode="trilinear", align_corners=False)
        out[f"map.{label}"] = (cam / score.detach().exp())[0, 0].float().contiguous()
        print(label, float(cam.max()), "of", int((weights > 0).sum()), "channels with weight")
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, "grad_cam.safetensors")


def frechet():
    rng = np.random.default_rng(3)
    cases = []
    for a, b, width in [(6, 6, 9), (12, 12, 4), (5, 14, 7), (8, 8, 8)]:
        mix = rng.normal(size=(width, width))
        x = np.round(rng.normal(size=(a, width)), 3)
        y = np.round(rng.normal(size=(b, width)) @ mix * 0.5 + 0.3, 3)
        s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        roots = np.sqrt(np.clip(np.linalg.eigvals(s1 @ s2).real, 0, None)).sum()
        distance = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * roots
        cases.append({"a": x.tolist(), "b": y.tolist(), "distance": distance})
        print(a, b, width, distance)
    with open("frechet.json", "w") as file:
        json.dump(cases, file)
        file.write("\n")


grad_cam()
frechet()
