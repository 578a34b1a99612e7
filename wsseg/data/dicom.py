"""One DICOM slice, opened with suspicion: where it lies, and its voxels in the scanner's unit.

Only the tags named here are read. None of them is about the patient, and what a file holds is
never part of a message. Standard: DICOM PS3.3, C.7.6.2 (image plane) and C.11.1 (modality LUT).
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

from wsseg.data.voxels import scaled
from wsseg.errors import InputError

MAGIC_AT, MAGIC = 128, b"DICM"
SUFFIXES = (".dcm", ".ima")  # of files older than the magic word
PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
PIXELS = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation")
NEEDED = (*PIXELS, *PLACE)
OPTIONAL = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "NumberOfFrames",
    "SamplesPerPixel",
    "SliceThickness",
)
TO_DECODE = (
    *PIXELS,
    "BitsStored",
    "HighBit",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "RescaleIntercept",
    "RescaleSlope",
    "SamplesPerPixel",
)
DEFLATED = "1.2.840.10008.1.2.1.99"  # the whole file is one compressed stream
IN_PLANE = 2  # dimensions
COMPRESSION = 1100  # times at most that a slice's voxels can be larger than its file

Vector: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Slice:
    """What a file's header says. Vectors are in the patient's LPS millimetres."""

    path: Path
    series: str  # an identifier, "" where there is none; not for messages
    size: tuple[int, int]  # rows, columns
    position: Vector  # (3,), of the first voxel's centre
    along_row: Vector  # (3,), towards the next column
    along_column: Vector  # (3,), towards the next row
    spacing_mm: tuple[float, float]  # between rows, between columns
    thickness_mm: float | None


def is_dicom(path: Path) -> bool:
    """Say whether a file looks like DICOM: by its magic word, or by its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(MAGIC_AT)
        return file.read(len(MAGIC)) == MAGIC or path.suffix.lower() in SUFFIXES


def read_header(path: Path) -> Slice | None:
    """Read where a slice lies; None for what has no image, such as a dose report.

    Raises:
        InputError: It cannot be read or used; the file is named.
    """
    _check_deflated(path)
    with _named_errors(path):
        tags = _read(path, (*NEEDED, *OPTIONAL), stop_before_pixels=True)
        if "Image Storage" not in getattr(tags.get("SOPClassUID"), "name", "Image Storage"):
            return None
        missing = [name for name in NEEDED if name not in tags or tags[name].is_empty]
        if len(missing) == len(NEEDED):
            raise InputError(f"{path}: is no DICOM image, though its name or first bytes say so")
        if missing:
            raise InputError(
                f"{path}: has no {missing[0]}. Export the series again, with all tags."
            )
        _check_kind(path, tags)
        rows, columns = int(tags.Rows), int(tags.Columns)
        _check_size(path, rows * columns * int(tags.BitsAllocated) // 8, tags)
        place = [np.array([float(each) for each in tags[name].value]) for name in PLACE]
        position, orientation, spacing = place
        thickness = tags.get("SliceThickness")
        return Slice(
            path=path,
            series=str(tags.get("SeriesInstanceUID", "")),
            size=(rows, columns),
            position=_finite(position, 3),
            along_row=_finite(orientation, 6)[:3],
            along_column=orientation[3:],
            spacing_mm=(float(_finite(spacing, 2)[0]), float(spacing[1])),
            thickness_mm=float(thickness) if thickness else None,
        )


def read_pixels(path: Path) -> NDArray[Any]:
    """Return a slice's voxels, (rows, columns), with its rescale slope and intercept applied.

    Without those tags they are 1 and 0.
    """
    with _named_errors(path):
        tags = _read(path, TO_DECODE, stop_before_pixels=False)
        if "PixelData" not in tags:
            raise InputError(f"{path}: has no voxels (no PixelData)")
        _complete(tags)
        _check_decoder(path, tags)
        slope, intercept = (_number(tags, "RescaleSlope", 1), _number(tags, "RescaleIntercept", 0))
        pixels = tags.pixel_array
        if pixels.ndim != IN_PLANE:
            raise InputError(f"{path}: holds more voxels than its header says. Export it again.")
        return scaled(path, pixels, slope, intercept)


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
            "Or convert the folder to NIfTI, for instance with dcm2niix."
        ) from None
    # What it says of a file quotes the file, and so perhaps the patient; our errors say enough.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: does not fit into memory") from None
    except Exception as error:  # noqa: BLE001 - a parser of strangers' bytes may raise anything
        # The text is left out: pydicom's quotes what the file holds.
        kind = type(error).__name__
        raise InputError(f"{path}: is damaged or cannot be read as DICOM ({kind})") from None


def _check_deflated(path: Path) -> None:
    """Refuse before pydicom unpacks the whole file, however large it becomes."""
    pydicom = _pydicom()
    with _named_errors(path):
        with path.open("rb") as file:
            if file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] != MAGIC:
                return
        if pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID") == DEFLATED:
            raise InputError(
                f"{path}: is deflated DICOM, which is not read. Unpack it, "
                "for instance with: gdcmconv --raw IN OUT"
            )


def _check_kind(path: Path, tags: Any) -> None:
    if int(tags.get("NumberOfFrames") or 1) > 1:
        raise InputError(
            f"{path}: holds many slices in one file (enhanced DICOM), which is not read. "
            "Convert it to NIfTI, for instance with dcm2niix."
        )
    if int(tags.get("SamplesPerPixel") or 1) != 1:
        raise InputError(f"{path}: is a colour picture; one number a voxel is needed")


def _check_size(path: Path, promised: int, tags: Any) -> None:
    """Refuse a header that promises more than the file can hold, before anything is allocated."""
    syntax = tags.file_meta.get("TransferSyntaxUID")
    ratio = COMPRESSION if syntax is not None and syntax.is_compressed else 1
    held = path.stat().st_size
    if not 0 < promised <= held * ratio:
        size = f"{tags.Rows} × {tags.Columns}"
        raise InputError(f"{path}: is cut short: {held} bytes cannot hold {size} voxels")


def _complete(tags: Any) -> None:
    """Put in what old or careless writers leave out, and what can only mean one thing."""
    uid = _pydicom().uid
    if "TransferSyntaxUID" not in tags.file_meta:
        implicit, little = tags.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        tags.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    usual = {
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "BitsStored": tags.BitsAllocated,
    }
    for name, value in usual.items():
        if name not in tags:
            setattr(tags, name, value)


def _check_decoder(path: Path, tags: Any) -> None:
    syntax = tags.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not _pydicom().pixels.get_decoder(syntax).is_available:
        raise InputError(
            f"{path}: is compressed ({syntax.name}), which needs a decoder: "
            "pip install python-gdcm.\nOr unpack it, for instance with: gdcmconv --raw IN OUT"
        )


def _number(tags: Any, name: str, usual: float) -> float:
    return usual if name not in tags or tags[name].is_empty else float(tags[name].value)


def _finite(values: Vector, count: int) -> Vector:
    if values.shape != (count,) or not all(map(math.isfinite, values)):
        raise ValueError
    return values
