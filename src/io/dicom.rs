//! One DICOM file: its place in the patient, and its pixels in HU.
