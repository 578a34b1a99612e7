"""DICOM files for tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

SHAPE = ROWS, COLUMNS = 4, 6
SECRET = "MUSTERMANN^ERIKA"  # noqa: S105 - a name that no output may contain
AXIAL = (1, 0, 0, 0, 1, 0)
Change = Callable[[pydicom.Dataset], None]


def stored_values(index: int) -> NDArray[np.int16]:
    return (np.arange(ROWS * COLUMNS).reshape(SHAPE) + 100 * index).astype(np.int16)


def header(index: int, series: str) -> pydicom.Dataset:
    """Return the tags of a slice with 0.5 mm columns, 0.75 mm rows and 2.5 mm between slices."""
    tags = pydicom.Dataset()
    tags.PatientName = SECRET
    tags.SOPClassUID, tags.SOPInstanceUID = CTImageStorage, generate_uid()
    tags.SeriesInstanceUID = series
    tags.Rows, tags.Columns = SHAPE
    tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
    tags.BitsAllocated = tags.BitsStored = 16
    tags.HighBit, tags.PixelRepresentation = 15, 1
    tags.PixelSpacing = [0.75, 0.5]
    tags.ImageOrientationPatient = list(AXIAL)
    tags.ImagePositionPatient = [10, 20, 30 + 2.5 * index]
    tags.SliceThickness = 2.5
    tags.RescaleSlope, tags.RescaleIntercept = 2, -1024
    tags.PixelData = stored_values(index).tobytes()
    return tags


def save(path: Path, tags: pydicom.Dataset, syntax: UID = ExplicitVRLittleEndian) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    tags.file_meta = pydicom.dataset.FileMetaDataset()
    tags.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, tags, enforce_file_format=True)


def series(
    folder: Path, change: Change = lambda _: None, at: tuple[int, ...] = (0, 1, 2, 3)
) -> Path:
    """Write four slices whose names are not in spatial order; `change` modifies the second."""
    identifier = generate_uid()
    for name, index in zip("cadb", at, strict=False):
        tags = header(index, identifier)
        if index == 1:
            change(tags)
        save(folder / f"{name}.dcm", tags)
    return folder
