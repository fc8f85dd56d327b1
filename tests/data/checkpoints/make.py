#!/usr/bin/env python3
"""Writes the small checkpoints beside it, byte for byte as torch does, with the standard library alone (Python 3.11)."""
import collections, io, json, os, pickle, struct, sys, types, zipfile

os.chdir(os.path.dirname(os.path.abspath(__file__)))

# Stand-ins with torch's names, so that the pickles name torch's classes.
torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})
for name in ("FloatStorage", "LongStorage", "HalfStorage"):
    setattr(torch, name, type(name, (), {"__module__": "torch"}))


def _rebuild_tensor_v2(*args):
    raise RuntimeError("only ever named")


_rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2


class Storage:
    def __init__(self, kind, key, data, numel):
        self.kind, self.key, self.data, self.numel = kind, key, data, numel


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, size, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.args


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, value):
        if isinstance(value, Storage):
            head = ("storage", getattr(torch, value.kind), value.key, "cpu", value.numel)
            return head + (None,) if self.legacy else head


def dumps(value, protocol=2, legacy=False):
    out = io.BytesIO()
    p = Pickler(out, protocol)
    p.legacy = legacy
    p.dump(value)
    return out.getvalue()


class Callback:  # a foreign class, as Lightning checkpoints hold
    pass


Callback.__module__, Callback.__qualname__ = "pytorch_lightning.callbacks", "Callback"
sys.modules["pytorch_lightning"] = types.ModuleType("pytorch_lightning")
sys.modules["pytorch_lightning.callbacks"] = types.ModuleType("pytorch_lightning.callbacks")
sys.modules["pytorch_lightning.callbacks"].Callback = Callback

w = Storage("FloatStorage", "0", struct.pack("<6f", *range(6)), 6)
n = Storage("LongStorage", "1", struct.pack("<q", 7), 1)
h = Storage("HalfStorage", "2", struct.pack("<e", 0.5), 1)
storages = [w, n, h]
state = collections.OrderedDict(w=Tensor(w, 0, (2, 3), (3, 1)), t=Tensor(w, 0, (3, 2), (1, 3)), tail=Tensor(w, 4, (2,), (1,)),
                                n=Tensor(n, 0, (), ()), h=Tensor(h, 0, (), ()))
optimiser = {"state": {0: {"exp_avg": Tensor(w, 0, (6,), (1,)), "step": 3}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
lightning = {"epoch": 3, "state_dict": state, "optimizer_states": [optimiser], "callbacks": {Callback: Callback()}}


def write_zip(name, value, protocol=2):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_STORED) as z:
        def add(path, data):
            z.writestr(zipfile.ZipInfo("archive/" + path, (1980, 1, 1, 0, 0, 0)), data)
        add("data.pkl", dumps(value, protocol))
        add("byteorder", b"little")
        for s in storages:
            add("data/" + s.key, s.data)
        add("version", b"3\n")


def write_legacy(name, value):
    with open(name, "wb") as f:
        f.write(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2))
        f.write(pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2))
        f.write(dumps(value, legacy=True) + pickle.dumps([s.key for s in storages], 2))
        for s in storages:
            f.write(struct.pack("<q", s.numel) + s.data)


write_zip("zip.ckpt", lightning)
write_zip("bare.pt", state)
write_zip("protocol4.pt", {"model": state}, 4)
write_legacy("legacy.pt", lightning)


class Shell:
    def __reduce__(self):
        return os.system, ("touch ${TMPDIR:-/tmp}/parallax-pickle-ran",)


write_zip("hostile.pt", {"state_dict": Shell()})
header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
header += b" " * (-len(header) % 8)
open("small.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + w.data)
