"""Maps of a scan: arrays in memory, or files that are read when they are needed."""

from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MapSource: TypeAlias = Path | NDArray[Any]


def open_map(source: MapSource) -> NDArray[Any]:
    """Return the array of a map; a file is memory-mapped."""
    return _memory_map(source) if isinstance(source, Path) else source


def read_map(source: MapSource) -> NDArray[Any]:
    """Return the array of a map; a file is read completely."""
    return np.load(source, allow_pickle=False) if isinstance(source, Path) else source


@lru_cache(maxsize=1024)
def _memory_map(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
