"""Packs one small image by other programs' encoders and unpacks it by other programs' decoders, for tests/suite/scans/codecs.rs.

Versions: Python 3.11, numpy 2.4.6, pydicom 3.0.2, python-gdcm 3.2.6, pylibjpeg 2.1.0, pylibjpeg-libjpeg 2.5.0, pylibjpeg-openjpeg 2.6.0,
imagecodecs 2026.3.6 (libjpeg-turbo 3.1.3, CharLS 2.4.3, OpenJPEG 2.5.4, OpenJPH 0.26.3, liblj92), opj_compress of Debian's libopenjp2-tools.

index.csv has, for each stream: file, codec, rows, columns, BitsAllocated, BitsStored, PixelRepresentation, whether the stream is lossy, its precision,
the tolerance, and the file of the golden: the samples, 16 bits each, low byte first, the sign extended.

The golden of a lossless stream is the image itself, once the decoders named here give it; of a lossy one, what the first of them gives.
"""

import subprocess
import tempfile
from pathlib import Path

import gdcm
import imagecodecs
import numpy as np
import openjpeg.utils
import pydicom.uid as uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

FOLDER = Path(__file__).parent
ROWS, COLUMNS = 33, 45
EXACT = 0
# The cosine transform is not specified to the bit: pylibjpeg-libjpeg rounds about every seventh sample to the next number; GDCM rounds as libjpeg-turbo does.
DCT = 1


def image(bits, signed):
    """A disc on a slope, with noise and with both extremes."""
    rng = np.random.default_rng(bits * 2 + signed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    top = (1 << bits) - 1
    a = top * (0.2 + 0.3 * ((x - 15) ** 2 + (y - 11) ** 2 < 80) + x / 100) + rng.normal(0, top / 60, (ROWS, COLUMNS))
    a = np.clip(np.round(a), 0, top).astype(int)
    a[0, 0], a[0, 1] = 0, top
    if signed:
        a -= 1 << (bits - 1)
    width = 8 if bits <= 8 else 16
    return a.astype(f"{'i' if signed else 'u'}{width // 8}")


def unpack(plugin, syntax, data, bits, signed):
    """One frame by a plugin of pydicom, as it gives it: no rescale, no change of colour."""
    if plugin == "gdcm" and syntax == uid.JPEGExtended12Bit:
        return unpack_by_gdcm(syntax, data, bits, signed)
    buffer = encapsulate([data])
    decoder = get_decoder(syntax)
    return decoder.as_array(
        buffer,
        decoding_plugin=plugin,
        raw=True,
        rows=ROWS,
        columns=COLUMNS,
        bits_allocated=8 if bits <= 8 else 16,
        bits_stored=bits,
        pixel_representation=int(signed),
        samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2",
        number_of_frames=1,
        pixel_keyword="PixelData",
    )[0]


def unpack_by_gdcm(syntax, data, bits, signed):
    """One frame by GDCM itself, from a file: pydicom does not ask it for 12 bits."""
    dataset, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID = uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid.generate_uid()
    dataset.file_meta = meta
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = ROWS, COLUMNS, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = int(signed), "MONOCHROME2"
    dataset.PixelData = encapsulate([data])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.dcm")
        dataset.save_as(path, enforce_file_format=True)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        samples = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(samples, "<i2" if signed else "<u2").reshape(ROWS, COLUMNS)


def opj_compress(a, bits, *options):
    """A codestream by OpenJPEG's own program."""
    with tempfile.TemporaryDirectory() as folder:
        raw, packed = Path(folder, "image.rawl"), Path(folder, "image.j2k")
        raw.write_bytes(a.tobytes())
        sign = "s" if a.dtype.kind == "i" else "u"
        command = ["opj_compress", "-i", raw, "-o", packed, "-F", f"{COLUMNS},{ROWS},1,{bits},{sign}", *options]
        subprocess.run(command, check=True, capture_output=True)
        return packed.read_bytes()


def jp2(codestream, bits, signed):
    """The boxes of a JP2 file around a codestream (ITU T.800, annex I)."""

    def box(kind, body):
        return (8 + len(body)).to_bytes(4, "big") + kind + body

    size = ROWS.to_bytes(4, "big") + COLUMNS.to_bytes(4, "big") + b"\0\1" + bytes([bits - 1 + 128 * signed, 7, 0, 0])
    header = box(b"ihdr", size) + box(b"colr", b"\1\0\0" + (17).to_bytes(4, "big"))
    return (
        box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header) + box(b"jp2c", codestream)
    )


index = ["file,codec,rows,columns,bits_allocated,bits_stored,signed,lossy,precision,tolerance,golden"]


def keep(name, codec, data, syntax, bits, signed, plugins, truth=None, agreement=EXACT, precision=None):
    """Writes a stream and its golden, once the decoders agree within `agreement`."""
    data = bytes(data)
    goldens = [unpack(plugin, syntax, data, bits, signed) for plugin in plugins]
    for plugin, golden in zip(plugins[1:], goldens[1:]):
        worst = np.abs(golden.astype(int) - goldens[0]).max()
        assert worst <= agreement, f"{name}: {plugin} differs from {plugins[0]} by {worst}"
    if truth is not None:
        for plugin, golden in zip(plugins, goldens):
            assert (golden == truth).all(), f"{name}: {plugin} does not give the image"
    golden = truth if truth is not None else goldens[0]
    golden_name = f"image_{bits}{'s' if signed else 'u'}.raw" if truth is not None else f"{name}.raw"
    FOLDER.joinpath(name).write_bytes(data)
    FOLDER.joinpath(golden_name).write_bytes(golden.astype("<i4").astype("<u2").tobytes())
    lossy = int(truth is None)
    allocated = 8 if bits <= 8 else 16
    fields = [name, codec, ROWS, COLUMNS, allocated, bits, int(signed), lossy, precision or bits, EXACT, golden_name]
    index.append(",".join(map(str, fields)))


GDCM, BOTH, PYLIBJPEG = ["gdcm"], ["gdcm", "pylibjpeg"], ["pylibjpeg"]

for bits, signed in [(8, False), (12, False), (16, True)]:
    a = image(bits, signed)
    name = f"{bits}{'s' if signed else 'u'}"
    j2k = openjpeg.utils.encode_array(a, bits_stored=bits, photometric_interpretation=2)
    keep(f"openjpeg_{name}.j2k", "jpeg2000", j2k, uid.JPEG2000Lossless, bits, signed, BOTH, a)
    ht = imagecodecs.htj2k_encode(a, reversible=True)
    # OpenJPH knows the width of the array alone.
    keep(f"openjph_{name}.j2k", "jpeg2000", ht, uid.HTJ2KLossless, bits, signed, PYLIBJPEG, a, precision=a.itemsize * 8)
    if not signed:
        for predictor in range(1, 8):
            packed = imagecodecs.jpeg8_encode(a, lossless=True, predictor=predictor, bitspersample=bits)
            keep(f"turbo_{name}_{predictor}.jpg", "jpeg", packed, uid.JPEGLossless, bits, signed, BOTH, a)
        packed = imagecodecs.ljpeg_encode(a.astype("u2"), bitspersample=bits)
        keep(f"lj92_{name}.jpg", "jpeg", packed, uid.JPEGLossless, bits, signed, BOTH, a)

a = image(16, True)
packed = openjpeg.utils.encode_array(a, bits_stored=16, photometric_interpretation=2, compression_ratios=[6])
keep("openjpeg_lossy_16s.j2k", "jpeg2000", packed, uid.JPEG2000, 16, True, BOTH)
packed = imagecodecs.htj2k_encode(a, level=0.0005, reversible=False)
keep("openjph_lossy_16s.j2k", "jpeg2000", packed, uid.HTJ2K, 16, True, PYLIBJPEG)
keep("tiles_16s.j2k", "jpeg2000", opj_compress(a, 16, "-t", "16,12", "-n", "3"), uid.JPEG2000Lossless, 16, True, BOTH, a)
packed = opj_compress(a, 16, "-r", "6,3,1", "-c", "[32,32],[16,16]", "-n", "3", "-p", "RPCL", "-SOP", "-EPH", "-M", "63", "-TLM", "-PLT")
keep("layers_16s.j2k", "jpeg2000", packed, uid.JPEG2000Lossless, 16, True, BOTH, a)
a = image(12, True)
packed = jp2(openjpeg.utils.encode_array(a, bits_stored=12, photometric_interpretation=2), 12, 1)
keep("boxes_12s.jp2", "jpeg2000", packed, uid.JPEG2000Lossless, 12, True, GDCM, a)
# The stream says unsigned where PixelRepresentation says signed, as some writers have it.
packed = openjpeg.utils.encode_array((a.astype(int) & 4095).astype("u2"), bits_stored=12, photometric_interpretation=2)
keep("unsigned_stream_12s.j2k", "jpeg2000", packed, uid.JPEG2000Lossless, 12, True, BOTH, a)

a = image(16, False)
keep("charls_16u.jls", "jpegls", imagecodecs.jpegls_encode(a), uid.JPEGLSLossless, 16, False, BOTH, a)
keep("charls_near_16u.jls", "jpegls", imagecodecs.jpegls_encode(a, level=3), uid.JPEGLSNearLossless, 16, False, BOTH)

keep("turbo_8u.jpg", "jpeg", imagecodecs.jpeg8_encode(image(8, False), level=90), uid.JPEGBaseline8Bit, 8, False, BOTH, agreement=DCT)
packed = imagecodecs.jpeg8_encode(image(12, False), level=90, bitspersample=12)
keep("turbo_12u.jpg", "jpeg", packed, uid.JPEGExtended12Bit, 12, False, BOTH, agreement=DCT)

FOLDER.joinpath("index.csv").write_text("\n".join(index) + "\n")
