"""Voxels in memory: as small as loses nothing, and never more than there is room for."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.errors import InputError

INT16 = np.iinfo(np.int16)


def check_memory(path: Path, needed_bytes: int) -> None:
    """Raise `InputError` where reading `path` takes more memory than the machine has."""
    memory = memory_bytes()
    if needed_bytes > memory:
        raise InputError(
            f"{path}: reading it takes {needed_bytes / 2**30:.0f} GiB of memory; "
            f"this machine has {memory / 2**30:.0f}"
        )


def memory_bytes() -> float:
    """Return how much memory this machine has; infinite where it does not say."""
    if not hasattr(os, "sysconf"):  # Windows does not say without a library
        return math.inf
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def scaled(path: Path, raw: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    """Return slope * raw + inter, all of it finite."""
    values = raw if (slope, inter) == (1, 0) else raw * slope + inter
    if values.dtype.kind == "f" and not (np.abs(values) < np.finfo(np.float32).max).all():
        raise InputError(f"{path}: has NaN or infinite voxels. Replace them before.")
    return values


def stacked(slices: Iterable[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    """Stack slices, (X, Y), into (X, Y, Z): int16 where that loses nothing, else float32.

    They are asked for one by one, so that no copy in double precision is ever whole.
    """
    voxels: NDArray[Any] = np.empty(shape, np.int16, order="F")
    for index, values in enumerate(slices):
        if voxels.dtype == np.int16 and not _is_int16(values):
            voxels = voxels.astype(np.float32)
        voxels[..., index] = values
    return voxels


def _is_int16(values: NDArray[Any]) -> bool:
    fits = values.min() >= INT16.min and values.max() <= INT16.max
    return bool(fits and (values.dtype.kind != "f" or (values == np.rint(values)).all()))
