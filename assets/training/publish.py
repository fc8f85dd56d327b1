"""Halves the weights' bits: FILE... FOLDER writes each file, f16, into the folder."""

import pathlib
import sys

from safetensors.torch import load_file, save_file

*files, folder = sys.argv[1:]
for file in files:
    state = {name: tensor.half().contiguous() for name, tensor in load_file(file).items()}
    save_file(state, pathlib.Path(folder) / pathlib.Path(file).name)
