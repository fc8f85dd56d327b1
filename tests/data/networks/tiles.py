#!/usr/bin/env python3
"""An autoencoder of volumes beside this file, and what MONAI's sliding windows make of it.

    pip install torch onnx monai safetensors && python tiles.py

tiles_encoder.onnx  [1, 1, D, H, W], sizes open, to [1, 4, D/4, H/4, W/2]: mean and log variance of two latents
tiles_decoder.onnx  [1, 2, d, h, w], sizes open, to [1, 1, 4d, 4h, 2w]
tiles.safetensors   volumes, and for both blends and the overlaps 0.25 and 0.5 the latents and the reconstruction of `SlidingWindowInferer`,
                    with the gradient of the decoder's windows by autograd

Its padding makes a tile's edge differ from the same place within a volume. Windows are [16, 16, 8] of the volume and [4, 4, 4] latents.
The volumes: "odd" [32, 20, 14], whose sides are no whole number of intervals; "small" [16, 20, 4], smaller than a window along one axis.
"""
import torch
from monai.inferers import SlidingWindowInferer
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(2020)
encoder = nn.Sequential(nn.Conv3d(1, 6, 3, 2, 1), nn.SiLU(), nn.Conv3d(6, 4, 3, (2, 2, 1), 1))
decoder = nn.Sequential(
    nn.ConvTranspose3d(2, 6, 2, 2), nn.SiLU(), nn.Conv3d(6, 6, 3, 1, 1), nn.SiLU(), nn.ConvTranspose3d(6, 1, (2, 2, 1), (2, 2, 1))
)
sides = {2: "D", 3: "H", 4: "W"}
for name, network, shape in [("encoder", encoder, [1, 1, 16, 16, 8]), ("decoder", decoder, [1, 2, 4, 4, 4])]:
    network.eval()
    torch.onnx.export(
        network, (torch.zeros(shape),), f"tiles_{name}.onnx", input_names=["image"], output_names=["answer"],
        opset_version=17, dynamo=False, dynamic_axes={"image": sides},
    )

encoder, decoder = encoder.double(), decoder.double()
mean = lambda x: encoder(x).chunk(2, 1)[0]
golden = {}
for volume, shape in [("odd", [1, 1, 32, 20, 14]), ("small", [1, 1, 16, 20, 4])]:
    x = golden[volume] = torch.rand(shape).double()
    for mode in ["constant", "gaussian"]:
        for overlap in [0.25, 0.5]:
            name = f"{volume}.{mode}.{overlap}"
            window = lambda size: SlidingWindowInferer(size, 1, overlap, mode)
            with torch.no_grad():
                z = window((16, 16, 8))(x, mean)
            z = z.contiguous().requires_grad_()
            y = window((4, 4, 4))(z, decoder)
            cotangent = golden.setdefault(f"{volume}.cotangent", torch.randn(y.shape).double())
            (gradient,) = torch.autograd.grad((y * cotangent).sum(), z)
            golden |= {f"{name}.z": z.detach(), f"{name}.y": y.detach(), f"{name}.gradient": gradient}
save_file({name: tensor.float().contiguous() for name, tensor in golden.items()}, "tiles.safetensors")
