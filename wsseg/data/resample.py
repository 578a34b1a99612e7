"""Resampling between the grid of a scan and that of a network.

Along an axis of n voxels, voxel i covers [i, i + 1) in voxel widths, and its centre is i + 1/2.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from wsseg.core.input import Thick
from wsseg.data.spacing import exceeds, in_voxels

NEGLIGIBLE = 1e-6  # of a pixel, from rounding
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Placement:
    """The part of the network's grid that a scan's slices cover; the rest is padding."""

    plane: tuple[int, int]
    """The rows and columns of the network's grid."""
    corner: tuple[int, int]
    """The first row and column that slices cover."""
    covered: tuple[int, int]
    """The rows and columns that slices cover."""

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns that slices cover, to index arrays (..., H, W)."""
        rows, columns = (
            slice(first, first + count)
            for first, count in zip(self.corner, self.covered, strict=True)
        )
        return rows, columns

    def padded(self, planes: NDArray[T], value: float = 0) -> NDArray[T]:
        """Return planes of the covered part, (..., H, W), on the grid, with `value` around them."""
        if self.covered == self.plane:
            return planes
        result = np.full((*planes.shape[:-2], *self.plane), value, planes.dtype)
        result[(..., *self.box)] = planes
        return result


def placement(
    sides_mm: tuple[float, float], plane: tuple[int, int], fit: Literal["stretch", "pad"]
) -> Placement:
    """Return the placement of slices whose sides measure `sides_mm`.

    With `pad`, the covered part is centred and keeps the ratio of the sides, rounded to pixels.
    """
    covered = plane
    if fit == "pad":
        pixel_mm = max(side / count for side, count in zip(sides_mm, plane, strict=True))
        rows, columns = (max(1, round(in_voxels(side, pixel_mm))) for side in sides_mm)
        covered = rows, columns
    top, left = ((all_ - own) // 2 for all_, own in zip(plane, covered, strict=True))
    return Placement(plane, (top, left), covered)


def thick_for(thick: Thick | None, count: int, spacing_mm: float) -> Thick | None:
    """Return `thick` if it applies to a scan of `count` slices; it never applies to one slice."""
    thin = thick is not None and exceeds(thick.thinner_than_mm, spacing_mm)
    return thick if thin and count > 1 else None


def slice_positions(count: int, spacing_mm: float, thick: Thick | None) -> NDArray[np.float64]:
    """Return the positions of the prepared slices, in slices of the scan (2.5: between 2 and 3).

    Their number is the extent of the scan divided by their distance, rounded; they are centred in
    the scan.
    """
    if thick is None:
        return np.arange(count, dtype=np.float64)
    extent_mm = count * spacing_mm
    slices = max(1, round(in_voxels(extent_mm, thick.to_mm)))
    margin_mm = (extent_mm - slices * thick.to_mm) / 2
    centre_mm = margin_mm + (np.arange(slices) + 0.5) * thick.to_mm
    return np.asarray(centre_mm / spacing_mm - 0.5, np.float64)


def prepared_weights(
    positions: NDArray[np.float64], count: int, spacing_mm: float, thick: Thick | None
) -> NDArray[np.float64]:
    """Return the weights of a scan's `count` slices in each prepared slice, (positions, count).

    Thick slices are smoothed by a Gaussian along z, then interpolated linearly.
    """
    linear = linear_weights(positions, count)
    if thick is None:
        return linear
    return linear @ smoothing_weights(count, thick.smoothing * thick.to_mm / spacing_mm)


def scan_weights(positions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the weights of the prepared slices in each of a scan's slices, (count, positions)."""
    slices = len(positions)
    return linear_weights(np.interp(np.arange(count), positions, np.arange(slices)), slices)


def linear_weights(positions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the weights of linear interpolation, (positions, count).

    Beyond the ends of the scan, its first or last slice is repeated.
    """
    distance = np.abs(positions.clip(0, count - 1)[:, None] - np.arange(count))
    return (1 - distance).clip(0, None)


def smoothing_weights(count: int, sigma: float) -> NDArray[np.float64]:
    """Return the (count, count) weights of a Gaussian; `sigma` is in slices."""
    if sigma == 0:
        return np.eye(count)
    offset = np.arange(count)[:, None] - np.arange(count)
    weights = np.exp(-0.5 * (offset / sigma) ** 2) * (np.abs(offset) <= 4 * sigma)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def combine_slices(
    slices: Iterable[NDArray[np.float32]], weights: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return weighted sums of slices, read one at a time; `weights` are (sums, slices)."""
    sums = np.zeros((len(weights), *shape), np.float32)
    for image, column in zip(slices, weights.astype(np.float32).T, strict=True):
        for index in np.flatnonzero(column):
            sums[index] += column[index] * image
    return sums


def resize_slice(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a slice to `shape`: by area averaging along an axis that shrinks, else linearly."""
    for axis in (0, 1):
        target = list(image.shape)
        target[axis] = shape[axis]
        how = cv2.INTER_AREA if shape[axis] < image.shape[axis] else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (target[1], target[0]), interpolation=how), np.float32)
    return image


def nearest_indices(count: int, size: int) -> NDArray[np.intp]:
    """Return, for each of `size` pixels, which of `count` pixels contains its centre."""
    return ((np.arange(size) + 0.5) * (count / size)).astype(np.intp)


def resample_known(
    known: NDArray[np.int8], positions: NDArray[np.float64], plane: tuple[int, int]
) -> NDArray[np.int8]:
    """Resample known pixels, (Z, H, W) of 1, -1 and 0, to (positions, *plane).

    A pixel of the result that contains centres of known pixels gets the label of most of them, or 0
    on a tie, so that thin scribbles and single points are kept. All other pixels get the label at
    their own centre.
    """
    z, height, width = known.shape
    nearest = np.ix_(
        np.rint(positions).clip(0, z - 1).astype(np.intp),
        nearest_indices(height, plane[0]),
        nearest_indices(width, plane[1]),
    )
    labelled = known.nonzero()
    slices = np.abs(positions[:, None] - np.arange(z)).argmin(0)
    rows, columns = map(nearest_indices, plane, (height, width))
    places = slices[labelled[0]], rows[labelled[1]], columns[labelled[2]]
    votes = np.zeros((2, len(positions), *plane), np.int32)
    np.add.at(votes[0], places, known[labelled])
    np.add.at(votes[1], places, 1)
    return np.where(votes[1] > 0, np.sign(votes[0]), known[nearest]).astype(np.int8)


def resample_range(low: float, high: float, count: int, size: int) -> tuple[int, int]:
    """Return the half-open range of `size` pixels that overlaps a range of `count` pixels."""
    first = max(0, floor(low * size / count + NEGLIGIBLE))
    return first, min(size, ceil(high * size / count - NEGLIGIBLE))
