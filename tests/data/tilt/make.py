#!/usr/bin/env python3
"""A tilted gantry's series and what dcm2niix makes of it: acquired.i16 [i, j, k] and upright.i16, i fastest.

Made with dcm2niix 1.0.20260724 (BSD-2-Clause), pydicom 3.0, numpy, nibabel:  pip install dcm2niix pydicom nibabel; ./make.py

The gantry tilts by 15 degrees so that slices move towards growing rows from foot to head. Of the other direction dcm2niix
writes right voxels at a wrong origin (millimetres off at 7 degrees, 29 mm at 20), so it is no yardstick there: the tests
compare with a known function of the place instead.
"""
import pathlib, subprocess, tempfile
import nibabel, numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS, ROWS, SLICES = 12, 10, 7
COLUMN_MM, ROW_MM, GAP_MM = 1.5, 1.25, 4.0
FIRST = np.array([-45.5, -33.25, -120.0])  # LPS
TILT = np.radians(-15)
ROW, COLUMN = np.array([1, 0, 0.0]), np.array([0, np.cos(TILT), np.sin(TILT)])


def hu(at):
    x, y, z = at
    return np.round(500 * np.sin(x / 5) + 300 * np.cos(y / 4 + z / 7) + 200 * np.sin(z / 3 - x / 11))


def slice_of(k, series):
    i, j = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    first = FIRST + [0, 0, GAP_MM * k]
    at = first[:, None, None] + i * COLUMN_MM * ROW[:, None, None] + j * ROW_MM * COLUMN[:, None, None]
    pixels = hu(at).astype("<i2")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.Manufacturer = series, series, "CT", "GE MEDICAL SYSTEMS"
    ds.ImageType, ds.SeriesNumber, ds.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], 1, k + 1
    ds.GantryDetectorTilt, ds.SliceThickness, ds.PatientPosition = "-15", str(GAP_MM), "HFS"
    ds.Rows, ds.Columns, ds.PixelSpacing = ROWS, COLUMNS, [ROW_MM, COLUMN_MM]
    ds.ImagePositionPatient = [f"{x:.6f}" for x in first]
    ds.ImageOrientationPatient = [f"{x:.10f}" for x in [*ROW, *COLUMN]]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.PixelData = "0", "1", pixels.tobytes()
    return ds, pixels


with tempfile.TemporaryDirectory() as folder:
    folder, series, acquired = pathlib.Path(folder), generate_uid(), b""
    (folder / "out").mkdir()
    for k in range(SLICES):
        ds, pixels = slice_of(k, series)
        ds.save_as(folder / f"{k}.dcm", enforce_file_format=True)
        acquired += pixels.tobytes()
    subprocess.run(["dcm2niix", "-z", "n", "-f", "v", "-o", folder / "out", folder], check=True)
    image = nibabel.load(next((folder / "out").glob("*Tilt*.nii")))
    upright = np.asarray(image.dataobj)[:, ::-1]  # dcm2niix turns rows
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, 1] * (upright.shape[1] - 1)
    affine[:3, 1] *= -1
(HERE / "acquired.i16").write_bytes(acquired)
(HERE / "upright.i16").write_bytes(upright.astype("<i2").tobytes(order="F"))
print("shape", upright.shape, "least", upright.min())
print("world_from_voxel, columns", np.round(affine[:3].T, 5).tolist())
