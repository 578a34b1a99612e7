"""Scans in memory: voxels as a radiologist looks at them, and the file's own grid to go back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Grid:
    """Where a file's voxels lie: its array's shape, and its affine to RAS millimetres."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]  # (4, 4)


@dataclass(frozen=True)
class Volume:
    """Voxels (Z, H, W): z from feet to head, rows from front to back, columns from the patient's right to left."""

    voxels: NDArray[np.generic]
    grid: Grid  # of the file it came from

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along (z, row, column)."""
        raise NotImplementedError
