"""Reading of the voxels of DICOM slices, in the scanner's unit."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wsseg.data.dicom import PIXEL_FORMAT, Slice
from wsseg.data.dicom_file import as_input_errors, load_pydicom, read_tags
from wsseg.data.voxels import rescale
from wsseg.errors import InputError

DECODING = (
    *PIXEL_FORMAT,
    "BitsStored",
    "HighBit",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "SamplesPerPixel",
)
PLANE_DIMENSIONS = 2


def read_pixels(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    """Yield the voxels of slices, (rows, columns): slope * stored + intercept.

    Raises:
        InputError: A file has no valid voxels, or no decoder for them is installed.
    """
    for path, group in groupby(slices, key=lambda each: each.path):
        of_file = list(group)
        with as_input_errors(path):
            for each, stored in zip(of_file, _stored(path, of_file), strict=True):
                if stored.ndim != PLANE_DIMENSIONS:
                    raise InputError(
                        f"{path}: the file has more voxels than its header declares. Export it "
                        "again."
                    )
                yield rescale(path, stored, each.slope, each.intercept)


def _stored(path: Path, slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    """Yield the stored values of the slices of one file."""
    tags = read_tags(path, DECODING, stop_before_pixels=False)
    if "PixelData" not in tags:
        raise InputError(f"{path}: the file has no voxels (PixelData is missing). Export it again.")
    _add_missing_tags(tags)
    _check_decoder(path, tags)
    frames = [each.frame for each in slices if each.frame is not None]
    if frames and int(tags.get("NumberOfFrames") or 1) > 1:
        yield from load_pydicom().pixels.iter_pixels(tags, indices=frames)
    else:
        yield tags.pixel_array


def _add_missing_tags(tags: Any) -> None:
    """Add tags that some writers omit and that have only one possible value."""
    uid = load_pydicom().uid
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
    if syntax.is_compressed and not load_pydicom().pixels.get_decoder(syntax).is_available:
        raise InputError(
            f"{path}: the voxels are compressed ({syntax.name}), which needs a decoder: "
            "pip install python-gdcm.\n"
            "Or decompress it, for example with: gdcmconv --raw IN OUT"
        )
