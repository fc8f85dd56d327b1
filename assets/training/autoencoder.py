"""The slice autoencoder: first continuous latents, then a codebook begun by k-means on them.

Half of the latents decoded while training are disturbed by noise: latents off the codes, where latent shift goes, must decode to
slices too.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from common import BODY, Phantoms, anneal, arguments, half, save, seeded
from networks import VQModel

SIZES = {
    8: dict(ch=32, mult=(1, 1, 2, 4), blocks=1, z=32),
    16: dict(ch=32, mult=(1, 1, 2, 2, 4), blocks=1, z=64),
    32: dict(ch=32, mult=(1, 1, 2, 2, 4, 4), blocks=1, z=64),
}
BATCH = 12
CODES_FROM = 0.4  # share of the steps before the codebook begins
NOISE = 0.2  # of the latents' deviation


def batches(phantoms, rng):
    n, slices = phantoms.stacks.shape[:2]
    while True:
        i, k = rng.integers(n, size=BATCH), rng.integers(slices, size=BATCH)
        x = phantoms.stacks[i, k].astype(np.float32)
        body = (phantoms.masks[i, k] & BODY) > 0
        yield torch.from_numpy(x)[:, None] * 2 - 1, torch.from_numpy(body)[:, None].float()


def begin_codes(model, source):
    with torch.no_grad(), half():
        z = torch.cat([model.before_codes(next(source)[0]) for _ in range(24)]).float()
    flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
    codes = flat[torch.randperm(len(flat))[: model.quantize.embedding.num_embeddings]].clone()
    for _ in range(10):
        nearest = torch.cdist(flat, codes).argmin(1)
        count = torch.zeros(len(codes)).index_add_(0, nearest, torch.ones(len(flat)))
        total = torch.zeros_like(codes).index_add_(0, nearest, flat)
        codes = torch.where(count[:, None] > 0, total / count.clamp(min=1)[:, None], flat[torch.randint(len(flat), (len(codes),))])
    model.quantize.embedding.weight.data = codes


def psnr_in_body(model, phantoms, codes, cases=8):
    """dB, of 0..1 whole range, over the voxels of the body."""
    error, count = 0.0, 0
    model.eval()
    with torch.no_grad(), half():
        for i in range(min(cases, len(phantoms))):
            x = torch.from_numpy(phantoms.stacks[i].astype(np.float32))[:, None]
            z = model.encode(2 * x - 1) if codes else model.before_codes(2 * x - 1)
            y = (model.decode(z).float() + 1) / 2
            body = torch.from_numpy((phantoms.masks[i] & BODY) > 0)[:, None]
            error, count = error + float((y - x)[body].square().sum()), count + int(body.sum())
    model.train()
    return -10 * math.log10(error / count)


def train(args):
    rng = seeded()
    phantoms, held_out = Phantoms(args.data), Phantoms(args.test)
    print(len(phantoms), "phantoms", flush=True)
    model = VQModel(**SIZES[args.factor], dim=args.dim, n=args.codes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=1e-4)
    source, used, codes = batches(phantoms, rng), torch.zeros(args.codes), False
    for step in range(args.steps):
        share = step / args.steps
        anneal(optimizer, args.rate, share, step)
        if not codes and share >= CODES_FROM:
            codes = True
            print("continuous", round(psnr_in_body(model, held_out, False), 2), "dB", flush=True)
            begin_codes(model, source)
        x, body = next(source)
        with half():
            z = model.before_codes(x).float()
            loss_codes = 1e-3 * z.square().mean()
            if codes:
                z, loss_codes, index = model.quantize(z)
                used.index_add_(0, index, torch.ones(len(index)))
            noisy = (torch.rand(BATCH, 1, 1, 1) < 0.5) * torch.rand(BATCH, 1, 1, 1)
            z = z + NOISE * 2 * noisy * float(z.std().detach()) * torch.randn_like(z)
            y = model.decode(z).float()
        error = y - x
        loss = (error.abs() * (0.5 + body)).mean() + 0.5 * (error.square() * (0.5 + body)).mean() + 0.3 * loss_codes
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if codes and step % 60 == 0 and share < 0.85:  # codes that nothing chose begin again at latents
            dead = used < 1
            flat = z.detach().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
            model.quantize.embedding.weight.data[dead] = flat[torch.randint(len(flat), (int(dead.sum()),))]
            used.zero_()
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            print(step + 1, "loss", round(float(loss), 4), "body", round(psnr_in_body(model, held_out, codes), 2), "dB", flush=True)
            save(model.state_dict(), args.out)


if __name__ == "__main__":
    parser = arguments(__doc__, "vqgan.safetensors")
    parser.add_argument("--factor", type=int, default=32)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--codes", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    train(parser.parse_args())
