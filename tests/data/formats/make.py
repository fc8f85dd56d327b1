#!/usr/bin/env python3
"""Writes small files of every format beside this script, and what other readers make of them into `truth.json`.

    python3 make.py        with nibabel 5.4.2, SimpleITK 2.5.7, pynrrd 1.1.3, numpy 2.4.6

`truth.json`: `files` has for each file the reader, the affine (RAS+ mm, three rows of four), the shape, and which of the lists in
`numbers` its voxels are, `i` fastest. A volume other than the first stands under "name#volume".
"""
import gzip, json, pathlib, struct, zlib
import nibabel, nrrd, numpy as np, SimpleITK as sitk

HERE = pathlib.Path(__file__).resolve().parent
SHAPE = (5, 4, 3)
RNG = np.random.default_rng(18)
HU = RNG.integers(-1024, 3072, SHAPE).astype(np.int16)
SECOND = RNG.integers(-1024, 3072, SHAPE).astype(np.int16)


def rotation(angles):
    (a, b, c) = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


TURN = rotation((0.2, -0.1, 0.4))
SPACING = np.array([0.75, 0.8, 2.5])
ORIGIN = np.array([12.5, -30.25, 101.0])
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN @ np.diag(SPACING)
AFFINE[:3, 3] = ORIGIN
truth = {"files": {}, "numbers": []}


def keep(name, reader, affine, numbers):
    voxels = [float(x) for x in np.asarray(numbers, np.float64).astype(np.float32).flatten(order="F")]
    if voxels not in truth["numbers"]:
        truth["numbers"].append(voxels)
    truth["files"][name] = {
        "reader": reader,
        "affine": np.asarray(affine)[:3].round(9).tolist(),
        "shape": list(numbers.shape),
        "numbers": truth["numbers"].index(voxels),
    }


def by_nibabel(name):
    image = nibabel.load(HERE / name)
    data = np.asarray(image.dataobj, np.float64)
    for volume in range(1 if data.ndim == 3 else data.shape[3]):
        of = data if data.ndim == 3 else data[..., volume]
        keep(name if volume == 0 else f"{name}#{volume + 1}", "nibabel", image.affine, of)


def by_itk(name, listed=False):
    image = sitk.ReadImage(str(HERE / name))
    dims = image.GetDimension()
    data = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel()
    direction = np.array(image.GetDirection()).reshape(dims, dims)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = RAS_FROM_LPS @ direction @ np.diag(image.GetSpacing()[:3])
    affine[:3, 3] = RAS_FROM_LPS @ np.array(image.GetOrigin()[:3])
    if components > 1:
        volumes = [data[..., c] for c in range(components)]
    else:
        volumes = list(data) if dims == 4 else [data]
    for volume, of in enumerate(volumes):
        keep(name if volume == 0 else f"{name}#{volume + 1}", "SimpleITK", affine, of.transpose(2, 1, 0))


def agree(name, data, volume=1):
    """pynrrd reads the same numbers."""
    read, _ = nrrd.read(str(HERE / name))
    assert np.array_equal(read, data), name


# NIfTI: both versions, pairs, every kind of numbers, either byte order.
def nifti(name, data, cls=nibabel.Nifti1Image, order="<", slope=None):
    header = cls.header_class(endianness=order)
    image = cls(data, AFFINE, header)
    image.set_data_dtype(data.dtype)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE, 1)
    if slope:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, HERE / name)
    by_nibabel(name)


nifti("second.nii", HU, nibabel.Nifti2Image)
nifti("second_big.nii.gz", HU, nibabel.Nifti2Image, ">")
nifti("volumes.nii.gz", np.stack([HU, SECOND], 3))
nifti("volumes_plain.nii", np.stack([HU, SECOND], 3))
nifti("pair.hdr", HU, nibabel.Nifti1Pair)
nifti("pair_packed.hdr.gz", HU, nibabel.Nifti1Pair)
nifti("pair_second.hdr", HU, nibabel.Nifti2Pair, ">")
KINDS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
for kind in KINDS:
    data = (np.abs(HU) % 120).astype(kind) if kind in ("uint8", "int8") else np.abs(HU).astype(kind)
    if kind.startswith("float"):
        data = (HU / 7).astype(kind)
    for order in "<>":
        nifti(f"{kind}_{'little' if order == '<' else 'big'}.nii.gz", data.astype(np.dtype(kind).newbyteorder(order)), order=order)

# NRRD, as pynrrd writes it and by hand; ITK says where it lies.
LPS = {"space": "left-posterior-superior", "space directions": (RAS_FROM_LPS @ AFFINE[:3, :3]).T, "space origin": RAS_FROM_LPS @ ORIGIN}
for encoding in ["raw", "gzip", "ascii"]:
    nrrd.write(str(HERE / f"{encoding}.nrrd"), HU, {**LPS, "encoding": encoding})
    by_itk(f"{encoding}.nrrd")
    agree(f"{encoding}.nrrd", HU)
nrrd.write(str(HERE / "detached.nhdr"), HU, {**LPS, "encoding": "raw"}, detached_header=True)
by_itk("detached.nhdr")


def by_hand(name, lines, data):
    (HERE / name).write_bytes(("\n".join(["NRRD0004", *lines]) + "\n\n").encode() + data)


vector = lambda v: "(" + ",".join(repr(float(x)) for x in v) + ")"
SIZES = ["type: int16", "dimension: 3", "sizes: 5 4 3"]
RAS = ["space: RAS", "space directions: " + " ".join(vector(c) for c in AFFINE[:3, :3].T), "space origin: " + vector(ORIGIN)]
LAS_FROM_RAS = np.diag([-1.0, 1.0, 1.0])
LAS = ["space: left-anterior-superior", "space directions: " + " ".join(vector(LAS_FROM_RAS @ c) for c in AFFINE[:3, :3].T), "space origin: " + vector(LAS_FROM_RAS @ ORIGIN)]
big = HU.astype(">i2").tobytes(order="F")
little = HU.astype("<i2").tobytes(order="F")
by_hand("ras_big.nrrd", [*SIZES, "# a comment", "key:=value: with colon", *RAS, "endian: big", "encoding: raw"], big)
by_itk("ras_big.nrrd")
by_hand("las.nrrd", [*SIZES, *LAS, "endian: little", "encoding: gz"], gzip.compress(little, mtime=0))
by_itk("las.nrrd")
by_hand("hex.nrrd", [*SIZES, *RAS, "endian: little", "encoding: hex"], little.hex().encode())
by_itk("hex.nrrd")
by_hand("spacings.nrrd", [*SIZES, "spacings: 0.75 0.8 2.5", "endian: little", "encoding: raw"], little)
by_itk("spacings.nrrd")
(HERE / "skips.raw").write_bytes(b"a line\nanother\n" + b"12345" + little)
by_hand("skips.nhdr", [*SIZES, *RAS, "endian: little", "encoding: raw", "line skip: 2", "byte skip: 5", "data file: skips.raw"], b"")
by_itk("skips.nhdr")
by_hand("last.nhdr", [*SIZES, *RAS, "endian: little", "encoding: raw", "byte skip: -1", "data file: ./skips.raw"], b"")
by_itk("last.nhdr")
LISTED = ["type: short", "dimension: 4", "endian: little", "encoding: raw", "space: RAS", RAS[2]]
directions = RAS[1].removeprefix("space directions: ")
by_hand("list_first.nrrd", [*LISTED, "sizes: 2 5 4 3", "kinds: list domain domain domain", "space directions: none " + directions], np.stack([HU, SECOND], 0).tobytes(order="F"))
by_itk("list_first.nrrd")
by_hand("list_last.nrrd", [*LISTED, "sizes: 5 4 3 2", "kinds: domain domain domain list", "space directions: " + directions + " none"], np.stack([HU, SECOND], 3).tobytes(order="F"))
keep("list_last.nrrd", "by construction", AFFINE, HU)
keep("list_last.nrrd#2", "by construction", AFFINE, SECOND)
agree("list_last.nrrd", np.stack([HU, SECOND], 3))

# MetaImage, as ITK writes it and by hand.
image = sitk.GetImageFromArray(HU.transpose(2, 1, 0))
image.SetSpacing(SPACING.tolist())
image.SetOrigin((RAS_FROM_LPS @ ORIGIN).tolist())
image.SetDirection((RAS_FROM_LPS @ TURN).flatten().tolist())
for name, packed in [("attached.mha", False), ("attached_packed.mha", True), ("apart.mhd", False), ("apart_packed.mhd", True)]:
    sitk.WriteImage(image, str(HERE / name), packed)
    by_itk(name)
for kind in KINDS:
    data = (np.abs(HU) % 120 if kind in ("uint8", "int8") else np.abs(HU)).astype(kind)
    if kind.startswith("float"):
        data = (HU / 7).astype(kind)
    of = sitk.GetImageFromArray(data.transpose(2, 1, 0))
    of.CopyInformation(image)
    sitk.WriteImage(of, str(HERE / f"{kind}.mha"), True)
    by_itk(f"{kind}.mha")
    sitk.WriteImage(of, str(HERE / f"{kind}.nrrd"), True)
    by_itk(f"{kind}.nrrd")
data = np.stack([HU, SECOND], 3)
four = np.eye(4)
four[:3, :3] = RAS_FROM_LPS @ TURN
META = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "CompressedData = False", "Offset = " + " ".join(map(repr, (RAS_FROM_LPS @ ORIGIN).tolist())),
        "CenterOfRotation = 7 8 9", "ElementSpacing = 0.75 0.8 2.5", "DimSize = 5 4 3", "ElementType = MET_SHORT"]
MATRIX = "TransformMatrix = " + " ".join(map(repr, (RAS_FROM_LPS @ TURN).T.flatten().tolist()))


def meta(name, lines, data, where="LOCAL"):
    (HERE / name).write_bytes(("\n".join([*lines, f"ElementDataFile = {where}"]) + "\n").encode() + data)


meta("big.mha", [*META, MATRIX, "ElementByteOrderMSB = True"], big)
by_itk("big.mha")
meta("ascii.mha", [*[line.replace("BinaryData = True", "BinaryData = False") for line in META], MATRIX], (" ".join(map(str, HU.flatten(order="F"))) + "\n").encode())
by_itk("ascii.mha")
meta("no_matrix.mha", [*META, "AnatomicalOrientation = RAI"], little)
by_itk("no_matrix.mha")
meta("skip.mhd", [*META, MATRIX, "HeaderSize = 20"], b"", "skips.raw")
by_itk("skip.mhd")
meta("last.mhd", [*META, MATRIX, "HeaderSize = -1"], b"", "skips.raw")
by_itk("last.mhd")
meta("long.mha", [line.replace("MET_SHORT", "MET_LONG") for line in [*META, MATRIX]], HU.astype("<i4").tobytes(order="F"))
by_itk("long.mha")
FOUR = [line.replace("NDims = 3", "NDims = 4").replace("DimSize = 5 4 3", "DimSize = 5 4 3 2").replace("2.5", "2.5 1") for line in META if not line.startswith(("Offset", "Center"))]
FOUR += ["Offset = " + " ".join(map(repr, [*(RAS_FROM_LPS @ ORIGIN).tolist(), 0.0])), "TransformMatrix = " + " ".join(map(repr, four.T.flatten().tolist()))]
meta("volumes.mha", FOUR, data.tobytes(order="F"))
by_itk("volumes.mha")

(HERE / "truth.json").write_text(json.dumps(truth, separators=(",", ":")) + "\n")
sizes = {p.name: p.stat().st_size for p in HERE.iterdir()}
print(len(sizes), "files,", sum(sizes.values()), "bytes; largest", max(sizes, key=sizes.get), max(sizes.values()))
