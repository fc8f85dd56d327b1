"""Makes recipes.safetensors: what MONAI's transforms make of two scans by the recipes of recipes.toml. Needs monai, nibabel, safetensors.

python3 make.py
"""

import tomllib
from pathlib import Path

import torch
from monai.transforms import (
    Compose, CropForeground, EnsureChannelFirst, LoadImage, NormalizeIntensity, Orientation, Resize,
    ResizeWithPadOrCrop, ScaleIntensityRange, Spacing,
)
from safetensors.torch import save_file

HERE = Path(__file__).parent
SCANS = ["syn_permuted", "syn_lps"]
AXES = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}


def volume_axes(axes):
    """Networks of slices are fed along the third axis, from the feet to the head."""
    return axes if len(axes) == 3 else axes + "S"


def prepared(recipe, scan):
    letters = volume_axes(recipe["axes"])
    order = [AXES[letter] for letter in letters]
    x = Compose([LoadImage(), EnsureChannelFirst(), Orientation(letters, labels=None)])(scan)
    spacing = [recipe["spacing_mm"][axis] for axis in order]
    own = [float(side) for side in x.pixdim]
    x = Spacing([given or is_ for given, is_ in zip(spacing, own)], mode="bilinear", padding_mode="border")(x)
    if "foreground_hu" in recipe:
        x = CropForeground(select_fn=lambda x: x > recipe["foreground_hu"], allow_smaller=True)(x)
    hu = recipe.get("hu", [-1000, 1000])
    if "windows" in recipe:
        hu = [min(w[0] for w in recipe["windows"]), max(w[1] for w in recipe["windows"])]
    wanted = [recipe.get("size", [0, 0, 0])[axis] for axis in order]
    size = [side or is_ for side, is_ in zip(wanted, x.shape[1:])]
    fit = recipe.get("fit", "crop")
    if fit == "crop":
        x = ResizeWithPadOrCrop(size, mode="constant", value=hu[0])(x)
    else:
        x = Resize(size, mode="trilinear" if fit == "resize" else "area")(x)
    x = x.as_tensor().float()
    low, high = recipe.get("range", [0, 1])
    if "windows" in recipe:
        x = torch.cat([ScaleIntensityRange(*window, low, high, clip=True)(x) for window in recipe["windows"]])
    elif recipe.get("z_score"):
        x = NormalizeIntensity()(x.clamp(*hu))
    else:
        x = ScaleIntensityRange(*hu, low, high, clip=recipe.get("clip", True))(x)
    x = x.repeat(recipe.get("channels", 1), 1, 1, 1)
    if len(recipe["axes"]) == 2:
        return x.permute(3, 0, 1, 2).contiguous()  # [slices, c, rows, columns]
    return x[None].contiguous()


recipes = tomllib.loads((HERE / "recipes.toml").read_text())
tensors = {
    f"{name}.{scan}": torch.as_tensor(prepared(recipe, HERE.parent / "nifti" / f"{scan}.nii.gz")).clone()
    for name, recipe in recipes.items()
    for scan in SCANS
}
save_file(tensors, HERE / "recipes.safetensors")
