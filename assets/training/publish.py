"""Halves the weights' bits: FILE... FOLDER writes each file, f16, into the folder, without the heads that only the training has."""

import pathlib
import sys

from safetensors.torch import load_file, save_file

*files, folder = sys.argv[1:]
for file in files:
    state = {name: tensor.half().contiguous() for name, tensor in load_file(file).items() if not name.startswith("places.")}
    save_file(state, pathlib.Path(folder) / pathlib.Path(file).name)
