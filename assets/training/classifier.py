"""The four findings: an inflated 3-D ResNet, trained on phantoms, on their reconstructions, then on adversarial latents.

An adversarial latent is a reconstruction moved, step by step, the way that fools the classifier most. How much of the finding is
left there is known, since its mask is: the label follows it. A classifier so trained can be moved by changing the finding, and
by little else. While training, heads on three layers also say where each finding lies: without them a nodule, some 60 voxels of
330,000, is not learnt.
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from autoencoder import SIZES
from common import FINDINGS, LEFT_LUNG, RIGHT_LUNG, Phantoms, anneal, arguments, auroc, half, save, seeded
from networks import I3ResNet, VQModel
from safetensors.torch import load_file

SIZE = dict(stem=16, widths=(16, 24, 32, 48), blocks=(1, 2, 2, 1), classes=len(FINDINGS))
BATCH = 6
ADVERSARIES = 2  # volumes of a batch in the second phase
FREE = 18  # slices of each that may change
REACH = 30.0  # longest step in latents, standard deviations
STEPS = 5  # an adversary is given up after so many
POOL = 24  # adversaries under way
WEIGHTS = torch.tensor([1.0, 2.0, 1.0, 1.0])  # of the findings: a nodule is small and learnt last
EMPTY = 0.07  # lung, 0..1: what takes the place of fluid, nodule or heart
LEAST, MOST = 0.04, 0.96
PLACES = 2.0  # of the loss of where, beside that of what
RAREST = 50.0  # a place that has a finding counts at most so much more than one without
SPACING = (6.0, 3.5, 3.5)  # mm, slices first


def label(amount):
    """Probability for a dial: 0 is none; the root keeps the mild ones apart from none."""
    return torch.where(amount > 0, LEAST + (MOST - LEAST) * amount.clamp(min=0).sqrt(), torch.full_like(amount, LEAST))


class Places(nn.Module):
    """Where the findings lie, by the features of layers 1, 2 and 4: heads that only the training has."""

    def __init__(self, widths):
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv3d(4 * widths[i], len(FINDINGS), 1) for i in (0, 1, 3))

    def loss(self, features, masks):
        """Cross entropy against `[b, 4, d, h, w]` masks; a cell has a finding that fills a quarter of its best filled part."""
        total = 0
        for head, x in zip(self.heads, features):
            found = head(x[: len(masks)]).float()
            there = (F.adaptive_max_pool3d(F.avg_pool3d(masks, 2, ceil_mode=True), found.shape[2:]) > 0.25).float()
            filled = there.mean((0, 2, 3, 4)).clamp(min=1e-6)
            rarity = ((1 - filled) / filled).sqrt().clamp(1, RAREST).view(-1, 1, 1, 1)
            total = total + F.binary_cross_entropy_with_logits(found, there, pos_weight=rarity)
        return total


def paste_nodule(stack, masks, rng):
    """Draws a ball of tissue into dry lung, in place. Gives its dial, 0 if there was no room."""
    radius = rng.uniform(6, 16)
    reach = [int(np.ceil(16 / s)) + 1 for s in SPACING]
    inner = tuple(slice(r, n - r) for r, n in zip(reach, stack.shape))
    lung = (masks & (RIGHT_LUNG | LEFT_LUNG)) > 0
    at = np.argwhere((lung & (stack < 0.25))[inner])
    if not len(at):
        return 0.0
    center = at[rng.integers(len(at))] + reach
    box = tuple(slice(c - r, c + r + 1) for c, r in zip(center, reach))
    axes = np.meshgrid(*(np.arange(-r, r + 1) * s for r, s in zip(reach, SPACING)), indexing="ij")
    distance = np.sqrt(sum(axis**2 * rng.uniform(0.75, 1.35) for axis in axes))
    share = np.clip((radius - distance) / SPACING[1] + 0.5, 0, 1) * lung[box]
    stack[box] += (rng.uniform(0.515, 0.535) - stack[box]) * share
    masks[box] |= np.where(share > 0.5, 2, 0).astype(np.uint8)
    return (radius - 6) / 10


def smooth(x):
    return F.avg_pool3d(x, (1, 3, 3), 1, (0, 1, 1), count_include_pad=False)


def disturbed(x):
    """Noise, fine and coarse, a shift of HU, some blur: what scanners differ in."""
    noise = torch.randn_like(x)
    noise = 0.5 * noise + 2.0 * smooth(smooth(noise))
    x = torch.where(torch.rand(len(x), 1, 1, 1, 1) < 0.3, 0.3 * x + 0.7 * smooth(x), x)
    return x + noise * torch.rand(len(x), 1, 1, 1, 1) * 0.015 + torch.randn(len(x), 1, 1, 1, 1) * 0.006


class Latents:
    """Codes and reconstructions of the first phantoms."""

    def __init__(self, model, phantoms, count):
        self.model, codes, decoded = model, [], []
        model.eval()
        with torch.no_grad(), half():
            for stack in phantoms.stacks[:count]:
                z = model.encode(torch.from_numpy(stack.astype(np.float32))[:, None] * 2 - 1)
                codes.append(z.half())
                decoded.append(((model.decode(z).float() + 1) / 2)[:, 0].half().numpy())
        self.codes, self.decoded = torch.stack(codes), np.stack(decoded)
        self.deviation = float(self.codes.float().std())

    def decode(self, z):
        with half():
            return ((self.model.decode(z).float() + 1) / 2)[:, 0]


def left(dials, masks, before, now):
    """How much of each finding is still there, as dials: by what `before` had in its mask more than lung, and `now` has."""
    left = dials.clone()
    for k, name in enumerate(FINDINGS):
        mask = (masks >> k) & 1 > 0
        if name == "emphysema" or not mask.any():
            continue  # its mask has less than lung, and the autoencoder draws none of it
        was = (before[mask] - EMPTY).clamp(min=0).sum().clamp(min=1e-3)
        left[k] *= ((now[mask] - EMPTY).sum() / was).clamp(0, 1)
    return left


class Adversaries:
    """Reconstructions on their way to what fools the classifier."""

    def __init__(self, latents, phantoms, rng):
        self.latents, self.phantoms, self.rng = latents, phantoms, rng
        self.pool = []

    def fresh(self):
        i = self.rng.integers(len(self.latents.codes))
        k = self.rng.choice(4, p=[0.5, 0.1, 0.25, 0.15])
        free = np.sort(self.rng.choice(len(self.phantoms.stacks[i]), FREE, replace=False))
        return dict(i=i, k=k, free=torch.from_numpy(free), z=self.latents.codes[i][free].float(), steps=0)

    def step(self, classifier):
        """One of them a step further: `[1, 1, slices, h, w]` and its labels `[4]`."""
        rng, one = self.rng, self.fresh()
        if len(self.pool) >= POOL and rng.random() < 0.7:
            one = self.pool.pop(rng.integers(len(self.pool)))
        i, k, free, z = one["i"], one["k"], one["free"], one["z"].requires_grad_(True)
        volume = torch.from_numpy(self.latents.decoded[i].astype(np.float32))
        moved = volume.index_copy(0, free, self.latents.decode(z))
        with half():
            logit = classifier(moved[None, None]).float()[0, k]
        (gradient,) = torch.autograd.grad(logit, z)
        dials = torch.from_numpy(self.phantoms.dials[i])
        down = float(dials[k]) > 0
        reach = REACH * self.latents.deviation * rng.uniform(0.1, 1) * (1 if down else 0.4)
        if rng.random() < 0.7:  # as a search does that prefers the tokens that matter most
            norm = gradient.norm(dim=1, keepdim=True)
            gradient = gradient * norm / norm.max().clamp(min=1e-12)
        one["z"] = z.detach() + (-1 if down else 1) * reach * gradient / (gradient.norm() + 1e-12)
        one["steps"] += 1
        if one["steps"] < STEPS and len(self.pool) < POOL + 1:
            self.pool.append(one)
        with torch.no_grad():
            volume[free] = self.latents.decode(one["z"])
        scan = torch.from_numpy(self.phantoms.stacks[i].astype(np.float32))
        return volume[None, None], label(left(dials, torch.from_numpy(self.phantoms.masks[i]), scan, volume))


def evaluate(classifier, stacks, dials):
    classifier.eval()
    with torch.no_grad():
        logits = [classifier(torch.from_numpy(s.astype(np.float32))[None, None])[0] for s in stacks]
    classifier.train()
    logits = torch.stack(logits).numpy()
    return [round(auroc(logits[:, k], dials[: len(stacks), k] > 0), 3) for k in range(4)]


class Samples:
    """Phantoms and their reconstructions, shifted a little, with labels and masks `[b, 4, d, h, w]`."""

    def __init__(self, phantoms, latents, rng):
        self.phantoms, self.latents, self.rng = phantoms, latents, rng

    def one(self, i):
        dials, masks = torch.from_numpy(self.phantoms.dials[i]).clone(), self.phantoms.masks[i].copy()
        stack = self.phantoms.stacks[i].astype(np.float32)
        if i < len(self.latents.codes) and self.rng.random() < 0.4:
            drawn = self.latents.decoded[i].astype(np.float32)
            dials = left(dials, torch.from_numpy(masks), torch.from_numpy(stack), torch.from_numpy(drawn))
            if dials[1] < 0.5 * self.phantoms.dials[i][1]:
                masks &= ~np.uint8(2)
            stack = drawn
        elif dials[1] == 0 and self.rng.random() < 0.4:
            dials[1] = paste_nodule(stack, masks, self.rng)
        moved = self.rng.integers(-3, 4, 2)
        masks = np.stack([(masks >> k) & 1 for k in range(len(FINDINGS))])
        return np.roll(stack, moved, (1, 2)), np.roll(masks, moved, (2, 3)), label(dials)

    def batch(self, n):
        stacks, masks, labels = zip(*(self.one(i) for i in self.rng.integers(len(self.phantoms), size=n)))
        stacks, masks = (torch.from_numpy(np.stack(a)) for a in (stacks, masks))
        return disturbed(stacks[:, None]), masks.float(), torch.stack(labels)


def begin(args):
    """The classifier, as new or as a file has it, and its training heads."""
    classifier, places = I3ResNet(**SIZE), Places(SIZE["widths"])
    if args.resume:
        state = load_file(args.resume)
        state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)
        classifier.load_state_dict({k: v for k, v in state.items() if not k.startswith("places.")}, strict=False)
        places.load_state_dict({k[7:]: v for k, v in state.items() if k.startswith("places.")}, strict=False)
    return classifier, places


def train(args):
    rng = seeded()
    phantoms, held_out = Phantoms(args.data), Phantoms(args.test)
    autoencoder = VQModel(**SIZES[args.factor], dim=args.dim, n=args.codes)
    autoencoder.load_state_dict(load_file(args.autoencoder))
    autoencoder.eval().requires_grad_(False)
    latents, test_latents = Latents(autoencoder, phantoms, args.latents), Latents(autoencoder, held_out, len(held_out))
    print(len(phantoms), "phantoms, latents' deviation", round(latents.deviation, 3), flush=True)
    classifier, places = begin(args)
    samples, adversaries = Samples(phantoms, latents, rng), Adversaries(latents, phantoms, rng)
    trained = [*classifier.parameters(), *places.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=args.rate, weight_decay=1e-3)
    total = args.steps + args.adversarial
    for step in range(total):
        late = step >= args.steps
        share = (step - args.steps) / max(args.adversarial, 1) if late else step / max(args.steps, 1)
        anneal(optimizer, args.rate * (0.5 if late else 1), share, step)
        x, masks, labels = samples.batch(BATCH - (ADVERSARIES if late else 0))
        if late:
            classifier.eval()  # attacked as it will be used
            attacked = [adversaries.step(classifier) for _ in range(ADVERSARIES)]
            classifier.train()
            x = torch.cat([x, *(v for v, _ in attacked)])
            labels = torch.cat([labels, torch.stack([y for _, y in attacked])])
        with half():
            logits, *features = classifier.with_places(x)
            where = places.loss(features, masks)
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none").mul(WEIGHTS).mean(1)
        optimizer.zero_grad(set_to_none=True)
        (loss.mean() + PLACES * where).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if (step + 1) % 200 == 0 or step + 1 == total:
            split = [round(float(part.detach().mean()), 3) for part in (loss[: BATCH - 2], loss[BATCH - 2 :])]
            print(step + 1, "loss", split, "places", round(float(where.detach()), 3), "scans", evaluate(classifier, held_out.stacks, held_out.dials),
                  "reconstructions", evaluate(classifier, test_latents.decoded, held_out.dials), flush=True)  # fmt: skip
            heads = {f"places.{k}": v for k, v in places.state_dict().items()}
            save({**classifier.published(), **heads}, args.out)


if __name__ == "__main__":
    parser = arguments(__doc__, "classifier.safetensors")
    parser.add_argument("--autoencoder", default="vqgan.safetensors")
    parser.add_argument("--factor", type=int, default=32)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--codes", type=int, default=1024)
    parser.add_argument("--latents", type=int, default=400)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--adversarial", type=int, default=400)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--resume")
    train(parser.parse_args())
