"""Downsampling and morphology of the slices of a scan, with lengths in millimetres."""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg.tools import in_voxels, map_in_threads, rounded_mm

Mask: TypeAlias = NDArray[np.bool_]  # (Z, H, W)
Spacing: TypeAlias = tuple[float, float, float]  # mm along (z, row, column)
Centres: TypeAlias = NDArray[np.float64]  # (Z, 2), row and column in each slice
Box: TypeAlias = tuple[slice, slice, slice]
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
IN_PLANE = np.stack([0 * CROSS, CROSS, 0 * CROSS])


@dataclass(frozen=True)
class CoarseScan:
    """A downsampled scan."""

    hu: NDArray[np.float32]  # (Z, H, W)
    spacing_mm: Spacing
    step: tuple[int, int, int]  # voxels of the original scan per voxel, along each axis


def downsample(voxels: NDArray[Any], spacing_mm: Spacing, to_mm: float) -> CoarseScan:
    """Average blocks of voxels of about `to_mm`; larger voxels of the scan stay as they are.

    Incomplete blocks at the end of an axis are padded with the value of the last voxel. Spacings
    are rounded to 0.001 mm, so that rounding errors in a header do not change the result.
    """
    z_mm, row_mm, column_mm = map(rounded_mm, spacing_mm)
    z, row, column = (max(1, round(in_voxels(to_mm, mm))) for mm in (z_mm, row_mm, column_mm))
    slabs = (voxels[start : start + z] for start in range(0, len(voxels), z))
    hu = np.stack(list(map_in_threads(lambda slab: _block_means(slab, (z, row, column)), slabs)))
    return CoarseScan(hu, (z_mm * z, row_mm * row, column_mm * column), (z, row, column))


def _block_means(slab: NDArray[Any], step: tuple[int, int, int]) -> NDArray[np.float32]:
    """Average the blocks of a slab with the height of one block, (H, W)."""
    after = [(0, -n % each) for n, each in zip(slab.shape, step, strict=True)]
    plane = np.pad(slab, after, mode="edge").sum(axis=0, dtype=np.float32)
    rows = plane.reshape(-1, step[1], plane.shape[1]).sum(axis=1)
    return np.asarray(rows.reshape(len(rows), -1, step[2]).sum(axis=2) / math.prod(step))


def upsample_slice(
    plane: NDArray[np.bool_], step: tuple[int, int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Repeat each pixel of a downsampled mask's slice over its block, (H, W) of `shape`."""
    repeated = plane.repeat(step[1], axis=0).repeat(step[2], axis=1)
    return repeated[: shape[1], : shape[2]]


def erosion(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Erode each slice with a disc; pixels outside the image count as mask."""
    return _morphology(cv2.MORPH_ERODE, mask, radius_mm, spacing_mm)


def dilation(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Dilate each slice with a disc."""
    return _morphology(cv2.MORPH_DILATE, mask, radius_mm, spacing_mm)


def opening(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Open each slice with a disc."""
    return dilation(erosion(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def closing(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Close each slice with a disc."""
    return erosion(dilation(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def connected_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Return the labels of the 3-D connected components, from 1, and their number."""
    labels, count = ndimage.label(mask)
    return np.asarray(labels, np.int32), int(count)


def components_in_slice(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Return the labels of the connected components of one slice, from 1, and their number."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(labels, np.int32), count - 1


def components_per_slice(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Return the labels of the connected components of each slice, from 1, and their number."""
    labels, count = ndimage.label(mask, IN_PLANE)
    return np.asarray(labels, np.int32), int(count)


def labels_at_border(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the labels of the components that touch the border of the image."""
    edges = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    found = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    return found[found > 0]


def at_mask_edge(labels: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the labels of a slice at the inner edge of `mask`, and 0 elsewhere.

    The border of the image is not an edge of the mask.
    """
    return np.where(cv2.erode(mask.astype(np.uint8), CROSS) > 0, 0, labels)


def slice_centres(mask: Mask) -> Centres:
    """Return the centre of mass of each slice, or 0 for empty slices."""
    pixels = mask.sum(axis=(1, 2)).clip(min=1)
    along = (mask.sum(axis=2), mask.sum(axis=1))
    return np.stack([each @ np.arange(each.shape[1]) / pixels for each in along], axis=1)


def bounding_box(mask: Mask, margin_mm: float, spacing_mm: Spacing) -> Box:
    """Return the bounding box of `mask` with a margin of at least one voxel."""
    sides = []
    for axis, (length, each_mm) in enumerate(zip(mask.shape, spacing_mm, strict=True)):
        on = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        more = int(in_voxels(margin_mm, each_mm)) + 1
        sides.append(slice(max(0, on[0] - more), min(length, on[-1] + 1 + more)))
    z, row, column = sides
    return z, row, column


def _morphology(how: int, mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Apply a morphological operation with a disc of at least one pixel."""
    row, column = (max(1, round(in_voxels(radius_mm, mm))) for mm in spacing_mm[1:])
    y, x = np.ogrid[-row : row + 1, -column : column + 1]
    disc = ((y / row) ** 2 + (x / column) ** 2 <= 1).astype(np.uint8)
    planes = [cv2.morphologyEx(plane, how, disc) for plane in mask.astype(np.uint8)]
    return np.stack(planes).astype(np.bool_)
