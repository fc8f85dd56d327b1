#!/usr/bin/env python3
"""Writes two small 3-D DenseNets as checkpoints, and what MONAI computes with them (torch 2.15.0, monai 1.6.1, CPU).

    python3 make.py

Both have DenseNet-121's structure and names, with fewer and narrower layers. Each checkpoint is a plain `state_dict`,
which is how the published training script saves its model: no prefix, nothing around it.

| checkpoint | outputs | score |
|---|---|---|
| `small.pt` | two logits | softmax, class 1 |
| `one_logit.pt` | one logit, as the published diabetes model | sigmoid |

`golden.safetensors` holds for each NAME: `NAME.x` [1, 1, D, H, W] (multiples of 1/1024), `NAME.LAYER` (the output of the
stem, of each dense block and of each transition), `NAME.logits`, `NAME.score` and `NAME.gradient` = d score / dx.
The weights are f32, the computation is f64, and the stored numbers are f32.
Running means and variances follow each norm's own input, with noise, so that every ReLU passes a part and stops a part.
PyTorch's f32 is up to 2e-5 from these numbers, relative to the largest value of each tensor; the script prints each.
"""
import os

import torch
from monai.networks.nets import DenseNet
from safetensors.torch import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
LAYERS = ["pool0", "denseblock1", "transition1", "denseblock2", "transition2", "denseblock3", "transition3", "denseblock4"]
# name, seed, outputs, init_features, growth_rate, input size
CASES = [("small", 1, 2, 8, 4, (33, 65, 33)), ("one_logit", 2, 1, 12, 4, (32, 40, 34))]


def fill(net, x):
    """Draws all weights, and sets each norm's running statistics near those of the input that it gets from `x`."""
    uniform = lambda like, low, high: torch.empty_like(like).uniform_(low, high)

    def statistics(norm, inputs):
        mean, std = inputs[0].mean((0, 2, 3, 4)), inputs[0].std((0, 2, 3, 4), correction=0)
        std = std.maximum(inputs[0].std() / 2)  # the last maps hold one or two voxels, which do not vary enough
        norm.running_mean.copy_(mean + 0.3 * std * torch.randn_like(mean))
        norm.running_var.copy_((std * uniform(std, 0.7, 1.4)).square())
        norm.weight.copy_(uniform(std, 0.6, 1.4) * torch.where(torch.rand_like(std) < 0.1, -1.0, 1.0))
        norm.bias.copy_(0.3 * torch.randn_like(std))

    hooks = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, torch.nn.BatchNorm3d):
            hooks.append(module.register_forward_pre_hook(statistics))
    net(x)
    for hook in hooks:
        hook.remove()
    head = net.class_layers.out
    head.weight.copy_(torch.randn_like(head.weight))
    head.bias.copy_(torch.randn_like(head.bias))


def score(logits):
    """The probability that is explained: class 1 of two by softmax, or the sigmoid of a single logit."""
    return torch.softmax(logits, 1)[0, 1] if logits.shape[1] == 2 else torch.sigmoid(logits)[0, 0]


def record(net, x):
    """All activations that a test compares, with the gradient of the score in `x`."""
    kept, passed = {}, {}
    x = x.clone().requires_grad_(True)
    hooks = [net.features.get_submodule(n).register_forward_hook(lambda m, i, o, n=n: kept.update({n: o})) for n in LAYERS]
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.ReLU):
            # MONAI's ReLUs work in place: what they get is looked at before they run.
            share = lambda m, i, n=name: passed.update({n: (i[0] > 0).double().mean().item()})
            hooks.append(module.register_forward_pre_hook(share))
    logits = net(x)
    for hook in hooks:
        hook.remove()
    probability = score(logits)
    (gradient,) = torch.autograd.grad(probability, x)
    kept.update(x=x, logits=logits, score=probability.reshape(1), gradient=gradient)
    return {k: v.detach().clone() for k, v in kept.items()}, passed


def main():
    golden = {}
    for name, seed, outputs, features, growth, size in CASES:
        torch.manual_seed(seed)
        net = DenseNet(3, 1, outputs, init_features=features, growth_rate=growth, block_config=(2, 3, 2, 2), bn_size=4)
        net.eval().requires_grad_(False)
        x = torch.randint(-1024, 1024, (1, 1, *size)).float() / 1024
        fill(net, x)
        torch.save(net.state_dict(), f"{name}.pt")
        single, _ = record(net, x)
        double, passed = record(net.double(), x.double())
        print(f"{name}: logits {double['logits'].tolist()}, score {double['score'].item():.6f}")
        print(f"  ReLUs pass between {min(passed.values()):.2f} and {max(passed.values()):.2f} of their inputs")
        for key, value in double.items():
            error = (single[key] - value).abs().max() / value.abs().max()
            print(f"  {key} {list(value.shape)}: PyTorch's f32 is {error:.1e} from f64, relative to the largest value {value.abs().max():.3g}")
            golden[f"{name}.{key}"] = value.float().contiguous()
    save_file(golden, "golden.safetensors")


main()
