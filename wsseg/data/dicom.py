"""Reading of one DICOM slice: its geometry, and its voxels in the unit of the scanner.

Only the tags named here are read. None of them is about the patient, and no message quotes the
content of a file. Standard: DICOM PS3.3, C.7.6.2 (image plane) and C.11.1 (modality LUT).
"""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.data.voxels import rescale
from wsseg.errors import InputError

MAGIC_AT, MAGIC = 128, b"DICM"
SUFFIXES = (".dcm", ".ima")  # old files have no magic word
GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
PIXEL_FORMAT = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation")
REQUIRED = (*PIXEL_FORMAT, *GEOMETRY)
OPTIONAL = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "NumberOfFrames",
    "SamplesPerPixel",
    "SliceThickness",
)
DECODING = (
    *PIXEL_FORMAT,
    "BitsStored",
    "HighBit",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "RescaleIntercept",
    "RescaleSlope",
    "SamplesPerPixel",
)
DEFLATED = "1.2.840.10008.1.2.1.99"  # all of the file is one compressed stream
PLANE_DIMENSIONS = 2
MAX_COMPRESSION = 1100  # size of the voxels relative to the file

Vector: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Slice:
    """The geometry of a slice, from the header of its file, in LPS patient coordinates (mm)."""

    path: Path
    series: str  # identifier or "", not to be shown in messages
    size: tuple[int, int]  # rows, columns
    position: Vector  # (3,), centre of the first voxel
    along_row: Vector  # (3,), unit vector towards the next column
    along_column: Vector  # (3,), unit vector towards the next row
    spacing_mm: tuple[float, float]  # between rows, between columns
    thickness_mm: float | None


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its magic word or its suffix."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(MAGIC_AT)
        return file.read(len(MAGIC)) == MAGIC or path.suffix.lower() in SUFFIXES


def read_header(path: Path) -> Slice | None:
    """Read the geometry of a slice, or return None for a file without an image (a dose report).

    Raises:
        InputError: The file cannot be read, or is not a slice of a scan.
    """
    _check_deflated(path)
    with _as_input_errors(path):
        tags = _read(path, (*REQUIRED, *OPTIONAL), stop_before_pixels=True)
        if "Image Storage" not in getattr(tags.get("SOPClassUID"), "name", "Image Storage"):
            return None
        missing = [name for name in REQUIRED if name not in tags or tags[name].is_empty]
        if len(missing) == len(REQUIRED):
            raise InputError(f"{path}: is not a DICOM image, although its name or header says so")
        if missing:
            raise InputError(f"{path}: has no {missing[0]}. Export the series again with all tags.")
        _check_kind(path, tags)
        rows, columns = int(tags.Rows), int(tags.Columns)
        _check_size(path, rows * columns * int(tags.BitsAllocated) // 8, tags)
        position, orientation, spacing = (
            np.array([float(each) for each in tags[name].value]) for name in GEOMETRY
        )
        thickness = tags.get("SliceThickness")
        return Slice(
            path=path,
            series=str(tags.get("SeriesInstanceUID", "")),
            size=(rows, columns),
            position=_finite_vector(position, 3),
            along_row=_finite_vector(orientation, 6)[:3],
            along_column=orientation[3:],
            spacing_mm=(float(_finite_vector(spacing, 2)[0]), float(spacing[1])),
            thickness_mm=float(thickness) if thickness else None,
        )


def read_pixels(path: Path) -> NDArray[Any]:
    """Return the voxels of a slice, (rows, columns): RescaleSlope * stored + RescaleIntercept.

    The defaults of the two tags are 1 and 0.

    Raises:
        InputError: The file has no valid voxels, or no decoder for them is installed.
    """
    with _as_input_errors(path):
        tags = _read(path, DECODING, stop_before_pixels=False)
        if "PixelData" not in tags:
            raise InputError(f"{path}: has no voxels (no PixelData)")
        _add_missing_tags(tags)
        _check_decoder(path, tags)
        slope, intercept = (_number(tags, "RescaleSlope", 1), _number(tags, "RescaleIntercept", 0))
        pixels = tags.pixel_array
        if pixels.ndim != PLANE_DIMENSIONS:
            raise InputError(f"{path}: has more voxels than its header declares. Export it again.")
        return rescale(path, pixels, slope, intercept)


def _read(path: Path, names: Sequence[str], *, stop_before_pixels: bool) -> Any:
    pydicom = _pydicom()
    return pydicom.dcmread(
        path, stop_before_pixels=stop_before_pixels, specific_tags=list(names), force=True
    )


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError:
        raise InputError(
            "reading DICOM needs pydicom: pip install 'wsseg[dicom]'.\n"
            "Or convert the folder to NIfTI, for example with dcm2niix."
        ) from None
    # Its log and warnings quote the file, possibly the patient's name.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom


@contextmanager
def _as_input_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: does not fit into memory") from None
    except Exception as error:  # noqa: BLE001 - a parser may raise anything on invalid bytes
        # The text of the error is omitted: pydicom quotes the content of the file.
        kind = type(error).__name__
        raise InputError(f"{path}: is damaged or cannot be read as DICOM ({kind})") from None


def _check_deflated(path: Path) -> None:
    """Refuse a deflated file before pydicom decompresses all of it, to whatever size."""
    pydicom = _pydicom()
    with _as_input_errors(path):
        with path.open("rb") as file:
            if file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] != MAGIC:
                return
        if pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID") == DEFLATED:
            raise InputError(
                f"{path}: is deflated DICOM, which is not supported. Decompress it, "
                "for example with: gdcmconv --raw IN OUT"
            )


def _check_kind(path: Path, tags: Any) -> None:
    if int(tags.get("NumberOfFrames") or 1) > 1:
        raise InputError(
            f"{path}: has several slices in one file (enhanced DICOM), which is not supported. "
            "Convert it to NIfTI, for example with dcm2niix."
        )
    if int(tags.get("SamplesPerPixel") or 1) != 1:
        raise InputError(f"{path}: is a colour image; one number per voxel is needed")


def _check_size(path: Path, declared_bytes: int, tags: Any) -> None:
    """Refuse a header that declares more voxels than the file can hold, before allocating them."""
    syntax = tags.file_meta.get("TransferSyntaxUID")
    ratio = MAX_COMPRESSION if syntax is not None and syntax.is_compressed else 1
    actual_bytes = path.stat().st_size
    if not 0 < declared_bytes <= actual_bytes * ratio:
        size = f"{tags.Rows} × {tags.Columns}"
        raise InputError(f"{path}: is truncated: {actual_bytes} bytes cannot hold {size} voxels")


def _add_missing_tags(tags: Any) -> None:
    """Add tags that some writers omit and that have only one possible value."""
    uid = _pydicom().uid
    if "TransferSyntaxUID" not in tags.file_meta:
        implicit, little = tags.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        tags.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    defaults = {
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "BitsStored": tags.BitsAllocated,
    }
    for name, value in defaults.items():
        if name not in tags:
            setattr(tags, name, value)


def _check_decoder(path: Path, tags: Any) -> None:
    syntax = tags.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not _pydicom().pixels.get_decoder(syntax).is_available:
        raise InputError(
            f"{path}: is compressed ({syntax.name}), which needs a decoder: "
            "pip install python-gdcm.\nOr decompress it, for example with: gdcmconv --raw IN OUT"
        )


def _number(tags: Any, name: str, default: float) -> float:
    return default if name not in tags or tags[name].is_empty else float(tags[name].value)


def _finite_vector(values: Vector, count: int) -> Vector:
    if values.shape != (count,) or not all(map(math.isfinite, values)):
        raise ValueError
    return values
