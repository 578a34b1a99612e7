"""Resampling of a network's masks and probabilities to the grid of their scan."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.data.prepare import Prepared
from wsseg.data.resample import resize_slice, scan_weights

HALF = 0.5  # the share of a voxel that must be inside for the voxel to belong to a mask


def to_scan_grid(prepared: Prepared, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Resample a mask, (Z, h, w), to the canonical grid of its scan.

    The mask is interpolated linearly; voxels of at least 1/2 are inside.
    """
    own = np.zeros(prepared.grid.canonical_shape, np.bool_)
    for index, interpolated in _on_scan_slices(prepared, mask):
        own[index] = interpolated >= HALF
    return own


def shares_on_scan_grid(prepared: Prepared, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate numbers from 0 to 1, (Z, h, w), linearly on the grid of their scan."""
    own = np.zeros(prepared.grid.canonical_shape, np.float32)
    for index, interpolated in _on_scan_slices(prepared, shares):
        own[index] = interpolated.clip(0, 1)
    return own


def _on_scan_slices(
    prepared: Prepared, values: NDArray[Any]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the slices of a scan, with their indices, on which interpolated `values` are not 0."""
    z, height, width = prepared.grid.canonical_shape
    values = values[(..., *prepared.placement.box)]
    for index, weights in enumerate(scan_weights(np.array(prepared.positions), z)):
        used = np.flatnonzero(weights)
        if values[used].any():
            shares = weights[used].astype(np.float32)
            mixed = np.tensordot(shares, values[used].astype(np.float32), axes=1)
            yield index, resize_slice(mixed, (height, width))
