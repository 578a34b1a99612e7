"""The formats of pictures: images without patient axes, measured in pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.core.channels import ONE_CHANNEL, RGB
from wsseg.core.volume import Grid
from wsseg.data import array_file, pictures, tiff
from wsseg.runtime.files import SIDE_FILE

AS_SHOWN = np.diag([-1.0, -1.0, 1.0, 1.0])  # columns run to the patient's left, rows to the back


@dataclass(frozen=True)
class PictureFormat:
    """How files with certain suffixes are read."""

    suffixes: tuple[str, ...]
    shape: Callable[[Path], tuple[int, int, int]]
    """Returns (Z, H, W) of a file's image, from its headers."""
    channels: Callable[[Path], int]
    """Returns the number of channels of a file's image, from its headers."""
    read: Callable[[Path], NDArray[Any]]
    """Returns the image, (C, Z, H, W)."""
    read_labels: Callable[[Path], NDArray[Any]]
    """Returns the labels of a mask, (1, Z, H, W)."""


FORMATS = (
    PictureFormat(
        pictures.SUFFIXES,
        pictures.picture_shape,
        pictures.picture_channels,
        pictures.read_picture,
        pictures.read_picture_labels,
    ),
    PictureFormat(
        tiff.SUFFIXES,
        tiff.tiff_shape,
        tiff.tiff_channels,
        tiff.read_tiff,
        tiff.read_tiff_labels,
    ),
    PictureFormat(
        array_file.SUFFIXES,
        array_file.array_shape,
        array_file.array_channels,
        array_file.read_array_file,
        array_file.read_array_labels,
    ),
)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)


def picture_format(path: Path) -> PictureFormat | None:
    """Return the format of a file by its suffix; None if it is not a picture."""
    suffix = path.suffix.lower()
    return next((each for each in FORMATS if suffix in each.suffixes), None)


def is_picture_name(path: Path) -> bool:
    """Return whether a file has the name of a picture; macOS side files do not count."""
    return picture_format(path) is not None and not path.name.startswith(SIDE_FILE)


def channel_names(number: int) -> tuple[str, ...]:
    """Return the names of a picture's channels: red, green and blue for three of them."""
    known = {len(ONE_CHANNEL): ONE_CHANNEL, len(RGB): RGB}
    return known.get(number, tuple(f"channel-{index + 1}" for index in range(number)))


def picture_grid(shape: tuple[int, int, int]) -> Grid:
    """Return the grid of a picture of (Z, H, W), with a spacing of 1."""
    slices, height, width = shape
    return Grid((width, height, slices), AS_SHOWN, unit="px")
