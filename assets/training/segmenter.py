"""The lungs, right and left: a U-Net in lungmask's R231 layout, on single slices."""

import numpy as np
import torch
import torch.nn.functional as F
from common import LEFT_LUNG, RIGHT_LUNG, Phantoms, anneal, arguments, half, save, seeded
from networks import UNet

WIDTHS = (8, 16, 32, 64)
BATCH = 24


def lungs(masks):
    return ((masks & RIGHT_LUNG) > 0) * 1 + ((masks & LEFT_LUNG) > 0) * 2


def dice(model, phantoms):
    """Mean over phantoms, right and left."""
    model.eval()
    found = []
    with torch.no_grad():
        for stack, masks in zip(phantoms.stacks, phantoms.masks):
            a = model(torch.from_numpy(stack.astype(np.float32))[:, None]).argmax(1).numpy()
            b = lungs(masks)
            found.append([2 * ((a == c) & (b == c)).sum() / ((a == c).sum() + (b == c).sum()) for c in (1, 2)])
    model.train()
    return np.mean(found, 0).round(4), np.min(found).round(4)


def train(args):
    rng = seeded()
    phantoms, held_out = Phantoms(args.data), Phantoms(args.test)
    model = UNet(WIDTHS)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    n, slices = phantoms.stacks.shape[:2]
    for step in range(args.steps):
        anneal(optimizer, 3e-3, step / args.steps, step)
        i, k = rng.integers(n, size=BATCH), rng.integers(slices, size=BATCH)
        x = torch.from_numpy(phantoms.stacks[i, k].astype(np.float32))[:, None]
        x = x + torch.randn_like(x) * 0.02 * torch.rand(BATCH, 1, 1, 1) + 0.02 * torch.randn(BATCH, 1, 1, 1)
        with half():
            logits = model(x).float()
        loss = F.cross_entropy(logits, torch.from_numpy(lungs(phantoms.masks[i, k])))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if (step + 1) % 200 == 0 or step + 1 == args.steps:
            print(step + 1, "loss", round(float(loss), 4), "Dice right and left, least", *dice(model, held_out), flush=True)
            save(model.state_dict(), args.out)


if __name__ == "__main__":
    parser = arguments(__doc__, "segmenter.safetensors")
    parser.add_argument("--steps", type=int, default=800)
    train(parser.parse_args())
