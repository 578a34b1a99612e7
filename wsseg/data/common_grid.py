"""Resampling of the sequences of a case to the grid of the first one."""

import numpy as np
from scipy import ndimage

from wsseg.core.volume import Grid, Volume
from wsseg.data.validation import grid_mismatch
from wsseg.errors import InputError


def on_grid(volume: Volume, grid: Grid) -> Volume:
    """Return an image on `grid`, interpolated linearly if its own grid differs.

    Outside its field of view, the nearest voxel is repeated.

    Raises:
        InputError: The grids differ, and the affines are not used (`Grid.axes`).
    """
    if not grid_mismatch(volume.grid, grid):
        return Volume(volume.voxels, grid, volume.channels)
    if grid.axes:
        raise InputError(
            f"its images have the shapes {grid.shape} and {volume.grid.shape}; without affines, "
            "they cannot be resampled to the same grid. Give images of the same shape"
        )
    matrix = volume.grid.index_from(grid)

    shape = grid.canonical_shape
    resampled = [
        ndimage.affine_transform(
            voxels.astype(np.float32), matrix, output_shape=shape, order=1, mode="nearest"
        )
        for voxels in volume.voxels
    ]
    return Volume(np.stack(resampled), grid, volume.channels)
