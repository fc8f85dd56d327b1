#!/usr/bin/env python3
"""Cuts the reference's prepared images (`trim.py FOLDER_OF_GOLDENS`) to a few slices each, beside this file. Python 3, nothing else."""
import json, os, struct, sys

here = os.path.dirname(os.path.abspath(__file__))
for name in sorted(os.listdir(sys.argv[1])):
    if not name.startswith("pre_syn_"):
        continue
    data = open(os.path.join(sys.argv[1], name), "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header, body, out, blob = json.loads(data[8 : 8 + size]), data[8 + size :], {}, b""
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        part, shape = body[start:end], entry["shape"]
        if key == "image":  # [1, h, w, slices]: two slices, the first and the middle one
            slices = shape[3]
            every = -(-slices // 2)
            kept = range(0, slices, every)
            part = b"".join(part[4 * (i * slices + k) : 4 * (i * slices + k) + 4] for i in range(shape[1] * shape[2]) for k in kept)
            shape = shape[:3] + [len(kept)]
        out[key] = {"dtype": entry["dtype"], "shape": shape, "data_offsets": [len(blob), len(blob) + len(part)]}
        blob += part
    text = json.dumps(out).encode()
    text += b" " * (-len(text) % 8)
    open(os.path.join(here, name), "wb").write(struct.pack("<Q", len(text)) + text + blob)
