"""Phantoms from `parallax phantom --seeds A:B --random --card CARD --out DIR`, and where trained networks go."""

import argparse
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

FINDINGS = ("effusion", "nodule", "cardiomegaly", "emphysema")
RIGHT_LUNG, LEFT_LUNG, BODY = 16, 32, 64


class Phantoms:
    """`stacks` f16 `[n, slices, h, w]` in 0..1, `masks` u8 of the same shape, `dials` `[n, 4]`, by ascending seed.
    Some have a slice more than others: the topmost is left out."""

    def __init__(self, folder):
        files = sorted(pathlib.Path(folder).glob("*.safetensors"), key=lambda f: int(f.stem))
        loaded = [load_file(f) for f in files]
        slices = min(len(one["stack"]) for one in loaded)
        self.seeds = [int(f.stem) for f in files]
        self.stacks = np.stack([one["stack"][:slices, 0].astype(np.float16) for one in loaded])
        self.masks = np.stack([one["masks"][:slices, 0] for one in loaded])
        self.dials = np.stack([one["dials"] for one in loaded])

    def __len__(self):
        return len(self.stacks)


def seeded():
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    return np.random.default_rng(0)


def arguments(description, out):
    """What every training program is told: the phantoms to learn, those held out, the file to write."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default="data")
    parser.add_argument("--test", default="test")
    parser.add_argument("--out", default=out)
    return parser


def anneal(optimizer, highest, share, step, warm=50, least=2e-5):
    """The learning rate: up for the first steps, then down a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    for group in optimizer.param_groups:
        group["lr"] = highest * min(1, (step + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * share)) + least


def half():
    """bf16 where torch has it fast; weights stay f32."""
    return torch.autocast("cpu", torch.bfloat16)


def save(state, path):
    keep = {k: v.detach().float().contiguous() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(keep, path)


def auroc(scores, positive):
    """Mann and Whitney's U over the pairs."""
    order = np.argsort(np.argsort(scores)) + 1
    n1, n0 = positive.sum(), (~positive).sum()
    return float((order[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
