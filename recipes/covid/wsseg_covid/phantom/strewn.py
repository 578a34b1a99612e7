"""The partial volumes of thin pipes, computed from random points inside them."""

import numpy as np
from numpy.typing import NDArray

from wsseg_covid.phantom.space import Field, Points, Space
from wsseg_covid.phantom.trees import Pipes

POINTS_PER_MM3, POINTS_PER_MM = 1.5, 1.25


def filled_share(rng: np.random.Generator, space: Space, pipes: Pipes) -> Field:
    """Return the share of each voxel that the pipes fill, in [0, 1].

    Random points are distributed uniformly in the pipes. Each point adds its part of the volume to
    the eight voxels around it, with the weights of trilinear interpolation.
    """
    length = np.linalg.norm(pipes.end - pipes.start, axis=1)
    volume = np.pi * pipes.radius_mm**2 * length
    count = np.ceil(np.maximum(volume * POINTS_PER_MM3, length * POINTS_PER_MM)).astype(int)
    piece = np.repeat(np.arange(len(count)), count)
    along = rng.random((len(piece), 1), dtype=np.float32)
    # the variance of a ball's points is r²/5 along an axis, that of a disc's points r²/4
    offset = _in_unit_ball(rng, len(piece)) * (pipes.radius_mm[piece, None] * np.sqrt(5 / 4))
    points = pipes.start[piece] + along * (pipes.end - pipes.start)[piece] + offset
    return np.minimum(_summed(space, points, (volume / count)[piece]), 1)


def _in_unit_ball(rng: np.random.Generator, count: int) -> Points:
    way = rng.standard_normal((count, 3), dtype=np.float32)
    way /= np.linalg.norm(way, axis=1, keepdims=True) + np.float32(1e-6)
    return way * np.cbrt(rng.random((count, 1), dtype=np.float32))


def _summed(space: Space, points: Points, volume_mm3: NDArray[np.float32]) -> Field:
    """Return the sum of the points' volumes in each voxel, relative to the voxel's volume."""
    step = np.array(space.spacing_mm[::-1], np.float32)
    place = (points - space.first_mm) / step
    corner = np.floor(place).astype(np.int64)
    kept = ((corner >= 0) & (corner < np.array(space.shape[::-1]) - 1)).all(axis=1)
    corner, beyond = corner[kept], (place - corner)[kept]
    share = volume_mm3[kept] / step.prod()
    _, height, width = space.shape
    first = (corner[:, 2] * height + corner[:, 1]) * width + corner[:, 0]
    total = np.zeros(np.prod(space.shape))
    for corner_of_cell in np.ndindex(2, 2, 2):
        dx, dy, dz = corner_of_cell
        part = share * np.where(corner_of_cell, beyond, 1 - beyond).prod(axis=1)
        total += np.bincount(first + (dz * height + dy) * width + dx, part, total.size)
    summed: Field = total.reshape(space.shape).astype(np.float32)
    return summed
