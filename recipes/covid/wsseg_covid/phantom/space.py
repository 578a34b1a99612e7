"""The coordinates of the phantom's voxels, and smooth random fields.

Coordinates are in mm: x from right to left, y from front to back, z from feet to head. The centre
of the chest is at x = y = 0, and the lowest tip of the lungs at about z = 0. Arrays are (Z, H, W).
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.floating[Any]]  # (Z, H, W) or broadcastable to it; float32
Points: TypeAlias = NDArray[np.floating[Any]]  # (N, 3), x, y and z in mm
COARSE = 128  # width in pixels that suffices for smooth shapes; their edges are drawn finer


@dataclass(frozen=True)
class Space:
    """The coordinates of a scan's voxel centres along each axis, in mm."""

    z_mm: NDArray[np.float32]  # (Z,)
    y_mm: NDArray[np.float32]  # (H,)
    x_mm: NDArray[np.float32]  # (W,)

    @classmethod
    def centred(cls, size: int, pixel_mm: float, z_mm: NDArray[np.float32]) -> "Space":
        """Return square slices around the centre of the chest."""
        across = ((np.arange(size) - (size - 1) / 2) * pixel_mm).astype(np.float32)
        return cls(z_mm, across, across)

    @cached_property
    def z(self) -> Field:
        """Height in mm, (Z, 1, 1)."""
        return self.z_mm[:, None, None]

    @cached_property
    def y(self) -> Field:
        """Depth in mm, (1, H, 1)."""
        return self.y_mm[None, :, None]

    @cached_property
    def x(self) -> Field:
        """Breadth in mm, (1, 1, W)."""
        return self.x_mm[None, None, :]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return len(self.z_mm), len(self.y_mm), len(self.x_mm)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along (z, y, x)."""
        z, y, x = (
            float(at[1] - at[0]) if len(at) > 1 else 1.0 for at in (self.z_mm, self.y_mm, self.x_mm)
        )
        return z, y, x

    @property
    def first_mm(self) -> NDArray[np.float32]:
        """Coordinates (x, y, z) of the first voxel."""
        return np.array([self.x_mm[0], self.y_mm[0], self.z_mm[0]])

    def at(self, field: Field, points_mm: Points) -> Field:
        """Return the values of `field` at the voxels nearest to (N, 3) points x, y, z."""
        place = np.rint((points_mm - self.first_mm) / self.spacing_mm[::-1])
        x, y, z = np.clip(place, 0, np.array(self.shape[::-1]) - 1).astype(int).T
        nearest: Field = field[z, y, x]
        return nearest

    @cached_property
    def coarse(self) -> "Space":
        """The same extent in pixels of twice the size; small slices are not coarsened."""
        if len(self.y_mm) <= COARSE:
            return self
        return Space(self.z_mm, _twice_the_size(self.y_mm), _twice_the_size(self.x_mm))

    def refine(self, field: Field) -> Field:
        """Interpolate a field of `coarse` at the voxels of this space."""
        if self.coarse is self:
            return field
        _, height, width = self.shape
        return doubled(doubled(field, 1)[:, :height], 2)[:, :, :width]


def _twice_the_size(at_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    steps = 2 * np.arange(_knots(len(at_mm), 1), dtype=np.float32) - np.float32(0.5)
    coarse: NDArray[np.float32] = at_mm[0] + (at_mm[1] - at_mm[0]) * steps
    return coarse


def doubled(field: Field, axis: int) -> Field:
    """Double the resolution along an axis: interpolate at 1/4 and 3/4 between neighbours.

    Repeated doubling converges to a quadratic B-spline (Chaikin's algorithm). A matrix product
    would be slower where several processes share a machine, because it uses threads.
    """
    nearer = np.moveaxis(field, axis, 0)
    first, second = nearer[:-1], nearer[1:]
    shape = list(field.shape)
    shape[axis] = 2 * len(first)
    fine = np.empty(shape, field.dtype)
    along = np.moveaxis(fine, axis, 0)
    along[0::2] = 0.75 * first + 0.25 * second
    along[1::2] = 0.25 * first + 0.75 * second
    return fine


def smooth_noise(rng: np.random.Generator, space: Space, length_mm: float) -> Field:
    """Draw a smooth random field of mean 0, variance 1 and correlation length `length_mm`.

    It is white noise on a lattice of about that pitch, doubled to the resolution of the voxels.
    """
    times = [max(0, round(math.log2(length_mm / step))) for step in space.spacing_mm]
    lattice = [_knots(length, n) for length, n in zip(space.shape, times, strict=True)]
    noise: Field = rng.standard_normal(lattice, dtype=np.float32)
    noise *= np.float32(math.prod(_gain(n) for n in times))
    for axis, n in enumerate(times):
        for _ in range(n):
            noise = doubled(noise, axis)
    depth, height, width = space.shape
    return noise[:depth, :height, :width]


def _knots(length: int, times: int) -> int:
    """Return the number of points that yield at least `length` points after `times` doublings."""
    for _ in range(times):
        length = -(-length // 2) + 1
    return length


@cache
def _gain(times: int) -> float:
    """Return the factor that restores the variance of white noise after `times` doublings."""
    weights: Field = np.eye(6, dtype=np.float32)
    for _ in range(times):
        weights = doubled(weights, 0)
    middle = weights[len(weights) // 3 : -(len(weights) // 3)]
    return float(1 / np.sqrt(np.square(middle).sum(axis=1).mean()))
