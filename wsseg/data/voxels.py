"""Arrays of voxels: their data type, intensity scaling and memory limit."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.errors import InputError

INT16 = np.iinfo(np.int16)
MAX_LABEL_ERROR = 1e-3  # of a label that a program resampled or rescaled


def check_memory(path: Path, needed_bytes: int) -> None:
    """Raise an `InputError` if reading `path` needs more memory than the machine has."""
    memory = memory_bytes()
    if needed_bytes > memory:
        raise InputError(
            f"{path}: reading it needs {needed_bytes / 2**30:.0f} GiB of memory; this machine has "
            f"{memory / 2**30:.0f} GiB"
        )


def memory_bytes() -> float:
    """Return the physical memory of this machine, or infinity if it is unknown."""
    if not hasattr(os, "sysconf"):  # not on Windows
        return math.inf
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def rescale(path: Path, raw: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Return slope * raw + intercept.

    Raises:
        InputError: A value is NaN, infinite or beyond the range of float32.
    """
    values = raw if (slope, intercept) == (1, 0) else raw * slope + intercept
    if values.dtype.kind == "f" and not (np.abs(values) < np.finfo(np.float32).max).all():
        raise InputError(f"{path}: the image has NaN or infinite values. Replace them.")
    return values


def finite_voxels(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Return values of any shape as int16 if lossless, else as float32.

    Raises:
        InputError: A value is not a real number, is NaN or infinite, or exceeds float32.
    """
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: its values have type {values.dtype}; they must be real numbers")
    finite = rescale(path, values, 1, 0)
    return finite.astype(np.int16 if _fits_int16(finite) else np.float32)


def stack_slices(slices: Iterable[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    """Stack slices, (X, Y), into a volume, (X, Y, Z): int16 if lossless, else float32.

    Slices are consumed one at a time, so that only one is in memory in double precision.
    """
    voxels: NDArray[Any] = np.empty(shape, np.int16, order="F")
    for index, values in enumerate(slices):
        if voxels.dtype == np.int16 and not _fits_int16(values):
            voxels = voxels.astype(np.float32)
        voxels[..., index] = values
    return voxels


def round_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Round all values within 0.001 of an integer; leave others unchanged."""
    if labels.dtype.kind != "f":
        return labels
    nearest = np.rint(labels)
    rounding = np.finfo(labels.dtype).eps  # of the type, relative
    is_near = np.isclose(labels, nearest, rtol=rounding, atol=MAX_LABEL_ERROR)
    return np.where(is_near, nearest, labels)


def _fits_int16(values: NDArray[Any]) -> bool:
    in_range = values.min() >= INT16.min and values.max() <= INT16.max
    return bool(in_range and (values.dtype.kind != "f" or (values == np.rint(values)).all()))
