"""The four findings: an inflated 3-D ResNet, trained on phantoms, on their reconstructions, then on adversarial latents.

An adversarial latent is a reconstruction moved the way that fools the classifier most. How much of the finding is left there is
known, since its mask is: the label follows it. A classifier so trained can be moved by changing the finding, and by little else.
While training, a head on the second layer's features also says where each finding lies: for the nodule, which is not learnt even so.
"""

import numpy as np
import torch
import torch.nn.functional as F
from autoencoder import SIZES
from common import FINDINGS, Phantoms, anneal, arguments, auroc, half, save, seeded
from networks import I3ResNet, VQModel
from safetensors.torch import load_file

SIZE = dict(stem=16, widths=(16, 24, 32, 48), blocks=(1, 2, 2, 1), classes=len(FINDINGS))
BATCH = 6
ADVERSARIES = 2  # volumes of a batch in the second phase
FREE = 18  # slices of each that may change
REACH = 60.0  # longest way in latents, standard deviations
WEIGHTS = torch.tensor([1.0, 2.0, 1.0, 1.0])  # of the findings: a nodule is small and learnt last
EMPTY = 0.07  # lung, 0..1: what takes the place of fluid, nodule or heart
LEAST, MOST = 0.04, 0.96


RARITY = torch.tensor([3.0, 20.0, 3.0, 2.0]).view(4, 1, 1, 1)  # of the places that have each finding


def label(amount):
    """Probability for a dial: 0 is none; the root keeps the mild ones apart from none."""
    return torch.where(amount > 0, LEAST + (MOST - LEAST) * amount.clamp(min=0).sqrt(), torch.full_like(amount, LEAST))


def where(places, masks):
    """Masks `[b, 4, d, h, w]` on the grid of the features: a place has a finding if any of its voxels has."""
    masks = torch.stack([(masks >> k) & 1 for k in range(4)], 1).float()
    return F.adaptive_max_pool3d(masks, places.shape[2:])


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


def adversary(classifier, latents, phantoms, i, rng):
    """A moved reconstruction `[1, 1, slices, h, w]` and its labels `[4]`."""
    dials = torch.from_numpy(phantoms.dials[i])
    k = rng.choice(4, p=[0.4, 0.2, 0.2, 0.2])
    free = np.sort(rng.choice(len(phantoms.stacks[i]), FREE, replace=False))
    z = latents.codes[i][free].float().requires_grad_(True)
    volume = torch.from_numpy(latents.decoded[i].astype(np.float32))
    before = volume.clone()
    moved = volume.index_copy(0, torch.from_numpy(free), latents.decode(z))
    with half():
        logit = classifier(moved[None, None]).float()[0, k]
    down = float(dials[k]) > 0
    (gradient,) = torch.autograd.grad(logit, z)
    reach = REACH * latents.deviation * rng.uniform(0.05, 1) * (1 if down else 0.4)
    if rng.random() < 0.5:  # as a search does that prefers the tokens that matter most
        norm = gradient.norm(dim=1, keepdim=True)
        gradient = gradient * norm / norm.max().clamp(min=1e-12)
    z = z.detach() + (-1 if down else 1) * reach * gradient / (gradient.norm() + 1e-12)
    with torch.no_grad():
        volume[free] = latents.decode(z)
    left = dials.clone()
    if down and FINDINGS[k] != "emphysema":
        mask = torch.from_numpy((phantoms.masks[i] >> k) & 1 > 0)
        was, now = before[mask] - EMPTY, volume[mask] - EMPTY
        left[k] *= (1 - (was - now).sum() / was.clamp(min=0).sum().clamp(min=1e-3)).clamp(0, 1) if mask.any() else 1
    return volume[None, None], label(left)


def evaluate(classifier, stacks, dials):
    classifier.eval()
    with torch.no_grad():
        logits = [classifier(torch.from_numpy(s.astype(np.float32))[None, None])[0] for s in stacks]
    classifier.train()
    logits = torch.stack(logits).numpy()
    return [round(auroc(logits[:, k], dials[: len(stacks), k] > 0), 3) for k in range(4)]


def train(args):
    rng = seeded()
    phantoms, held_out = Phantoms(args.data), Phantoms(args.test)
    autoencoder = VQModel(**SIZES[args.factor], dim=args.dim, n=args.codes)
    autoencoder.load_state_dict(load_file(args.autoencoder))
    autoencoder.eval().requires_grad_(False)
    latents, test_latents = Latents(autoencoder, phantoms, args.latents), Latents(autoencoder, held_out, len(held_out))
    print(len(phantoms), "phantoms, latents' deviation", round(latents.deviation, 3), flush=True)
    classifier, head = I3ResNet(**SIZE), torch.nn.Conv3d(4 * SIZE["widths"][1], 4, 1)
    if args.resume:
        state = load_file(args.resume)
        state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)
        classifier.load_state_dict(state, strict=False)
    optimizer = torch.optim.AdamW([*classifier.parameters(), *head.parameters()], lr=args.rate, weight_decay=1e-3)
    total = args.steps + args.adversarial
    for step in range(total):
        late = step >= args.steps
        share = (step - args.steps) / max(args.adversarial, 1) if late else step / max(args.steps, 1)
        anneal(optimizer, args.rate * (0.5 if late else 1), share, step)
        volumes, labels, masks = [], [], []
        for i in rng.integers(len(phantoms), size=BATCH - (ADVERSARIES if late else 0)):
            source = latents.decoded[i] if i < args.latents and rng.random() < 0.5 else phantoms.stacks[i]
            moved = rng.integers(-3, 4, 2)
            volumes.append(np.roll(source.astype(np.float32), moved, (1, 2)))
            masks.append(np.roll(phantoms.masks[i], moved, (1, 2)))
            labels.append(label(torch.from_numpy(phantoms.dials[i])))
        x = disturbed(torch.from_numpy(np.stack(volumes))[:, None])
        if late:
            classifier.eval()  # attacked as it will be used
            attacked = [adversary(classifier, latents, phantoms, i, rng) for i in rng.integers(args.latents, size=ADVERSARIES)]
            classifier.train()
            x, labels = torch.cat([x, *(v for v, _ in attacked)]), labels + [y for _, y in attacked]
        with half():
            logits, places = classifier.with_places(x)
            found = head(places[: len(masks)]).float()
        logits = logits.float()
        there = where(places, torch.from_numpy(np.stack(masks)))
        loss_places = F.binary_cross_entropy_with_logits(found, there, pos_weight=RARITY)
        loss = F.binary_cross_entropy_with_logits(logits, torch.stack(labels), reduction="none").mul(WEIGHTS).mean(1)
        optimizer.zero_grad(set_to_none=True)
        (loss.mean() + loss_places).backward()
        optimizer.step()
        if (step + 1) % 50 == 0 or step + 1 == total:
            split = [round(float(part.mean()), 3) for part in (loss[: BATCH - 2], loss[BATCH - 2 :])]
            print(step + 1, "loss", split, "places", round(float(loss_places), 3), "scans", evaluate(classifier, held_out.stacks, held_out.dials),
                  "reconstructions", evaluate(classifier, test_latents.decoded, held_out.dials), flush=True)  # fmt: skip
            save(classifier.published(), args.out)


if __name__ == "__main__":
    parser = arguments(__doc__, "classifier.safetensors")
    parser.add_argument("--autoencoder", default="vqgan.safetensors")
    parser.add_argument("--factor", type=int, default=16)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--codes", type=int, default=1024)
    parser.add_argument("--latents", type=int, default=300)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--adversarial", type=int, default=250)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--resume")
    train(parser.parse_args())
