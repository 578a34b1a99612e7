"""Reading of NumPy `.npy` files. Pickled objects, which could run code, are refused."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.data.voxels import check_memory
from wsseg.errors import InputError

SUFFIXES = (".npy",)
BYTES_PER_VALUE = 8  # extra memory while a value is read


def array_shape(path: Path) -> tuple[int, int, int]:
    """Return the shape of an array as (Z, H, W), from its header.

    Raises:
        InputError: The file is not an array of real numbers with a supported shape.
    """
    _, slices, height, width = _opened(path).shape
    return slices, height, width


def array_channels(path: Path) -> int:
    """Return the number of channels of an array, from its header.

    Raises:
        InputError: As for `array_shape`.
    """
    return len(_opened(path))


def read_array_file(path: Path) -> NDArray[Any]:
    """Read an array as (C, Z, H, W).

    A shape of (H, W, 3) means colours and (H, W, 1) grey; all other arrays with three axes are
    (Z, H, W). A last axis of 2 or 4, as of pictures with alpha, is refused.

    Raises:
        InputError: The file is not an array of real numbers with a supported shape, or is damaged.
    """
    return np.array(_opened(path))


def read_array_labels(path: Path) -> NDArray[Any]:
    """Read a mask as (1, Z, H, W).

    Raises:
        InputError: As for `read_array_file`, or the array has colours.
    """
    labels = read_array_file(path)
    if len(labels) > 1:
        raise InputError(f"{path}: the mask has {len(labels)} channels, but must have one")
    return labels


def _opened(path: Path) -> NDArray[Any]:
    """Return a memory-mapped view of a file's array, (C, Z, H, W)."""
    if not path.exists():
        raise InputError(f"{path}: file not found")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(
            f"{path}: the file is damaged, or not a .npy file of numbers ({error}); save it again "
            "with numpy.save"
        ) from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: its values have type {array.dtype}; they must be real numbers")
    if not array.size:
        raise InputError(f"{path}: the array is empty; its shape is {array.shape}")
    check_memory(path, math.prod(array.shape) * (array.dtype.itemsize + BYTES_PER_VALUE))
    match array.shape:
        case (_, _, 1 | 3):
            return np.moveaxis(array, -1, 0)[:, None]
        case (_, _, 2 | 4):  # channels such as alpha, not columns of a slice
            pass
        case (*_, height, width) if array.ndim in (2, 3):
            return array.reshape((1, -1, height, width))
    raise InputError(
        f"{path}: its shape is {array.shape}; possible: (H, W), (H, W, 1), (H, W, 3) for colours, "
        "without alpha, and (Z, H, W)"
    )
