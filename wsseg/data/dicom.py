"""Reading of the header of one DICOM file: what it contains, and the geometry of its slices.

Only the tags named here are read. None of them is about the patient, except those that
`read_identifier` reads, and no message quotes the content of a file. Standard: DICOM PS3.3,
C.7.6.2 (image plane) and C.7.6.16 (functional groups of multi-frame files).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.data.dicom_file import as_input_errors, check_deflated, read_tags
from wsseg.errors import InputError

PIXEL_FORMAT = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation")
GEOMETRY = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
}  # with the functional group that holds the attribute in a multi-frame file
REQUIRED = (*PIXEL_FORMAT, *GEOMETRY)
OPTIONAL = {
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
}
GROUP_OF = GEOMETRY | OPTIONAL
SHARED_GROUPS, FRAME_GROUPS = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
DESCRIBING = (
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "ImageType",
    "NumberOfFrames",
    "SamplesPerPixel",
    SHARED_GROUPS,
    FRAME_GROUPS,
)
MAX_COMPRESSION = 1100  # size of the voxels relative to the file

Vector: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Slice:
    """The geometry of a slice, from the header of its file, in LPS patient coordinates (mm)."""

    path: Path
    frame: int | None  # its index in a multi-frame file, from 0
    size: tuple[int, int]  # rows, columns
    position: Vector  # (3,), centre of the first voxel
    along_row: Vector  # (3,), unit vector towards the next column
    along_column: Vector  # (3,), unit vector towards the next row
    spacing_mm: tuple[float, float]  # between rows, between columns
    thickness_mm: float | None
    slope: float
    intercept: float

    @property
    def name(self) -> str:
        """The name of the file, with the frame counted from 1."""
        return self.path.name + ("" if self.frame is None else f", frame {self.frame + 1}")


@dataclass(frozen=True)
class Header:
    """The content of a DICOM file: its slices, or the reason why it has none.

    `study` and `series` are identifiers or ""; messages must not show them.
    """

    path: Path
    study: str
    series: str
    modality: str
    is_scout: bool
    slices: tuple[Slice, ...] = ()
    not_an_image: str = ""  # what the file is instead
    problem: InputError | None = None  # why its image is not usable


def read_header(path: Path) -> Header:
    """Read the header of a file, without its voxels.

    Raises:
        InputError: The file cannot be read.
    """
    check_deflated(path)
    with as_input_errors(path):
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty. Copy it again, or remove it.")
        tags = read_tags(path, (*REQUIRED, *OPTIONAL, *DESCRIBING), stop_before_pixels=True)
        class_name = _class_name(tags)
        header = Header(
            path=path,
            study=str(tags.get("StudyInstanceUID", "")),
            series=str(tags.get("SeriesInstanceUID", "")),
            modality=_modality(tags, class_name),
            is_scout="LOCALIZER" in (tags.get("ImageType") or ()),
        )
        if class_name and "Image Storage" not in class_name:
            return replace(header, not_an_image="a report or another object without an image")
        has_position = _has(tags, "ImagePositionPatient") or _has(tags, FRAME_GROUPS)
        if "Secondary Capture" in class_name and not has_position:
            return replace(header, not_an_image="a screenshot")
        try:
            return replace(header, slices=_slices(path, tags))
        except InputError as error:
            return replace(header, problem=error)


def read_identifier(path: Path, name: str) -> str:
    """Return the value of a tag that identifies a patient or a study, "" if there is none.

    Messages must not show it.
    """
    with as_input_errors(path):
        return str(read_tags(path, (name,), stop_before_pixels=True).get(name) or "").strip()


def _class_name(tags: Any) -> str:
    """Return the name of the kind of object in a file, such as "MR Image Storage", or ""."""
    uid = tags.get("SOPClassUID") or tags.file_meta.get("MediaStorageSOPClassUID")
    return str(getattr(uid, "name", ""))


def _modality(tags: Any, class_name: str) -> str:
    """Return the modality; if its tag is missing, it is derived from the kind of object."""
    kind = class_name.removeprefix("Legacy Converted ").removeprefix("Enhanced ")
    name, _, rest = kind.partition(" ")
    return str(tags.get("Modality") or (name if rest == "Image Storage" else ""))


def _slices(path: Path, tags: Any) -> tuple[Slice, ...]:
    if not any(_has(tags, name) for name in (*REQUIRED, FRAME_GROUPS)):
        raise InputError(
            f"{path}: not a DICOM image, although its name or header says so. Remove it, or export "
            "it again."
        )
    frames = int(tags.get("NumberOfFrames") or 1)
    groups = list(tags.get(FRAME_GROUPS) or ())
    if (frames > 1 or groups) and len(groups) != frames:
        raise InputError(
            f"{path}: the header does not give a position for each of the {frames} frames. Export "
            "the series as single slices, or convert it to NIfTI, for example with dcm2niix."
        )
    shared = list(tags.get(SHARED_GROUPS) or ())
    places = [(group, *shared, tags) for group in groups] or [(tags,)]
    for name in REQUIRED:
        if any(_value(place, name) is None for place in places):
            raise InputError(
                f"{path}: the header has no {name}. Export the series again with all tags."
            )
    if int(tags.get("SamplesPerPixel") or 1) != 1:
        raise InputError(
            f"{path}: the image is in colour, but must have one number per voxel. Convert it to "
            "greyscale."
        )
    rows, columns = int(tags.Rows), int(tags.Columns)
    _check_size(path, frames * rows * columns * int(tags.BitsAllocated) // 8, tags)
    return tuple(
        _slice(path, index if groups else None, (rows, columns), place)
        for index, place in enumerate(places)
    )


def _slice(path: Path, frame: int | None, size: tuple[int, int], places: Sequence[Any]) -> Slice:
    position, orientation, spacing = (
        np.array([float(each) for each in _value(places, name)]) for name in GEOMETRY
    )
    return Slice(
        path=path,
        frame=frame,
        size=size,
        position=_finite_vector(position, 3),
        along_row=_finite_vector(orientation, 6)[:3],
        along_column=orientation[3:],
        spacing_mm=(float(_finite_vector(spacing, 2)[0]), float(spacing[1])),
        thickness_mm=float(_value(places, "SliceThickness") or 0) or None,
        slope=_number(places, "RescaleSlope", 1),
        intercept=_number(places, "RescaleIntercept", 0),
    )


def _value(places: Sequence[Any], name: str) -> Any:
    """Return the value of an attribute from the first group of tags that has it."""
    for tags in places:
        for group in (tags, *(tags.get(GROUP_OF.get(name, ""), None) or ())):
            if _has(group, name):
                return group[name].value
    return None


def _has(tags: Any, name: str) -> bool:
    return name in tags and not tags[name].is_empty


def _check_size(path: Path, declared_bytes: int, tags: Any) -> None:
    """Refuse a header that declares more voxels than the file can hold, before allocating them."""
    syntax = tags.file_meta.get("TransferSyntaxUID")
    ratio = MAX_COMPRESSION if syntax is not None and syntax.is_compressed else 1
    actual_bytes = path.stat().st_size
    if not 0 < declared_bytes <= actual_bytes * ratio:
        size = f"{tags.Rows} × {tags.Columns}"
        raise InputError(
            f"{path}: the file is truncated: {actual_bytes} bytes cannot hold {size} voxels. Copy "
            "it again."
        )


def _number(places: Sequence[Any], name: str, default: float) -> float:
    value = _value(places, name)
    return default if value is None else float(value)


def _finite_vector(values: Vector, count: int) -> Vector:
    if values.shape != (count,) or not all(map(math.isfinite, values)):
        raise ValueError
    return values
