"""How well a small network tells patches of real chests from patches of drawn ones: AUROC, 0.5 if it cannot.

    parallax phantom --phantom-version 2 --seed 1 --out drawn/1.nii.gz     (and more seeds, of one version)
    python real_or_drawn.py --real real --drawn drawn

Needs torch, numpy and nibabel, and pydicom for slices of DICOM. Each file of --real, or each folder of it, is one series. One
series after the other is held out with its share of the drawn ones; no series and no seed is both learned and tested."""

import argparse
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from common import auroc, seeded

SIDE, SPACING_MM = 32, 2.0  # as coarse as the first version is drawn
SOFT, LUNG = (40, 400), (-600, 1500)  # level, width


def scale(slices, spacing):
    """Slices `[n, h, w]` at SPACING_MM within the slice, by a mean where that is coarser."""
    size = [max(1, round(n * mm / SPACING_MM)) for n, mm in zip(slices.shape[1:], spacing)]
    x = torch.from_numpy(np.ascontiguousarray(slices, np.float32))[:, None]
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)[:, 0].numpy()


def nifti(path):
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))
    hu, spacing = np.asanyarray(image.dataobj), image.header.get_zooms()
    # Rows to the back, columns to the left, as a scanner writes them.
    return scale(hu.transpose(2, 1, 0)[:, ::-1, ::-1], (spacing[1], spacing[0]))


def dicom(paths):
    import pydicom

    files = [pydicom.dcmread(path, force=True) for path in paths]
    hu = [f.pixel_array * float(f.get("RescaleSlope", 1)) + float(f.get("RescaleIntercept", 0)) for f in files]
    return np.concatenate([scale(one[None], [float(mm) for mm in f.PixelSpacing]) for one, f in zip(hu, files)])


def series(folder):
    """Every series of a folder, by name."""
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.is_dir():
            yield path.name, dicom(sorted(path.glob("*.dcm")))
        elif path.name.endswith((".nii", ".nii.gz")):
            yield path.name, nifti(path)
        elif path.suffix == ".dcm":
            yield path.name, dicom([path])


def patches(slices, count, rng):
    """Soft and lung window `[count, 2, SIDE, SIDE]` of places within the body, mirrored by chance."""
    out = []
    for _ in range(200 * count):
        if len(out) == count:
            break
        k = rng.integers(len(slices))
        i, j = (rng.integers(n - SIDE + 1) for n in slices.shape[1:])
        patch = slices[k, i : i + SIDE, j : j + SIDE]
        if (patch > -960).mean() < 0.95:
            continue
        patch = patch[:, :: rng.choice((-1, 1))]
        out.append([np.clip((patch - level) / width + 0.5, 0, 1) for level, width in (SOFT, LUNG)])
    return torch.tensor(np.array(out, np.float32).reshape(-1, 2, SIDE, SIDE))


def network():
    layers, before = [], 2
    for width in (16, 32, 64):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(before, 1))


def features(x):
    """Of each window its mean, deviation, and the deviation of what finer and finer blurs leave: a texture in a few numbers."""
    found = [x.mean((2, 3)), x.std((2, 3))]
    for size in (3, 5, 9):
        rest = x - F.avg_pool2d(x, size, 1, size // 2, count_include_pad=False)
        found += [rest.std((2, 3)).add(1e-4).log(), rest.abs().amax((2, 3))]
    found += [(x[..., 1:] - x[..., :-1]).std((2, 3)).add(1e-4).log(), (x[..., 1:, :] - x[..., :-1, :]).std((2, 3)).add(1e-4).log()]
    return torch.cat(found, 1)


def learn(model, x, y, steps, batch=128):
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
    for step in range(steps):
        i = torch.randint(len(x), (batch,))
        loss = F.binary_cross_entropy_with_logits(model(x[i])[:, 0], y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def measure(train, test, steps):
    """AUROC of the network, and of a logistic regression on `features`. Each of train and test: real, drawn."""
    x, y = torch.cat(train), torch.cat([torch.full((len(t),), float(n)) for n, t in enumerate(train)])
    there, truth = torch.cat(test), np.repeat([False, True], [len(t) for t in test])
    with torch.no_grad():
        f, g = features(x), features(there)
        f, g = (f - f.mean(0)) / (f.std(0) + 1e-6), (g - f.mean(0)) / (f.std(0) + 1e-6)
    models = [(network(), x, there, steps), (nn.Linear(f.shape[1], 1), f, g, 4 * steps)]
    scores = []
    for model, own, other, length in models:
        model = learn(model, own, y, length)
        with torch.no_grad():
            scores.append(auroc(model(other)[:, 0].numpy(), truth))
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", required=True, help="folder of real scans")
    parser.add_argument("--drawn", required=True, help="folder of phantoms, NIfTI")
    parser.add_argument("--patches", type=int, default=2000, help="of each side in training")
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    rng = seeded()
    real, drawn = dict(series(args.real)), dict(series(args.drawn))
    print(len(real), "real series,", len(drawn), "drawn", flush=True)
    draw = lambda some, total: torch.cat([patches(s, -(-total // len(some)), rng) for s in some])
    results = []
    for n, held_out in enumerate(real):
        learned = [s for name, s in real.items() if name != held_out]
        names = list(drawn)
        test = [drawn[name] for name in names[n :: len(real)]]
        train = [drawn[name] for name in names if name not in names[n :: len(real)]]
        sides = [draw(learned, args.patches), draw(train, args.patches)]
        held = [draw([real[held_out]], args.patches // 4), draw(test, args.patches // 4)]
        results.append(measure(sides, held, args.steps))
        print(f"{held_out}: network {results[-1][0]:.3f}, texture features {results[-1][1]:.3f}", flush=True)
    print("mean: network {:.3f}, texture features {:.3f}".format(*np.mean(results, 0)))


if __name__ == "__main__":
    main()
