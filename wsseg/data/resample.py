"""From a scan's grid to the network's and back; a voxel's value sits at its centre.

Along an axis of n voxels, voxel i covers [i, i + 1) voxel widths and its centre is at i + 1/2.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from wsseg.core.input import Thick
from wsseg.data.spacing import exceeds, in_voxels


def applicable(thick: Thick | None, count: int, spacing_mm: float) -> Thick | None:
    """Return `thick` where a scan of `count` slices is to be brought to it; a lone slice stays."""
    thin = thick is not None and exceeds(thick.thinner_than_mm, spacing_mm)
    return thick if thin and count > 1 else None


def slice_positions(count: int, spacing_mm: float, thick: Thick | None) -> NDArray[np.float64]:
    """Return where the prepared slices lie, in slices of the scan (2.5: between 2 and 3).

    They are as many as fit into the scan's extent, with the margin halved between both ends.
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
    """Return what each of a scan's `count` slices adds to each prepared one, (positions, count).

    Thick slices are made by a Gaussian along z, then linear interpolation.
    """
    linear = linear_weights(positions, count)
    if thick is None:
        return linear
    return linear @ smoothing_weights(count, thick.smoothing * thick.to_mm / spacing_mm)


def own_weights(positions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return what each prepared slice adds to each of a scan's `count`, (count, positions)."""
    slices = len(positions)
    return linear_weights(np.interp(np.arange(count), positions, np.arange(slices)), slices)


def linear_weights(positions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return (positions, count) weights of linear interpolation; the edge slices go on outside."""
    distance = np.abs(positions.clip(0, count - 1)[:, None] - np.arange(count))
    return (1 - distance).clip(0, None)


def smoothing_weights(count: int, sigma: float) -> NDArray[np.float64]:
    """Return the (count, count) weights of a Gaussian of `sigma` slices."""
    if sigma == 0:
        return np.eye(count)
    offset = np.arange(count)[:, None] - np.arange(count)
    weights = np.exp(-0.5 * (offset / sigma) ** 2) * (np.abs(offset) <= 4 * sigma)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def mixed_slices(
    slices: Iterable[NDArray[np.float32]], weights: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return weighted sums of `slices`, which come one at a time; weights are (sums, slices)."""
    sums = np.zeros((len(weights), *shape), np.float32)
    for image, column in zip(slices, weights.astype(np.float32).T, strict=True):
        for index in np.flatnonzero(column):
            sums[index] += column[index] * image
    return sums


def resized(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a slice to `shape`: linear, and averaged over the area of a pixel where it shrinks."""
    for axis in (0, 1):
        target = list(image.shape)
        target[axis] = shape[axis]
        how = cv2.INTER_AREA if shape[axis] < image.shape[axis] else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (target[1], target[0]), interpolation=how), np.float32)
    return image


def nearest_indices(count: int, size: int) -> NDArray[np.intp]:
    """Return, for each of `size` pixels over the extent of `count`, the one its centre lies in."""
    return ((np.arange(size) + 0.5) * (count / size)).astype(np.intp)
