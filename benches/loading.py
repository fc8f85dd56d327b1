"""How long another reader takes to open a scan: `loading.py nibabel|simpleitk PATH` prints seconds, imports not counted.

Numbers as a person would ask for them: what is stored, with its slope and intercept, in one array.
"""
import os
import sys
import time

library, path = sys.argv[1:]
if library == "nibabel":
    import nibabel
    import numpy

    began = time.perf_counter()
    voxels = numpy.array(nibabel.load(path).dataobj)
else:
    import SimpleITK

    began = time.perf_counter()
    if os.path.isdir(path):
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(path))
        image = reader.Execute()
    else:
        image = SimpleITK.ReadImage(path)
    voxels = SimpleITK.GetArrayViewFromImage(image)
print(time.perf_counter() - began, voxels.size)
