"""Cached arrays, computed once and opened as memory maps."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.runtime.cache import SizeLimiter
from wsseg.runtime.files import atomic_write

MemoryMap: TypeAlias = "np.memmap[Any, np.dtype[Any]]"  # the path of its file is `.filename`
_limiter = SizeLimiter()


def cached(path: Path, shape: tuple[int, ...], make: Callable[[], NDArray[Any]]) -> MemoryMap:
    """Open a cached array; compute it with `make` if it is missing, damaged or misshapen."""
    try:
        known = open_map(path)
    except (OSError, ValueError, EOFError):
        known = None
    if known is None or known.shape != shape:
        with atomic_write(path) as temporary:
            np.save(temporary, make(), allow_pickle=False)
        _limiter.add(path.stat().st_size)
    with suppress(OSError):  # a shared cache may be read-only
        path.parent.touch()  # the time of last use, as `wsseg data cache` lists it
    return open_map(path)


def open_map(path: Path) -> MemoryMap:
    """Open a cached array as a memory map, without reading it."""
    array: MemoryMap = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
